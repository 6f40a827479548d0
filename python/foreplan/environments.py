"""Gymnasium environments as the library drives them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._core import InputError

Array = NDArray[np.float64]


class Part(NamedTuple):
    """A component: its name and its unit ("": none)."""

    name: str
    unit: str


def is_environment(value: Any) -> bool:
    """Has what Gymnasium's environments have; Gymnasium itself need not be there."""
    return all(hasattr(value, name) for name in ("observation_space", "action_space", "reset", "step"))


def refuse_vector(value: Any) -> None:
    """Raises InputError for many environments in one."""
    count = getattr(value, "num_envs", None)
    if count is not None:
        raise InputError(f"environment: found a vector of {count}, expected a single one: episodes are played one after "
                         "another; pass what one of its places is made of")


def identifier(text: str) -> str:
    """A name that expressions can use."""
    name = re.sub(r"\W+", "_", text).strip("_")
    return name if name and not name[0].isdigit() else f"o_{name}"


def _kind(space: Any) -> str:
    return type(space).__name__


def _box_size(space: Any, where: str) -> int:
    """Numbers of a Box. Raises InputError for images and for spaces that are none."""
    if _kind(space) != "Box":
        raise InputError(
            f"{where}: found a space {_kind(space)}, expected Box: models predict numbers that change gradually, "
            "and planners choose among such")
    if space.dtype == np.uint8:
        raise InputError(f"{where}: found a Box of dtype uint8, an image, expected numbers that describe a state")
    return int(np.prod(space.shape, dtype=int))


def _observation_leaves(space: Any, where: str = "observation_space",
                        path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], int]]:
    """Paths of the arrays of a space, in its order, with their sizes."""
    if _kind(space) == "Dict":
        leaves = []
        for key, inner in space.spaces.items():
            leaves += _observation_leaves(inner, f"{where}['{key}']", (*path, key))
        return leaves
    return [(path, _box_size(space, where))]


def observation_parts(space: Any) -> list[Part]:
    """Names of the components: o0, o1, ... of a Box, key_0, key_1, ... of a Dict."""
    parts = []
    for path, size in _observation_leaves(space):
        stem = "o" if not path else "_".join(identifier(key) for key in path)
        joint = "" if not path else "_"
        parts += [Part(stem if path and size == 1 else f"{stem}{joint}{i}", "") for i in range(size)]
    return parts


def action_bounds(space: Any) -> tuple[Array, Array]:
    """Lowest and highest actions, flat: [nu] each. Raises InputError for what is no bounded Box."""
    size = _box_size(space, "action_space")
    low = np.asarray(space.low, dtype=np.float64).reshape(size)
    high = np.asarray(space.high, dtype=np.float64).reshape(size)
    for name, bound in (("low", low), ("high", high)):
        if not np.all(np.isfinite(bound)):
            raise InputError(f"action_space: found {name} = {bound}, expected finite bounds to plan within "
                             "(gymnasium.wrappers.RescaleAction gives some)")
    return low, high


def flat_observation(space: Any, observation: Any) -> Array:
    """The numbers of an observation in the order of its parts: [no]."""
    if _kind(space) == "Dict":
        return np.concatenate([flat_observation(inner, observation[key]) for key, inner in space.spaces.items()])
    return np.asarray(observation, dtype=np.float64).reshape(-1)


def control_period(environment: Any) -> float | None:
    """Seconds between two steps, where the environment says them."""
    inner = getattr(environment, "unwrapped", environment)
    period = getattr(inner, "dt", None)
    if isinstance(period, (int, float)) and period > 0:
        return float(period)
    rate = (getattr(environment, "metadata", None) or {}).get("render_fps")
    return 1.0 / float(rate) if rate else None


def time_limit(environment: Any) -> int | None:
    """Steps after which Gymnasium truncates an episode."""
    limit = getattr(getattr(environment, "spec", None), "max_episode_steps", None)
    return int(limit) if limit else None


class Adapter:
    """What the library calls: flat observations out, flat actions in."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self._action_shape = environment.action_space.shape
        self._action_type = environment.action_space.dtype

    def reset(self, seed: int) -> Array:
        observation, _ = self.environment.reset(seed=seed)
        return flat_observation(self.environment.observation_space, observation)

    def step(self, action: Array) -> tuple[Array, float, bool, bool]:
        shaped = action.astype(self._action_type).reshape(self._action_shape)
        observation, reward, terminated, truncated, _ = self.environment.step(shaped)
        flat = flat_observation(self.environment.observation_space, observation)
        return flat, float(reward), bool(terminated), bool(truncated)
