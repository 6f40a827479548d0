"""LQR and iLQR: against formulas, through tasks, models and functions; what is refused, and how."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import foreplan
from conftest import Sled, sled_rows

A = np.array([[1.0, 0.1], [0.0, 1.0]])
B = np.array([[0.005], [0.1]])
Q = np.diag([1.0, 0.1])
R = np.array([[0.2]])


def every_term(horizon=6, nx=3, nu=2, seed=1):
    """A time-varying problem with drift, cross and linear terms, jointly convex."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=(horizon, nx + nu, nx + nu))
    weight = weight @ weight.transpose(0, 2, 1) + 0.1 * np.eye(nx + nu)
    return {"A": np.eye(nx) + 0.2 * random.normal(size=(horizon, nx, nx)), "B": random.normal(size=(horizon, nx, nu)),
            "Q": weight[:, :nx, :nx], "S": weight[:, nx:, :nx], "R": weight[:, nx:, nx:],
            "q": random.normal(size=(horizon, nx)), "r": random.normal(size=(horizon, nu)),
            "c": random.normal(size=(horizon, nx)), "terminal_Q": 2 * np.eye(nx), "terminal_q": random.normal(size=nx)}


def cost_of(p, x, actions):
    """By the definition, step by step."""
    total = 0.0
    for t, u in enumerate(actions):
        total += (0.5 * x @ p["Q"][t] @ x + u @ p["S"][t] @ x + 0.5 * u @ p["R"][t] @ u + p["q"][t] @ x
                  + p["r"][t] @ u)
        x = p["A"][t] @ x + p["B"][t] @ u + p["c"][t]
    return total + 0.5 * x @ p["terminal_Q"] @ x + p["terminal_q"] @ x


def followed(p, policy, x):
    actions = []
    for t in range(len(policy)):
        actions.append(policy.mean(x, t))
        x = p["A"][t] @ x + p["B"][t] @ actions[-1] + p["c"][t]
    return np.array(actions)


def test_lqr_is_optimal_and_its_value_is_the_cost():
    p = every_term()
    solution = foreplan.solve_lqr(**p)
    assert solution.K.shape == (6, 2, 3) and solution.k.shape == (6, 2) and solution.V.shape == (7, 3, 3)
    x0 = np.array([1.0, -2.0, 0.5])
    best = followed(p, solution.policy(), x0)
    assert solution.cost(x0) == pytest.approx(cost_of(p, x0, best), rel=1e-10)  # sums of 6 steps in float64
    assert solution.cost([x0, x0]).shape == (2,)
    random = np.random.default_rng(2)
    for _ in range(20):  # no other actions cost less
        assert cost_of(p, x0, best + 0.01 * random.normal(size=best.shape)) > solution.cost(x0)


def test_lqr_by_hand_of_one_step():
    solution = foreplan.solve_lqr([[2.0]], [[1.0]], [[1.0]], [[3.0]], horizon=1)
    # min over u of 3/2 u^2 + 1/2 (2 x + u)^2: u = -2 x / 4.
    assert solution.K == pytest.approx(-0.5) and solution.inverse == pytest.approx(0.25)
    assert solution.cost([1.0]) == pytest.approx(0.5 + 1.5 * 0.25 + 0.5 * 1.5 ** 2)
    assert solution.V[1] == pytest.approx(1.0)  # the last Q is the default at the end


def test_matrices_without_steps_are_the_same_at_each():
    short = foreplan.solve_lqr(A, B, Q, R, horizon=5)
    repeated = foreplan.solve_lqr([A] * 5, B, [Q] * 5, R)
    assert np.array_equal(short.K, repeated.K) and np.array_equal(short.V, repeated.V)


def test_a_long_horizon_reaches_the_stationary_gain():
    stationary = foreplan.solve_stationary_lqr(A, B, Q, R)
    finite = foreplan.solve_lqr(A, B, Q, R, horizon=400)
    assert finite.K[0] == pytest.approx(stationary.K, rel=1e-9) and finite.V[0] == pytest.approx(stationary.V, rel=1e-9)


@pytest.mark.parametrize("changed, said", [
    ({"B": np.ones((3, 1))}, "B: found 3 x 1"),
    ({"R": [[-5.0]]}, "R .* not positive definite|expected a cost with a minimum"),
    ({"Q": [[1.0, 2.0], [0.0, 1.0]]}, "Q"),
    ({"A": A * np.nan}, "A: found nan"),
    ({"horizon": None}, "horizon: found none"),
    ({"horizon": 0}, "horizon: found 0"),
    ({"A": [A] * 3}, "A: found 3 steps, expected 5"),
    ({"q": np.ones((4, 2))}, "q: found 4 steps, expected 5"),
    ({"Q": 1.0}, "Q: found shape"),
    ({"Q": np.zeros((0, 2, 2))}, "Q: found shape"),
])
def test_lqr_says_what_does_not_fit(changed, said):
    with pytest.raises(foreplan.InputError, match=said):
        foreplan.solve_lqr(**{"A": A, "B": B, "Q": Q, "R": R, "horizon": 5, **changed})


def test_what_has_no_stationary_solution_is_said():
    with pytest.raises(foreplan.InputError, match="stabilised"):
        foreplan.solve_stationary_lqr([[2.0]], [[0.0]], [[1.0]], [[1.0]])


def linear(x, u):
    return x @ A.T + u @ B.T


def quadratic(x, u, t):
    return 0.5 * np.einsum("ni,ij,nj->n", x, Q, x) + 0.5 * np.einsum("ni,ij,nj->n", u, R, u)


def at_the_end(x):
    return 0.5 * np.einsum("ni,ij,nj->n", x, Q, x)


def of_functions(**changed):
    arguments = {"dynamics": linear, "cost": quadratic, "terminal_cost": at_the_end, "horizon": 20, "state_dim": 2,
                 "action_dim": 1}
    return foreplan.IlqrSolver(**{**arguments, **changed})


def given_dynamics(x, u):
    return np.repeat(A[None], len(x), 0), np.repeat(B[None], len(x), 0)


def given_cost(x, u, t):
    weight = np.block([[Q, np.zeros((2, 1))], [np.zeros((1, 2)), R]])
    z = np.concatenate([x, u], 1)
    return z @ weight, np.repeat(weight[None], len(x), 0)


@pytest.mark.parametrize("derivatives", [{}, {"dynamics_derivatives": given_dynamics, "cost_derivatives": given_cost,
                                             "terminal_derivatives": lambda x: (x @ Q, Q[None])}])
def test_ilqr_over_functions_is_lqr_where_they_are_linear_and_quadratic(derivatives):
    expected = foreplan.solve_lqr(A, B, Q, R, horizon=20)
    result = of_functions(**derivatives).solve([1.0, -0.5])
    assert result.status == "converged" and result.iterations == len(result.costs)
    # Differences of the cost are good to about 1e-7, given derivatives to rounding.
    near = {"rel": 1e-5, "abs": 1e-6} if not derivatives else {"rel": 1e-9, "abs": 1e-9}
    assert result.cost == pytest.approx(expected.cost([1.0, -0.5]), **near)
    assert result.K == pytest.approx(expected.K, **near) and result.inverse == pytest.approx(expected.inverse, **near)
    for t in range(20):
        assert result.actions[t] == pytest.approx(expected.K[t] @ result.states[t], **near)
    assert result.states[1:] == pytest.approx(linear(result.states[:-1], result.actions), abs=1e-12)


def test_differences_of_a_cost_see_its_cross_terms():
    S = np.array([[0.3, -0.2]])

    def cost(x, u, t):
        return quadratic(x, u, t) + np.einsum("ni,ij,nj->n", u, S, x)

    expected = foreplan.solve_lqr(A, B, Q, R, S=S, horizon=20)
    result = of_functions(cost=cost).solve([1.0, -0.5])
    assert result.K == pytest.approx(expected.K, rel=1e-5, abs=1e-6)


def test_constraints_hold_at_every_step_and_at_the_end():
    # 0.1 m in 2 s, not faster than 0.06 m/s.
    result = of_functions(inequalities=lambda x, u, t: np.stack([x[:, 1] - 0.06, -0.4 - u[:, 0]], 1),
                          terminal_equalities=lambda x: x - [0.1, 0.0]).solve([0.0, 0.0], np.full((20, 1), 0.1))
    assert result.status == "converged" and result.violation <= 1e-6 and result.rounds > 1
    assert result.states[-1] == pytest.approx([0.1, 0.0], abs=2e-6)
    assert result.states[:, 1].max() <= 0.06 + 2e-6 and result.actions.min() >= -0.4 - 2e-6
    free = of_functions(terminal_equalities=lambda x: x - [0.1, 0.0]).solve([0.0, 0.0])
    assert free.states[:, 1].max() > 0.07 and free.cost < result.cost  # the limit matters


def test_equalities_of_steps_are_told_the_step_and_met():
    result = of_functions(equalities=lambda x, u, t: u[:, 0] - 0.1 * t).solve([1.0, 0.0])
    assert result.actions[:, 0] == pytest.approx(0.1 * np.arange(20), abs=2e-6) and result.status == "converged"
    assert result.iterations <= result.rounds  # quadratic costs, linear constraints: a step each, by right derivatives


def test_constraints_that_cannot_hold_are_told():
    result = of_functions(terminal_equalities=lambda x: x[:, 0] - 100, low=-1, high=1).solve([0.0, 0.0])
    assert result.status == "constraints violated" and result.violation > 90


def test_a_solve_with_constraints_that_cannot_begin_says_why():
    result = of_functions(dynamics=lambda x, u: x * np.nan, equalities=lambda x, u, t: u[:, 0]).solve([1.0, 0.0])
    assert result.status == "invalid start" and result.K is None


def test_what_constraints_raise_is_raised_and_their_options_are_the_librarys():
    calls = []

    def late(x, u, t):
        calls.append(1)
        if len(calls) > 30:
            raise Mine("late")
        return u[:, 0]

    for function in (raising, late):
        with pytest.raises(Mine):
            of_functions(inequalities=function).solve([1.0, 0.0])
    with pytest.raises(foreplan.InputError, match="did you mean 'multipliers.max_rounds'"):
        of_functions(multipliers={"max_round": 3})
    one = of_functions(equalities=lambda x, u, t: u[:, 0] - 3, multipliers={"max_rounds": 1}).solve([1.0, 0.0])
    assert one.status == "iteration limit" and one.rounds == 1


def test_costs_are_told_the_step():
    target = np.sin(np.arange(20))

    def tracking(x, u, t):
        assert t.dtype.kind == "i" and len(t) == len(x)
        return (u[:, 0] - target[t]) ** 2

    result = of_functions(cost=tracking, terminal_cost=None).solve([0.0, 0.0])
    assert result.actions[:, 0] == pytest.approx(target, abs=1e-4)


def test_bounds_hold():
    result = of_functions(low=-0.3, high=[0.2]).solve([1.0, 0.0])
    assert result.actions.min() == -0.3 and result.actions.max() <= 0.2
    free = of_functions().solve([1.0, 0.0])
    assert free.actions.min() < -0.4 and free.cost < result.cost


def test_ilqr_swings_up_the_pendulum_on_the_true_system():
    solver = foreplan.IlqrSolver("pendulum", horizon=150)
    hanging = np.array([np.pi, 0.0])
    result = solver.solve(hanging, np.full((150, 1), -0.5))
    assert solver.state_dim == 2 and result.status == "converged"
    assert np.abs(result.actions).max() <= solver.task.action_high[0]
    assert np.cos(result.states[-1, 0]) > 0.99  # upright
    assert np.all(np.diff(result.costs) <= 0)
    policy = result.policy()
    assert policy.mean(result.states[3], 3) == pytest.approx(result.actions[3], abs=1e-12)


def test_ilqr_goes_through_a_model_and_follows_it_when_it_is_fitted_again():
    task = foreplan.Task(Sled(), episode_length=40, reward="-(place - 1)^2 - 0.1 * motion^2 - 0.01 * u0^2")
    model = foreplan.Model(task, model={"width": 32}, fit={"min_steps": 2000, "max_steps": 2000})
    solver = foreplan.IlqrSolver(dynamics=model, horizon=20)
    before = solver.solve([0.0, 0.0]).cost
    model.fit(*sled_rows(300))
    result = solver.solve([0.0, 0.0])
    assert result.cost != before
    exact = foreplan.IlqrSolver(task, dynamics=lambda x, u: np.stack(
        [x[:, 0] + 0.1 * u[:, 0], x[:, 1] + 0.1 * (x[:, 0] + 0.1 * u[:, 0])], 1), horizon=20).solve([0.0, 0.0])
    # The networks are off by a few percent of a step's change.
    assert result.actions[:3] == pytest.approx(exact.actions[:3], abs=0.3) and exact.actions[0] > 1


def test_a_guess_of_states_need_not_follow_from_the_actions():
    straight = np.linspace([1.0, 0.0], [0.0, 0.0], 21)
    result = of_functions().solve([1.0, 0.0], states=straight)
    assert result.status == "converged"
    assert result.cost == pytest.approx(of_functions().solve([1.0, 0.0]).cost, rel=1e-6)


def test_a_reward_that_is_learned_beside_the_model_is_followed_uphill():
    task = foreplan.Task(Sled(), episode_length=40)  # the environment pays: it is learned
    model = foreplan.Model(task, model={"width": 32}, fit={"min_steps": 2000, "max_steps": 2000})
    observation, action, next_observation = sled_rows(400)
    model.fit(observation, action, next_observation, reward=-(next_observation[:, 1] - 1) ** 2,
              terminated=np.zeros(400))
    result = foreplan.IlqrSolver(dynamics=model, horizon=10).solve([0.0, 0.0])
    assert result.actions[0] > 0.5  # towards 1 m, where it is paid
    # A cost of one's own needs no reward.
    own = foreplan.IlqrSolver(task, dynamics=linear, cost=quadratic, horizon=5).solve([1.0, 0.0])
    assert own.status == "converged"
    with pytest.raises(foreplan.InputError, match="planning_reward: found one that is learned"):
        foreplan.IlqrSolver(task, dynamics=linear, horizon=5)


def test_options_are_those_of_the_library():
    result = foreplan.IlqrSolver("pendulum", horizon=50, max_iterations=2).solve([np.pi, 0.0], np.full((50, 1), 0.1))
    assert result.status == "iteration limit" and result.iterations == 2
    with pytest.raises(foreplan.InputError, match="did you mean 'ilqr.max_iterations'"):
        foreplan.IlqrSolver("pendulum", horizon=50, max_iteration=2)
    with pytest.raises(foreplan.InputError, match="second derivatives"):
        foreplan.IlqrSolver("pendulum", horizon=50, derivatives="full")


def test_a_deadline_ends_with_what_there_is():
    result = foreplan.IlqrSolver("pendulum", horizon=400).solve([np.pi, 0.0], np.full((400, 1), 0.1), deadline_ms=1e-3)
    assert result.status == "deadline" and result.K is None
    with pytest.raises(foreplan.InputError, match="without gains"):
        result.policy()


@pytest.mark.parametrize("arguments, error, said", [
    ({"x0": [np.nan, 0.0]}, foreplan.InputError, "x0: found nan"),
    ({"x0": [0.0]}, foreplan.InputError, r"x0: found shape \[1\], expected \[2\]"),
    ({"x0": [0.0, 0.0], "actions": np.zeros((3, 1))}, foreplan.InputError, "actions: found 3 steps, expected 20"),
    ({"x0": [0.0, 0.0], "states": np.zeros((20, 2))}, foreplan.InputError, "states: found 20 steps, expected 21"),
    ({"x0": "here"}, TypeError, "x0"),
])
def test_starts_that_do_not_fit_are_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        of_functions().solve(**arguments)


@pytest.mark.parametrize("changed, error, said", [
    ({"dynamics": None}, foreplan.InputError, "found no task"),
    ({"state_dim": None}, foreplan.InputError, "found no task"),
    ({"cost": 3}, TypeError, "cost: found int"),
    ({"horizon": 0}, foreplan.InputError, "horizon"),
    ({"low": [1.0], "high": [-1.0]}, foreplan.InputError, "low <= high"),
    ({"terminal_cost": None, "terminal_derivatives": given_cost}, foreplan.InputError,
     "terminal_derivatives: found one"),
    ({"task": "pendulum", "cost": None}, foreplan.InputError, "terminal_cost: found one without a function cost"),
    ({"task": "pendulum", "dynamics": None, "dynamics_derivatives": given_dynamics}, foreplan.InputError,
     "dynamics_derivatives: found one without a function dynamics"),
    ({"task": "pendulum", "dynamics": None, "cost": None, "terminal_cost": None, "cost_derivatives": given_cost},
     foreplan.InputError, "cost_derivatives: found one"),
    ({"low": [1.0, 2.0], "high": [2.0, 3.0]}, foreplan.InputError, "bounds"),
])
def test_solvers_that_make_no_sense_are_refused(changed, error, said):
    with pytest.raises(error, match=said):
        of_functions(**changed)


def test_a_model_of_another_system_is_refused():
    model = foreplan.Model("cartpole_closed_form", model={"width": 8, "members": 2})
    with pytest.raises(foreplan.InputError, match="found a model of 4 observed numbers and 1 actions, expected the"):
        foreplan.IlqrSolver("pendulum", dynamics=model, cost=quadratic, horizon=5)


def test_a_reward_without_derivatives_is_refused_with_the_reason():
    task = foreplan.Task(Sled(), episode_length=40, reward=lambda o, u, n: -n[:, 0] ** 2)
    with pytest.raises(foreplan.InputError, match="derivatives"):
        foreplan.IlqrSolver(task, dynamics=linear, horizon=5)


class Mine(Exception):
    pass


def raising(*arguments):
    raise Mine("of my own")


@pytest.mark.parametrize("which", ["dynamics", "cost", "terminal_cost", "dynamics_derivatives", "cost_derivatives",
                                   "terminal_derivatives"])
def test_what_functions_raise_is_raised(which):
    with pytest.raises(Mine, match="of my own"):
        of_functions(**{which: raising}).solve([1.0, 0.0])


def test_what_is_raised_while_gains_are_made_is_raised():
    calls = []

    def late(x, u):
        calls.append(1)
        if len(calls) > 1:
            raise Mine("late")
        return given_dynamics(x, u)

    with pytest.raises(Mine, match="late"):  # after the only iteration
        of_functions(dynamics_derivatives=late, max_iterations=1).solve([1.0, 0.0])


def test_functions_of_another_size_are_refused():
    with pytest.raises(foreplan.InputError, match="next state: found 1 numbers, expected 2"):
        of_functions(dynamics=lambda x, u: x[:, :1]).solve([1.0, 0.0])
    with pytest.raises(foreplan.InputError, match="cost's Hessian: found"):
        of_functions(cost_derivatives=lambda x, u, t: (np.zeros((len(x), 3)), np.zeros((len(x), 2)))).solve([1.0, 0.0])


def test_numbers_that_are_not_finite_are_a_status():
    assert of_functions(dynamics=lambda x, u: x * np.nan).solve([1.0, 0.0]).status == "invalid start"
    broken = of_functions(dynamics_derivatives=lambda x, u: (np.full((len(x), 2, 2), np.nan), np.zeros((len(x), 2, 1))))
    result = broken.solve([1.0, 0.0])
    assert result.status == "invalid derivatives" and result.K is None and result.inverse is None


def test_a_cost_without_a_minimum_is_a_status():
    concave = of_functions(cost=lambda x, u, t: -1e12 * u[:, 0] ** 2, terminal_cost=None)
    result = concave.solve([1.0, 0.0], np.ones((20, 1)))
    assert result.status == "indefinite" and result.K is None


def test_control_c_ends_a_solve():
    def slow(x, u):
        time.sleep(0.002)
        return linear(x, u)

    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        of_functions(dynamics=slow, horizon=2000, low=-0.1, high=0.1).solve([1.0, 0.0])
    assert time.monotonic() - began < 3  # the rollouts and derivatives of an iteration take half a minute


def test_control_c_ends_a_solve_that_calls_no_python():
    solver = foreplan.IlqrSolver("pendulum", horizon=100000, cost_tolerance=0.0)
    guess = np.random.default_rng(0).uniform(-1, 1, (100000, 1))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        solver.solve([np.pi, 0.0], guess)
    assert time.monotonic() - began < 4  # five iterations take nine seconds
