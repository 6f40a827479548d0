"""foreplan learns how a system moves from data, and plans with what it learned.

The shortest way from a Gymnasium environment to a controller::

    import foreplan, gymnasium
    agent = foreplan.PETS(gymnasium.make("Pendulum-v1")).learn(1500)
    action = agent.predict(observation)

What leads to what: `Task` (what acts and what is wanted), `run` (learns, episode by episode),
`Model` (what predicts), `Planner` (what chooses actions), `PETS` (all of it behind two calls).
Numbers are NumPy arrays of float64 in SI units, rows first. Wrong input raises `InputError` (a
ValueError), a run that cannot go on `RunError` (a RuntimeError). Planning and learning release the
interpreter's lock and stop on Ctrl-C.
"""

from ._core import InputError, RunError, versions
from .agents import PETS
from .exchange import export
from .models import Model
from .planners import Plan, Planner
from .runs import Episode, Run, evaluate, run
from .tasks import Task, task_names

__all__ = ["PETS", "Episode", "InputError", "Model", "Plan", "Planner", "Run", "RunError", "Task", "evaluate",
           "export", "run", "task_names", "versions"]
__version__: str = versions()["foreplan"]
