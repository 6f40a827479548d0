"""Local models: recovered dynamics, priors, what is refused; the loop of fit and LQR."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import foreplan
from conftest import Sled, sled_rows

STEPS = 5


def true_matrices(seed=1):
    random = np.random.default_rng(seed)
    return (np.eye(2) + 0.1 * random.normal(size=(STEPS, 2, 2)), random.normal(size=(STEPS, 2, 1)),
            random.normal(size=(STEPS, 2)))


def rollouts(count, noise=0.0, seed=2):
    A, B, c = true_matrices()
    random = np.random.default_rng(seed)
    x, u = [random.normal(size=(count, 2))], random.normal(size=(STEPS, count, 1))
    for t in range(STEPS):
        x.append(x[-1] @ A[t].T + u[t] @ B[t].T + c[t] + noise * random.normal(size=(count, 2)))
    return np.stack(x, 1), u.swapaxes(0, 1)


def test_least_squares_recovers_time_varying_dynamics():
    A, B, c = true_matrices()
    x, u = rollouts(50)
    model = foreplan.LocalModelFitter("none", ridge=0.0).fit(x, u)
    # Without noise, to rounding and the floors of the fit.
    assert model.A == pytest.approx(A, abs=1e-6) and model.B == pytest.approx(B, abs=1e-6)
    assert model.c == pytest.approx(c, abs=1e-6) and np.abs(model.covariance).max() < 1e-8
    assert model.initial_mean == pytest.approx(x[:, 0].mean(0)) and len(model) == STEPS
    mean, deviation = model.predict(x[:, 2], u[:, 2], 2)
    assert mean == pytest.approx(x[:, 3], abs=1e-5) and deviation.shape == (50, 2)
    assert model.predict(x[0, 2], u[0, 2], 2)[0] == pytest.approx(x[0, 3], abs=1e-5)


def test_the_covariance_is_that_of_the_noise():
    x, u = rollouts(4000, noise=0.3)
    model = foreplan.LocalModelFitter("none").fit(x, u)
    # 4,000 draws: a variance is known to 2.2 %; five times that.
    assert model.covariance == pytest.approx(np.tile(0.09 * np.eye(2), (STEPS, 1, 1)), abs=0.01)


def test_the_fit_says_how_it_was_posed():
    fitter = foreplan.LocalModelFitter("none")
    with pytest.raises(foreplan.InputError, match="nothing fitted yet"):
        _ = fitter.report
    fitter.fit(*rollouts(50))
    assert fitter.report.rank.tolist() == [3] * STEPS and np.all(fitter.report.condition >= 1)
    fitter.fit(*rollouts(3))
    assert fitter.report.rank.max() <= 2  # three samples spread in two directions


def test_a_mixture_helps_few_rollouts_with_what_it_saw_before():
    A, _, _ = true_matrices()
    few = rollouts(3, noise=0.05, seed=9)
    alone = foreplan.LocalModelFitter("none", ridge=1e-3).fit(*few)
    fitter = foreplan.LocalModelFitter("mixture", seed=1, mixture={"min_points": 10, "max_components": 10})
    for seed in range(4):
        fitter.fit(*rollouts(20, noise=0.05, seed=seed))
    helped = fitter.fit(*few)
    assert np.abs(helped.A - A).mean() < 0.5 * np.abs(alone.A - A).mean()
    assert fitter.report.n0 > 0


def test_a_network_is_a_prior_for_a_single_rollout():
    task = foreplan.Task(Sled(), episode_length=20, reward="-(place - 1)^2")
    model = foreplan.Model(task, model={"width": 32, "members": 2}, fit={"min_steps": 3000, "max_steps": 3000})
    model.fit(*sled_rows(400))
    random = np.random.default_rng(3)
    x, u = [np.zeros(2)], random.uniform(-1, 1, (STEPS, 1))
    for t in range(STEPS):
        speed = x[-1][0] + 0.1 * u[t, 0]
        x.append(np.array([speed, x[-1][1] + 0.1 * speed]))
    # Near rest the network's samples spread by little, which a ridge must not hide.
    local = foreplan.LocalModelFitter(model, ridge=0.0).fit(np.array(x)[None], u[None])
    # v' = v + 0.1 u, x' = x + 0.1 v'; the network is off by a few percent of a step's change.
    assert local.A[2] == pytest.approx(np.array([[1.0, 0.0], [0.1, 1.0]]), abs=0.05)
    assert local.B[2] == pytest.approx(np.array([[0.1], [0.01]]), abs=0.03)
    with pytest.raises(foreplan.InputError, match="expected the 2 and 1 of the prior"):
        foreplan.LocalModelFitter(model).fit(np.zeros((2, 3, 3)), np.zeros((2, 2, 1)))


def test_equal_seeds_fit_alike():
    fits = [foreplan.LocalModelFitter("mixture", seed=4).fit(*rollouts(20, noise=0.1)) for _ in range(2)]
    assert np.array_equal(fits[0].A, fits[1].A)


def test_fitter_lqr_and_policy_improve_a_pendulum_nobody_described():
    path = Path(__file__).parent.parent / "examples" / "local_models.py"
    spec = importlib.util.spec_from_file_location("local_models_example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    costs = example.improve()
    assert costs[-1] < 0.5 * costs[0] and min(costs[-3:]) == pytest.approx(max(costs[-3:]), rel=0.2)


def test_a_fit_is_what_lqr_and_marginals_take():
    model = foreplan.LocalModelFitter("none").fit(*rollouts(50, noise=0.1))
    solution = foreplan.solve_lqr(model.A, model.B, np.eye(2), [[0.1]], c=model.c)
    policy = solution.policy(temperature=0.1)
    assert policy.marginals(model).state_mean.shape == (STEPS + 1, 2)
    silent = solution.policy().marginals(foreplan.LocalModel(model.A, model.B, model.c, initial_mean=[1.0, 0.0]))
    u = silent.action_mean
    cost = 0.5 * (silent.state_mean ** 2).sum() + 0.05 * (u ** 2).sum()
    assert cost == pytest.approx(solution.cost([1.0, 0.0]), rel=1e-9)


@pytest.mark.parametrize("states, actions, error, said", [
    (np.zeros((3, 6, 2)), np.zeros((3, 6, 1)), foreplan.InputError, "actions: found 3 rollouts of 6 steps"),
    (np.zeros((3, 6, 2)), np.zeros((2, 5, 1)), foreplan.InputError, "actions: found 2 rollouts of 5 steps"),
    (np.zeros((6, 2)), np.zeros((5, 1)), foreplan.InputError, r"states: found shape \[6, 2\], expected 3 dimensions"),
    (np.full((3, 6, 2), np.nan), np.zeros((3, 5, 1)), foreplan.InputError, "states: found nan"),
    (np.zeros((1, 6, 2)), np.zeros((1, 5, 1)), foreplan.RunError, "found 1 rollout and no prior"),
    (np.zeros((0, 6, 2)), np.zeros((0, 5, 1)), foreplan.InputError, "found 0 rollouts"),
])
def test_rollouts_that_make_no_model_are_refused(states, actions, error, said):
    with pytest.raises(error, match=said):
        foreplan.LocalModelFitter("none").fit(states, actions)


@pytest.mark.parametrize("arguments, error, said", [
    ({"prior": "gmm"}, foreplan.InputError, "prior: found 'gmm'"),
    ({"prior": 3}, TypeError, "prior: found int"),
    ({"rigde": 1.0}, foreplan.InputError, "did you mean 'fit.ridge'"),
    ({"ridge": -1.0}, foreplan.InputError, "ridge"),
])
def test_fitters_that_make_no_sense_are_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        foreplan.LocalModelFitter(**arguments)


@pytest.mark.parametrize("changed, said", [
    ({"B": np.zeros((4, 2, 1))}, r"B: found shape \[4, 2, 1\], expected \[5, 2, 1\]"),
    ({"B": np.zeros((2, 1))}, "B: found shape"),
    ({"A": np.zeros((2, 2))}, r"A: found shape \[2, 2\]"),
    ({"initial_mean": [1.0]}, "initial_mean: found shape"),
    ({"c": np.full((5, 2), np.inf)}, "c: found NaN or infinity"),
])
def test_arrays_that_make_no_model_are_refused(changed, said):
    A, B, c = true_matrices()
    with pytest.raises(foreplan.InputError, match=said):
        foreplan.LocalModel(**{"A": A, "B": B, "c": c, **changed})


def test_steps_and_sizes_that_do_not_exist_are_refused():
    model = foreplan.LocalModel(*true_matrices())
    for t in (5, -1):
        with pytest.raises(foreplan.InputError, match=f"t: found {t}, expected 0 ... 4"):
            model.predict([0.0, 0.0], [0.0], t)
    with pytest.raises(foreplan.InputError, match=r"u: found shape \[2\]"):
        model.predict([0.0, 0.0], [0.0, 0.0], 0)
