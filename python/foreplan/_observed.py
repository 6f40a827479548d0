"""What tasks and policies say alike of what is observed and done."""

from __future__ import annotations

from typing import Any

from ._arrays import Array


class Observed:
    """Names and bounds, and the control period, as the library says them."""

    _core: Any

    @property
    def observation_names(self) -> list[str]:
        names: list[str] = self._core.observation_names
        return names

    @property
    def action_names(self) -> list[str]:
        names: list[str] = self._core.action_names
        return names

    @property
    def action_low(self) -> Array:
        """[nu]"""
        low: Array = self._core.action_low
        return low

    @property
    def action_high(self) -> Array:
        """[nu]"""
        high: Array = self._core.action_high
        return high

    @property
    def dt(self) -> float:
        """Seconds between two steps; 0: not known."""
        dt: float = self._core.dt
        return dt
