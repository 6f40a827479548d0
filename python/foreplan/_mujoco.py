"""MuJoCo's library, one for the whole process: that of the installed package, which `import mujoco` uses as well."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

_WANTED = "expected 4.0: pip install 'mujoco-core>=4.0,<4.1'"


def find_library() -> Path:
    """Of the installed package; does not import it. Raises ImportError when there is none of version 4.0."""
    spec = importlib.util.find_spec("mujoco")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"foreplan: MuJoCo: found no package 'mujoco', {_WANTED}", name="mujoco")
    files = [file for folder in spec.submodule_search_locations for file in sorted(Path(folder).glob("libmujoco.so*"))]
    fitting = [file for file in files if file.name.startswith("libmujoco.so.4.0.")]
    if not fitting:
        found = ", ".join(map(str, files)) or f"no libmujoco.so in {', '.join(spec.submodule_search_locations)}"
        raise ImportError(f"foreplan: MuJoCo: found {found}, {_WANTED}", name="mujoco")
    return fitting[-1]


def load_library() -> None:
    """Loads it for all that follows: `_core` takes MuJoCo's functions from there."""
    ctypes.CDLL(str(find_library()), mode=ctypes.RTLD_GLOBAL)
