"""Policies: those that runs learned, and time-varying linear-Gaussian ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike

from . import _core
from ._arrays import Array, numbers, numbers_or_zeros
from ._core import InputError
from ._observed import Observed
from .exchange import path_of

if TYPE_CHECKING:
    from .local_models import LocalModel

_FIELDS = ("K", "k", "covariance", "states", "actions")


class Policy(Observed[_core.Policy]):
    """A policy that a run learned (``sac``, ``mbpo``, ``svg``, ``dhmbpo``, ``policy_backprop``): what it does in an
    observation, without the run, its task or its data. Cannot be changed; pickled with what it learned."""

    def __init__(self, core: _core.Policy) -> None:
        self._core = core

    @classmethod
    def load(cls, source: Any) -> Policy:
        """Of a `Run`, the folder of a run, or a file that `save` or ``export(run, "safetensors", what="policy")``
        wrote. A run that goes on is read as of its last checkpoint.

        Raises InputError naming file, tensor or key, found and expected."""
        return cls(_core.Policy(path_of(source, "policy")))

    def __call__(self, observation: ArrayLike) -> Array:
        """The mean action, within the bounds: [nu] in an observation [no], [n, nu] in rows [n, no]."""
        return self._core.mean(observation)

    def sample(self, observation: ArrayLike, *, seed: int = 0) -> Array:
        """Drawn actions, shaped as the mean ones, within the bounds. Equal seeds draw alike, another for every row."""
        return self._core.sample(observation, seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it as safetensors (docs/model_files.md). A file that exists is replaced. Raises RunError when the
        disk refuses."""
        self._core.write(os.fspath(path))

    def __reduce__(self) -> Any:
        return _unpickled, (self._core.save(),)

    def __repr__(self) -> str:
        return f"Policy({len(self.observation_names)} observed, {len(self.action_names)} actions, {self.dt:g} s)"


def _unpickled(saved: bytes) -> Policy:
    return Policy(_core.Policy(saved))


@dataclass(frozen=True, eq=False)
class TrajectoryDistribution:
    """States and actions of a trajectory, normally distributed."""

    state_mean: Array  #: [T + 1, nx]
    state_covariance: Array  #: [T + 1, nx, nx]
    action_mean: Array  #: [T, nu]
    action_covariance: Array  #: [T, nu, nu]


class LinearGaussianPolicy:
    """u ~ N(actions_t + k_t + K_t (x - states_t), covariance_t).

    K [T, nu, nx], k [T, nu], covariance [T, nu, nu] (None: no noise); states [T, nx] and actions [T, nu]: the
    trajectory that the gains belong to, by default zeros, so that u = K_t x + k_t. Its arrays cannot be changed;
    policies are equal where all of them are.

    Raises InputError for sizes that do not fit, numbers that are not finite, and a covariance that is not symmetric and
    positive semidefinite, naming its step."""

    def __init__(self, K: ArrayLike, k: ArrayLike | None = None, covariance: ArrayLike | None = None, *,
                 states: ArrayLike | None = None, actions: ArrayLike | None = None) -> None:
        gains = numbers("K", K)
        if gains.ndim != 3:
            raise InputError(f"K: found shape {list(gains.shape)}, expected [T, nu, nx]")
        steps, nu, nx = gains.shape
        self.K: Array = gains
        self.k: Array = numbers_or_zeros("k", k, (steps, nu))
        self.covariance: Array = numbers_or_zeros("covariance", covariance, (steps, nu, nu))
        self.states: Array = numbers_or_zeros("states", states, (steps, nx))
        self.actions: Array = numbers_or_zeros("actions", actions, (steps, nu))
        self._core = _core.LinearGaussianPolicy(*(getattr(self, name) for name in _FIELDS))
        for name in _FIELDS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        """T, the steps."""
        return len(self.K)

    def mean(self, x: ArrayLike, t: int) -> Array:
        """Mean actions [n, nu] in states [n, nx], or [nu] in [nx], at step t."""
        return self._core.mean(x, t)

    def sample(self, x: ArrayLike, t: int, seed: int = 0) -> Array:
        """Drawn actions, shaped as those of `mean`. Equal seeds draw alike at the same step."""
        return self._core.sample(x, t, seed)

    def log_density(self, u: ArrayLike, x: ArrayLike, t: int) -> Union[Array, float]:
        """log p(u | x) [n], or of single vectors a number; infinite where the covariance is singular."""
        density: Array | float = self._core.log_density(u, x, t)
        return density

    def entropy(self) -> Array:
        """Of every step [T]; -inf where the covariance is singular."""
        return self._core.entropies()

    def marginals(self, dynamics: LocalModel) -> TrajectoryDistribution:
        """What states and actions follow from the dynamics' initial distribution."""
        return TrajectoryDistribution(*self._core.marginals(dynamics))

    def kl(self, previous: LinearGaussianPolicy, distribution: TrajectoryDistribution) -> Array:
        """KL(self || previous) of every step [T], in the states that `distribution`, the marginals of this policy,
        says. Their sum is the divergence of the trajectories under shared dynamics. Raises RunError where the
        covariance of `previous` is singular."""
        return self._core.kl(previous._core, distribution)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LinearGaussianPolicy):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _FIELDS)

    def __hash__(self) -> int:
        return hash(self.K.tobytes())

    def __reduce__(self) -> Any:
        return _rebuilt, tuple(getattr(self, name) for name in _FIELDS)

    def __repr__(self) -> str:
        steps, nu, nx = self.K.shape
        return f"LinearGaussianPolicy({steps} steps, {nx} state numbers, {nu} actions)"


def _rebuilt(K: Array, k: Array, covariance: Array, states: Array, actions: Array) -> LinearGaussianPolicy:
    return LinearGaussianPolicy(K, k, covariance, states=states, actions=actions)
