"""Options as the library reads them: "section.key=value" with a value as in TOML."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

Options = Mapping[str, Any]


def toml_value(value: Any, name: str) -> str:
    """The value as TOML. Raises TypeError for what TOML has no form for."""
    if hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        text = repr(value)
        return text if any(mark in text for mark in ".e") else text + ".0"
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(entry, name) for entry in value) + "]"
    raise TypeError(f"{name}: found {type(value).__name__}, expected a number, a text, a bool or a list of these")


def assignments(options: Options, section: str = "") -> list[str]:
    """{"mpc": {"refit_every": 50}, "model.width": 64} -> ["mpc.refit_every=50", "model.width=64"]."""
    listed: list[str] = []
    for key, value in options.items():
        path = f"{section}.{key}" if section else str(key)
        if isinstance(value, Mapping):
            listed += assignments(value, path)
        elif value is not None:
            listed.append(f"{path}={toml_value(value, path)}")
    return listed


def all_assignments(options: Options | Iterable[str] | None, sections: Options) -> list[str]:
    """Of a mapping or of finished assignments, and of keyword arguments."""
    given: list[str] = []
    if isinstance(options, Mapping):
        given = assignments(options)
    elif options is not None:
        given = list(options)
    return given + assignments(sections)


def thread_count(threads: int | None) -> int:
    """Of None: the processors this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads
