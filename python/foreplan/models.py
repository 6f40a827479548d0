"""Models that are fitted to transitions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import InputError
from ._options import Options, all_assignments, thread_count
from .tasks import Task, as_task

Array = NDArray[np.float64]


class Model:
    """Predicts the next observation of a task: an ensemble of networks, or physics with unknown parameters
    (``model={"kind": "physics", ...}``). Options as in task files: ``model={"width": 64}``, ``fit={"epochs": 20}``.

    With the same seed, data and options every fit gives the same model, whatever the threads."""

    def __init__(self, task: Any, *, seed: int = 0, threads: int | None = None,
                 options: Options | Iterable[str] | None = None, **sections: Any) -> None:
        made = as_task(task)
        listed = all_assignments(options, sections)
        self.task: Task | None = made
        self._recipe: tuple[int, int | None, list[str] | None] = (seed, threads, listed)
        self._core = _core.Model(made._core, listed, seed, thread_count(threads))

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all that it takes to predict as safetensors, which ``foreplan predict``, PyTorch and NumPy read
        (docs/model_files.md). A file that exists is replaced. Raises RunError when the disk refuses."""
        self._core.write(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str], task: Any = None, *, seed: int = 0,
             threads: int | None = None) -> Model:
        """The model of a file that `save`, a fit, a run or another program wrote; or of the folder of a fit or a
        run. With `task` (or what makes one) it is that task's, of which the file must be too; without, it is of what
        the file says, which is all that predicting and further fits need.

        Raises InputError naming file, tensor or key, found and expected."""
        file = Path(path)
        if file.is_dir():
            file = file / "model" / "model.safetensors"
        if not file.is_file():
            raise InputError(f"{file}: found no file, expected that of a model, or the folder of a fit or a run")
        made = None if task is None else as_task(task)
        model = cls.__new__(cls)
        model.__setstate__({"task": made, "recipe": (seed, threads, None), "bytes": file.read_bytes(),
                            "name": str(file)})
        return model

    @property
    def members(self) -> int:
        return self._core.members

    def __getstate__(self) -> dict[str, Any]:
        return {"task": self.task, "recipe": self._recipe, "bytes": self._core.save()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        seed, threads, listed = state["recipe"]
        if listed is None:  # from a file, which says how it is made
            self.task, self._recipe = state["task"], state["recipe"]
            task = None if self.task is None else self.task._core
            self._core = _core.Model(state["bytes"], state.get("name", "model"), task, seed, thread_count(threads))
        else:
            self.__init__(state["task"], seed=seed, threads=threads, options=listed)  # type: ignore[misc]
        if "name" not in state:  # a pickle: what only a next fit needs, too
            self._core.restore(state["bytes"])

    def __repr__(self) -> str:
        name = "of a file" if self.task is None else f"'{self.task.name}'"
        return f"Model({name}, {self.members} members)"
