"""PETS behind the calls of stable-baselines3."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import foreplan
from conftest import SMALL, Sled

REWARD = "-(place - 1)^2"
ARGUMENTS = {"episode_length": 20, "reward": REWARD, **SMALL}


def learned(**arguments):
    return foreplan.PETS(Sled(), **{**ARGUMENTS, **arguments}).learn(40)


def actions(agent, count=3):
    environment = Sled()
    observation, _ = environment.reset(seed=4)
    played = []
    for step in range(count):
        action, _ = agent.predict(observation, episode_start=step == 0)
        played.append(action.item())
        observation = environment.step(action)[0]
    return played


def test_learn_again_goes_on_with_what_was_learned():
    agent = learned().learn(20)
    assert agent.num_timesteps == 60
    assert agent.run.episodes[0].controller == "mpc"  # no base policy again
    assert len(agent.run.data()["reward"]) == 60


def test_a_saved_agent_acts_and_learns_on_as_it_would_have(tmp_path):
    agent = learned()
    agent.save(tmp_path / "agent")
    loaded = foreplan.PETS.load(tmp_path / "agent", Sled())
    assert loaded.num_timesteps == 40
    assert actions(loaded) == actions(agent)
    assert loaded.learn(20).run.returns.tolist() == agent.learn(20).run.returns.tolist()
    agent.save(tmp_path / "further.zip")
    assert actions(foreplan.PETS.load(tmp_path / "further.zip", Sled())) == actions(agent)


def test_an_agent_of_a_task_by_name_needs_no_environment_to_be_loaded(tmp_path):
    agent = foreplan.PETS("pendulum", episode_length=10, **SMALL).learn(20)
    agent.save(tmp_path / "agent")
    observation = [1.0, 0.0, 0.0]
    loaded = foreplan.PETS.load(tmp_path / "agent")
    assert np.array_equal(loaded.predict(observation)[0], agent.predict(observation)[0])


def test_what_a_file_cannot_hold_is_asked_for(tmp_path):
    agent = learned(reward=lambda o, u, n: -(n[:, 1] - 1) ** 2)
    agent.save(tmp_path / "agent")
    with pytest.raises(foreplan.InputError, match="found no environment, reward, expected"):
        foreplan.PETS.load(tmp_path / "agent")
    with pytest.raises(foreplan.InputError, match="found no such file"):
        foreplan.PETS.load(tmp_path / "another", Sled())
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(foreplan.InputError, match="expected what PETS.save wrote"):
        foreplan.PETS.load(tmp_path / "broken.zip", Sled())
    with pytest.raises(foreplan.InputError, match="nothing learned yet"):
        foreplan.PETS(Sled(), **ARGUMENTS).save(tmp_path / "nothing")


def test_what_cannot_be_learned_leaves_what_was():
    agent = learned()
    before = actions(agent)
    with pytest.raises(foreplan.InputError):
        agent.learn(-5)
    assert agent.num_timesteps == 40 and actions(agent) == before
    assert agent.learn(20).num_timesteps == 60


class Events:
    """Writes down what it is told, in order."""

    def __init__(self, stop_at=None):
        self.told, self.stop_at = [], stop_at

    def init_callback(self, model):
        self.model = model

    def on_training_start(self, _locals, _globals):
        self.told.append("training starts")

    def on_rollout_start(self):
        self.told.append("rollout starts")

    def on_step(self):
        self.told.append("step")
        return self.told.count("step") != self.stop_at

    def on_rollout_end(self):
        self.told.append("rollout ends")

    def on_training_end(self):
        self.told.append("training ends")


def test_events_come_in_the_order_of_stable_baselines3():
    events = Events()
    agent = foreplan.PETS(Sled(), **ARGUMENTS)
    agent.learn(40, callback=events)
    rollout = ["rollout starts", *["step"] * 20, "rollout ends"]
    assert events.told == ["training starts", *rollout, *rollout, "training ends"]
    assert events.model is agent


def test_an_event_that_gives_false_ends_the_learning_with_what_there_is(tmp_path):
    events = Events(stop_at=30)
    agent = foreplan.PETS(Sled(), **ARGUMENTS).learn(100, callback=events)
    assert events.told.count("step") == 30 and events.told[-1] == "training ends"
    assert agent.num_timesteps == 20 and len(actions(agent)) == 3
    assert agent.learn(20).num_timesteps == 40
    agent.save(tmp_path / "agent")
    assert foreplan.PETS.load(tmp_path / "agent", Sled()).num_timesteps == 40


def test_callbacks_of_stable_baselines3_are_called(tmp_path):
    callbacks = pytest.importorskip("stable_baselines3.common.callbacks")
    saver = callbacks.CheckpointCallback(save_freq=30, save_path=str(tmp_path), name_prefix="sled")
    foreplan.PETS(Sled(), **ARGUMENTS).learn(40, callback=saver)
    assert foreplan.PETS.load(tmp_path / "sled_20_steps.zip", Sled()).num_timesteps == 20


def test_after_control_c_an_agent_acts_and_its_run_goes_on():
    agent = foreplan.PETS(Sled(), **{**ARGUMENTS, "fit": {"min_steps": 10**6, "max_steps": 10**6}})
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        agent.learn(40)
    assert agent.num_timesteps == 20 and len(actions(agent)) == 3


def test_progress_is_shown_and_returns_are_drawn(tmp_path, capsys):
    pytest.importorskip("tqdm")
    agent = foreplan.PETS(Sled(), **ARGUMENTS).learn(40, progress_bar=True)
    assert "40/40" in capsys.readouterr().err
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = agent.run.plot()
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}
    assert drawn == {"learned": [agent.run.returns[1]], "uniform": [agent.run.returns[0]]}
    pyplot.close(axes.figure)


def test_nothing_is_left_behind_when_the_interpreter_ends(tmp_path):
    program = """
import foreplan
task = foreplan.Task("pendulum")
model = foreplan.Model(task, model={"width": 8})
planner = foreplan.Planner(task, model=model)
by_function = foreplan.Planner(task, model=lambda state, action: state)
run = foreplan.run(task, episodes=1, out="run", on_step=lambda step: None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(Path(foreplan.__file__).parents[1])})
    assert (done.returncode, done.stderr) == (0, "")
