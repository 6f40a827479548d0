"""Recordings: read from every kind of file, written and read back, wrong files."""

import csv

import numpy as np
import pytest

import foreplan

KINDS = ["csv", "npz"]


def two_episodes():
    """Five steps of which the third terminates; consecutive rows belong together."""
    random = np.random.default_rng(1)
    observation = random.normal(size=(5, 2))
    next_observation = random.normal(size=(5, 2))
    next_observation[[0, 1, 3]] = observation[[1, 2, 4]]
    return foreplan.Recording(observation, random.normal(size=(5, 1)), next_observation, reward=random.normal(size=5),
                              terminated=[False, False, True, False, False], episode=[1, 1, 1, 2, 2],
                              observation_names=["place", "speed"], action_names=["force"],
                              observation_units=["m", "m/s"], action_units=["N"], dt=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back_to_the_same_numbers(tmp_path, kind):
    written = two_episodes()
    written.save(tmp_path / f"log.{kind}")
    # Of a table the period is that of its times; arrays are named by who reads them.
    found = foreplan.read_recording(tmp_path / f"log.{kind}", observation=["place", "speed"], action=["force"],
                                    dt=0.1 if kind == "npz" else 0.0)
    for name in ("observation", "action", "next_observation", "reward", "terminated", "episode"):
        assert np.array_equal(getattr(found, name), getattr(written, name)), name
    assert found.truncated.tolist() == [False, False, False, False, True]  # where the record ends
    assert found.observation_names == ["place", "speed"] and found.action_names == ["force"]
    assert found.dt == pytest.approx(0.1) and len(found) == 5
    assert found.episode.dtype == np.int64 and found.terminated.dtype == np.bool_
    if kind == "csv":
        assert found.observation_units == ["m", "m/s"] and found.action_units == ["N"]
        assert found.time == pytest.approx([0, 0.1, 0.2, 0, 0.1])


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_that_are_not_known_stay_so(tmp_path, kind):
    foreplan.write_recording(tmp_path / f"log.{kind}", np.zeros((3, 2)), np.ones((3, 1)), np.zeros((3, 2)))
    found = foreplan.read_recording(tmp_path / f"log.{kind}")
    assert np.isnan(found.reward).all() and found.episode.tolist() == [1, 1, 1]
    assert found.action.tolist() == [[1.0]] * 3


def test_a_table_of_others_is_read_with_names_units_and_factors(tmp_path):
    with open(tmp_path / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t", "angle", "w", "torque"])
        writer.writerows([[0.0, 90.0, 1.0, 3.0], [0.1, 180.0, 2.0, 4.0], [0.2, 0.0, 3.0, 5.0]])
    found = foreplan.read_recording(tmp_path / "log.csv", observation=["angle", "speed"], action=["torque"], dt=0.1,
                                    rename={"speed": "w"}, scale={"torque": 0.5}, degrees=["angle"])
    assert found.observation == pytest.approx(np.array([[np.pi / 2, 1.0], [np.pi, 2.0]]))
    assert found.next_observation == pytest.approx(np.array([[np.pi, 2.0], [0.0, 3.0]]))
    assert found.action.tolist() == [[1.5], [2.0]]


def test_arrays_of_others_are_read(tmp_path):
    np.savez(tmp_path / "log.npz", observations=np.arange(12.0).reshape(4, 3), actions=np.ones((3, 2)))
    found = foreplan.read_recording(tmp_path / "log.npz")
    assert found.observation.shape == (3, 3) and np.array_equal(found.next_observation[:2], found.observation[1:])


def test_a_folder_of_minari_is_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "w") as file:
        for episode in range(2):
            group = file.create_group(f"episode_{episode}")
            group["observations"], group["actions"] = np.full((4, 2), float(episode)), np.zeros((3, 1))
            group["rewards"] = np.ones(3)
    found = foreplan.read_recording(tmp_path)
    assert found.episode.tolist() == [1, 1, 1, 2, 2, 2] and found.reward.tolist() == [1.0] * 6


def test_the_folder_of_a_run_is_read(tmp_path):
    run = foreplan.run(foreplan.Task("pendulum", episode_length=20), episodes=2, out=tmp_path / "run",
                       fit={"min_steps": 5, "max_steps": 5}, options={"planner.icem.horizon": 4,
                                                                      "planner.icem.population": 8,
                                                                      "planner.icem.elites": 2})
    run.finish()
    found = foreplan.read_recording(tmp_path / "run")
    data = run.data()
    assert len(found) == 40 and np.array_equal(found.action, data["action"])
    assert found.observation_names == run.task.observation_names


@pytest.mark.parametrize("name, content, said", [
    ("missing.csv", None, "missing.csv"),
    ("log.xlsx", b"", "found a file of kind '.xlsx'.*saves its sheet as CSV"),
    ("log.csv", b"x,u\n1,2\nthree,4\n5,6\n", "log.csv:3: column 1 .*found 'three', expected a number"),
    ("log.npz", b"PK nothing", "log.npz"),
    ("log.safetensors.gz", b"nothing", "log.safetensors.gz"),
])
def test_wrong_files_are_refused_in_the_librarys_words(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(foreplan.InputError, match=said):
        foreplan.read_recording(tmp_path / name)


def test_wrong_options_are_refused(tmp_path):
    two_episodes().save(tmp_path / "log.csv")
    with pytest.raises(foreplan.InputError, match="scale"):
        foreplan.read_recording(tmp_path / "log.csv", scale={"place": 0.0})
    with pytest.raises(foreplan.InputError, match="'plac'"):
        foreplan.read_recording(tmp_path / "log.csv", observation=["plac"], action=["force"])


@pytest.mark.parametrize("changed, said", [
    ({"action": np.zeros((4, 1))}, "action: found 4 rows, expected the 5 of observation"),
    ({"reward": np.zeros(3)}, "reward: found 3 rows"),
    ({"observation": np.zeros(5)}, r"observation: found shape \[5\]"),
    ({"observation_names": ["a"]}, "observation_names: found 1, expected 2"),
    ({"action_units": ["N", "N"]}, "action_units: found 2, expected 1"),
])
def test_columns_that_do_not_fit_are_refused(changed, said):
    columns = {name: getattr(two_episodes(), name) for name in ("observation", "action", "next_observation")}
    with pytest.raises(foreplan.InputError, match=said):
        foreplan.Recording(**{**columns, **changed})


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(foreplan.InputError, match="expected .csv or .npz"):
        two_episodes().save(tmp_path / "log.hdf5")
    with pytest.raises(foreplan.InputError, match="observation: found nan"):
        foreplan.write_recording(tmp_path / "log.csv", np.full((1, 1), np.nan), np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(foreplan.RunError, match="nowhere"):
        two_episodes().save(tmp_path / "nowhere" / "log.csv")
    assert list(tmp_path.iterdir()) == []
