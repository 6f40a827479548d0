"""Runs: learn, episode by episode."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._options import Options, all_assignments, thread_count
from .notebooks import in_notebook, plot_returns, with_progress
from .tasks import Task, as_task

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Episode:
    """A row of a run's episodes.csv."""

    episode: int  #: from 1; those of the base policy count
    controller: str  #: what acted: "uniform", "mpc", ...
    steps: int
    total_steps: int  #: of the run so far
    episode_return: float
    end: str  #: "length", "terminated", "cut_off", "diverged" or "failed"
    note: str  #: what diverged or failed


class Run:
    """A run that goes on as it is iterated over; each item is an `Episode`. Its folder is written as the command
    line writes it: checkpoints after every episode, a report at the end. After Ctrl-C, or what a callback raised, it is
    the run of its last checkpoint, and goes on from there."""

    def __init__(self, core: _core.Run, task: Task) -> None:
        self._core = core
        self.task = task
        self._told = 0
        self._over = False
        self._time = 0

    def __iter__(self) -> Iterator[Episode]:
        return self

    def __next__(self) -> Episode:
        while True:
            waiting = self._core.episodes(self._told)
            if waiting:
                self._told += 1
                return Episode(**waiting[0])
            if self._over:
                raise StopIteration
            self._over = not self._core.step()

    def finish(self, progress: bool | None = None) -> Run:
        """Runs to the end. progress: shows a bar (needs tqdm); None: in notebooks, where there is tqdm. A notebook
        shows the report of what it gives."""
        if progress is None:
            progress = in_notebook() and importlib.util.find_spec("tqdm") is not None
        for _ in self.progress() if progress else self:
            pass
        return self

    def progress(self) -> Iterator[Episode]:
        """The episodes as they come, above a bar (needs tqdm)."""
        return with_progress(self)

    def plot(self, axes: Any = None) -> Any:
        """The returns over the steps, on matplotlib's `axes` (None: new ones), which it gives."""
        return plot_returns(self, axes)

    def close(self) -> None:
        """Lets go of the folder, which another run may then resume."""
        self._core.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def episodes(self) -> list[Episode]:
        """All so far."""
        return [Episode(**row) for row in self._core.episodes()]

    @property
    def total_steps(self) -> int:
        """Of the environment, in whole episodes so far."""
        done = self.episodes
        return done[-1].total_steps if done else 0

    @property
    def bounds(self) -> tuple[int, int]:
        """Episodes and steps at which it ends; 0: no such bound."""
        return self._core.bounds

    @property
    def returns(self) -> Array:
        """Of every episode so far: [episodes]."""
        return np.array([episode.episode_return for episode in self.episodes])

    @property
    def metrics(self) -> list[tuple[int, int, str, float]]:
        """(episode, total_steps, name, value), as in metrics.csv."""
        return self._core.metrics()

    @property
    def folder(self) -> Path:
        return Path(self._core.folder)

    @property
    def notes(self) -> list[str]:
        """What may have been overlooked in the options."""
        return self._core.notes

    def act(self, observation: ArrayLike, *, start: bool = False, seed: int = 0) -> Array:
        """The action [nu] of what was learned so far in an observation [no]; `start`: an episode begins."""
        if start:
            self._time = 0
        action = self._core.act(observation, self._time, seed)
        self._time += 1
        return action

    def evaluate(self, episodes: int = 10, seed: int = 0) -> dict[str, Any]:
        """Plays fresh starts with what was learned so far: {"returns": [episodes], "mean", "ci95", ...}."""
        return self._core.evaluate(episodes, seed)

    def data(self) -> dict[str, Array]:
        """Every transition: observation, action, next_observation, reward, terminated, episode; rows first."""
        names = ("observation", "action", "next_observation", "reward", "terminated", "episode")
        return dict(zip(names, self._core.data()))

    def result(self) -> dict[str, Any]:
        """What `foreplan run --json` writes."""
        return self._core.result()

    def _repr_html_(self) -> str:
        """In a notebook: the report, once the run is over."""
        if not self._over:
            return f"<pre>{self!r}</pre>"
        import html

        page = html.escape(Path(self._core.report_file).read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" width="100%" height="700" style="border:0"></iframe>'

    def __repr__(self) -> str:
        done = self.episodes
        last = f", last return {done[-1].episode_return:.2f}" if done else ""
        return f"Run('{self.task.name}', {len(done)} episodes{last}, folder '{self.folder}')"


def run(task: Any, algorithm: str | None = None, planner: str | None = None, seed: int | None = None, *,
        episodes: int | None = None, steps: int | None = None, model: str | Path | Options | None = None,
        out: str | Path | None = None, resume: bool = False, accept: Iterable[str] = (), threads: int | None = None,
        on_step: Callable[[dict[str, Any]], Any] | None = None,
        on_fit: Callable[[dict[str, float]], Any] | None = None,
        options: Options | Iterable[str] | None = None, **sections: Any) -> Run:
    """Begins a run; iterate over it, or call `finish`.

    task: a `Task`, or what makes one. algorithm: "mpc", "policy_backprop", ... (`foreplan list`). episodes, steps:
    where it ends. model: the folder of a fit or a run to begin with; a mapping is a section. out: its folder, by default runs/<task>-<algorithm>-<seed>-<time>; with `resume` one that was
    begun; accept: what may be otherwise than it was then ("program", "processor", "libraries", a key of its config.toml, a file), though it does not repeat to the bit. on_step, on_fit: called after every step and fit with what happened; what they raise ends the run, whose
    data are kept. Everything else as in task files: ``mpc={"refit_every": 50}``,
    ``options={"planner.icem.horizon": 20}``.
    """
    if isinstance(model, Mapping):  # the section of that name
        sections, model = {**sections, "model": model}, None
    made = as_task(task)
    core = _core.Run(made._core, algorithm, planner, seed, episodes, steps, None if model is None else str(model),
                     all_assignments(options, sections), thread_count(threads), "" if out is None else str(out), resume,
                     list(accept), on_step, on_fit)
    return Run(core, made)


def evaluate(task: Any, controller: str, *, planner: str | None = None, episodes: int = 10, seed: int = 0,
             threads: int | None = None, options: Options | Iterable[str] | None = None,
             **sections: Any) -> dict[str, Any]:
    """Plays a task without learning: "uniform", "zero", ... or "true_model" as the controller."""
    return _core.evaluate(as_task(task)._core, controller, planner, episodes, seed,
                          all_assignments(options, sections), thread_count(threads))
