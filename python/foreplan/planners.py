"""Planners: what to do next, by imagining what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._options import Options, all_assignments, thread_count
from .models import Model
from .tasks import Task, as_task

Array = NDArray[np.float64]
DynamicsFunction = Callable[[Array, Array], Any]


@dataclass(frozen=True)
class Plan:
    """What to do from a state on."""

    actions: Array  #: [horizon, nu]
    expected_return: float  #: of `actions`, as the model sees it
    best_return: float  #: of the best candidate of the last iteration
    status: str  #: "ok", "converged", "deadline", "stopped" or "all invalid"
    iterations: int
    rollouts: int  #: candidates that were imagined
    seconds: float  #: of the decision


class Planner:
    """Plans for a task's reward through a model.

    name: "icem", "cem", "mppi", "random_shooting", "ilqr". model: a `Model`; a function of rows,
    ``f(states [n, no], actions [n, nu])``, that gives the next states [n, no]; or None, the task's own system, whose
    states are then the full ones. Options: ``options={"planner.icem.horizon": 20}``.

    One planner belongs to one thread at a time; different ones plan at once."""

    def __init__(self, task: Any, name: str = "icem", model: Union[Model, DynamicsFunction, None] = None, *,
                 threads: int | None = None, options: Options | Iterable[str] | None = None, **sections: Any) -> None:
        self.task: Task = as_task(task)
        self.name = name
        self.model = model
        core_model = model._core if isinstance(model, Model) else model
        self._core = _core.Planner(self.task._core, name, core_model, all_assignments(options, sections),
                                   thread_count(threads))

    def plan(self, state: ArrayLike, step: int | None = None, *, seed: int = 0, deadline_ms: float = 0.0) -> Plan:
        """Plans from a state. Begins with the plan before, shifted by the steps that passed since: `step` counts
        from the episode's start, by default one further than the last time. deadline_ms: 0: as long as it wants."""
        return Plan(*self._core.plan(state, step, seed, deadline_ms))

    def reset(self) -> None:
        """An episode begins: forgets the plan before."""
        self._core.reset()

    @property
    def horizon(self) -> int:
        """Steps of a plan."""
        return self._core.horizon

    def __repr__(self) -> str:
        return f"Planner('{self.name}', '{self.task.name}', {self.horizon} steps)"
