#!/usr/bin/env python3
"""Kills the program, cuts its power, fills its disk and lets its disk fail at every change of a file that it makes, and goes on:
what is there in the end must be what it is without all that, to the byte.

usage: kill_runs.py OUT.csv [--foreplan PROGRAM] [--library FILE] [--cases NAME,...] [--faults kill,power_cut,full,error,random]
                    [--every N] [--seeds N] [--random N] [--sample N] [--draw N] [--minutes M] [--beside N]
       kill_runs.py --summary OUT.csv [--counts COUNTS.csv] [--points POINTS.csv]

Every case is a command of the program: each loop, and fit, tune, compare. It is run twice undisturbed: what differs between the two
(times) is left out of every comparison, and is listed. Then, for every change (--every N: every Nth), once with each fault:

kill       the process is gone; a write is half done          power_cut  so is the machine: of what was not flushed some is lost (--seeds)
full       no space for five changes from there on             error      the disk refuses that change
random     SIGKILL after a random time, --random times

--sample: so many of all these per case, others with every --draw.

OUT.csv gets a row per fault: case, fault, number, seed, what it hit, outcome, and is gone on with when it is there: the same command
ends what it had begun. Outcomes: equal; stale (equal, but something is left over); different; refused (it cannot go on); crashed.
--points: a table of what was hit of every case, how often with each fault, and how often the outcome was another than equal.
--library: what `cmake --build ... --target foreplan_file_faults` makes.
"""

import argparse
import collections
import csv
import functools
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from disturbed_runs import CASES, add_table_flags, differences, fill, items_of, left_out_of, sample, summary, write_log

KILLED = 86
FAULTS = ("kill", "power_cut", "full", "error", "random")
COLUMNS = ("case", "fault", "number", "seed", "what", "outcome", "message")


class Case:
    """A command, and what it comes to when nothing disturbs it."""

    def __init__(self, name: str, program: str, library: str, work: pathlib.Path):
        self.name, self.program, self.library = name, program, library
        self.command = CASES[name]
        began = time.monotonic()
        self.whole, again = (self.undisturbed(work / f"{name}-{part}") for part in ("whole", "again"))
        self.seconds = (time.monotonic() - began) / 2
        self.left_out = left_out_of(self.whole, again)
        self.changes = (work / f"{name}-whole.log").read_text(encoding="utf-8").splitlines()

    def undisturbed(self, work: pathlib.Path) -> dict[str, bytes]:
        self.prepare(work)
        log = work.with_suffix(".log")
        done = self.run(self.command, work, {"FOREPLAN_FILE_FAULTS": "none", "FOREPLAN_FILE_FAULTS_LOG": str(log)})
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {done.stderr.strip()}")
        return items_of(work)

    def prepare(self, work: pathlib.Path) -> None:
        work.mkdir(parents=True)
        if self.name == "fit":
            write_log(work / "log.csv")

    def environment(self, work: pathlib.Path, faults: dict[str, str]) -> dict[str, str]:
        return os.environ | {"LD_PRELOAD": self.library, "FOREPLAN_FILE_FAULTS_FOLDER": str(work), "COLUMNS": "80"} | faults

    def run(self, command: list[str], work: pathlib.Path, faults: dict[str, str] | None = None):
        environment = os.environ if faults is None else self.environment(work, faults)
        return subprocess.run([self.program, *command], cwd=work, env=environment, capture_output=True, text=True, check=False,
                              timeout=300)

    def kill_after(self, seconds: float, work: pathlib.Path) -> None:
        process = subprocess.Popen([self.program, *self.command], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def go_on(self, work: pathlib.Path):
        if self.command[0] == "run" and (work / "run").exists():
            return self.run(["run", "--resume", "run", "--threads", "1"], work)
        if any((work / made).exists() for made in ("fit", "tuned.toml") if made in self.command):
            return None  # whole, or it would not be there
        return self.run(self.command, work)

    def judge(self, work: pathlib.Path) -> tuple[str, str]:
        """The outcome of what is there, after it has gone on."""
        done = self.go_on(work)
        if done is not None and done.returncode < 0:
            return "crashed", f"signal {-done.returncode}"
        if done is not None and done.returncode != 0:
            return "refused", done.stderr.strip().splitlines()[-1][-300:]
        try:
            found = items_of(work)
        except (ValueError, struct.error, EOFError, OSError) as error:
            return "different", str(error)[:300]
        left = [file.name for file in work.rglob("*") if re.search(r"\.tmp-|\.incomplete|\.partial", file.name)]
        if wrong := differences(found, self.whole, self.left_out):
            return "different", ", ".join(wrong[:5])
        return ("stale", ", ".join(left)) if left else ("equal", "")


def point_of(line: str, work: str) -> str:
    """A change without what is different every time: "rename checkpoint/state.safetensors"."""
    what, path = line.split(" ", 1)
    path = re.sub(r"\.tmp-\d+-\d+", ".tmp", path.removeprefix(work).lstrip("/"))
    return f"{what} {re.sub(r'[0-9]{6,}', 'N', path)}"


def one_fault(case: Case, fault: str, number: int, seed: int, scratch: pathlib.Path) -> tuple[str, str, str]:
    """What it hit, the outcome, a message."""
    what = "" if fault == "random" else point_of(case.changes[number], str(scratch / f"{case.name}-whole"))
    work = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "work"
    try:
        case.prepare(work)
        if fault == "random":
            delay = random.Random(f"{case.name} {number}").uniform(0, 1.2 * case.seconds)
            what = f"after {delay:.3f} s"
            case.kill_after(delay, work)
        else:
            calls = 5 if fault == "full" else 1
            done = case.run(case.command, work, {"FOREPLAN_FILE_FAULTS": f"{fault}:{number}:{calls}:{seed}"})
            if done.returncode < 0 or (fault in ("kill", "power_cut") and done.returncode not in (KILLED, 0)):
                return what, "crashed", f"exit code {done.returncode}: {done.stderr.strip()[-200:]}"
            if done.returncode in (2, 3) and not re.search(r"cannot be|disk|space|error", done.stderr):
                return what, "silent", done.stderr.strip()[-200:]
        return (what, *case.judge(work))
    except subprocess.TimeoutExpired:
        return what, "hangs", ""
    finally:
        shutil.rmtree(work.parent, ignore_errors=True)


def plan_of(case: Case, arguments) -> list[tuple[str, int, int]]:
    plan = []
    for fault in arguments.faults.split(","):
        if fault == "random":
            plan += [(fault, number, 0) for number in range(arguments.random)]
            continue
        seeds = arguments.seeds if fault == "power_cut" else 1
        plan += [(fault, number, seed) for number in range(0, len(case.changes), arguments.every) for seed in range(seeds)]
    return plan


def jobs(arguments, folder: pathlib.Path):
    program, library = (str(pathlib.Path(file).resolve()) for file in (arguments.foreplan, arguments.library))
    for name in arguments.cases.split(","):
        case = Case(name, program, library, folder)
        print(f"{name}: {len(case.changes)} changes, {case.seconds:.2f} s; left out: "
              f"{', '.join(sorted({re.sub(r'[0-9]+', 'N', key) for key in case.left_out}))}", flush=True)
        for each in sample(plan_of(case, arguments), arguments.sample, arguments.draw):
            yield (name, *each), functools.partial(one_fault, case, *each, folder)


def write_points(table: pathlib.Path, points: pathlib.Path) -> None:
    with open(table, encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["fault"] != "random"]
    faults = [fault for fault in FAULTS if any(row["fault"] == fault for row in rows)]
    hits: dict[tuple[str, str], collections.Counter] = collections.defaultdict(collections.Counter)
    for row in rows:
        counter = hits[row["case"], row["what"]]
        counter[row["fault"]] += 1
        counter["others"] += row["outcome"] != "equal"
    with open(points, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("case", "point", *faults, "others"))
        writer.writerows((*key, *(counter[fault] for fault in (*faults, "others"))) for key, counter in hits.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--points", type=pathlib.Path)
    parser.add_argument("--foreplan", default="build/release/foreplan")
    parser.add_argument("--library", default="build/release/libforeplan_file_faults.so")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--random", type=int, default=50)
    add_table_flags(parser)
    arguments = parser.parse_args()
    if not arguments.summary:
        with tempfile.TemporaryDirectory() as folder:
            fill(arguments.table, COLUMNS, 4, jobs(arguments, pathlib.Path(folder)), arguments.minutes, arguments.beside)
    if arguments.points:
        write_points(arguments.table, arguments.points)
    return summary(arguments.table, "fault", ("equal",), arguments.counts)


if __name__ == "__main__":
    sys.exit(main())
