#!/usr/bin/env python3
"""Runs actor-critic learning over seeds, resumably, and collects what it found.

usage: actor_critic_runs.py run FOLDER TASK ALGORITHM STEPS SEEDS [--foreplan PROGRAM] [--threads N] [--beside N]
                            [--minutes M] [--label TEXT] [--set KEY=VALUE ...]
       actor_critic_runs.py collect OUT.csv FOLDER ...

run      one run per seed (0-2,7) in FOLDER/<label>/seed-<seed>; label: the algorithm and what is set, unless said. A run that
         is there goes on where it was, one that is over is left alone. After M minutes what goes on is interrupted: the same
         command goes on with it. `--beside` so many at a time, each on `--threads` threads. Every start and every end is
         written to FOLDER/started.csv: when, revision, processor, command, seconds of wall clock and of processors.
collect  one row per task, run and evaluation: what the mean action and sampled actions earned, how biased the critics were, and the
         seconds that the run had taken by then in simulation, fits and training; evaluations are listed apart.

Evaluations are those of the run itself (`actor_critic.evaluate_every`, 10 episodes by the mean action, by default every tenth of
STEPS): exactly at their step, by a policy that has learned from no step beyond.
"""

import argparse
import csv
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import tomllib

STARTED = ("time", "event", "run", "revision", "processor", "threads", "wall_seconds", "cpu_seconds", "exit_code", "command")


def seeds_of(text: str) -> list[int]:
    seeds = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1].strip()
    return platform.machine()


def revision(program: str) -> str:
    """What the program was built from."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("git_revision"))


class Log:
    def __init__(self, folder: pathlib.Path):
        self.file = folder / "started.csv"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            self.write(STARTED)

    def write(self, row) -> None:
        with open(self.file, "a", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerow(row)


class Run:
    def __init__(self, folder: pathlib.Path, command: list[str], arguments, log: Log):
        self.folder, self.command, self.log, self.threads = folder, command, log, arguments.threads
        self.revision = revision(command[0])
        self.began = time.monotonic()
        self.tell("started")
        with open(folder.with_suffix(".log"), "ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def tell(self, event: str, wall="", cpu="", code="") -> None:
        self.log.write((time.strftime("%Y-%m-%d %H:%M:%S"), event, self.folder, self.revision, processor(), self.threads, wall,
                        cpu, code, " ".join(self.command)))

    def ended(self) -> bool:
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.tell("ended", f"{time.monotonic() - self.began:.1f}", f"{usage.ru_utime + usage.ru_stime:.1f}",
                  os.waitstatus_to_exitcode(status))
        return True

    def interrupt(self) -> None:
        os.kill(self.process.pid, signal.SIGINT)


def is_over(folder: pathlib.Path, steps: int) -> bool:
    table = folder / "episodes.csv"
    if not (folder / "result.json").exists() or not table.exists():
        return False
    with open(table, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return bool(rows) and int(rows[-1]["total_steps"]) >= steps


def command_of(folder: pathlib.Path, seed: int, arguments) -> list[str]:
    common = [arguments.foreplan, "run", "--threads", str(arguments.threads)]
    if (folder / "checkpoint").exists():
        return [*common, "--resume", str(folder), "--steps", str(arguments.steps)]
    settings = [f"actor_critic.evaluate_every={arguments.steps // 10}", *arguments.set]
    return [*common, arguments.task, "--algorithm", arguments.algorithm, "--seed", str(seed), "--steps", str(arguments.steps),
            "--out", str(folder), *(word for setting in settings for word in ("--set", setting))]


def run(arguments) -> None:
    label = arguments.label or "-".join([arguments.algorithm, *arguments.set]).replace("/", "_")
    log = Log(arguments.folder)
    (arguments.folder / label).mkdir(parents=True, exist_ok=True)
    waiting = [seed for seed in seeds_of(arguments.seeds)
               if not is_over(arguments.folder / label / f"seed-{seed}", arguments.steps)]
    going: list[Run] = []
    end = time.monotonic() + 60 * arguments.minutes
    interrupted = False
    while waiting or going:
        while waiting and len(going) < arguments.beside and not interrupted:
            folder = arguments.folder / label / f"seed-{waiting.pop(0)}"
            seed = int(folder.name.removeprefix("seed-"))
            going.append(Run(folder, command_of(folder, seed, arguments), arguments, log))
        time.sleep(0.5)
        going = [each for each in going if not each.ended()]
        if time.monotonic() > end and not interrupted:
            interrupted = True
            waiting.clear()
            for each in going:
                each.interrupt()


METRICS = {"evaluation.mean_return": "mean_return", "evaluation.sampled_return": "sampled_return",
           "evaluation.mean_length": "mean_length", "evaluation.critic_bias": "critic_bias",
           "evaluation.critic_states": "critic_states", "actor.entropy": "entropy", "actor.updates": "updates"}
SECONDS = {"episode.seconds": "simulation_seconds", "fit.seconds": "fit_seconds", "actor.seconds": "training_seconds",
           "evaluation.seconds": "evaluation_seconds"}


def evaluations(folder: pathlib.Path) -> list[dict]:
    """Of one run, in the order of its metrics: what had been found and spent when each ended."""
    found: dict = dict.fromkeys(METRICS.values(), "") | dict.fromkeys(SECONDS.values(), 0.0)
    rows, step = [], None
    with open(folder / "metrics.csv", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name, value = row["name"], row["value"]
            if name == "evaluation.step":
                step = int(float(value))
            elif name in METRICS:
                found[METRICS[name]] = float(value)
            elif name in SECONDS:
                found[SECONDS[name]] += float(value)
            if name == "evaluation.seconds":
                rows.append({"step": step} | {key: round(each, 4) if isinstance(each, float) else each
                                              for key, each in found.items()})
    return rows


def collect(arguments) -> None:
    rows = []
    for metrics in sorted(each for folder in arguments.folders for each in folder.glob("*/seed-*/metrics.csv")):
        folder = metrics.parent
        task = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))["name"]
        head = {"task": task, "label": folder.parent.name, "seed": int(folder.name.removeprefix("seed-"))}
        rows += [head | row for row in evaluations(folder)]
    if not rows:
        sys.exit(f"actor_critic_runs: found no run with evaluations in {arguments.folders}, expected LABEL/seed-N")
    with open(arguments.out, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("folder", type=pathlib.Path)
    runs.add_argument("task")
    runs.add_argument("algorithm")
    runs.add_argument("steps", type=int)
    runs.add_argument("seeds")
    runs.add_argument("--foreplan", default="build/release/foreplan")
    runs.add_argument("--threads", type=int, default=1)
    runs.add_argument("--beside", type=int, default=2)
    runs.add_argument("--minutes", type=float, default=55)
    runs.add_argument("--label", default="")
    runs.add_argument("--set", action="append", default=[])
    runs.set_defaults(act=run)
    gather = commands.add_parser("collect")
    gather.add_argument("out", type=pathlib.Path)
    gather.add_argument("folders", type=pathlib.Path, nargs="+")
    gather.set_defaults(act=collect)
    arguments = parser.parse_args()
    arguments.act(arguments)


if __name__ == "__main__":
    main()
