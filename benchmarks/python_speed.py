#!/usr/bin/env python3
"""What Python costs: ours beside something else that does the same, in pairs whose order alternates.

    benchmarks/python_speed.py                               every case, as a table
    benchmarks/python_speed.py --only vector_half_cheetah    some of them
    benchmarks/python_speed.py --write                       into docs/results/python_speed.csv and the page's table

Needs foreplan on PYTHONPATH (build/release/python), and the program where FOREPLAN says (build/release/foreplan). A case is a function in CASES: it gives two functions that do the
work once and say how long an operation took, by the clock and in processor time of this process, all threads together,
which other programs on the machine hardly change. A ratio is the median of those of all pairs, ours to the other; its
interval is that of 95 % by the order statistics of the pairs. Rows of other cases stay when some are written.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import foreplan
import foreplan.gym

PROGRAM = os.environ.get("FOREPLAN", "build/release/foreplan")  # beside which Python's predictions are timed
PAGE = Path(__file__).resolve().parent.parent / "docs" / "results" / "python_speed.md"
NUMBERS = ["ours_us", "beside_us", "more_us", "ratio", "ratio_low", "ratio_high"]
COLUMNS = ["case", "ours", "beside", "operation", *NUMBERS, *[f"cpu_{name}" for name in NUMBERS], "pairs"]
MARKS = ("<!-- speed: begin -->", "<!-- speed: end -->")

Seconds = tuple[float, float]  # of one operation, by the clock and in processor time
Timed = Callable[[], Seconds]
Case = tuple[str, str, str, Timed, Timed]  # what ours is, what is beside it, the operation, both


def timed(work: Callable[[], Any], operations: int) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / operations, (time.process_time() - cpu) / operations


# --- vector environments ------------------------------------------------------------------------

def block_of(env: Any, steps: int) -> np.ndarray:
    space = env.single_action_space
    shape = (steps, env.num_envs, *space.shape)
    return np.random.default_rng(0).uniform(space.low, space.high, shape).astype(np.float32)


def seconds_of_steps(env: Any, actions: np.ndarray) -> Seconds:
    def steps() -> None:
        for action in actions:
            env.step(action)

    return timed(steps, len(actions))


def beside_the_library(name: str, steps: int, threads: int | None, *, copy: bool = True, waits: bool = True) -> Case:
    """The same steps from the same states: called from Python one by one, and all within one call of C++. With `waits`
    steps wait for all environments there, too; without it every environment goes on by itself, as rollouts do."""
    env = gymnasium.make_vec(name, num_envs=64, threads=threads, copy=copy)
    env.reset(seed=0)
    actions = block_of(env, steps)
    doubles = np.ascontiguousarray(actions, np.float64)
    seconds_of_steps(env, actions)  # on their way
    states = env.unwrapped.states

    def ours() -> Seconds:
        env.reset(options={"state": states})
        return seconds_of_steps(env, actions)

    def beside() -> Seconds:
        env.reset(options={"state": states})
        return timed(lambda: env.unwrapped._batch.core.run_steps(doubles, waits), steps)

    return (f"VectorEnv, 64 x {name}, {env.unwrapped.threads} threads",
            "the same steps in C++" if waits else "the same as rollouts in C++", "step of 64", ours,
            beside)


def beside_gymnasium(mode: str, steps: int) -> Case:
    ours_env = gymnasium.make_vec("foreplan/HalfCheetah-v5", num_envs=64)
    theirs = gymnasium.make_vec("HalfCheetah-v5", num_envs=64, vectorization_mode=mode)
    actions = block_of(ours_env, steps)
    for env in (ours_env, theirs):
        env.reset(seed=0)
        seconds_of_steps(env, actions)
    return (f"VectorEnv, 64 x HalfCheetah-v5, {ours_env.unwrapped.threads} threads",
            f"Gymnasium's {type(theirs).__name__}", "step of 64", lambda: seconds_of_steps(ours_env, actions),
            lambda: (seconds_of_steps(theirs, actions)[0], math.nan) if mode == "async"  # in other processes
            else seconds_of_steps(theirs, actions))


# --- models and planners ------------------------------------------------------------------------

def rows_predicted(threads: int, rows: int = 10000) -> Case:
    """The half-cheetah's ensemble of the task's own sizes, and the same sizes in `foreplan bench prediction`."""
    model = foreplan.Model("pets_half_cheetah", threads=threads)
    random = np.random.default_rng(0)
    observation, action = random.normal(size=(rows, 18)), random.uniform(-1, 1, (rows, 6))

    def once() -> float:
        start = time.perf_counter()
        model.predict(observation, action)
        return time.perf_counter() - start

    def beside() -> Seconds:
        done = subprocess.run([PROGRAM, "bench", "prediction", "--json", "--repeats", "3", "--threads", str(threads),
                               "--set", f"rows={rows}"], capture_output=True, check=True)
        return json.loads(done.stdout)[0]["ms_median"] / 1000, math.nan  # in a process of its own

    return (f"Model.predict, {rows} rows, 5 x 24-200^4-36, {threads} threads", "`foreplan bench prediction`",
            f"{rows} rows", lambda: (statistics.median(once() for _ in range(3)), math.nan), beside)


def decision(threads: int) -> Case:
    """The whole call beside what it says that its decision took in C++: the difference is Python's."""
    model = foreplan.Model("pendulum", threads=1, model={"width": 16, "members": 2})
    options = {"horizon": 6, "population": 16, "elites": 4, "particles": 2}
    planner = foreplan.Planner("pendulum", "icem", model, threads=threads,
                               options={f"planner.icem.{name}": value for name, value in options.items()})
    measured: dict[str, float] = {}  # of the decisions of a pair, both at once

    def half(name: str) -> Seconds:
        if name not in measured:
            whole, inside = [], []
            for _ in range(1000):
                start = time.perf_counter()
                inside.append(planner.plan([1.0, 0.0, 0.1]).seconds)
                whole.append(time.perf_counter() - start)
            measured.update(whole=statistics.median(whole), inside=statistics.median(inside))
        return measured.pop(name), math.nan

    return (f"Planner.plan, {threads} threads", "what it says it took", "decision", lambda: half("whole"),
            lambda: half("inside"))


CASES: dict[str, Callable[[], Case]] = {
    "decision_1_thread": lambda: decision(1),
    "decision_2_threads": lambda: decision(2),
    "predict_1_thread": lambda: rows_predicted(1),
    "predict_2_threads": lambda: rows_predicted(2),
    "vector_half_cheetah": lambda: beside_the_library("foreplan/HalfCheetah-v5", 100, None),
    "vector_half_cheetah_1_thread": lambda: beside_the_library("foreplan/HalfCheetah-v5", 50, 1),
    "vector_half_cheetah_rollouts": lambda: beside_the_library("foreplan/HalfCheetah-v5", 100, None, waits=False),
    "vector_pendulum": lambda: beside_the_library("foreplan/pendulum", 5000, None),
    "vector_pendulum_no_copy": lambda: beside_the_library("foreplan/pendulum", 5000, None, copy=False),
    "vector_cartpole": lambda: beside_the_library("foreplan/cartpole_closed_form", 2000, None),
    "vector_beside_sync": lambda: beside_gymnasium("sync", 20),
    "vector_beside_async": lambda: beside_gymnasium("async", 20),
}


# --- pairs --------------------------------------------------------------------------------------

def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Order statistics that hold the median between them with 95 % at least (binomial, p = 1/2)."""
    ordered, n = sorted(values), len(values)
    below, covered = 0, 0.0
    while covered + math.comb(n, below) / 2**n <= 0.025 and below < n // 2:
        covered += math.comb(n, below) / 2**n
        below += 1
    low = max(below - 1, 0)
    return ordered[low], ordered[n - 1 - low]


def compared(ours: list[float], beside: list[float]) -> dict[str, str]:
    """Medians [µs], and the ratio with its interval."""
    ratios = [one / other for one, other in zip(ours, beside, strict=True)]
    low, high = interval_of_median(ratios)
    more = statistics.median(one - other for one, other in zip(ours, beside, strict=True))
    if all(math.isnan(ratio) for ratio in ratios):  # not measured
        return dict.fromkeys(NUMBERS, "")
    return {"ours_us": f"{1e6 * statistics.median(ours):.2f}", "beside_us": f"{1e6 * statistics.median(beside):.2f}",
            "more_us": f"{1e6 * more:.2f}", "ratio": f"{statistics.median(ratios):.4f}", "ratio_low": f"{low:.4f}",
            "ratio_high": f"{high:.4f}"}


def measure(name: str, pairs: int) -> dict[str, Any]:
    ours_is, beside_is, operation, ours, beside = CASES[name]()
    ours(), beside()  # warm
    times: tuple[list[Seconds], list[Seconds]] = ([], [])
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 == 0 else (1, 0):
            times[which].append((ours, beside)[which]())
    by_clock = compared(*([wall for wall, _ in of_one] for of_one in times))
    by_processor = compared(*([cpu for _, cpu in of_one] for of_one in times))
    return {"case": name, "ours": ours_is, "beside": beside_is, "operation": operation, **by_clock,
            **{f"cpu_{key}": value for key, value in by_processor.items()}, "pairs": pairs}


def ratio_of(row: dict[str, Any], clock: str = "") -> str:
    if not row[clock + "ratio"]:
        return ""
    middle, low, high = (float(row[clock + key]) for key in ("ratio", "ratio_low", "ratio_high"))
    return f"{middle:.3f} ({low:.3f} ... {high:.3f})"


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| case | ours | beside | operation | ours [µs] | beside [µs] | more [µs] | ratio (95 %) | "
             "processor [µs] | more [µs] | ratio (95 %) | pairs |", "|" + "---|" * 12]
    lines += [f"| `{row['case']}` | {row['ours']} | {row['beside']} | {row['operation']} | {row['ours_us']} | "
              f"{row['beside_us']} | {row['more_us']} | {ratio_of(row)} | {row['cpu_ours_us']} | "
              f"{row['cpu_more_us'].replace('nan', '')} | "
              f"{ratio_of(row, 'cpu_')} | {row['pairs']} |" for row in rows]
    return "\n".join(lines)


def write(rows: list[dict[str, Any]]) -> None:
    file = PAGE.with_suffix(".csv")
    known: dict[str, dict[str, Any]] = {}
    if file.exists():
        with file.open(encoding="utf-8", newline="") as stream:
            known = {row["case"]: row for row in csv.DictReader(stream)}
    known |= {row["case"]: row for row in rows}
    ordered = [known[name] for name in CASES if name in known]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{table(ordered)}\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only:
        rows.append(measure(name, arguments.pairs))
        print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(f"foreplan {foreplan.__version__}, Gymnasium {gymnasium.__version__}, NumPy {np.__version__}, "
          f"Python {platform.python_version()}\n{table(rows)}")
    if arguments.write:
        write(rows)


if __name__ == "__main__":
    main()
