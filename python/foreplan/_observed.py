"""What tasks and policies say alike of what is observed and done."""

from __future__ import annotations

from typing import Generic, TypeVar

from . import _core as core  # the class has an attribute of that name
from ._arrays import Array

Core = TypeVar("Core", core.Task, core.Policy)


class Observed(Generic[Core]):
    """Names and bounds, and the control period, as the library says them."""

    _core: Core

    @property
    def observation_names(self) -> list[str]:
        return self._core.observation_names

    @property
    def action_names(self) -> list[str]:
        return self._core.action_names

    @property
    def action_low(self) -> Array:
        """[nu]"""
        return self._core.action_low

    @property
    def action_high(self) -> Array:
        """[nu]"""
        return self._core.action_high

    @property
    def dt(self) -> float:
        """Seconds between two steps; 0: not known."""
        return self._core.dt
