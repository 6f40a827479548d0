#!/usr/bin/env python3
"""How well models that are fitted to the first rows of a run predict the steps that follow: what fits are for, where a policy has
moved on since.

usage: next_steps_error.py RUN TASK ROWS[,ROWS...] "KEY=VALUE ..." ... [--members N]

Fits an ensemble (constant noise, 3 x 256) to the first ROWS transitions of RUN with each of the settings, and writes, as CSV, how
the mean errs in the 1,000 steps that follow: median, 90 % quantile and root mean square of |error| in deviations of the changes
that were fitted to, means over components. One process, one thread; seconds of its processor.
"""

import argparse
import csv
import sys
import time

import foreplan
import numpy as np

FOLLOWING = 1000  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("task")
    parser.add_argument("rows", type=lambda text: [int(each) for each in text.split(",")])
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--members", type=int, default=2)
    arguments = parser.parse_args()
    log = foreplan.read_recording(arguments.run)
    observation, action, after = log.observation, log.action, log.next_observation
    common = [f"model.members={arguments.members}", "model.width=256", "model.hidden_layers=3", "model.noise=constant"]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("task", "settings", "rows", "median", "quantile_90", "root_mean_square", "cpu_seconds"))
    for settings in arguments.settings:
        for rows in arguments.rows:
            began = time.process_time()
            model = foreplan.Model(arguments.task, seed=1, threads=1, options=common + settings.split())
            model.fit(observation[:rows], action[:rows], after[:rows])
            seconds = time.process_time() - began
            judged = slice(rows, rows + FOLLOWING)
            mean, _ = model.predict(observation[judged], action[judged])
            error = np.abs(after[judged] - mean) / (after[:rows] - observation[:rows]).std(axis=0)
            table.writerow((arguments.task, settings, rows, f"{np.median(error, axis=0).mean():.4f}",
                            f"{np.quantile(error, 0.9, axis=0).mean():.4f}", f"{np.sqrt((error ** 2).mean()):.4f}",
                            f"{seconds:.1f}"))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
