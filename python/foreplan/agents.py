"""A learned controller behind the calls that users of stable-baselines3 know."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._core import InputError
from .environments import flat_observation, is_environment
from .runs import Episode, Run, run
from .tasks import Task, as_task

Array = NDArray[np.float64]


class PETS:
    """Learns a model of an environment and plans through it at every step (Chua et al. 2018).

    environment: a Gymnasium environment, a `Task` or what makes one. planner: "icem", ... All else as for `Task` and
    `run`: ``PETS(env, reward="-o0^2", model={"width": 64})``."""

    def __init__(self, environment: Any, *, planner: str = "icem", seed: int = 0, threads: int | None = None,
                 verbose: int = 0, **arguments: Any) -> None:
        self.environment = environment if is_environment(environment) else None
        self.task: Task = as_task(environment, **arguments)
        self.planner = planner
        self.seed = seed
        self.threads = threads
        self.verbose = verbose
        self._run: Run | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._starts = True

    def set_random_seed(self, seed: int) -> None:
        """Of the next `learn`."""
        self.seed = seed

    def learn(self, total_timesteps: int, callback: Callable[[Episode], Any] | None = None) -> PETS:
        """Learns from that many steps; `callback` is told every episode, and ends the learning by giving False."""
        self._folder = tempfile.TemporaryDirectory(prefix="foreplan-")
        self._run = run(self.task, "mpc", self.planner, self.seed, steps=total_timesteps,
                        out=f"{self._folder.name}/run", threads=self.threads)
        for episode in self._run:
            if self.verbose:
                print(f"episode {episode.episode}: return {episode.episode_return:.2f}, {episode.steps} steps")
            if callback is not None and callback(episode) is False:
                break
        self._starts = True
        return self

    @property
    def run(self) -> Run:
        """The run that learned."""
        if self._run is None:
            raise InputError("run: found nothing learned yet, expected learn() before")
        return self._run

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None,
                deterministic: bool = True) -> tuple[Array, Any]:
        """(action, None): what to do in an observation. `episode_start`: the first of an episode. `state` and
        `deterministic` are there for callers of other libraries; plans are the same either way."""
        del state, deterministic
        starts = self._starts if episode_start is None else bool(np.any(episode_start))
        flat = observation if self.environment is None else flat_observation(self.environment.observation_space,
                                                                            observation)
        action = self.run.act(flat, start=starts, seed=self.seed)
        self._starts = False
        if self.environment is not None:
            space = self.environment.action_space
            action = action.reshape(space.shape).astype(space.dtype)
        return action, None

    def evaluate(self, episodes: int = 10, seed: int = 0) -> dict[str, Any]:
        """Plays fresh starts: {"returns": [episodes], "mean", "ci95", ...}."""
        return self.run.evaluate(episodes, seed)

    def __repr__(self) -> str:
        return f"PETS('{self.task.name}', planner '{self.planner}', seed {self.seed})"
