#!/usr/bin/env python3
"""Sends Ctrl-C to a run while it fits, again and again, and goes on with it: every time it must end with
exit code 130 and be resumable. A handler that ran on the stack of a thread inside a matrix kernel would
damage the heap once in a while; minutes of this say that none does.

    scripts/interrupt_fits.py build/release/foreplan --times 100
"""

import argparse
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

RUN = ["run", "cartpole_closed_form", "--episodes", "100000", "--threads", "2", "--out", "run"]
SETTINGS = ["episode_length=20", "mpc.refit_every=0", "model.members=4", "model.width=64",
            "fit.min_steps=2000", "fit.max_steps=2000", "planner.icem.horizon=4",
            "planner.icem.population=20", "planner.icem.elites=4", "planner.icem.iterations=1"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--times", type=int, default=100)
    arguments = parser.parse_args()
    program = str(arguments.program.resolve())
    first = RUN + [word for setting in SETTINGS for word in ("--set", setting)]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        command = first
        for number in range(arguments.times):
            process = subprocess.Popen([program, *command], cwd=folder, stderr=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, text=True)
            time.sleep(0.3 + random.Random(number).uniform(0, 0.7))
            process.send_signal(signal.SIGINT)
            message = process.communicate()[1]
            if process.returncode != 130:
                wrong += 1
                print(f"{number}: exit code {process.returncode}: {message[-300:]}", file=sys.stderr)
            if (pathlib.Path(folder) / "run").exists():
                command = ["run", "--resume", "run", "--threads", "2"]
    print(f"{arguments.times} interrupts, {wrong} that did not end as they should")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
