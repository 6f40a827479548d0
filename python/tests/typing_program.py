"""The public interface as a typed program uses it. Type checkers read it (`./dev check python`); it also runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import foreplan


def still(states: NDArray[np.float64], actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dynamics in which nothing moves: [n, no]."""
    del actions
    return states


def fitted_model(task: foreplan.Task) -> foreplan.Model:
    model = foreplan.Model(task, seed=1, threads=1, model={"width": 8, "members": 2}, fit={"min_steps": 5, "max_steps": 5})
    random = np.random.default_rng(0)
    observation = random.normal(size=(64, len(task.observation_names)))
    action = random.uniform(task.action_low, task.action_high, (64, len(task.action_names)))
    metrics: dict[str, float] = model.fit(observation, action, observation)
    assert metrics
    mean, deviation = model.predict(observation, action)
    a, b = model.linearize(observation, action)
    assert mean.shape == deviation.shape == model.sample(observation, action).shape and a.ndim == b.ndim == 3
    return model


def plans(task: foreplan.Task, model: foreplan.Model) -> list[foreplan.Plan]:
    options = {"planner.icem.horizon": 4, "planner.icem.population": 8, "planner.icem.elites": 2}
    state = [1.0, 0.0, 0.0]
    planners = [foreplan.Planner(task, "icem", used, threads=1, options=options) for used in (model, still)]
    return [planner.plan(state, 0, seed=3) for planner in planners]


def one_run(task: foreplan.Task, folder: str) -> float:
    def seen(step: dict[str, Any]) -> None:
        assert step

    total = 0.0
    with foreplan.run(task, "mpc", "icem", 0, episodes=1, out=folder, threads=1, on_step=seen,
                      options={"mpc.base_episodes": 1}) as run:
        for episode in run:
            total += episode.episode_return
        returns: NDArray[np.float64] = run.returns
        assert len(returns) == len(run.episodes)
    return total


def acts(folder: str, observation: NDArray[np.float64]) -> NDArray[np.float64]:
    policy: foreplan.Policy = foreplan.Policy.load(folder)
    names: list[str] = policy.observation_names + policy.action_names
    assert len(names) == len(observation) + len(policy.action_high)
    drawn: NDArray[np.float64] = policy.sample(observation, seed=1)
    return policy(observation) - drawn


def main(folder: str) -> None:
    version: str = foreplan.__version__
    assert version and "pendulum" in foreplan.task_names()
    task = foreplan.Task("pendulum", episode_length=5)
    assert all(plan.actions.shape[1] == 1 for plan in plans(task, fitted_model(task)))
    one_run(task, folder)
    judged: dict[str, Any] = foreplan.evaluate(task, "zero", episodes=1, threads=1)
    assert judged["returns"]
    try:
        foreplan.PETS(task).predict(np.zeros(3))
    except foreplan.InputError as error:
        assert isinstance(error, ValueError)
    try:
        acts(folder, np.zeros(3))
    except foreplan.InputError as error:  # what it learned is a model
        assert "policy" in str(error)


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
