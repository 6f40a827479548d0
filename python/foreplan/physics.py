"""Physics with unknown parameters, identified from transitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike

from ._core import InputError
from .models import Model
from .recordings import Recording
from .tasks import Task, as_task


@dataclass(frozen=True)
class PhysicsParameter:
    """A number of a system, in the system's own unit (SI)."""

    value: float
    standard_error: float  #: inf: the data leave it open
    at_bound: bool  #: the data wanted to go farther; the standard error knows nothing of that


@dataclass(frozen=True, eq=False)
class PhysicsFit:
    """What a fit found and how far to trust it."""

    parameters: dict[str, PhysicsParameter]
    status: str  #: "converged", "iteration limit", "no descent" or "unexplained"
    failure: str  #: what is wrong, in words; "": nothing
    not_identifiable: list[str]  #: combinations that the data do not tell apart
    noise: dict[str, float]  #: standard deviation per observation
    spread: dict[str, float]  #: of the data, likewise
    iterations: int
    guesses: int  #: starts that were tried
    metrics: dict[str, float]
    model: Model  #: predicts with the fitted parameters

    def __getitem__(self, name: str) -> float:
        """The value of a parameter."""
        return self.parameters[name].value


def fit_physics(task: Any, data: Union[Recording, tuple[ArrayLike, ArrayLike, ArrayLike]], *,
                unknowns: Iterable[str] | Mapping[str, str] | None = None, ties: Iterable[str] = (), seed: int = 0,
                threads: int | None = None, **options: Any) -> PhysicsFit:
    """Fits unknown parameters of a task's system to transitions: a `Recording`, or (observation, action,
    next observation).

    unknowns
        ``["cart_mass = 5 in [0.5, 100]", "pole_mass = 2 in [0.2, 50], prior 5 +- 1"]`` or {"cart_mass": "5 in
        [0.5, 100]"}; None: those of the task file's section [model.physics].
    ties
        ``["pole_inertia = pole_mass * pole_center^2"]``
    options
        noise ("process", "measurement"), stretch, guesses, ... of that section.

    Raises InputError for unknowns, data and options that make no sense, and RunError where no guess predicts the
    data."""
    made: Task = as_task(task)
    physics: dict[str, Any] = dict(options)
    if unknowns is not None:
        physics["unknowns"] = ([f"{name} = {text}" for name, text in unknowns.items()]
                               if isinstance(unknowns, Mapping) else list(unknowns))
        physics["ties"] = list(ties)
    elif ties:
        raise InputError("ties: found some without unknowns, expected both")
    model = Model(made, seed=seed, threads=threads, model={"kind": "physics", "physics": physics})
    rows, known = _transitions(made, data)
    metrics = model.fit(*rows, **known)
    found = model.describe()
    parameters = {row["name"]: PhysicsParameter(row["value"], _number(row["standard_error"]), row["at_bound"])
                  for row in found["parameters"]}
    return PhysicsFit(parameters, found["status"], found["failure"], found["not_identifiable"], found["noise"],
                      found["spread"], found["iterations"], found["guesses"], metrics, model)


def _number(value: float | None) -> float:
    """JSON has no infinity."""
    return np.inf if value is None else value


def _transitions(task: Task, data: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not isinstance(data, Recording):
        if not isinstance(data, tuple) or len(data) != 3:
            raise TypeError(f"data: found {type(data).__name__}, expected a Recording or (observation, action, "
                            "next_observation)")
        return data, {}
    for kind, expected in (("observation", task.observation_names), ("action", task.action_names)):
        names = getattr(data, f"{kind}_names")
        if names != expected:
            raise InputError(f"data: found {kind}s {names}, expected the task's {expected} (read_recording(..., "
                             f"{kind}=[...]) chooses and orders them)")
    return ((data.observation, data.action, data.next_observation),
            {"terminated": data.terminated, "episode": data.episode})
