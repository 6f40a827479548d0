"""Models that are fitted to transitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._options import Options, all_assignments, thread_count
from .tasks import Task, as_task

Array = NDArray[np.float64]


class Model:
    """Predicts the next observation of a task: an ensemble of networks, or physics with unknown parameters
    (``model={"kind": "physics", ...}``). Options as in task files: ``model={"width": 64}``, ``fit={"epochs": 20}``.

    With the same seed, data and options every fit gives the same model, whatever the threads."""

    def __init__(self, task: Any, *, seed: int = 0, threads: int | None = None,
                 options: Options | Iterable[str] | None = None, **sections: Any) -> None:
        self.task: Task = as_task(task)
        self._recipe = (seed, threads, all_assignments(options, sections))
        self._core = _core.Model(self.task._core, self._recipe[2], seed, thread_count(threads))

    def fit(self, observation: ArrayLike, action: ArrayLike, next_observation: ArrayLike, *,
            reward: ArrayLike | None = None, terminated: ArrayLike | None = None,
            episode: ArrayLike | None = None) -> dict[str, float]:
        """Fits to transitions, rows first: [n, no], [n, nu], [n, no]; what they earned [n], which a task needs whose
        reward is learned; whether they ended the task [n]; the number of the episode of each [n]. A second fit
        begins with what the first one found. Gives the fit's metrics."""
        return self._core.fit(observation, action, next_observation, reward, terminated, episode)

    def predict(self, observation: ArrayLike, action: ArrayLike) -> tuple[Array, Array]:
        """Mean and standard deviation of the next observation, of all members together: [n, no] each, or [no] of
        single vectors."""
        return self._core.predict(observation, action)

    def sample(self, observation: ArrayLike, action: ArrayLike, seed: int = 0,
               member: ArrayLike | None = None) -> Array:
        """Drawn next observations [n, no]: of a member [n], by default a drawn one, with its noise."""
        return self._core.sample(observation, action, seed, member)

    def describe(self) -> dict[str, Any]:
        """What can be told of the last fit beside its metrics; of physics: parameters, standard errors, noise."""
        return self._core.describe()

    def linearize(self, observation: ArrayLike, action: ArrayLike) -> tuple[Array, Array]:
        """Derivatives of the mean by observation and action: A [n, no, no], B [n, no, nu]."""
        return self._core.linearize(observation, action)

    @property
    def members(self) -> int:
        return self._core.members

    def __getstate__(self) -> dict[str, Any]:
        return {"task": self.task, "recipe": self._recipe, "bytes": self._core.save()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        seed, threads, listed = state["recipe"]
        self.__init__(state["task"], seed=seed, threads=threads, options=listed)  # type: ignore[misc]
        self._core.restore(state["bytes"])

    def __repr__(self) -> str:
        return f"Model('{self.task.name}', {self.members} members)"
