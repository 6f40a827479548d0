"""A learned controller behind the calls that users of stable-baselines3 know."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._core import InputError
from .environments import flat_observation, is_environment
from .runs import Episode, Run, run
from .tasks import Task, as_task

Array = NDArray[np.float64]

_ABOUT = "agent.json"  # in a saved agent: how it was made


class _Enough(Exception):
    """A callback wants no more."""


class PETS:
    """Learns a model of an environment and plans through it at every step (Chua et al. 2018).

    environment: a Gymnasium environment, a `Task` or what makes one. planner: "icem", ... All else as for `Task` and
    `run`: ``PETS(env, reward="-o0^2", model={"width": 64})``."""

    def __init__(self, environment: Any, *, planner: str = "icem", seed: int = 0, threads: int | None = None,
                 verbose: int = 0, **arguments: Any) -> None:
        self.environment = environment if is_environment(environment) else None
        self.task: Task = as_task(environment, **arguments)
        self.planner = planner
        self.seed = seed
        self.threads = threads
        self.verbose = verbose
        self.logger = None  # callbacks of other libraries ask for one
        self._source = environment
        self._arguments = arguments
        self._folder = tempfile.TemporaryDirectory(prefix="foreplan-")
        self._learned: list[dict[str, int]] = []  # of every learn(), each a run that began with the one before: steps, seed
        self._run: Run | None = None  # of the last one
        self._starts = True

    def set_random_seed(self, seed: int) -> None:
        """Of the next `learn`."""
        self.seed = seed

    def learn(self, total_timesteps: int, callback: Any = None, progress_bar: bool = False) -> PETS:
        """Learns from that many steps more; a second call goes on with the model and the data of the first.

        callback: a function that is told every `Episode`, or an object with the events of stable-baselines3's
        callbacks (`on_training_start`, `on_rollout_start`, `on_step`, `on_rollout_end`, `on_training_end`), where a
        rollout is an episode. Giving False ends the learning."""
        if hasattr(callback, "on_step"):
            self._learn_with_events(total_timesteps, callback, progress_bar)
        else:
            self._learn(total_timesteps, callback, progress_bar)
        return self

    def _opened(self, number: int, learned: dict[str, int], resume: bool,
                on_step: Callable[[dict[str, Any]], Any] | None = None) -> Run:
        return run(self.task, "mpc", self.planner, learned["seed"], steps=learned["steps"],
                   model=self._run_folder(number - 1) if number > 0 else None, out=self._run_folder(number),
                   resume=resume, threads=self.threads, on_step=on_step)

    def _run_folder(self, number: int) -> Path:
        return Path(self._folder.name) / f"run{number}"

    def _learn(self, steps: int, callback: Callable[[Episode], Any] | None, progress_bar: bool,
               on_step: Callable[[dict[str, Any]], Any] | None = None) -> None:
        learned = {"steps": steps, "seed": self.seed, "before": self.num_timesteps}
        learning = self._opened(len(self._learned), learned, resume=False, on_step=on_step)
        if self._run is not None:
            self._run.close()
        self._learned.append(learned)
        self._run, self._starts = learning, True
        for episode in learning.progress() if progress_bar else learning:
            if self.verbose:
                print(f"episode {episode.episode}: return {episode.episode_return:.2f}, {episode.steps} steps")
            if callback is not None and callback(episode) is False:
                break

    def _learn_with_events(self, steps: int, events: Any, progress_bar: bool) -> None:
        within = False  # a rollout

        def on_step(step: dict[str, Any]) -> None:
            nonlocal within
            if not within:
                events.on_rollout_start()
            within = True
            if hasattr(events, "update_locals"):
                events.update_locals(step)
            if events.on_step() is False:
                raise _Enough

        def on_episode(_episode: Episode) -> None:
            nonlocal within
            events.on_rollout_end()
            within = False

        if hasattr(events, "init_callback"):
            events.init_callback(self)
        events.on_training_start({"total_timesteps": steps}, {})
        try:
            self._learn(steps, on_episode, progress_bar, on_step)
        except _Enough:
            pass
        events.on_training_end()

    @property
    def num_timesteps(self) -> int:
        """Steps of the environment so far, of all calls of `learn`."""
        return self._learned[-1]["before"] + self._run.total_steps if self._run is not None else 0

    def get_env(self) -> Any:
        """The environment it was made with."""
        return self.environment

    @property
    def run(self) -> Run:
        """The run that learned."""
        if self._run is None:
            raise InputError("run: found nothing learned yet, expected learn() before")
        return self._run

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None,
                deterministic: bool = True) -> tuple[Array, Any]:
        """(action, None): what to do in an observation. `episode_start`: the first of an episode. `state` and
        `deterministic` are there for callers of other libraries; plans are the same either way."""
        del state, deterministic
        starts = self._starts if episode_start is None else bool(np.any(episode_start))
        flat = observation if self.environment is None else flat_observation(self.environment.observation_space,
                                                                            observation)
        action = self.run.act(flat, start=starts, seed=self.seed)
        self._starts = False
        if self.environment is not None:
            space = self.environment.action_space
            action = action.reshape(space.shape).astype(space.dtype)
        return action, None

    def evaluate(self, episodes: int = 10, seed: int = 0) -> dict[str, Any]:
        """Plays fresh starts: {"returns": [episodes], "mean", "ci95", ...}."""
        return self.run.evaluate(episodes, seed)

    def save(self, path: str | Path) -> None:
        """Writes one file, a zip (".zip" is added where the name has no ending): its runs as `foreplan run` writes
        them and how they were made. Raises InputError where nothing is learned yet."""
        runs = self.run.folder.parent
        about = {"planner": self.planner, "learned": self._learned, **_kept(self._source, self._arguments)}
        with zipfile.ZipFile(_zip_path(path), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_ABOUT, json.dumps(about, indent=1))
            for file in sorted(runs.rglob("*")):
                archive.write(file, file.relative_to(runs))

    @classmethod
    def load(cls, path: str | Path, environment: Any = None, *, threads: int | None = None, verbose: int = 0,
             **arguments: Any) -> PETS:
        """What was saved, ready to predict and to learn on. environment: what it was made with, where that is not
        the name, the path or the mapping of a task; arguments: those that no file can hold (functions), and others
        that are to replace those it was made with. Raises InputError for a file that is none and for what is missing."""
        folder = tempfile.TemporaryDirectory(prefix="foreplan-")
        about = _unpacked(_zip_path(path), folder.name)
        missing = [name for name in about["functions"] if name not in arguments]
        if environment is None and about["source"] is None:
            missing.insert(0, "environment")
        if missing:
            raise InputError(f"{path}: found no {', '.join(missing)}, expected as an argument: a file cannot hold it")
        agent = cls(about["source"] if environment is None else environment, planner=about["planner"],
                    seed=about["learned"][-1]["seed"], threads=threads, verbose=verbose,
                    **{**about["arguments"], **arguments})
        agent._folder, agent._learned = folder, about["learned"]
        last = len(agent._learned) - 1
        agent._run = agent._opened(last, agent._learned[last], resume=True)
        return agent

    def __repr__(self) -> str:
        return f"PETS('{self.task.name}', planner '{self.planner}', seed {self.seed}, {self.num_timesteps} steps)"


def _zip_path(path: str | Path) -> Path:
    return Path(path) if Path(path).suffix else Path(path).with_suffix(".zip")


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _kept(source: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Of what an agent was made with: what a file can hold, and the names of the rest."""
    return {"source": source if _is_json(source) else None,
            "arguments": {name: value for name, value in arguments.items() if _is_json(value)},
            "functions": [name for name, value in arguments.items() if not _is_json(value)]}


def _unpacked(path: Path, folder: str) -> dict[str, Any]:
    """How the agent was made; its runs go into `folder`."""
    try:
        with zipfile.ZipFile(path) as archive:
            about: dict[str, Any] = json.loads(archive.read(_ABOUT))
            archive.extractall(folder, [name for name in archive.namelist() if name != _ABOUT])
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected what PETS.save wrote") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"{path}: found {error}, expected what PETS.save wrote") from None
    return about
