"""Numbers that users give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def numbers(name: str, value: ArrayLike | Any) -> Array:
    """An array of the caller's own. Raises TypeError naming the argument for what is none of numbers."""
    try:
        given = np.asarray(value)
        if given.dtype.kind in "biuf":
            return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):  # ragged lists
        pass
    raise TypeError(f"{name}: found {type(value).__name__}, expected an array of numbers")


def numbers_or_zeros(name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """The same, of None zeros."""
    return np.zeros(shape) if value is None else numbers(name, value)
