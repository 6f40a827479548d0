"""Files for other programs: what was learned and what happened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import _core


def path_of(source: Any, where: str) -> str:
    """Of a run, or the path itself. Raises TypeError, which begins with `where`, for anything else."""
    path = getattr(source, "folder", source)
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{where}: found {type(source).__name__}, expected a Run, or the path of a folder or a file")
    return os.fspath(path)


def export(source: Any, kind: str, out: str | os.PathLike[str] = "", *, what: str = "model") -> Path:
    """Writes what a run keeps for other programs, as ``foreplan export`` does; gives the new file or folder.

    source: a `Run`, the folder of a run or a fit, or a file (of data, or of a model). kind: of transitions "csv",
    "npz", "hdf5" (flat arrays as D4RL has them) or "minari" (a folder ``name-v0``); of what was learned
    "safetensors" or "onnx", then `what` is "model" or "policy". out: by default the source's name, here; what
    exists is not overwritten. A run that goes on is exported as of its last checkpoint.

    Raises InputError for another kind, a path that exists, and what the kind has no form for."""
    folder, path = path_of(source, "export: source"), os.fspath(out)
    if kind in _core.data_kinds():
        return Path(_core.export_data(folder, kind, path))
    if kind in _core.model_file_kinds():
        return Path(_core.export_model(folder, kind, what, path))
    kinds = ", ".join([*_core.data_kinds(), *_core.model_file_kinds()])
    raise _core.InputError(f"export: kind: found '{kind}', expected one of {kinds}")
