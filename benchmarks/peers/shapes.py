"""The cases of `foreplan bench`, as the peers compute them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlanningCase:
    observations: int
    actions: int
    inputs: int  # of a network
    angle: int | None  # index of the observation that enters as (sin, cos)
    omitted: int | None  # index of the observation that does not enter
    hidden_layers: int
    width: int
    population: int
    elites: int
    iterations: int
    horizon: int
    particles: int
    members: int = 5
    shuffled: bool = False  # TS1; else TS-infinity
    decay: float = 0.0  # of iCEM's population; 0: CEM


_CARTPOLE = dict(observations=4, actions=1, inputs=6, angle=1, omitted=None)
_CHEETAH = dict(observations=18, actions=6, inputs=24, angle=2, omitted=0)

PLANNING = {
    "pets_cartpole_paper": PlanningCase(
        **_CARTPOLE, hidden_layers=3, width=500, population=400, elites=40, iterations=5,
        horizon=25, particles=20),
    "mbrl_cartpole": PlanningCase(
        **_CARTPOLE, hidden_layers=3, width=200, population=500, elites=50, iterations=5,
        horizon=30, particles=20),
    "mbrl_half_cheetah": PlanningCase(
        **_CHEETAH, hidden_layers=4, width=200, population=400, elites=40, iterations=5,
        horizon=30, particles=20, shuffled=True),
    "pets_half_cheetah_paper": PlanningCase(
        **_CHEETAH, hidden_layers=4, width=200, population=500, elites=50, iterations=5,
        horizon=30, particles=20),
    "mbrl_icem_cartpole": PlanningCase(
        observations=4, actions=1, inputs=5, angle=None, omitted=None, hidden_layers=4, width=200,
        population=200, elites=20, iterations=5, horizon=10, particles=20, decay=1.3),
    "lite": PlanningCase(
        **_CARTPOLE, hidden_layers=3, width=200, population=128, elites=13, iterations=3,
        horizon=30, particles=5),
}


@dataclass(frozen=True)
class TrainingCase:
    members: int
    widths: tuple[int, ...]  # of a network: inputs, hidden layers, means and log-variances
    actions: int  # of the inputs
    batch: int  # rows per network and gradient step

    @property
    def targets(self) -> int:
        return self.widths[-1] // 2


_CARTPOLE_WIDTHS = (6, 200, 200, 200, 8)

TRAINING = {
    "3x200_b32": TrainingCase(5, _CARTPOLE_WIDTHS, actions=1, batch=32),
    "3x200_b256": TrainingCase(5, _CARTPOLE_WIDTHS, actions=1, batch=256),
    "cheetah_3x256_b256": TrainingCase(8, (23, 256, 256, 256, 34), actions=6, batch=256),
}

ACTOR_CRITIC = {"tr3_b256": 3, "tr5_b256": 5}  # differentiable steps of the model


@dataclass(frozen=True)
class ActorCriticSizes:
    observations: int = 18
    actions: int = 6
    rows: int = 256
    members: int = 8
    critics: int = 5
    width: int = 256
    hidden_layers: int = 3


ACTOR_CRITIC_SIZES = ActorCriticSizes()

NETS = {"3x200": (4, 1, 3), "4x200": (18, 6, 4)}  # nx, nu, hidden layers of 200 units

LATENCY = {"forward_1": 1, "jacobian_1": 1, "jacobian_100": 100}  # knots

MPPI = {"toy": dict(samples=500, horizon=15), "pendulum": dict(samples=1000, horizon=30)}

SIMULATION = dict(rollouts=256, steps=100)
