"""Functions of PyTorch and JAX: rewards, dynamics and costs that plan as NumPy's do."""

import importlib.util
import multiprocessing

import numpy as np
import pytest

import foreplan
from conftest import Sled

SMALL = {"options": {"planner.icem.horizon": 10, "planner.icem.population": 30}}


def numpy_step(state, action):
    velocity = state[:, 0] + 0.1 * action[:, 0]
    return np.stack([velocity, state[:, 1] + 0.1 * velocity], 1)


def numpy_reward(observation, action, next_observation):
    return -(next_observation[:, 1] - 1) ** 2, next_observation[:, 1] > 3


def planned(step, reward):
    task = foreplan.Task(Sled(), episode_length=40, reward=reward)
    return foreplan.Planner(task, model=step, threads=1, **SMALL).plan([0.0, 0.2], seed=3)


def test_torch_plans_as_numpy_does():
    torch = pytest.importorskip("torch")
    seen = set()

    def step(state, action):
        seen.add((state.dtype, type(action)))
        velocity = state[:, 0] + 0.1 * action[:, 0]
        return torch.stack([velocity, state[:, 1] + 0.1 * velocity], 1)

    def reward(observation, action, next_observation):
        return -(next_observation[:, 1] - 1) ** 2, next_observation[:, 1] > 3

    expected = planned(numpy_step, numpy_reward)
    found = planned(foreplan.from_torch(step), foreplan.from_torch(reward))
    assert np.array_equal(found.actions, expected.actions)  # float64 by float64
    assert seen == {(torch.float64, torch.Tensor)}
    rewards, ends = foreplan.Task(Sled(), episode_length=40, reward=foreplan.from_torch(reward)).reward(
        np.zeros((2, 2)), np.zeros((2, 1)), [[0.0, 2.0], [0.0, 4.0]])
    assert rewards.tolist() == [-1.0, -9.0] and ends.tolist() == [False, True]


def test_torch_modules_of_float32_are_called_without_gradients():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)

    def step(state, action):
        assert not torch.is_grad_enabled() and state.dtype == torch.float32
        return layer(torch.cat([state, action], 1))

    of_arrays = foreplan.from_torch(step, dtype=torch.float32)
    found = of_arrays(np.ones((4, 2)), np.zeros((4, 1)))
    assert foreplan.from_torch(lambda t: t.is_floating_point(), dtype=torch.float32)(np.arange(3)) is False
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert found.dtype == np.float64 and found == pytest.approx(np.ones((4, 2)) @ weight[:, :2].T + bias, abs=1e-6)


def test_torch_derivatives_lead_ilqr_as_formulas_do():
    torch = pytest.importorskip("torch")

    def cost(x, u, t):
        assert not t.is_floating_point()
        return (x[:, 0] - 0.1 * t) ** 2 + 0.1 * torch.cosh(u[:, 0])

    def one(z, t):
        return cost(z[None, :2], z[None, 2:], t[None])[0]

    def derivatives(x, u, t):
        z = torch.cat([x, u], 1)
        return torch.vmap(torch.func.grad(one))(z, t), torch.vmap(torch.func.hessian(one))(z, t)

    sizes = {"horizon": 10, "state_dim": 2, "action_dim": 1}
    exact = foreplan.IlqrSolver(dynamics=numpy_step, cost=foreplan.from_torch(cost),
                                cost_derivatives=foreplan.from_torch(derivatives), **sizes).solve([0.0, 0.0])
    by_differences = foreplan.IlqrSolver(dynamics=numpy_step, cost=foreplan.from_torch(cost), **sizes).solve([0.0, 0.0])
    assert exact.status == "converged" and exact.actions == pytest.approx(by_differences.actions, abs=1e-4)


def test_what_a_torch_function_raises_is_raised():
    torch = pytest.importorskip("torch")

    def step(state, action):
        return torch.zeros(2) @ torch.zeros(3)

    with pytest.raises(RuntimeError, match="inconsistent tensor size|mismatch|size"):
        planned(foreplan.from_torch(step), numpy_reward)


def plans_of_jax():
    """(actions and expected return in float64, expected return in float32)"""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def step(state, action):
        velocity = state[:, 0] + 0.1 * action[:, 0]
        return jnp.stack([velocity, state[:, 1] + 0.1 * velocity], 1)

    @jax.jit
    def reward(observation, action, next_observation):
        return -(next_observation[:, 1] - 1) ** 2, next_observation[:, 1] > 3

    single = planned(foreplan.from_jax(step), foreplan.from_jax(reward))  # as JAX is by default
    jax.config.update("jax_enable_x64", True)
    double = planned(foreplan.from_jax(step), foreplan.from_jax(reward))
    return double.actions, double.expected_return, single.expected_return


def test_jax_plans_as_numpy_does():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("no JAX")
    # In a process of its own: JAX has threads, and other tests fork.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        actions, double, single = pool.apply(plans_of_jax)
    expected = planned(numpy_step, numpy_reward)
    assert actions == pytest.approx(expected.actions, abs=1e-6)
    assert double == pytest.approx(expected.expected_return, rel=1e-9)
    assert single == pytest.approx(expected.expected_return, rel=0.05) and single != double
