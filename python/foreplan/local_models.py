"""Local models: time-varying linear-Gaussian dynamics, fitted to rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import Array, numbers, numbers_or_zeros
from ._core import InputError
from ._options import assignments
from .models import Model


class LocalModel:
    """x' ~ N(A_t x + B_t u + c_t, covariance_t) from x_0 ~ N(initial_mean, initial_covariance).

    A [T, nx, nx], B [T, nx, nu], c [T, nx], covariance [T, nx, nx], initial_mean [nx], initial_covariance [nx, nx];
    what is left out is zeros. Raises InputError for shapes that do not fit and numbers that are not finite."""

    def __init__(self, A: ArrayLike, B: ArrayLike, c: ArrayLike | None = None, covariance: ArrayLike | None = None, *,
                 initial_mean: ArrayLike | None = None, initial_covariance: ArrayLike | None = None) -> None:
        self.A: Array = numbers("A", A)
        if self.A.ndim != 3 or self.A.shape[1] != self.A.shape[2]:
            raise InputError(f"A: found shape {list(self.A.shape)}, expected [T, nx, nx]")
        steps, nx, _ = self.A.shape
        self.B: Array = numbers("B", B)
        nu = self.B.shape[-1] if self.B.ndim == 3 else 0
        self.c: Array = numbers_or_zeros("c", c, (steps, nx))
        self.covariance: Array = numbers_or_zeros("covariance", covariance, (steps, nx, nx))
        self.initial_mean: Array = numbers_or_zeros("initial_mean", initial_mean, (nx,))
        self.initial_covariance: Array = numbers_or_zeros("initial_covariance", initial_covariance, (nx, nx))
        for name, shape in (("A", (steps, nx, nx)), ("B", (steps, nx, nu)), ("c", (steps, nx)),
                            ("covariance", (steps, nx, nx)), ("initial_mean", (nx,)), ("initial_covariance", (nx, nx))):
            array = getattr(self, name)
            if array.shape != shape:
                raise InputError(f"{name}: found shape {list(array.shape)}, expected {list(shape)}")
            if not np.all(np.isfinite(array)):
                raise InputError(f"{name}: found NaN or infinity, expected finite numbers")
            array.setflags(write=False)

    def __len__(self) -> int:
        """T, the transitions."""
        return len(self.A)

    def predict(self, x: ArrayLike, u: ArrayLike, t: int) -> tuple[Array, Array]:
        """(means, standard deviations) of the next states, [n, nx] each, of states [n, nx] and actions [n, nu], or of
        single vectors, at step t."""
        if not 0 <= t < len(self):
            raise InputError(f"t: found {t}, expected 0 ... {len(self) - 1}")
        state, action = numbers("x", x), numbers("u", u)
        for name, array, size in (("x", state, self.A.shape[2]), ("u", action, self.B.shape[2])):
            if array.shape[-1:] != (size,):
                raise InputError(f"{name}: found shape {list(array.shape)}, expected [n, {size}] or [{size}]")
        mean = state @ self.A[t].T + action @ self.B[t].T + self.c[t]
        return mean, np.broadcast_to(np.sqrt(np.diag(self.covariance[t])), mean.shape)

    def __repr__(self) -> str:
        return f"LocalModel({len(self)} steps, {self.A.shape[1]} state numbers, {self.B.shape[2]} actions)"


@dataclass(frozen=True, eq=False)
class LocalFit:
    """What the last fit says of itself."""

    rank: NDArray[np.int64]  #: directions of (x, u) in which rollouts spread, of nx + nu: [T]
    condition: Array  #: of the covariance that was inverted: [T]
    log_evidence: Array  #: log p(x' of all rollouts | x, u) under the prior, where `evidence` asks for it: [T]
    m: float  #: rollouts that the prior's mean counted for, at the last step
    n0: float  #: the same of its covariance


class LocalModelFitter:
    """Fits a `LocalModel` to rollouts, one regression per time step (Levine and Abbeel 2014).

    prior
        "none": least squares, which needs more rollouts than state numbers and actions. "mixture": a Gaussian mixture
        over the transitions of this and former fits. Or a fitted ensemble, a `Model` whose observation is the state.
    seed
        Of the mixture.
    options
        ridge, noise_floor, start_floor, evidence ("none", "report", "choose"), as in `[local_models.fit]`; of a prior
        as in `[local_models.mixture]`, ``mixture={"max_components": 10}``, and `[local_models.network]`.
    """

    def __init__(self, prior: Union[str, Model] = "none", *, seed: int = 0, **options: Any) -> None:
        core_prior = prior._core if isinstance(prior, Model) else prior
        if not isinstance(prior, (str, Model)):
            raise TypeError(f"prior: found {type(prior).__name__}, expected 'none', 'mixture' or a Model")
        own: dict[str, Any] = {key: options.pop(key) for key in ("mixture", "network") if key in options}
        self.prior = prior
        self._core = _core.LocalModelFitter(core_prior, seed, assignments({"fit": options, **own}))
        self._report: LocalFit | None = None

    def fit(self, states: ArrayLike, actions: ArrayLike) -> LocalModel:
        """Of N rollouts from about the same state: states [N, T + 1, nx], actions [N, T, nu]. A mixture keeps what it
        is given for the fits that follow.

        Raises InputError for shapes that do not fit, and RunError where rollouts and prior do not determine a model,
        naming the step."""
        A, B, c, covariance, mean, start, rank, condition, evidence, m, n0 = self._core.fit(states, actions)
        self._report = LocalFit(rank.astype(np.int64), condition, evidence, m, n0)
        return LocalModel(A, B, c, covariance, initial_mean=mean, initial_covariance=start)

    @property
    def report(self) -> LocalFit:
        """Of the last fit."""
        if self._report is None:
            raise InputError("report: found nothing fitted yet, expected fit() before")
        return self._report

    def __repr__(self) -> str:
        return f"LocalModelFitter({self.prior!r})"
