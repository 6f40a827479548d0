"""Runs: iterated over, interrupted, failing in Python."""

import os
import signal
import threading
import time

import gymnasium
import numpy as np
import pytest

import foreplan
from conftest import SMALL, Sled


def test_a_run_gives_its_episodes_one_by_one(tmp_path, sled):
    run = foreplan.run(sled_of(sled), seed=3, episodes=3, out=tmp_path / "run")
    first = next(run)
    assert (first.episode, first.controller, first.steps) == (1, "uniform", 20)
    rest = list(run)
    assert [episode.controller for episode in rest] == ["mpc", "mpc"]
    assert run.result()["episode_returns"] == run.returns.tolist()
    assert (tmp_path / "run" / "report.html").exists()
    data = run.data()
    assert data["observation"].shape == (60, 2) and data["episode"].tolist() == [1] * 20 + [2] * 20 + [3] * 20
    assert np.sum(data["reward"]) == pytest.approx(run.returns.sum())


def sled_of(environment, **arguments):
    return foreplan.Task(environment, episode_length=20, reward="-(place - 1)^2", **SMALL, **arguments)


def test_actions_have_the_shape_and_type_of_their_space(tmp_path, sled):
    foreplan.run(sled_of(sled), episodes=2, out=tmp_path / "run").finish()
    assert {(action.shape, action.dtype) for action in sled.seen_actions} == {((1, 1), np.dtype(np.float32))}


def test_equal_seeds_give_equal_runs_whatever_the_threads(tmp_path):
    returns = [foreplan.run(sled_of(Sled()), seed=5, episodes=3, threads=threads, out=tmp_path / str(threads)).finish()
               .returns.tolist() for threads in (1, 2)]
    assert returns[0] == returns[1]
    other = foreplan.run(sled_of(Sled()), seed=6, episodes=3, out=tmp_path / "other").finish().returns.tolist()
    assert other != returns[0]


def test_a_run_is_resumed(tmp_path):
    whole = foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "whole").finish()
    begun = foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "begun")
    next(begun)
    begun.close()
    resumed = foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "begun", resume=True).finish()
    assert resumed.returns.tolist() == whole.returns.tolist()


def test_a_run_goes_on_as_another_one_only_when_it_is_told_to(tmp_path):
    with foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "run") as run:
        next(run)
    with pytest.raises(foreplan.InputError, match="run.seed: was 5, is 6.*--accept run.seed"):
        foreplan.run(sled_of(Sled()), seed=6, episodes=3, out=tmp_path / "run", resume=True)
    run = foreplan.run(sled_of(Sled()), seed=6, episodes=3, out=tmp_path / "run", resume=True, accept=["run.seed"])
    assert any("run.seed" in note for note in run.notes)
    assert [each["name"] for each in run.finish().result()["accepted"]] == ["run.seed"]


def test_a_task_of_the_library_runs(tmp_path):
    run = foreplan.run(foreplan.Task("pendulum", episode_length=20), episodes=2, out=tmp_path / "run", **SMALL)
    assert len(run.finish().episodes) == 2
    assert run.evaluate(2, seed=1)["returns"].shape == (2,)


class Broken(Sled):
    """Raises in its n-th step."""

    def __init__(self, step, error):
        super().__init__()
        self.left, self.error = step, error

    def step(self, action):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return super().step(action)


@pytest.mark.parametrize("error", [ZeroDivisionError("of my own"), KeyboardInterrupt()])
def test_what_an_environment_raises_ends_the_run_and_is_raised(tmp_path, error):
    run = foreplan.run(sled_of(Broken(30, error)), episodes=3, out=tmp_path / "run")
    with pytest.raises(type(error)) as raised:
        run.finish()
    assert raised.value is error
    assert (tmp_path / "run" / "episodes.csv").read_text().count("\n") >= 2  # the first episode is kept


def test_what_a_reward_raises_is_raised(tmp_path, sled):
    def reward(observation, action, next_observation):
        raise LookupError("no reward today")

    with pytest.raises(LookupError, match="no reward today"):
        foreplan.run(foreplan.Task(sled, episode_length=20, reward=reward, **SMALL), episodes=2,
                     out=tmp_path / "run").finish()


def test_what_an_observer_raises_is_raised(tmp_path, sled):
    steps = []

    def on_step(step):
        steps.append(step["total_steps"])
        if len(steps) == 5:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        foreplan.run(sled_of(sled), episodes=2, out=tmp_path / "run", on_step=on_step).finish()
    assert steps == [1, 2, 3, 4, 5]


def test_a_callback_asks_a_run_for_what_there_is_and_no_more(tmp_path, sled):
    seen = []

    def on_step(step):
        if step["total_steps"] == 25:  # the first episode is over, the second under way
            seen.append(run.act([0.0, 0.0], start=True))
            seen.append([episode.steps for episode in run.episodes])
            for forbidden in (run.close, lambda: next(run)):
                with pytest.raises(foreplan.InputError, match="expected a call between two steps"):
                    forbidden()

    run = foreplan.run(sled_of(sled), episodes=3, out=tmp_path / "run", on_step=on_step)
    assert len(run.finish().episodes) == 3
    assert seen[0].shape == (1,) and seen[1] == [20]


def test_a_run_goes_on_after_what_a_callback_raised(tmp_path):
    whole = foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "whole").finish()
    left = [30]

    def on_step(_step):
        left[0] -= 1
        if left[0] == 0:
            raise OSError("full")

    run = foreplan.run(sled_of(Sled()), seed=5, episodes=3, out=tmp_path / "run", on_step=on_step)
    with pytest.raises(OSError):
        run.finish()
    assert run.finish().returns.tolist() == whole.returns.tolist()


def test_control_c_ends_a_run_and_it_can_be_resumed(tmp_path):
    task = foreplan.Task("pendulum", episode_length=100)
    options = {"model": {"width": 64}, "fit": {"min_steps": 100000, "max_steps": 100000}}
    run = foreplan.run(task, episodes=3, out=tmp_path / "run", **options)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with run, pytest.raises(KeyboardInterrupt):
        run.finish()
    assert time.monotonic() - began < 5  # a fit of 100,000 steps takes minutes
    with pytest.raises(ValueError, match="closed"):
        next(run)
    assert len(foreplan.run(task, episodes=3, out=tmp_path / "run", resume=True, **options).episodes) == 1


def test_controllers_without_learning_are_measured():
    zero = foreplan.evaluate("pendulum", "zero", episodes=2, seed=1)
    best = foreplan.evaluate("pendulum", "true_model", episodes=2, seed=1)
    assert best["mean"] > zero["mean"] + 300


@pytest.mark.parametrize("arguments, said", [
    ({"algorithm": "mcp"}, "did you mean 'mpc'"),
    ({"planner": "icen"}, "did you mean 'icem'"),
    ({"mpc": {"refit": 3}}, "did you mean 'mpc.refit_every'"),
    ({"mpc": {"refit_every": "often"}}, "expected an integer"),
])
def test_wrong_options_are_refused_before_anything_is_made(tmp_path, arguments, said):
    with pytest.raises(ValueError, match=said):
        foreplan.run("pendulum", out=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_an_option_without_a_form_is_refused():
    with pytest.raises(TypeError, match="mpc.refit_every: found set"):
        foreplan.run("pendulum", mpc={"refit_every": {3}})


def test_pets_learns_behind_the_calls_of_others():
    agent = foreplan.PETS(Sled(), episode_length=20, reward="-(place - 1)^2", **SMALL)
    with pytest.raises(ValueError, match="expected learn"):
        agent.predict({"place": [0.0], "motion": [[0.0]]})
    told = []
    assert agent.learn(60, callback=told.append) is agent
    assert [episode.steps for episode in told] == [20, 20, 20]
    action, _ = agent.predict({"place": np.array([0.0]), "motion": np.array([[0.0]])})
    assert action.shape == (1, 1) and action.dtype == np.float32
    agent.environment.reset(seed=1)
    assert agent.learn(200, callback=lambda episode: episode.episode < 2).run.episodes[-1].episode == 2


def test_pendulum_of_gymnasium_is_a_task():
    task = foreplan.Task(gymnasium.make("Pendulum-v1"))
    assert task.episode_length == 200 and task.dt == pytest.approx(0.05) and len(task.observation_names) == 3


def test_an_environment_that_keeps_its_run_is_collected(tmp_path):
    import gc
    import weakref

    environment = Sled()
    environment.run = foreplan.run(sled_of(environment), episodes=1, out=tmp_path / "run")
    gone = weakref.ref(environment)
    del environment
    gc.collect()
    assert gone() is None
