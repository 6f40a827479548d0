"""Linear-Gaussian policies: means, noise, densities, what follows from them, copies."""

import copy
import pickle

import numpy as np
import pytest

import foreplan


def some_policy(steps=4, nx=3, nu=2, seed=1, **changed):
    random = np.random.default_rng(seed)
    root = random.normal(size=(steps, nu, nu))
    arrays = {"K": random.normal(size=(steps, nu, nx)), "k": random.normal(size=(steps, nu)),
              "covariance": root @ root.transpose(0, 2, 1) + 0.1 * np.eye(nu),
              "states": random.normal(size=(steps, nx)), "actions": random.normal(size=(steps, nu))}
    return foreplan.LinearGaussianPolicy(**{**arrays, **changed})


def some_dynamics(steps=4, nx=3, nu=2, seed=3):
    random = np.random.default_rng(seed)
    root = 0.3 * random.normal(size=(steps + 1, nx, nx))
    noise = root @ root.transpose(0, 2, 1) + 0.01 * np.eye(nx)
    return foreplan.LocalModel(np.eye(nx) + 0.1 * random.normal(size=(steps, nx, nx)),
                               random.normal(size=(steps, nx, nu)), random.normal(size=(steps, nx)), noise[1:],
                               initial_mean=random.normal(size=nx), initial_covariance=noise[0])


def test_the_mean_is_the_formula_of_its_step():
    policy = some_policy()
    x = np.random.default_rng(2).normal(size=(5, 3))
    for t in range(4):
        expected = policy.actions[t] + policy.k[t] + (x - policy.states[t]) @ policy.K[t].T
        assert policy.mean(x, t) == pytest.approx(expected, abs=1e-12)
        assert policy.mean(x[0], t) == pytest.approx(expected[0], abs=1e-12)
    assert len(policy) == 4


def test_without_a_trajectory_gains_are_absolute():
    policy = foreplan.LinearGaussianPolicy([[[2.0, 0.0]]], [[1.0]])
    assert policy.mean([3.0, 9.0], 0).tolist() == [7.0] and policy.sample([3.0, 9.0], 0).tolist() == [7.0]


def test_samples_have_the_mean_and_the_covariance():
    policy = some_policy()
    x = np.array([0.3, -1.0, 2.0])
    drawn = policy.sample(np.repeat(x[None], 20000, 0), 2, seed=5)
    # 20,000 draws: standard errors of a mean and of a variance are 0.7 % and 1 % of the deviation; five of them.
    scale = np.sqrt(np.diag(policy.covariance[2]))
    assert np.abs(drawn.mean(0) - policy.mean(x, 2)).max() < 0.036 * scale.max()
    assert np.abs(np.cov(drawn.T) - policy.covariance[2]).max() < 0.06 * scale.max() ** 2
    assert np.array_equal(policy.sample(x, 2, seed=5), drawn[0])
    assert not np.array_equal(policy.sample(x, 2, seed=6), drawn[0])
    other = some_policy(K=policy.K[[2] * 4], k=policy.k[[2] * 4], covariance=policy.covariance[[2] * 4],
                        states=policy.states[[2] * 4], actions=policy.actions[[2] * 4])
    assert not np.array_equal(other.sample(x, 1, seed=5), other.sample(x, 2, seed=5))  # steps have their own noise


def test_log_density_and_entropy_are_those_of_the_normal_distribution():
    policy = some_policy()
    x, u = np.array([0.3, -1.0, 2.0]), np.array([0.5, 1.5])
    d, S = u - policy.mean(x, 1), policy.covariance[1]
    expected = -0.5 * (d @ np.linalg.solve(S, d) + np.log(np.linalg.det(2 * np.pi * S)))
    assert policy.log_density(u, x, 1) == pytest.approx(expected, rel=1e-10)
    assert policy.log_density([u, u], [x, x], 1) == pytest.approx([expected] * 2, rel=1e-10)
    assert policy.entropy() == pytest.approx(0.5 * np.log(np.linalg.det(2 * np.pi * np.e * policy.covariance)))
    assert foreplan.LinearGaussianPolicy([[[1.0]]]).entropy()[0] == -np.inf


def test_marginals_are_those_of_many_rollouts():
    policy, dynamics = some_policy(K=0.1 * some_policy().K), some_dynamics()
    found = policy.marginals(dynamics)
    random = np.random.default_rng(7)
    count = 40000
    x = random.multivariate_normal(dynamics.initial_mean, dynamics.initial_covariance, count)
    for t in range(4):
        u = policy.sample(x, t, seed=8)
        for drawn, mean, covariance in ((x, found.state_mean[t], found.state_covariance[t]),
                                        (u, found.action_mean[t], found.action_covariance[t])):
            # 40,000 draws: five standard errors.
            assert np.abs(drawn.mean(0) - mean).max() < 0.025 * np.sqrt(np.diag(covariance).max())
            assert np.abs(np.cov(drawn.T) - covariance).max() < 0.04 * np.diag(covariance).max()
        x = np.array([random.multivariate_normal(np.zeros(3), dynamics.covariance[t], count)]).squeeze(0) + (
            x @ dynamics.A[t].T + u @ dynamics.B[t].T + dynamics.c[t])
    assert found.state_mean.shape == (5, 3) and found.action_covariance.shape == (4, 2, 2)


def test_kl_is_the_mean_of_the_log_ratio():
    policy = some_policy(K=0.1 * some_policy().K)
    previous = some_policy(K=0.1 * some_policy(seed=2).K, k=policy.k + 0.3, covariance=2 * policy.covariance)
    distribution = policy.marginals(some_dynamics())
    assert np.all(policy.kl(policy, distribution) == 0)
    found = policy.kl(previous, distribution)
    random = np.random.default_rng(9)
    for t in range(4):
        x = random.multivariate_normal(distribution.state_mean[t], distribution.state_covariance[t], 40000)
        u = policy.sample(x, t, seed=4)
        ratio = policy.log_density(u, x, t) - previous.log_density(u, x, t)
        assert found[t] == pytest.approx(ratio.mean(), abs=5 * ratio.std() / 200)  # five standard errors


def test_policies_of_solutions_have_the_noise_of_maximum_entropy():
    lqr = foreplan.solve_lqr(np.eye(2), [[0.0], [0.1]], np.eye(2), [[0.5]], horizon=5)
    policy = lqr.policy(temperature=0.7)
    assert policy.covariance == pytest.approx(0.7 * lqr.inverse) and np.array_equal(policy.K, lqr.K)
    assert np.all(lqr.policy().covariance == 0)
    with pytest.raises(foreplan.InputError, match="temperature: found -1"):
        lqr.policy(-1)
    result = foreplan.IlqrSolver("pendulum", horizon=20).solve([0.1, 0.0])
    tracking = result.policy(temperature=0.5)
    assert tracking.covariance == pytest.approx(0.5 * result.inverse)
    assert np.array_equal(tracking.states, result.states[:-1]) and np.array_equal(tracking.actions, result.actions)


def test_copies_and_pickles_are_equal_and_other_policies_are_not():
    policy = some_policy()
    for twin in (copy.copy(policy), copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert twin == policy and hash(twin) == hash(policy)
        assert np.array_equal(twin.sample([1.0, 2.0, 3.0], 1, seed=3), policy.sample([1.0, 2.0, 3.0], 1, seed=3))
    for name in ("K", "k", "covariance", "states", "actions"):
        assert some_policy(**{name: getattr(policy, name) * 1.5}) != policy
    assert policy != 3


def test_a_policy_keeps_its_own_numbers():
    K = np.ones((1, 1, 1))
    policy = foreplan.LinearGaussianPolicy(K)
    K[:] = 5
    assert policy.mean([1.0], 0).tolist() == [1.0] and policy.K.tolist() == [[[1.0]]]
    with pytest.raises(ValueError, match="read-only"):
        policy.K[:] = 5


@pytest.mark.parametrize("changed, said", [
    ({"K": np.zeros((4, 2))}, r"K: found shape \[4, 2\], expected \[T, nu, nx\]"),
    ({"K": np.zeros((0, 2, 3)), "k": None, "covariance": None, "states": None, "actions": None}, "no steps"),
    ({"k": np.zeros((3, 2))}, "k: found 3 steps, expected 4"),
    ({"k": np.zeros((4, 1))}, "feedforward: found 1 x 1, expected 2 x 1"),
    ({"states": np.zeros((4, 5))}, "feedback: found 2 x 3, expected 2 x 5"),
    ({"covariance": -np.ones((4, 2, 2))}, "step 0: covariance"),
    ({"K": np.full((4, 2, 3), np.inf)}, "K: found inf"),
])
def test_arrays_that_make_no_policy_are_refused(changed, said):
    with pytest.raises(foreplan.InputError, match=said):
        some_policy(**changed)


@pytest.mark.parametrize("t", [-1, 4, 10 ** 6])
def test_steps_that_do_not_exist_are_refused(t):
    with pytest.raises(foreplan.InputError, match=rf"t: found {t}, expected 0 ... 3"):
        some_policy().mean(np.zeros(3), t)


def test_states_actions_and_dynamics_of_another_size_are_refused():
    policy = some_policy()
    with pytest.raises(foreplan.InputError, match=r"x: found shape \[2\]"):
        policy.mean([0.0, 0.0], 0)
    with pytest.raises(foreplan.InputError, match="u: found 3 rows, expected the 2 of x"):
        policy.log_density(np.zeros((3, 2)), np.zeros((2, 3)), 0)
    for dynamics in (some_dynamics(nx=2), some_dynamics(nu=1), some_dynamics(steps=7)):
        with pytest.raises(foreplan.InputError, match="trajectory"):
            policy.marginals(dynamics)
    distribution = policy.marginals(some_dynamics())
    for other in (some_policy(nx=2), some_policy(nu=1), some_policy(steps=3)):
        with pytest.raises(foreplan.InputError, match="trajectory"):
            policy.kl(other, distribution)
    two = some_policy(nx=2, nu=2)
    with pytest.raises(foreplan.InputError, match="trajectory"):
        policy.kl(policy, two.marginals(some_dynamics(nx=2)))
    with pytest.raises(foreplan.RunError, match="singular"):
        policy.kl(some_policy(covariance=None), distribution)


@pytest.mark.parametrize("K", ["gains", [[1.0], [1.0, 2.0]], None, np.zeros((1, 1, 1), complex)])
def test_what_is_no_array_of_numbers_is_refused(K):
    with pytest.raises(TypeError, match="K: found .*, expected an array of numbers"):
        foreplan.LinearGaussianPolicy(K)
