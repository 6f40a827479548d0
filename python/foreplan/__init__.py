"""foreplan learns how a system moves from data, and plans with what it learned.

The shortest way from a Gymnasium environment to a controller::

    import foreplan, gymnasium
    agent = foreplan.PETS(gymnasium.make("Pendulum-v1")).learn(1500)
    action = agent.predict(observation)

What leads to what: `Task` (what acts and what is wanted), `run` (learns, episode by episode),
`Model` (what predicts), `Policy` (what acts without planning), `Planner` (what chooses actions), `PETS` (all of it behind two calls).
Numbers are NumPy arrays of float64 in SI units, rows first. Wrong input raises `InputError` (a
ValueError), a run that cannot go on `RunError` (a RuntimeError). Planning and learning release the
interpreter's lock and stop on Ctrl-C.
"""

from ._mujoco import load_library

load_library()  # before _core

from ._core import InputError, RunError, versions
from .agents import PETS
from .exchange import export
from .frameworks import from_jax, from_torch
from .local_models import LocalFit, LocalModel, LocalModelFitter
from .models import Model
from .physics import PhysicsFit, PhysicsParameter, fit_physics
from .planners import Plan, Planner
from .policies import LinearGaussianPolicy, Policy, TrajectoryDistribution
from .recordings import Recording, read_recording, write_recording
from .runs import Episode, Run, evaluate, run
from .tasks import Task, task_names
from .trajectory_optimisation import (IlqrResult, IlqrSolver, LqrSolution, StationaryLqr, solve_lqr,
                                      solve_stationary_lqr)

__all__ = ["PETS", "Episode", "IlqrResult", "IlqrSolver", "InputError", "LinearGaussianPolicy", "LocalFit",
           "LocalModel", "LocalModelFitter", "LqrSolution", "Model", "PhysicsFit", "PhysicsParameter", "Plan",
           "Planner", "Policy", "Recording", "Run", "RunError", "StationaryLqr", "Task", "TrajectoryDistribution",
           "evaluate", "export", "fit_physics", "from_jax", "from_torch", "read_recording", "run", "solve_lqr", "solve_stationary_lqr",
           "task_names", "versions", "write_recording"]
__version__: str = versions()["foreplan"]
