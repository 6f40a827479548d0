"""mbrl-lib's names around foreplan's models: a model as an environment, and a buffer of transitions.

Arrays are NumPy's, rows first; tensors of PyTorch are taken where arrays are. Functions ``f(act [n, nu], next_obs
[n, no])`` give rewards or terminations, [n] or [n, 1], and are called with arrays (`foreplan.from_torch` wraps one of
tensors)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Array, numbers
from .._core import InputError
from ..models import Model

ModelState = dict[str, Any]
RowFunction = Callable[[Array, Array], Any]


class ModelEnv:
    """A batch of episodes imagined by a model.

    env
        Says observation_space and action_space.
    model
        A `foreplan.Model`, or a function of rows, ``f(obs [n, no], act [n, nu])``, that gives the next observations.
    reward_fn
        None: the reward of the model's task.
    generator
        Draws members and noise: a NumPy Generator, or a seed of one.
    """

    def __init__(self, env: Any, model: Union[Model, RowFunction], termination_fn: RowFunction,
                 reward_fn: RowFunction | None = None, generator: Union[np.random.Generator, int] = 0) -> None:
        self._task = model.task if isinstance(model, Model) else None
        if reward_fn is None and self._task is None:
            raise InputError("reward_fn: found none, expected one: only a Model of a task has a reward")
        self.observation_space = env.observation_space
        self.action_space = env.action_space
        self.dynamics_model = model
        self.termination_fn = termination_fn
        self.reward_fn = reward_fn
        self._rng = np.random.default_rng(generator)

    def reset(self, initial_obs_batch: Any) -> ModelState:
        """The state of an episode from each of [n, no]. A member of the model is drawn for each, and stays until the
        next reset (TS-infinity)."""
        obs = _array(initial_obs_batch, "initial_obs_batch")
        if obs.ndim != 2:
            raise InputError(f"initial_obs_batch: found shape {list(obs.shape)}, expected [n, no]")
        members = self.dynamics_model.members if isinstance(self.dynamics_model, Model) else 1
        return {"obs": obs, "propagation_indices": self._rng.integers(members, size=len(obs))}

    def step(self, actions: Any, model_state: ModelState, sample: bool = False,
             ) -> tuple[Array, Array, NDArray[np.bool_], ModelState]:
        """(next_obs [n, no], rewards [n, 1], dones [n, 1], next state) of actions [n, nu]. sample: each episode by its
        member, with its noise; else the mean of all members."""
        act, obs = _array(actions, "actions"), model_state["obs"]
        if act.ndim != 2 or len(act) != len(obs):
            raise InputError(f"actions: found shape {list(act.shape)}, expected [{len(obs)}, nu]")
        next_obs = self._next(obs, act, model_state["propagation_indices"] if sample else None)
        rewards = self._rewards(obs, act, next_obs)
        dones = _column("termination_fn", self.termination_fn(act, next_obs), len(act)) != 0
        return next_obs, rewards, dones, {**model_state, "obs": next_obs}

    def evaluate_action_sequences(self, action_sequences: Any, initial_state: Any, num_particles: int) -> Any:
        """What sequences [population, horizon, nu] earn from one observation [no] until they terminate, in the mean
        over particles: [population], a tensor where they are one."""
        sequences, start = _array(action_sequences, "action_sequences"), _array(initial_state, "initial_state")
        if sequences.ndim != 3 or start.ndim != 1:
            raise InputError(f"action_sequences, initial_state: found shapes {list(sequences.shape)}, "
                             f"{list(start.shape)}, expected [population, horizon, nu] and [no]")
        if num_particles < 1:
            raise InputError(f"num_particles: found {num_particles}, expected at least 1")
        # Particles of a sequence lie side by side.
        state = self.reset(np.tile(start, (num_particles * len(sequences), 1)))
        total = np.zeros((len(state["obs"]), 1))
        over = np.zeros(total.shape, dtype=bool)
        for actions in np.repeat(sequences, num_particles, 0).swapaxes(0, 1):
            _, rewards, dones, state = self.step(actions, state, sample=True)
            total += np.where(over, 0.0, rewards)  # what ends an episode is paid
            over |= dones
        means = total.reshape(-1, num_particles).mean(1)
        return means if not hasattr(action_sequences, "detach") else action_sequences.new_tensor(means)

    def _rewards(self, obs: Array, act: Array, next_obs: Array) -> Array:
        if self.reward_fn is not None:
            return _column("reward_fn", self.reward_fn(act, next_obs), len(act))
        assert self._task is not None  # looked at in __init__
        return _column("reward", self._task.reward(obs, act, next_obs)[0], len(act))

    def _next(self, obs: Array, act: Array, members: NDArray[np.int64] | None) -> Array:
        if not isinstance(self.dynamics_model, Model):
            return _array(self.dynamics_model(obs, act), "next observations")
        if members is None:
            return self.dynamics_model.predict(obs, act)[0]
        return self.dynamics_model.sample(obs, act, int(self._rng.integers(2 ** 31)), members)


class TransitionBatch(NamedTuple):
    """Rows that belong together."""

    obs: NDArray[Any]  #: [n, ...]
    act: NDArray[Any]  #: [n, ...]
    next_obs: NDArray[Any]  #: [n, ...]
    rewards: NDArray[Any]  #: [n]
    terminateds: NDArray[np.bool_]  #: [n]
    truncateds: NDArray[np.bool_]  #: [n]


class ReplayBuffer:
    """The last `capacity` transitions."""

    def __init__(self, capacity: int, obs_shape: Sequence[int], action_shape: Sequence[int], obs_type: Any = np.float32,
                 action_type: Any = np.float32, reward_type: Any = np.float32,
                 rng: np.random.Generator | None = None) -> None:
        if capacity < 1:
            raise InputError(f"capacity: found {capacity}, expected at least 1")
        self.capacity = capacity
        self.num_stored = 0
        self._next = 0
        self._rng = np.random.default_rng(rng)
        self._rows = TransitionBatch(
            np.empty((capacity, *obs_shape), obs_type), np.empty((capacity, *action_shape), action_type),
            np.empty((capacity, *obs_shape), obs_type), np.empty(capacity, reward_type), np.empty(capacity, bool),
            np.empty(capacity, bool))

    def add(self, obs: ArrayLike, action: ArrayLike, next_obs: ArrayLike, reward: float, terminated: bool,
            truncated: bool) -> None:
        """Adds a transition; the oldest one makes room."""
        for name, rows, value in zip(("obs", "action", "next_obs"), self._rows, (obs, action, next_obs)):
            if np.shape(value) != rows.shape[1:]:
                raise InputError(f"{name}: found shape {list(np.shape(value))}, expected {list(rows.shape[1:])}")
        for rows, value in zip(self._rows, (obs, action, next_obs, reward, terminated, truncated)):
            rows[self._next] = value
        self._next = (self._next + 1) % self.capacity
        self.num_stored = min(self.num_stored + 1, self.capacity)

    def sample(self, batch_size: int) -> TransitionBatch:
        """Drawn with replacement."""
        if self.num_stored == 0:
            raise InputError("sample: found an empty buffer, expected transitions")
        return self._taken(self._rng.integers(self.num_stored, size=batch_size))

    def get_all(self, shuffle: bool = False) -> TransitionBatch:
        """All of them, as they lie in the buffer or in random order."""
        order = self._rng.permutation(self.num_stored) if shuffle else np.arange(self.num_stored)
        return self._taken(order)

    def __len__(self) -> int:
        return self.num_stored

    def _taken(self, indices: NDArray[np.int64]) -> TransitionBatch:
        return TransitionBatch(*(rows[indices] for rows in self._rows))


def _array(value: Any, name: str = "array") -> Array:
    """Of a tensor or of what NumPy takes."""
    return numbers(name, value.detach().cpu() if hasattr(value, "detach") else value)


def _column(name: str, value: Any, rows: int) -> Array:
    column = _array(value, name)
    if column.size != rows:
        raise InputError(f"{name}: found {column.size} numbers, expected {rows}")
    return column.reshape(rows, 1)
