"""Trajectories by their derivatives: LQR and iLQR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import Array, numbers
from ._core import InputError
from ._options import assignments, thread_count
from .models import Model
from .policies import LinearGaussianPolicy
from .tasks import as_task

Times = NDArray[np.int64]
DynamicsFunction = Callable[[Array, Array], Any]
DynamicsDerivatives = Callable[[Array, Array], tuple[Any, Any]]
CostFunction = Callable[[Array, Array, Times], Any]
CostDerivatives = Callable[[Array, Array, Times], tuple[Any, Any]]
TerminalCost = Callable[[Array], Any]
TerminalDerivatives = Callable[[Array], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class LqrSolution:
    """The optimal policy u = K_t x + k_t and what the rest of the way costs, 1/2 x'V_t x + v_t'x + constant_t."""

    K: Array  #: [T, nu, nx]
    k: Array  #: [T, nu]
    V: Array  #: [T + 1, nx, nx]
    v: Array  #: [T + 1, nx]
    constant: Array  #: [T + 1]
    inverse: Array  #: Quu^-1, of the Hessian of the cost to go by the action: [T, nu, nu]

    def cost(self, x: ArrayLike, t: int = 0) -> Union[Array, float]:
        """What optimal actions from step t on cost, of states [n, nx]: [n], or of one [nx]: a number."""
        states = numbers("x", x)
        quadratic: Array = 0.5 * np.einsum("...i,ij,...j->...", states, self.V[t], states)
        total: Array = quadratic + states @ self.v[t] + self.constant[t]
        return total if states.ndim > 1 else float(total)

    def policy(self, temperature: float = 0.0) -> LinearGaussianPolicy:
        """With the covariance temperature Quu^-1, which minimises E[cost] - temperature * entropy; 0: no noise."""
        return LinearGaussianPolicy(self.K, self.k, _scaled(self.inverse, temperature))


@dataclass(frozen=True, eq=False)
class StationaryLqr:
    """u = K x for ever, which costs 1/2 x'V x."""

    K: Array  #: [nu, nx]
    V: Array  #: [nx, nx]


def _scaled(inverse: Array, temperature: float) -> Array:
    if not 0 <= temperature < np.inf:
        raise InputError(f"temperature: found {temperature}, expected a finite number >= 0")
    return temperature * inverse


def _per_step(name: str, value: ArrayLike, dimensions: int, horizon: int | None) -> tuple[Array, int | None]:
    """(the array, its steps where it has some) of what may be the same at every step."""
    array = numbers(name, value)
    if array.ndim == dimensions:
        return array, horizon
    if array.ndim != dimensions + 1 or len(array) == 0:
        raise InputError(f"{name}: found shape {list(array.shape)}, expected {dimensions} dimensions, or steps before "
                         "them")
    if horizon is not None and len(array) != horizon:
        raise InputError(f"{name}: found {len(array)} steps, expected {horizon}")
    return array, len(array)


def solve_lqr(A: ArrayLike, B: ArrayLike, Q: ArrayLike, R: ArrayLike, *, S: ArrayLike | None = None,
              q: ArrayLike | None = None, r: ArrayLike | None = None, c: ArrayLike | None = None,
              terminal_Q: ArrayLike | None = None, terminal_q: ArrayLike | None = None,
              horizon: int | None = None) -> LqrSolution:
    """Minimises the sum over t < T of 1/2 x'Q x + u'S x + 1/2 u'R u + q'x + r'u, plus 1/2 x'terminal_Q x +
    terminal_q'x at the end, under x' = A x + B u + c, by the Riccati recursion.

    A [nx, nx], B [nx, nu], Q [nx, nx], R [nu, nu], S [nu, nx], q [nx], r [nu], c [nx]: the same at every step, or with
    the steps before, A [T, nx, nx]. horizon: T, where all are the same. terminal_Q [nx, nx]: by default the last Q;
    all else zeros.

    Raises InputError for sizes that do not fit, matrices that are not symmetric or finite, and a cost without a
    minimum; RunError where numbers overflow."""
    if horizon is not None and horizon < 1:
        raise InputError(f"horizon: found {horizon}, expected at least 1")
    given: dict[str, Array] = {}
    for name, value, dimensions in (("A", A, 2), ("B", B, 2), ("Q", Q, 2), ("R", R, 2), ("S", S, 2), ("q", q, 1),
                                    ("r", r, 1), ("c", c, 1)):
        if value is not None:
            given[name], horizon = _per_step(name, value, dimensions, horizon)
    if horizon is None:
        raise InputError("horizon: found none, expected the steps, as all matrices are the same at each")
    nx, nu = given["B"].shape[-2:]
    zeros = {"S": (nu, nx), "q": (nx,), "r": (nu,), "c": (nx,)}
    steps = {}
    for name in ("A", "B", "Q", "R", *zeros):
        array = given[name] if name in given else np.zeros(zeros[name])
        alike = array.ndim == (1 if name in ("q", "r", "c") else 2)
        steps[name] = np.broadcast_to(array, (horizon, *array.shape)) if alike else array
    return LqrSolution(*_core.solve_lqr(**steps, terminal_Q=steps["Q"][-1] if terminal_Q is None else terminal_Q,
                                        terminal_q=np.zeros(nx) if terminal_q is None else terminal_q))


def solve_stationary_lqr(A: ArrayLike, B: ArrayLike, Q: ArrayLike, R: ArrayLike, *,
                         S: ArrayLike | None = None) -> StationaryLqr:
    """The same for ever, by doubling. Raises InputError where it has no solution."""
    nx, nu = numbers("B", B).shape if np.ndim(B) == 2 else (0, 0)
    return StationaryLqr(*_core.solve_stationary_lqr(A, B, Q, R, np.zeros((nu, nx)) if S is None else S))


@dataclass(frozen=True, eq=False)
class IlqrResult:
    """A trajectory, the feedback around it, and how the solver came to it."""

    states: Array  #: [T + 1, ns]
    actions: Array  #: [T, nu]
    K: Array | None  #: [T, nu, nx], around them; None after a solve without a valid trajectory
    inverse: Array | None  #: Quu^-1: [T, nu, nu]; None where Quu has no minimum or the state is no vector
    costs: Array  #: [iterations], after each; with constraints those of the last round, prices and penalties included
    status: str  #: "converged", "stationary start", "iteration limit", "deadline", "constraints violated", ...
    iterations: int
    cost: float
    gradient: float  #: largest |Qu| at the last expansion
    rounds: int  #: of multipliers; 0: without constraints
    violation: float  #: largest of the constraints, 0 without
    seconds: float

    def policy(self, temperature: float = 0.0) -> LinearGaussianPolicy:
        """Tracks the trajectory, u = u_t + K_t (x - x_t), with the covariance temperature Quu^-1; 0: without noise.
        Raises InputError where there are no gains, or no Quu^-1 for the noise."""
        if self.K is None or (temperature != 0 and self.inverse is None):
            missing = "gains" if self.K is None else "Quu^-1"
            raise InputError(f"policy: found a result without {missing} (status '{self.status}'), expected some")
        covariance = None if self.inverse is None else _scaled(self.inverse, temperature)
        return LinearGaussianPolicy(self.K, None, covariance, states=self.states[:-1], actions=self.actions)


class IlqrSolver:
    """Improves a trajectory by iLQR (Li and Todorov 2004; Tassa, Erez and Todorov 2012), within bounds of the actions.

    task
        Whose system, reward and bounds count; None where dynamics and cost are functions.
    dynamics
        None: the task's own system, in its full state. A `Model`. Or ``f(x [n, nx], u [n, nu])`` that gives the next
        states [n, nx].
    dynamics_derivatives
        Of a function: ``f(x, u)`` gives (A [n, nx, nx], B [n, nx, nu]); None: central differences.
    cost
        None: minus the task's reward, which has derivatives where it is an expression or a shipped one. Or
        ``l(x [n, nx], u [n, nu], t [n])`` that gives the costs [n]; `terminal_cost` ``l(x [n, nx])`` those of the last
        state, by default none.
    cost_derivatives, terminal_derivatives
        ``f(x, u, t)`` gives gradients [n, nz] and Hessians [n, nz, nz] by z = (x, u), ``f(x)`` those by x; None:
        central differences. Hessians may be Gauss-Newton's.
    equalities, inequalities, terminal_equalities, terminal_inequalities
        ``g(x, u, t)``, at the end ``g(x)``, of rows give [n] or [n, count] numbers that are to be 0, or not above 0. By
        the method of multipliers (`AugmentedLagrangianSolver` of the library), with central differences.
    horizon [steps], state_dim, action_dim
        The last two of functions without a task.
    low, high
        Bounds of the actions, [nu] or a number; by default the task's, without a task none.
    options
        max_iterations, cost_tolerance, regularisation ("actions", "states"), initial_mu, ... as in `[planner.ilqr]`; of
        constraints ``multipliers={"tolerance": 1e-6, "max_rounds": 30}``.
    """

    def __init__(self, task: Any = None, dynamics: Union[Model, DynamicsFunction, None] = None,
                 cost: CostFunction | None = None, *, horizon: int,
                 dynamics_derivatives: DynamicsDerivatives | None = None,
                 cost_derivatives: CostDerivatives | None = None, terminal_cost: TerminalCost | None = None,
                 terminal_derivatives: TerminalDerivatives | None = None,
                 equalities: CostFunction | None = None, inequalities: CostFunction | None = None,
                 terminal_equalities: TerminalCost | None = None, terminal_inequalities: TerminalCost | None = None,
                 state_dim: int | None = None, action_dim: int | None = None, low: ArrayLike | None = None,
                 high: ArrayLike | None = None, threads: int | None = None, **options: Any) -> None:
        if task is None and isinstance(dynamics, Model):
            task = dynamics.task
        self.task = None if task is None else as_task(task)
        self.horizon = horizon
        self.dynamics = dynamics
        if self.task is not None:
            state_dim, action_dim = len(self.task.observation_names), len(self.task.action_names)
            low = self.task.action_low if low is None else low
            high = self.task.action_high if high is None else high
        elif dynamics is None or cost is None or state_dim is None or action_dim is None:
            raise InputError("IlqrSolver: found no task, expected one, or dynamics, cost, state_dim and action_dim")
        for name, function in (("dynamics", dynamics), ("cost", cost)):
            if function is not None and not callable(function) and not isinstance(function, Model):
                raise TypeError(f"{name}: found {type(function).__name__}, expected a function")
        for name, given, whose, there in (
                ("dynamics_derivatives", dynamics_derivatives, "dynamics", callable(dynamics)),
                ("cost_derivatives", cost_derivatives, "cost", cost is not None),
                ("terminal_cost", terminal_cost, "cost", cost is not None),
                ("terminal_derivatives", terminal_derivatives, "terminal_cost", terminal_cost is not None)):
            if given is not None and not there:
                raise InputError(f"{name}: found one without a function {whose}, expected both")
        self._action_dim = action_dim
        functions = None if cost is None else (
            cost, cost_derivatives or _by_state_and_action(cost, _differences),
            terminal_cost or _free, terminal_derivatives or _differences(terminal_cost or _free))
        self._stage, self._end = (equalities, inequalities), (terminal_equalities, terminal_inequalities)
        stage, end = _together(self._stage), _together(self._end)
        constrained = any(function is not None for function in (*self._stage, *self._end))
        constraints = (stage, _by_state_and_action(stage, _slopes), end, _slopes(end)) if constrained else None
        multipliers = options.pop("multipliers", {})
        self._core = _core.IlqrSolver(
            None if self.task is None else self.task._core, dynamics._core if isinstance(dynamics, Model) else dynamics,
            dynamics_derivatives, functions, constraints, state_dim, action_dim, _bounds(low, action_dim),
            _bounds(high, action_dim), horizon, assignments({"ilqr": options, "multipliers": multipliers}),
            thread_count(threads))

    def solve(self, x0: ArrayLike, actions: ArrayLike | None = None, states: ArrayLike | None = None, *,
              deadline_ms: float = 0.0) -> IlqrResult:
        """From the state x0 [ns], with actions [T, nu] (None: zeros) as guess, and states [T + 1, ns], which need not
        follow from the actions. deadline_ms: 0: until it ends by itself; else the best trajectory so far.

        What functions raise is raised as it is. Raises InputError for sizes that do not fit and numbers that are not
        finite. How it ended says `status`."""
        guess = np.zeros((self.horizon, self._action_dim)) if actions is None else actions
        return IlqrResult(*self._core.solve(x0, guess, states, self._counts(x0, guess), deadline_ms))

    def _counts(self, x0: ArrayLike, actions: ArrayLike) -> list[int]:
        """(equalities, all) of the steps and of the end, as the functions give them at the start."""
        x, u = numbers("x0", x0), numbers("actions", actions)
        if x.shape != (self.state_dim,) or u.shape[1:] != (self._action_dim,) or len(u) == 0:
            return [0, 0, 0, 0]  # refused by the solver
        counts = []
        for functions, rows in ((self._stage, (x[None], u[:1], np.zeros(1, np.int64))), (self._end, (x[None],))):
            sizes = [0 if function is None else np.size(function(*rows)) for function in functions]
            counts += [sizes[0], sum(sizes)]
        return counts

    @property
    def state_dim(self) -> int:
        """ns, the numbers of a state."""
        return self._core.state_dim

    def __repr__(self) -> str:
        what = "functions" if self.task is None else f"'{self.task.name}'"
        return f"IlqrSolver({what}, {self.horizon} steps)"


def _free(x: Array) -> Array:
    return np.zeros(len(x))


def _bounds(bound: ArrayLike | None, action_dim: int) -> ArrayLike:
    if bound is None:
        return np.empty(0)
    return np.full(action_dim, bound) if np.ndim(bound) == 0 else bound


def _by_state_and_action(function: CostFunction, derivatives_of: Callable[[TerminalCost], Any]) -> Any:
    """Derivatives of a function of (x, u, t) by z = (x, u)."""

    def derivatives(x: Array, u: Array, t: Times) -> Any:
        def of_both(z: Array) -> Any:
            return function(z[:, :x.shape[1]], z[:, x.shape[1]:], np.repeat(t, len(z) // len(t)))

        return derivatives_of(of_both)(np.concatenate([x, u], 1))

    return derivatives


def _together(functions: tuple[Callable[..., Any] | None, ...]) -> Callable[..., Array]:
    """What all of them give of every row: [n, counts]."""

    def values(x: Array, *others: Any) -> Array:
        given = [np.asarray(function(x, *others), dtype=np.float64).reshape(len(x), -1)
                 for function in functions if function is not None]
        return np.concatenate([np.empty((len(x), 0)), *given], 1)

    return values


def _slopes(function: TerminalCost) -> Callable[[Array], Array]:
    """First derivatives [n, count, nz] of a function of rows by central differences, all rows in one call."""

    def slopes(z: Array) -> Array:
        n, nz = z.shape
        h = 6e-6 * (1 + np.abs(z))  # the error, h^2 + eps / h, is least at eps^(1/3)
        steps = np.eye(nz) * h[:, None, :]
        moves = np.concatenate([steps, -steps], 1)
        values = np.asarray(function((z[:, None, :] + moves).reshape(-1, nz))).reshape(n, 2 * nz, -1)
        return np.swapaxes((values[:, :nz] - values[:, nz:]) / (2 * h[:, :, None]), 1, 2)

    return slopes


def _differences(function: TerminalCost) -> TerminalDerivatives:
    """Gradients and Hessians of a function of rows by central differences, all rows in one call."""

    def derivatives(z: Array) -> tuple[Array, Array]:
        n, nz = z.shape
        # The error of a second difference, h^2 + eps / h^2, is least at eps^(1/4).
        h = 1e-4 * (1 + np.abs(z))
        steps = np.eye(nz) * h[:, None, :]  # [n, nz, nz], row i: h_i along z_i
        pairs = [(i, j) for i in range(nz) for j in range(i)]
        first, second = (np.array([pair[side] for pair in pairs], dtype=int) for side in (0, 1))
        moves = np.concatenate([np.zeros((n, 1, nz)), steps, -steps,
                                *(a * steps[:, first] + b * steps[:, second]
                                  for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)))], 1)
        rows = (z[:, None, :] + moves).reshape(-1, nz)
        values = np.asarray(function(rows), dtype=np.float64).reshape(n, -1)
        middle, plus, minus, *corners = np.split(values, np.cumsum([1, nz, nz, *[len(pairs)] * 3]), 1)
        hessian = np.zeros((n, nz, nz))
        hessian[:, range(nz), range(nz)] = (plus - 2 * middle + minus) / h ** 2
        if pairs:
            mixed = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h[:, first] * h[:, second])
            hessian[:, first, second] = hessian[:, second, first] = mixed
        return (plus - minus) / (2 * h), hessian

    return derivatives
