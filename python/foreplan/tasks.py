"""Tasks: what acts, what is wanted of it, for how long."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import InputError
from ._observed import Observed
from ._options import Options, all_assignments, assignments
from .environments import (Adapter, Part, action_bounds, control_period, identifier, is_environment,
                           observation_parts, refuse_vector, time_limit)

Array = NDArray[np.float64]
RewardFunction = Callable[[Array, Array, Array], Any]
Reward = Union[str, RewardFunction, None]

_TASK_SECTIONS = ("constants", "quantities", "encoding")


def task_names() -> list[str]:
    """Names of the shipped tasks."""
    return _core.task_names()


class Task(Observed[_core.Task]):
    """A task, from any of

    - the name of a shipped task or the path of a task file: ``Task("pendulum")``, ``Task("robot.toml")``;
    - a mapping that holds what a file would: ``Task({"name": ..., "system": {...}, "reward": "-x^2", ...})``;
    - a Gymnasium environment with Box (or Dict of Box) observations and Box actions.

    Of an environment:

    reward
        None or "environment": what the environment pays; an expression of the observation's names
        (``"-o0^2"``) or a shipped reward's name; or a function of rows,
        ``f(observation [n, no], action [n, nu], next_observation [n, no])``, that gives rewards [n] or a pair
        (rewards [n], terminated [n]).
    planning_reward
        What planners maximise where it is not the reward; by default the reward, learned from data where the
        environment pays it.
    termination
        An expression; "": the environment alone ends episodes.
    episode_length [steps], dt [s]
        By default the environment's own limit and period.
    observation_names, action_names
        What expressions call the components; "name [unit]" names a unit, too.

    All else is options as in task files, by keyword or in `options`:
    ``encoding={"sin_cos": ["angle"]}``, ``model={"width": 64}``, ``options={"planner.icem.horizon": 20}``.
    """

    def __init__(self, source: Any, *, reward: Reward = None, planning_reward: Reward = None,
                 termination: str = "", episode_length: int | None = None, dt: float | None = None,
                 name: str | None = None, observation_names: Iterable[str] | None = None,
                 action_names: Iterable[str] | None = None,
                 options: Options | Iterable[str] | None = None, **sections: Any) -> None:
        given = {"termination": termination or None, "episode_length": episode_length, "name": name,
                 "planning_reward": planning_reward, "reward": reward}
        self._recipe: tuple[Any, dict[str, Any]] | None = None
        if is_environment(source):
            refuse_vector(source)
            self._core = self._of_environment(source, reward, planning_reward, termination, episode_length, dt, name,
                                              observation_names, action_names, options, sections)
            return
        for argument, value in (("dt", dt), ("observation_names", observation_names),
                                ("action_names", action_names)):
            if value is not None:
                raise InputError(f"{argument}: found one beside a task that has its own, expected an environment")
        for argument in ("reward", "planning_reward"):
            if callable(given[argument]):
                raise InputError(f"{argument}: found a function, expected an expression: a task of a file or a "
                                 "mapping is written down; functions go with environments")
        listed = assignments(given) + all_assignments(options, sections)
        if isinstance(source, Mapping):
            self._core = _core.Task.of_text("", "task", os.getcwd(), assignments(source) + listed)
            source = dict(source)
        elif isinstance(source, (str, os.PathLike)):
            path = os.fspath(source)
            if path.endswith(".toml"):
                path = str(Path(path).absolute())
            self._core = _core.Task.of_file(path, listed)
            source = path
        else:
            raise TypeError(f"task: found {type(source).__name__}, expected a name, a path, a mapping or a "
                            "Gymnasium environment")
        self._recipe = (source, {**{key: value for key, value in given.items() if value is not None},
                                 "options": all_assignments(options, sections)})

    @staticmethod
    def _of_environment(source: Any, reward: Reward, planning_reward: Reward, termination: str,
                        episode_length: int | None, dt: float | None, name: str | None,
                        observation_names: Iterable[str] | None, action_names: Iterable[str] | None,
                        options: Options | Iterable[str] | None, sections: Mapping[str, Any]) -> _core.Task:
        parts = _named(observation_names, observation_parts(source.observation_space), "observation_names")
        low, high = action_bounds(source.action_space)
        actions = _named(action_names, [Part(f"u{i}", "") for i in range(len(low))], "action_names")
        length = episode_length or time_limit(source)
        if length is None:
            raise InputError("episode_length: found none, expected the steps of an episode: the environment has no "
                             "limit of its own")
        period = dt if dt is not None else control_period(source) or 1.0
        spec = getattr(source, "spec", None)
        own = {key: value for key, value in sections.items() if key in _TASK_SECTIONS}
        other = {key: value for key, value in sections.items() if key not in _TASK_SECTIONS}
        return _core.Task.of_environment(
            Adapter(source), name or identifier(spec.id if spec else type(source).__name__), float(period),
            [(part.name, part.unit) for part in parts], [(part.name, part.unit) for part in actions], low.tolist(), high.tolist(),
            reward, planning_reward, termination, int(length), assignments(own), all_assignments(options, other))

    @property
    def name(self) -> str:
        return self._core.name

    @property
    def episode_length(self) -> int:
        """Steps."""
        return self._core.episode_length

    def reward(self, observation: ArrayLike, action: ArrayLike, next_observation: ArrayLike) -> tuple[Array, Array]:
        """(rewards [n], terminated [n]) of n transitions, as the task counts them."""
        return self._core.reward(observation, action, next_observation)

    def __repr__(self) -> str:
        return (f"Task('{self.name}', {len(self.observation_names)} observed, {len(self.action_names)} actions, "
                f"{self.dt:g} s, {self.episode_length} steps)")

    def __copy__(self) -> Task:
        return self  # it cannot be changed

    def __deepcopy__(self, memo: dict[int, Any]) -> Task:
        return self

    def __reduce__(self) -> Any:
        if self._recipe is None:
            raise TypeError(f"task '{self.name}': cannot be pickled: it is of an environment that only this process "
                            "holds; make it anew in the other process")
        return _rebuilt, self._recipe


def _rebuilt(source: Any, arguments: dict[str, Any]) -> Task:
    return Task(source, **arguments)


def _named(names: Iterable[str] | None, parts: list[Part], argument: str) -> list[Part]:
    if names is None:
        return parts
    listed = list(names)
    if len(listed) != len(parts):
        raise InputError(f"{argument}: found {len(listed)} names, expected {len(parts)}")
    named = []
    for text in listed:
        name, bracket, unit = text.partition("[")
        named.append(Part(name.strip(), unit.rstrip("] ") if bracket else ""))
    return named


def as_task(task: Any, **arguments: Any) -> Task:
    """A task stays itself, all else is made one."""
    return task if isinstance(task, Task) else Task(task, **arguments)
