"""What notebooks show of a run: a bar while it goes on, its returns as a figure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runs import Episode, Run


def in_notebook() -> bool:
    """IPython's shell of notebooks is there; IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def with_progress(run: Run) -> Iterator[Episode]:
    """The episodes of a run as they come, above a bar that says how far it is. Raises ImportError without tqdm."""
    from tqdm.auto import tqdm

    episodes, steps = run.bounds
    done = run.total_steps if steps else len(run.episodes)
    with tqdm(total=steps or episodes or None, initial=done, unit="step" if steps else "episode") as bar:
        for episode in run:
            bar.set_postfix_str(f"return {episode.episode_return:.2f}", refresh=False)
            bar.update(episode.steps if steps else 1)
            yield episode


def plot_returns(run: Run, axes: Any = None) -> Any:
    """The return of every episode over the steps of the run, on matplotlib's `axes` (None: new ones), which it gives;
    episodes of the base policy are grey. Raises ImportError without matplotlib."""
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots()
    episodes = run.episodes
    base = episodes[0].controller if episodes else ""
    learned = [episode for episode in episodes if episode.controller != base]
    axes.plot([e.total_steps for e in learned], [e.episode_return for e in learned], marker="o", label="learned")
    acted = [episode for episode in episodes if episode.controller == base]
    axes.plot([e.total_steps for e in acted], [e.episode_return for e in acted], "o", color="grey", label=base)
    axes.set(xlabel="steps", ylabel="return", title=run.task.name)
    axes.legend()
    return axes
