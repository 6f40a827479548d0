#!/usr/bin/env python3
"""Runs a loop for a million transitions and looks at its memory: it may grow by the data, and by nothing else.

usage: long_run.py OUT.csv [--foreplan PROGRAM] [--algorithm NAME] [--episodes N]

The cart-pole in closed form, episodes of 1,000 steps, the smallest planner and networks there are, a fit after the first episode
(fit_then_plan) or after each (mpc, aggregate: these look at all data each time). OUT.csv gets two rows per second: resident memory
[MB], and what the numbers of the transitions take. Prints the bytes that a transition costs while the run goes on, by least squares over
the second half, beside those of its numbers.
"""

import argparse
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SETTINGS = ["episode_length=1000", "planner.random_shooting.population=2", "planner.random_shooting.horizon=1", "model.members=2", "model.width=8",
            "model.hidden_layers=1", "fit.min_steps=20", "fit.max_steps=20", "mpc.refit_every=0"]
# Observation, action, next observation and reward as doubles, the episode's number, and how the step ended.
BYTES = 8 * (4 + 1 + 4 + 1) + 4 + 1


def memory_of(process: int) -> tuple[float, float]:
    """Resident and at most [MB]."""
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines() if ":" in line)
    return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))


def transitions_in(table: pathlib.Path) -> int:
    """By the last whole row."""
    with open(table, "rb") as stream:
        stream.seek(max(0, os.path.getsize(table) - 400))
        rows = stream.read().split(b"\n")
    return int(rows[-2].split(b",")[3]) if len(rows) > 2 else 0


def slope(rows: list[tuple[int, float]]) -> float:
    """Bytes per transition."""
    n = len(rows)
    x_mean, y_mean = (sum(row[i] for row in rows) / n for i in (0, 1))
    return 2**20 * sum((x - x_mean) * (y - y_mean) for x, y in rows) / sum((x - x_mean) ** 2 for x, _ in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--foreplan", default="build/release/foreplan")
    parser.add_argument("--algorithm", default="fit_then_plan")
    parser.add_argument("--episodes", type=int, default=1000)
    arguments = parser.parse_args()
    command = [str(pathlib.Path(arguments.foreplan).resolve()), "run", "cartpole_closed_form", "--algorithm", arguments.algorithm, "--planner", "random_shooting",
               "--episodes", str(arguments.episodes), "--threads", "1", "--out", "run", *(word for each in SETTINGS for word in ("--set", each))]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(1)
            try:
                rows.append((transitions_in(pathlib.Path(folder) / "run/episodes.csv"), *memory_of(process.pid)))
            except (FileNotFoundError, KeyError, ProcessLookupError):
                continue  # it begins, or it has ended
    with open(arguments.table, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("algorithm", "memory", "transitions", "mb"))
        writer.writerows((arguments.algorithm, "resident", count, f"{resident:.1f}") for count, resident, _ in rows)
        writer.writerows((arguments.algorithm, "data", count, f"{count * BYTES / 2**20:.1f}") for count, _, _ in rows)
    # The report, at the end, reads the data once more.
    half = [(count, resident) for count, resident, _ in rows if 500 * arguments.episodes < count < 1000 * arguments.episodes]
    print(f"{rows[-1][0]} transitions, peak {rows[-1][2]:.0f} MB, {slope(half):.0f} bytes a transition of {BYTES}; exit code {process.returncode}")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
