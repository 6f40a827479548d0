"""Tasks as Gymnasium environments, one or many at a time; importing this registers the shipped ones.

``gymnasium.make("foreplan/pendulum")`` observes what the task does. ``gymnasium.make("foreplan/HalfCheetah-v5")``
observes what the published environment of that name does: rewards may need more, which is then not shown.
"""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import InputError
from ._options import Options, thread_count
from ._rendering import RENDER_MODES, Painter, check_render_mode, make_painter
from .tasks import Task, as_task, task_names

__all__ = ["Env", "VectorEnv", "published_names"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_NO_LIMIT = 2**31 - 1
_MODES = {AutoresetMode.NEXT_STEP: 0, AutoresetMode.SAME_STEP: 1, AutoresetMode.DISABLED: 2}  # foreplan::Autoreset

# Published environments that a task equals: the task, and how many of its components they observe (the first ones).
_PUBLISHED: dict[str, tuple[str, int]] = {
    "Ant-v5": ("gymnasium_ant", 105),
    "HalfCheetah-v5": ("gymnasium_half_cheetah", 17),
    "Hopper-v5": ("gymnasium_hopper", 11),  # with _OPTIONS
    "Humanoid-v5": ("gymnasium_humanoid", 348),
    "InvertedDoublePendulum-v5": ("gymnasium_inverted_double_pendulum", 9),
    "InvertedPendulum-v5": ("gymnasium_inverted_pendulum", 4),
    "Pendulum-v1": ("pendulum", 3),
    "Pusher-v5": ("gymnasium_pusher", 23),
    "Reacher-v5": ("gymnasium_reacher", 10),
    "Swimmer-v5": ("gymnasium_swimmer", 8),
    "Walker2d-v5": ("gymnasium_walker2d", 17),
    "dm_control-acrobot-swingup-v0": ("dm_control_acrobot_swingup", 6),
    "dm_control-cartpole-swingup-v0": ("dm_control_cartpole_swingup", 5),
    "dm_control-cheetah-run-v0": ("dm_control_cheetah_run", 17),
    "dm_control-reacher-easy-v0": ("dm_control_reacher_easy", 6),
}
# The task's observation clips velocities, by which the published one may end.
_OPTIONS: dict[str, dict[str, Any]] = {
    "Hopper-v5": {"system.observation": ["qpos[1:]", "clip(qvel, -10, 10)", "rate(qpos[0])", "qvel"],
                  "quantities.healthy": "root_z > 0.7 and abs(root_pitch) < 0.2 and "
                                        "max(abs(next[1:5]), abs(next[12:18])) < 100",
                  "reward": "root_x_rate + if(healthy, 1, 0) - 0.001 * sum(square(u))",
                  "termination": "not healthy"},
}


def published_names() -> dict[str, str]:
    """Names of published environments that are registered behind "foreplan/", and the tasks they are."""
    known = task_names()
    return {name: task for name, (task, _) in _PUBLISHED.items() if task in known}


class _Batch:
    """What `Env` and `VectorEnv` share: the library's environments of one task, and their seeds."""

    def __init__(self, task: Any, options: Options | None, count: int, threads: int | None, autoreset: AutoresetMode,
                 observed: int | None, max_episode_steps: int | None, render_mode: str | None) -> None:
        self.task = as_task(task) if options is None else Task(task, options=options)
        limit = self.task.episode_length if max_episode_steps is None else max_episode_steps
        self.core = _core.Environments(
            self.task._core, count, observed or 0, _NO_LIMIT if limit < 0 else limit,
            _MODES[autoreset], threads or 0, thread_count(None))
        self.count = count
        self.is_closed = False
        check_render_mode(render_mode, self.task.name, self.core.is_simulated)
        self._painter: Painter | None = None if render_mode is None else make_painter()
        # The library's own memory, which every step writes to.
        self.observations: Array = self.core.observations
        self.final_observations: Array = self.core.final_observations
        self.rewards: Array = self.core.rewards
        self.terminated: Flags = self.core.terminated
        self.truncated: Flags = self.core.truncated

    def observation_space(self) -> spaces.Box:
        return spaces.Box(-np.inf, np.inf, (self.observations.shape[1],), np.float64)

    def action_space(self) -> spaces.Box:
        return spaces.Box(self.task.action_low.astype(np.float32), self.task.action_high.astype(np.float32),
                          dtype=np.float32)

    def seed(self, place: int, seed: int) -> None:
        """Its next reset begins the first episode of that seed."""
        self.core.seed(place, seed & (2**64 - 1), seed >> 64 & (2**64 - 1))

    def metadata(self) -> dict[str, Any]:
        return {"render_modes": RENDER_MODES if self.core.is_simulated else [], "render_fps": round(1 / self.task.dt)}

    def paint(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A picture [height, width, 3] of every environment; None without a render mode."""
        self.check_open()
        if self._painter is None:
            return None
        states = self.core.states
        return tuple(self._painter.paint(self.core.compiled_model(i), states[i]) for i in range(self.count))

    def close(self) -> None:
        if self._painter is not None:
            self._painter.close()
        self.is_closed = True

    def check_open(self) -> None:
        if self.is_closed:
            raise InputError(f"environment '{self.task.name}': found it closed, expected one that is open")


class Env(gymnasium.Env[Any, Any]):
    """A task as a Gymnasium environment.

    task: a `Task` of a name, a file or a mapping, or what makes one; one of a Python environment is refused.
    max_episode_steps: by default the task's; -1: none, as `gymnasium.make` adds its own limit.
    observed: how many of the task's components are seen, the first ones; by default all.
    render_mode: None, or "rgb_array" for tasks that MuJoCo simulates: pictures by its own renderer.
    options: of a task that is given by name, file or mapping: ``{"system.frame_skip": 2}``.

    observation [no], float64; action [nu], clamped to the bounds. A step in which the simulation diverges earns 0,
    shows what was seen before it, and truncates the episode; ``info["divergence"]`` says what happened.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES}

    def __init__(self, task: Any, *, max_episode_steps: int | None = None, observed: int | None = None,
                 render_mode: str | None = None, options: Options | None = None) -> None:
        self._batch = _Batch(task, options, 1, 1, AutoresetMode.DISABLED, observed, max_episode_steps, render_mode)
        self.task = self._batch.task
        self.dt = self.task.dt  #: seconds between two steps
        self.metadata = self._batch.metadata()
        self.render_mode = render_mode
        self.observation_space = self._batch.observation_space()
        self.action_space = self._batch.action_space()
        self._is_seeded = False

    def reset(self, *, seed: int | None = None,
              options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begins an episode. With a seed the first of that seed, without one the next.

        options: {"state": [nx]} is the full state to begin in (`state`, `state_names`).
        """
        self._batch.check_open()
        super().reset(seed=seed)
        if seed is not None or not self._is_seeded:
            self._batch.seed(0, self.np_random_seed)
            self._is_seeded = True
        self._batch.core.reset(None, (options or {}).get("state"))
        return self._batch.observations[0].copy(), {}

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """(observation [no], reward, terminated, truncated, info) of an action [nu]."""
        batch = self._batch
        batch.check_open()
        has_diverged = batch.core.step(action)
        info = {"divergence": text for _, text in batch.core.troubles()} if has_diverged else {}
        return (batch.observations[0].copy(), float(batch.rewards[0]), bool(batch.terminated[0]),
                bool(batch.truncated[0]), info)

    @property
    def state(self) -> Array:
        """The full state, [nx]; [0] where the task shows none."""
        state: Array = self._batch.core.states[0]
        return state

    @property
    def state_names(self) -> list[str]:
        return self._batch.core.state_names

    def render(self) -> NDArray[np.uint8] | None:
        """A picture [height, width, 3]; None without a render mode."""
        pictures = self._batch.paint()
        return None if pictures is None else pictures[0]

    def close(self) -> None:
        self._batch.close()


class VectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many environments of one task, stepped together by the library with the interpreter's lock released.

    What comes back is to the bit what `num_envs` environments `Env` give that are stepped one by one with the same
    seeds, however many threads there are.

    threads: by default the processors of this process; one for closed forms, which take less time than threads to wake.
    autoreset_mode: Gymnasium's; what they mean is what `gymnasium.vector.SyncVectorEnv` does.
    copy: False: observations are the memory that the next step writes to.
    task, max_episode_steps, observed, render_mode, options: as for `Env`.

    observations [num_envs, no], float64; actions [num_envs, nu], clamped to the bounds.
    """

    def __init__(self, task: Any, num_envs: int = 1, *, threads: int | None = None,
                 autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP, copy: bool = True,
                 max_episode_steps: int | None = None, observed: int | None = None,
                 render_mode: str | None = None, options: Options | None = None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads: found {threads}, expected at least 1")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self._batch = _Batch(task, options, num_envs, threads, self.autoreset_mode, observed, max_episode_steps,
                             render_mode)
        self._resets_at_once = self.autoreset_mode == AutoresetMode.SAME_STEP
        self.task = self._batch.task
        self.num_envs = num_envs
        self.copy = copy
        self.metadata = {**self._batch.metadata(), "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.single_observation_space = self._batch.observation_space()
        self.single_action_space = self._batch.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seeds: list[int | None] = [None] * num_envs

    @property
    def threads(self) -> int:
        return self._batch.core.threads

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seed of every environment; None before its first reset."""
        return tuple(self._seeds)

    @property
    def states(self) -> Array:
        """The full states: [num_envs, nx]."""
        return self._batch.core.states

    @property
    def state_names(self) -> list[str]:
        return self._batch.core.state_names

    def reset(self, *, seed: int | Sequence[int | None] | None = None,
              options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begins episodes. seed: of environment i seed + i, or a list, where None goes on with the sequence it has.

        options: {"reset_mask": bool [num_envs]}: only in these; {"state": [num_envs, nx]}: where they begin.
        """
        self._batch.check_open()
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        chosen = np.ones(self.num_envs, np.bool_) if mask is None else self._checked_mask(mask)
        for i, one in enumerate(self._listed(seed)):
            if not chosen[i] or (one is None and self._seeds[i] is not None):
                continue
            chosen_seed = operator.index(seeding.np_random()[1] if one is None else one)
            self._seeds[i] = chosen_seed
            self._batch.seed(i, chosen_seed)
        self._batch.core.reset(None if mask is None else chosen, options.get("state"))
        return self._observed(), {}

    def step(self, actions: ArrayLike) -> tuple[Array, Array, Flags, Flags, dict[str, Any]]:
        """(observations, rewards, terminations, truncations, infos) of actions [num_envs, nu]."""
        batch = self._batch
        batch.check_open()
        has_diverged = batch.core.step(actions)
        rewards, terminated, truncated = batch.rewards.copy(), batch.terminated.copy(), batch.truncated.copy()
        infos = self._infos(terminated | truncated) if has_diverged or self._resets_at_once else {}
        return self._observed(), rewards, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A picture [height, width, 3] of every environment; None without a render mode."""
        return self._batch.paint()

    def close_extras(self, **kwargs: Any) -> None:
        self._batch.close()

    def _infos(self, over: Flags) -> dict[str, Any]:
        batch = self._batch
        infos: dict[str, Any] = {}
        single_infos: dict[int, dict[str, Any]] = {i: {"divergence": text} for i, text in batch.core.troubles()}
        if self._resets_at_once:
            single_infos = {i: {"final_obs": batch.final_observations[i].copy(), "final_info": single_infos.get(i, {})}
                            for i in map(int, np.flatnonzero(over))}
        for i, info in single_infos.items():
            infos = self._add_info(infos, info, i)
        return infos

    def _observed(self) -> Array:
        return self._batch.observations.copy() if self.copy else self._batch.observations

    def _listed(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise InputError(f"seed: found a list of {len(seed)}, expected {self.num_envs}")
        return list(seed)

    def _checked_mask(self, mask: Any) -> Flags:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            found = f"{mask.dtype} {list(mask.shape)}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise InputError(f"reset_mask: found {found}, expected an array of bool [{self.num_envs}]")
        if not mask.any():
            raise InputError("reset_mask: found no environment chosen, expected at least one")
        return np.ascontiguousarray(mask)


class _Registered(Env):
    """What `gymnasium.make` makes, which adds the limit of steps itself."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(max_episode_steps=-1, **arguments)


def _register() -> None:
    folder = Path(_core.tasks_directory())
    names: dict[str, dict[str, Any]] = {name: {"task": name} for name in task_names()}
    for name, task in published_names().items():
        names[name] = {"task": task, "observed": _PUBLISHED[name][1]}
        if name in _OPTIONS:
            names[name]["options"] = _OPTIONS[name]
    for name, arguments in names.items():
        with (folder / f"{arguments['task']}.toml").open("rb") as file:
            steps = tomllib.load(file)["episode_length"]
        gymnasium.register(f"foreplan/{name}", entry_point="foreplan.gym:_Registered",
                           vector_entry_point="foreplan.gym:VectorEnv", max_episode_steps=steps, kwargs=arguments)


_register()
