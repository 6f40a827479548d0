"""Recorded transitions: read from any file of data, written as CSV or NPZ."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import Array, numbers
from ._core import InputError
from ._options import assignments

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True, eq=False)
class Recording:
    """n transitions in the order in which they happened. What is left out of rewards and flags is not known and 0; of
    episodes, one; of names, o0, o1, ... and u0, u1, ..."""

    observation: Array  #: [n, no]
    action: Array  #: [n, nu]
    next_observation: Array  #: [n, no]
    reward: Array = field(default_factory=lambda: np.empty(0))  #: [n], NaN: not known
    terminated: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))  #: [n]: the task ended
    truncated: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))  #: [n]: the record ended
    episode: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  #: [n], from 1
    observation_names: list[str] = field(default_factory=list)  #: [no]
    action_names: list[str] = field(default_factory=list)  #: [nu]
    observation_units: list[str] = field(default_factory=list)  #: [no], "": not known
    action_units: list[str] = field(default_factory=list)  #: [nu]
    dt: float = 0.0  #: seconds between rows; 0: not known
    time: Array | None = None  #: [n], when transitions begin [s]; None: not known
    notes: list[str] = field(default_factory=list)  #: what was left out or assumed in reading

    def __post_init__(self) -> None:
        for name in ("observation", "action", "next_observation"):
            array = numbers(name, getattr(self, name))
            if array.ndim != 2:
                raise InputError(f"{name}: found shape {list(array.shape)}, expected [n, numbers]")
            object.__setattr__(self, name, array)
        n = len(self.observation)
        for name, otherwise in (("reward", np.full(n, np.nan)), ("terminated", np.zeros(n, bool)),
                                ("truncated", np.zeros(n, bool)), ("episode", np.ones(n, np.int64))):
            given = numbers(name, getattr(self, name))
            object.__setattr__(self, name, given.astype(otherwise.dtype) if given.size else otherwise)
        for kind, stem in (("observation", "o"), ("action", "u")):
            size = getattr(self, kind).shape[1]
            names = list(getattr(self, f"{kind}_names")) or [f"{stem}{i}" for i in range(size)]
            units = list(getattr(self, f"{kind}_units")) or [""] * size
            for part, listed in (("names", names), ("units", units)):
                if len(listed) != size:
                    raise InputError(f"{kind}_{part}: found {len(listed)}, expected {size}")
                object.__setattr__(self, f"{kind}_{part}", listed)
        for name in ("action", "next_observation", "reward", "terminated", "truncated", "episode"):
            if len(getattr(self, name)) != n:
                raise InputError(f"{name}: found {len(getattr(self, name))} rows, expected the {n} of observation")

    def __len__(self) -> int:
        """n, the transitions."""
        return len(self.observation)

    def save(self, path: Path) -> None:
        """Writes a table (.csv) or arrays (.npz) that `read_recording`, `foreplan fit` and other programs read back to
        the same numbers; what is there is replaced. Raises InputError for another suffix, and RunError where the disk
        refuses."""
        _core.write_recording(os.fspath(path), self)

    def __repr__(self) -> str:
        return (f"Recording({len(self)} transitions, {len(np.unique(self.episode))} episodes, "
                f"{', '.join(self.observation_names)}; {', '.join(self.action_names)})")


def read_recording(path: Path, *, observation: Iterable[str] = (), action: Iterable[str] = (), dt: float = 0.0,
                   rename: Mapping[str, str] | None = None, scale: Mapping[str, float] | None = None,
                   degrees: Iterable[str] = (), time_unit: str = "", period: float = 0.0,
                   gap: float = 0.0) -> Recording:
    """What `foreplan fit` reads: tables (.csv, .tsv, .txt), arrays (.npz, .hdf5, a folder of Minari), the recording of
    an episode (.safetensors.gz), the folder of a run or a fit.

    observation, action
        Names, in order; by default as the file has them.
    dt [s]
        Between rows, where the file does not say it.
    rename, scale, degrees
        {new name: name in the file}; {name: factor}; names of angles that become radians.
    time_unit, period [s], gap [s]
        Of the column of times; rows are resampled to that period; longer steps begin a new episode.

    Raises InputError naming the file, the place, what was found and what was expected."""
    options: dict[str, Any] = {
        "rename": [f"{new}={old}" for new, old in (rename or {}).items()],
        "scale": [f"{name}={factor!r}" for name, factor in (scale or {}).items()],
        "degrees": list(degrees), "time_unit": time_unit, "period": float(period), "gap": float(gap)}
    return Recording(**_core.read_recording(os.fspath(path), list(observation), list(action), float(dt),
                                            assignments(options)))


def write_recording(path: Path, observation: ArrayLike, action: ArrayLike, next_observation: ArrayLike,
                    **columns: Any) -> None:
    """`Recording(observation, action, next_observation, ...).save(path)`."""
    Recording(numbers("observation", observation), numbers("action", action),
              numbers("next_observation", next_observation), **columns).save(path)
