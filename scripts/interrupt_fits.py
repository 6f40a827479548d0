#!/usr/bin/env python3
"""Sends signals to commands that fit, of every kind of fit, and goes on with them: each must end soon with exit code 130, with nothing half made.
A handler that ran on the stack of a thread inside a matrix kernel would damage the heap once in a while; hundreds of signals say that
none does.

usage: interrupt_fits.py OUT.csv [--foreplan PROGRAM] [--times N] [--sample N] [--draw N] [--minutes M] [--beside N]
       interrupt_fits.py --summary OUT.csv [--counts COUNTS.csv]

OUT.csv gets a row per signal: kind of fit (case), signal, number, seconds from the signal to the end, outcome (ended, or what else), message. Runs go on
where the signal before stopped them. --times: each of SIGINT, SIGTERM and SIGHUP for each kind.
"""

import argparse
import csv
import functools
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from disturbed_runs import CRITICS, add_table_flags, fill, sample, summary, write_log

COLUMNS = ("case", "signal", "number", "seconds", "outcome", "message")
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
LONG_FIT = ["episode_length=20", "mpc.refit_every=0", "model.members=4", "model.width=64", "fit.min_steps=2000", "fit.max_steps=2000",
            "planner.icem.horizon=4", "planner.icem.population=20", "planner.icem.elites=4", "planner.icem.iterations=1"]
PHYSICS = ["model.physics.guesses=40"]


def run(algorithm: str, *settings: str, task: str = "cartpole_closed_form") -> list[str]:
    words = [word for setting in [*LONG_FIT, *settings] for word in ("--set", setting)]
    return ["run", task, "--algorithm", algorithm, "--episodes", "100000", "--threads", "2", "--out", "run", *words]


KINDS = {
    "networks": run("mpc"),
    "physics": run("mpc", "model.kind=physics", *PHYSICS, task="pets_cartpole"),
    "residual": run("mpc", "model.kind=residual", *PHYSICS, task="pets_cartpole"),
    "learned_reward": run("mpc", "planning_reward=learned"),
    "local_mixture": run("local_models", "local_models.prior=mixture", "local_models.rollouts=20", "episode_length=200"),
    "local_networks": run("local_models", "local_models.prior=network", "local_models.rollouts=4", "episode_length=200"),
    "policy": run("policy_backprop", "fit.max_steps=200", "fit.min_steps=200", "policy_backprop.training.steps=400"),
    "critics": run("dhmbpo", *CRITICS, "fit.max_steps=2000", "actor_critic.training.batch=256", "actor_critic.critic.width=64"),
    "command": ["fit", "log.csv", "--task", "cartpole_closed_form", "--threads", "2", "--out", "fit",
                *(word for setting in ("fit.min_steps=10000000", "fit.max_steps=10000000") for word in ("--set", setting))],
}


def hear_signals() -> None:
    """Also where this script was told to ignore some, as by nohup: the program would, too."""
    for name in SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def interrupted(program: str, kind: str, name: str, number: int, folder: pathlib.Path) -> tuple[float, str, str]:
    """Seconds until it ended, the outcome, its last words."""
    work = folder / f"{kind}-{name}"
    work.mkdir(exist_ok=True)
    if not (work / "log.csv").exists():
        write_log(work / "log.csv")
    command = ["run", "--resume", "run", "--threads", "2"] if (work / "run").exists() else KINDS[kind]
    process = subprocess.Popen([program, *command], cwd=work, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               preexec_fn=hear_signals)
    time.sleep(0.3 + random.Random(f"{kind} {name} {number}").uniform(0, 0.7))
    began = time.monotonic()
    process.send_signal(getattr(signal, name))
    try:
        message = process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return 60, "hangs", process.communicate()[1][-300:]
    seconds = round(time.monotonic() - began, 3)
    last = message.strip().splitlines()[-1] if message.strip() else ""
    left = [str(file.relative_to(work)) for file in work.rglob("*") if file.name.endswith((".tmp", ".incomplete"))]
    if process.returncode != 130:
        return seconds, "crashed" if process.returncode < 0 else f"exit code {process.returncode}", last[-300:]
    return seconds, "left over" if left else "ended", ", ".join(left)


def jobs(arguments, folder: pathlib.Path):
    program = str(pathlib.Path(arguments.foreplan).resolve())
    for kind in arguments.kinds.split(","):
        plan = [(kind, name, number) for name in SIGNALS for number in range(arguments.times)]
        for each in sample(plan, arguments.sample, arguments.draw):
            yield each, functools.partial(interrupted, program, *each, folder)


def longest(table: pathlib.Path) -> None:
    with open(table, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for kind in dict.fromkeys(row["case"] for row in rows):
        seconds = sorted(float(row["seconds"]) for row in rows if row["case"] == kind)
        print(f"{kind:<16} {len(seconds):>4} signals, seconds to the end: median {seconds[len(seconds) // 2]:.3f}, longest {seconds[-1]:.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--foreplan", default="build/release/foreplan")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--times", type=int, default=8)
    add_table_flags(parser)
    arguments = parser.parse_args()
    if not arguments.summary:
        # One after the other: each goes on where the one before was stopped.
        with tempfile.TemporaryDirectory() as folder:
            fill(arguments.table, COLUMNS, 3, jobs(arguments, pathlib.Path(folder)), arguments.minutes, 1)
    longest(arguments.table)
    return summary(arguments.table, "signal", ("ended",), arguments.counts)


if __name__ == "__main__":
    sys.exit(main())
