"""A pendulum that nobody described, swung up by local models: roll out, fit, solve, again.

    PYTHONPATH=build/release/python python3 python/examples/local_models.py
"""

import numpy as np

import foreplan

STEPS, ROLLOUTS = 40, 20
START = np.array([np.pi - 0.5, 0.0])  # angle from upright [rad], velocity [rad/s]
Q, R = np.diag([1.0, 0.1]), np.array([[0.05]])


def pendulum(x: np.ndarray, u: np.ndarray, dt: float = 0.05) -> np.ndarray:
    """The system, of which only its steps are used: x [n, 2], u [n, 1] -> [n, 2]."""
    velocity = x[:, 1] + dt * (9.81 * np.sin(x[:, 0]) - 0.2 * x[:, 1] + 3 * u[:, 0])
    return np.stack([x[:, 0] + dt * velocity, velocity], 1)


def roll_out(policy: foreplan.LinearGaussianPolicy, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """States [N, T + 1, 2], actions [N, T, 1], and what they cost in the mean."""
    random = np.random.default_rng(seed)
    states = [START + 0.02 * random.normal(size=(ROLLOUTS, 2))]
    actions = []
    for t in range(STEPS):
        actions.append(policy.sample(states[-1], t, seed=seed))
        states.append(pendulum(states[-1], actions[-1]))
    x, u = np.stack(states, 1), np.stack(actions, 1)
    cost = 0.5 * np.einsum("nti,ij,ntj->n", x, Q, x) + 0.5 * np.einsum("nti,ij,ntj->n", u, R, u)
    return x, u, float(cost.mean())


def improve(iterations: int = 8) -> list[float]:
    """The costs of the rollouts, iteration by iteration."""
    fitter = foreplan.LocalModelFitter("mixture", seed=1)
    policy = foreplan.LinearGaussianPolicy(np.zeros((STEPS, 1, 2)), None, np.ones((STEPS, 1, 1)))
    costs = []
    for iteration in range(iterations):
        x, u, cost = roll_out(policy, seed=iteration)
        costs.append(cost)
        model = fitter.fit(x, u)
        # Near the rollouts alone is the model right: a step away from their mean actions costs, too.
        near = 0.5 * np.eye(1)
        solution = foreplan.solve_lqr(model.A, model.B, Q, R + near, c=model.c, r=-(u.mean(0) @ near))
        policy = solution.policy(temperature=0.01)
    return costs


if __name__ == "__main__":
    for number, spent in enumerate(improve()):
        print(f"iteration {number}: cost {spent:.1f}")
