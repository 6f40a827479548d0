"""Tasks from names, files, mappings and environments; what is refused, and how."""

import pickle

import gymnasium
import numpy as np
import pytest

import foreplan
from conftest import SMALL, Sled


def test_a_shipped_task_says_what_it_is():
    task = foreplan.Task("pendulum")
    assert len(task.observation_names) == 3 and len(task.action_names) == 1
    assert task.episode_length == 200 and task.dt == pytest.approx(0.05)
    assert np.all(task.action_low < task.action_high)
    assert "pendulum" in foreplan.task_names() and "pendulum" in repr(task)


def test_a_mapping_is_a_task_file():
    task = foreplan.Task({"name": "swing", "reward": "-theta_dot^2", "episode_length": 30,
                          "system": {"type": "pendulum", "gravity": 5.0}})
    assert (task.name, task.episode_length) == ("swing", 30)
    with pytest.raises(ValueError, match="gravityy"):
        foreplan.Task({"name": "swing", "reward": "0", "episode_length": 3,
                       "system": {"type": "pendulum", "gravityy": 5.0}})


def test_the_parts_of_a_dict_are_named_and_flat(sled):
    task = foreplan.Task(sled, episode_length=20)
    assert task.observation_names == ["motion", "place"]  # Gymnasium sorts them
    assert task.action_low.tolist() == [-2] and task.action_high.tolist() == [2] and task.dt == 0.1


def test_names_and_units_may_be_given(sled):
    task = foreplan.Task(sled, episode_length=20, observation_names=["v [m/s]", "x [m]"], reward="-(x - 1)^2")
    assert task.observation_names == ["v", "x"]
    rewards, ends = task.reward([[0, 0], [0, 0]], [[0], [0]], [[0, 1], [0, 3]])
    assert rewards.tolist() == [0, -4] and not ends.any()


def test_a_reward_may_be_a_function_of_rows(sled):
    def reward(observation, action, next_observation):
        assert observation.shape == (2, 2) and action.shape == (2, 1)
        return -next_observation[:, 0] ** 2, next_observation[:, 0] > 2

    task = foreplan.Task(sled, episode_length=20, reward=reward)
    rewards, ends = task.reward(np.zeros((2, 2)), np.zeros((2, 1)), [[1, 0], [3, 0]])
    assert rewards.tolist() == [-1, -9] and ends.tolist() == [False, True]


@pytest.mark.parametrize("space, said", [
    (gymnasium.spaces.Discrete(3), "found a space Discrete, expected Box"),
    (gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "expected finite bounds"),
    (gymnasium.spaces.MultiBinary(3), "found a space MultiBinary"),
])
def test_actions_that_cannot_be_planned_are_refused(sled, space, said):
    sled.action_space = space
    with pytest.raises(ValueError, match=said):
        foreplan.Task(sled, episode_length=20)


@pytest.mark.parametrize("space, said", [
    (gymnasium.spaces.Discrete(3), "observation_space: found a space Discrete"),
    (gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8), "an image"),
    (gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(2)}), r"observation_space\['a'\]: found a space Discrete"),
    (gymnasium.spaces.Tuple([gymnasium.spaces.Box(0, 1)]), "found a space Tuple"),
])
def test_observations_that_cannot_be_modelled_are_refused(sled, space, said):
    sled.observation_space = space
    with pytest.raises(ValueError, match=said):
        foreplan.Task(sled, episode_length=20)


@pytest.mark.parametrize("arguments, error, said", [
    ({}, ValueError, "episode_length: found none"),
    ({"episode_length": 20, "observation_names": ["x"]}, ValueError, "found 1 names, expected 2"),
    ({"episode_length": 20, "reward": "-y^2"}, ValueError, "'y'"),
    ({"episode_length": 20, "model": {"widht": 3}}, ValueError, "did you mean 'model.width'"),
])
def test_what_is_wrong_with_an_environment_is_said(sled, arguments, error, said):
    with pytest.raises(error, match=said):
        foreplan.Task(sled, **arguments)


@pytest.mark.parametrize("source, error, said", [
    ("pendulumm", ValueError, "did you mean 'pendulum'"),
    (3, TypeError, "found int"),
    ("nowhere.toml", ValueError, "nowhere.toml"),
])
def test_what_is_no_task_is_said(source, error, said):
    with pytest.raises(error, match=said):
        foreplan.Task(source)


@pytest.mark.parametrize("observation, error, said", [
    (np.zeros((2, 3)), ValueError, r"observation: found shape \[2, 3\], expected \[n, 2\]"),
    (np.zeros((2, 2, 2)), ValueError, "found shape"),
    ([[0, np.nan], [0, 0]], ValueError, r"found nan at \[0, 1\]"),
    (np.array([["a", "b"]] * 2), TypeError, "expected numbers"),
    (None, TypeError, "observation"),
    (np.zeros((2, 2), complex), TypeError, "complex128"),
    ([[0, 0], [0]], TypeError, "expected an array of numbers"),
    (np.zeros((3, 2)), ValueError, "found 2 rows, expected the 3"),
])
def test_arrays_that_do_not_fit_are_refused(sled_task, observation, error, said):
    with pytest.raises(error, match=said):
        sled_task.reward(observation, np.zeros((2, 1)), np.zeros((2, 2)))


@pytest.mark.parametrize("zeros", [np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int8), np.zeros((4, 4))[::2, ::2],
                                   np.zeros((2, 2), order="F"), [[0, 0], [0, 0]]])
def test_arrays_of_any_kind_of_number_are_taken(sled_task, zeros):
    assert sled_task.reward(zeros, np.zeros((2, 1)), zeros)[0].tolist() == [-1, -1]


def test_tasks_of_files_can_be_pickled_those_of_environments_say_why_not(sled_task):
    task = pickle.loads(pickle.dumps(foreplan.Task("pendulum", episode_length=7, model={"width": 8})))
    assert task.episode_length == 7
    with pytest.raises(TypeError, match="environment that only this process holds"):
        pickle.dumps(sled_task)
