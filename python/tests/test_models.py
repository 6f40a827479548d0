"""Models: fitted, asked, kept."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

import foreplan
from conftest import SMALL, Sled, sled_rows

FIT = {"model": {"width": 32, "members": 3}, "fit": {"min_steps": 3000, "max_steps": 3000}}


@pytest.fixture(scope="module")
def fitted():
    model = foreplan.Model(foreplan.Task(Sled(), episode_length=20, reward="-place^2"), seed=1, **FIT)
    metrics = model.fit(*sled_rows(400))
    assert np.isfinite(list(metrics.values())).all()
    return model


def test_predicts_what_it_was_fitted_to(fitted):
    observation, action, following = sled_rows(200, seed=9)
    mean, deviation = fitted.predict(observation, action)
    # Changes are 0.1 to 0.2 in size; a network of this size gets a linear system to a few percent.
    assert np.abs(mean - following).max() < 0.03
    assert (deviation > 0).all() and deviation.max() < 0.1


def test_one_row_is_a_vector_and_equals_the_row_of_a_batch(fitted):
    observation, action, _ = sled_rows(150, seed=2)
    mean, deviation = fitted.predict(observation, action)
    one_mean, one_deviation = fitted.predict(observation[140], action[140])
    assert one_mean.shape == (2,)
    assert np.allclose(one_mean, mean[140], atol=1e-6) and np.allclose(one_deviation, deviation[140], atol=1e-6)


def test_draws_have_the_mean_and_the_deviation_that_are_predicted(fitted):
    observation, action = np.array([[0.5, -0.5]]), np.array([[1.0]])
    mean, deviation = fitted.predict(observation, action)
    drawn = fitted.sample(np.repeat(observation, 4000, 0), np.repeat(action, 4000, 0), seed=3)
    # Of 4,000 draws the mean is off by 1.6 % of a deviation, the deviation by 1.1 %; six times that.
    assert np.abs(drawn.mean(0) - mean[0]).max() < 0.1 * deviation.max()
    assert np.allclose(drawn.std(0), deviation[0], rtol=0.08)
    again = fitted.sample(observation, action, seed=3)
    assert np.array_equal(again, fitted.sample(observation, action, seed=3))
    assert not np.array_equal(again, fitted.sample(observation, action, seed=4))


def test_derivatives_equal_differences(fitted):
    observation, action, _ = sled_rows(3, seed=5)
    A, B = fitted.linearize(observation, action)
    assert A.shape == (3, 2, 2) and B.shape == (3, 2, 1)
    h = 1e-2  # networks are float: differences of less are rounding
    for k in range(2):
        step = np.zeros(2)
        step[k] = h
        difference = (fitted.predict(observation + step, action)[0] - fitted.predict(observation - step, action)[0]) / (
            2 * h)
        assert np.allclose(A[:, :, k], difference, atol=2e-3)
    difference = (fitted.predict(observation, action + h)[0] - fitted.predict(observation, action - h)[0]) / (2 * h)
    assert np.allclose(B[:, :, 0], difference, atol=2e-3)


def test_a_model_survives_pickling_and_goes_on_alike():
    task = foreplan.Task("pendulum")
    random = np.random.default_rng(0)
    rows = [random.normal(size=(100, 3)), random.uniform(-1, 1, (100, 1)), random.normal(size=(100, 3))]
    model = foreplan.Model(task, seed=2, **SMALL)
    model.fit(*rows)
    restored = pickle.loads(pickle.dumps(model))
    assert np.array_equal(restored.predict(*rows[:2])[0], model.predict(*rows[:2])[0])
    model.fit(*rows)
    restored.fit(*rows)
    assert np.array_equal(restored.predict(*rows[:2])[0], model.predict(*rows[:2])[0])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_model_is_fitted_alone(fitted, copied):
    rows = sled_rows(50)
    before = fitted.predict(*rows[:2])[0]
    other = copied(fitted)
    assert np.array_equal(other.predict(*rows[:2])[0], before)
    other.fit(*rows)
    assert np.array_equal(fitted.predict(*rows[:2])[0], before) and not np.array_equal(other.predict(*rows[:2])[0], before)


def predicted(model, rows):
    return model.predict(*rows)[0]


def test_a_spawned_process_predicts_alike():
    task = foreplan.Task("pendulum")
    model = foreplan.Model(task, **SMALL)
    rows = [np.ones((4, 3)), np.zeros((4, 1))]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(predicted, (model, rows)), predicted(model, rows))


def test_equal_seeds_give_equal_models_whatever_the_threads():
    means = []
    for seed, threads in ((1, 1), (1, 2), (2, 1)):
        model = foreplan.Model(foreplan.Task(Sled(), episode_length=20, reward="-place^2", **SMALL), seed=seed, threads=threads)
        model.fit(*sled_rows(100))
        means.append(model.predict(*sled_rows(5)[:2])[0])
    assert np.array_equal(means[0], means[1]) and not np.array_equal(means[0], means[2])


@pytest.mark.parametrize("rows, said", [
    ((np.zeros((5, 2)), np.zeros((4, 1)), np.zeros((5, 2))), "action: found 4 rows, expected the 5"),
    ((np.zeros((5, 2)), np.zeros((5, 1)), np.full((5, 2), np.inf)), "next_observation: found inf"),
    ((np.zeros((5, 2)), np.zeros((5, 2)), np.zeros((5, 2))), r"action: found shape \[5, 2\]"),
])
def test_rows_that_do_not_fit_change_nothing(fitted, rows, said):
    before = fitted.predict(*sled_rows(5)[:2])[0]
    with pytest.raises(ValueError, match=said):
        fitted.fit(*rows)
    assert np.array_equal(before, fitted.predict(*sled_rows(5)[:2])[0])


def test_a_task_that_learns_its_reward_needs_what_was_earned():
    model = foreplan.Model(foreplan.Task(Sled(), episode_length=20, **SMALL))
    observation, action, following = sled_rows(50)
    with pytest.raises(ValueError, match="none whose reward is known"):
        model.fit(observation, action, following)
    assert model.fit(observation, action, following, reward=-following[:, 0] ** 2)
