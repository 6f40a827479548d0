"""Pictures of simulated tasks, by MuJoCo's own renderer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._core import InputError, RunError

RENDER_MODES = ["rgb_array"]


def check_render_mode(mode: str | None, name: str, is_simulated: bool) -> None:
    """Raises InputError for a mode that nobody has, and TypeError for one that this task has not: stable-baselines3 then
    asks for none."""
    if mode is None:
        return
    if mode not in RENDER_MODES:
        raise InputError(f"render_mode: found '{mode}', expected None or 'rgb_array'")
    if not is_simulated:
        raise TypeError(f"render_mode: found '{mode}', expected None: task '{name}' is not simulated by MuJoCo, and "
                        "has no bodies to draw")


class Painter:
    """Draws states of one compiled model after another."""

    def __init__(self, width: int = 480, height: int = 480) -> None:
        self._size = (height, width)
        self._compiled = b""
        self._model: Any = None
        self._renderer: Any = None

    def paint(self, compiled: bytes, positions: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture [height, width, 3]. compiled: an MJB; positions: qpos, and whatever may stand behind it."""
        import mujoco

        if compiled != self._compiled:
            self._load(compiled)
        data = mujoco.MjData(self._model)
        data.qpos[:] = positions[:self._model.nq]
        mujoco.mj_forward(self._model, data)
        camera = mujoco.MjvCamera()
        mujoco.mjv_defaultFreeCamera(self._model, camera)
        camera.lookat[:] = data.subtree_com[0]
        self._renderer.update_scene(data, camera)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    def _load(self, compiled: bytes) -> None:
        import mujoco

        self.close()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.mjb"
            file.write_bytes(compiled)
            self._model = mujoco.MjModel.from_binary_path(str(file))
        try:
            self._renderer = mujoco.Renderer(self._model, *self._size)
        except (ImportError, AttributeError, RuntimeError) as error:
            raise RunError(f"render: MuJoCo's renderer cannot start: {error}; it needs the packages pyopengl and glfw, "
                           "and without a display the environment variable MUJOCO_GL=egl or MUJOCO_GL=osmesa") from error
        self._compiled = compiled

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
        self._renderer, self._compiled = None, b""


def make_painter() -> Painter:
    """Raises TypeError without MuJoCo's Python package."""
    try:
        import mujoco  # noqa: F401
    except ImportError as error:
        raise TypeError(f"render_mode: found 'rgb_array', expected None without the package mujoco: {error}") from error
    return Painter()
