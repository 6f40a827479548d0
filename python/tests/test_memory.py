"""Ten thousand calls keep no memory, whatever is called."""

import os
from pathlib import Path

import numpy as np
import pytest

import foreplan

PLANS = {"threads": 1, "options": {"planner.icem.horizon": 3, "planner.icem.population": 8, "planner.icem.elites": 2}}
OBSERVATION = np.random.default_rng(0).normal(size=(20, 3))
ACTION = np.random.default_rng(1).normal(size=(20, 1))


def resident():
    """Of this process now [kB]; the most of its life would hide what grows below it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def refused(model):
    with pytest.raises(foreplan.InputError):
        model.predict(OBSERVATION, [[1.0, 2.0]])


def stepped(environment):
    if environment.step([0.1])[3]:
        environment.reset()


@pytest.fixture(scope="module")
def calls():
    gym = pytest.importorskip("foreplan.gym")
    task = foreplan.Task("pendulum")
    model = foreplan.Model(task, threads=1, model={"width": 8, "members": 2, "hidden_layers": 1},
                           fit={"min_steps": 2, "max_steps": 2})
    model.fit(OBSERVATION, ACTION, OBSERVATION)
    through_model = foreplan.Planner(task, model=model, **PLANS)
    through_function = foreplan.Planner(task, model=lambda state, action: state, **PLANS)
    environment, environments = gym.Env(task), gym.VectorEnv(task, 4)
    environment.reset(seed=0)
    environments.reset(seed=0)
    policy = foreplan.LinearGaussianPolicy(np.zeros((3, 1, 3)))
    eye, column = np.eye(2), np.ones((2, 1))
    return {"plan": lambda: through_model.plan([1.0, 0.0, 0.0]),
            "plan_by_function": lambda: through_function.plan([1.0, 0.0, 0.0]),
            "predict": lambda: model.predict(OBSERVATION, ACTION),
            "sample": lambda: model.sample(OBSERVATION, ACTION),
            "linearize": lambda: model.linearize(OBSERVATION, ACTION),
            "refuse": lambda: refused(model),
            "reward": lambda: task.reward(OBSERVATION, ACTION, OBSERVATION),
            "step": lambda: stepped(environment),
            "step_many": lambda: environments.step(np.zeros((4, 1), np.float32)),
            "act": lambda: policy.sample([1.0, 0.0, 0.0], 0),
            "solve": lambda: foreplan.solve_lqr(eye, column, eye, np.eye(1), horizon=3)}


@pytest.mark.parametrize("name", ["plan", "plan_by_function", "predict", "sample", "linearize", "refuse", "reward", "step",
                                  "step_many", "act", "solve"])
def test_ten_thousand_calls_keep_no_memory(calls, name):
    for _ in range(300):
        calls[name]()
    before = resident()
    for _ in range(10000):
        calls[name]()
    # kB; a hundred bytes a call are 1,000.
    assert resident() - before < 1000
