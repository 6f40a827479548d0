#!/usr/bin/env python3
"""What the parts of local_models do on peg insertion: runs a grid and writes one row per run, or,
for the grid `prior`, one per iteration.

usage: ablate_local_models.py GRID OUT.csv [--foreplan PROGRAM] [--seeds 0-4,7] [--runs FOLDER]

grids  noise    the policy's noise, a fixed one, none
       bound    fixed KL bounds per time step: how wrong a fit is on the next iteration's rollouts
       prior    no prior, mixture, network x 3, 5, 10, 20 rollouts per iteration: the mean cost of
                each policy's rollouts, with its noise, after so many rollouts per condition
       setback  steps that did harm taken back, or never; the other grids never do

A run that is there already is not repeated. Runs use one thread, so several may go side by side.
"""

import argparse
import csv
import json
import pathlib
import shutil
import statistics
import subprocess

CONDITIONS = 4


def noise_grid() -> list[dict]:
    return [{"exploration": kind} for kind in ("policy", "fixed", "none")]


def bound_grid() -> list[dict]:
    steps = (0.05, 0.2, 1, 5, 20, 100)
    return [{"kl_step": step, "adapt_step": "false", "reuse": 1} for step in steps]


def prior_grid() -> list[dict]:
    return [
        {"prior": prior, "rollouts": count, "reuse": 1, "total": total}
        for prior in ("none", "mixture", "network")
        for count, total in ((3, 51), (5, 50), (10, 50), (20, 60))
    ]


def setback_grid() -> list[dict]:
    return [{"setback": share} for share in (NEVER, 0.05)]


NEVER = float("inf")
GRIDS = {"noise": noise_grid, "bound": bound_grid, "prior": prior_grid, "setback": setback_grid}


def run(program: str, folder: pathlib.Path, cell: dict, seed: int) -> dict | None:
    """The run's JSON, or None where it failed: a simulation that diverged."""
    done = folder / "result.json"
    if not done.exists():
        settings = {"setback": NEVER} | cell
        options = [f"--set=local_models.{key}={quoted(value)}" for key, value in settings.items()
                   if key != "total"]
        episodes = cell.get("total", 50) * CONDITIONS
        command = [program, "run", "peg_insertion", "--seed", str(seed), "--threads", "1", "--json",
                   "--episodes", str(episodes), "--out", str(folder / "run")]
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
        folder.mkdir(parents=True, exist_ok=True)
        result = subprocess.run(command + options, capture_output=True, text=True, check=False)
        if result.returncode == 2:
            raise SystemExit(result.stderr)
        done.write_text(result.stdout if result.returncode == 0 else "null", encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def quoted(value) -> str:
    return f'"{value}"' if isinstance(value, str) and value not in ("true", "false") else str(value)


def metrics(folder: pathlib.Path, name: str) -> list[list[float]]:
    """Values per condition, in order of iterations."""
    values = [[] for _ in range(CONDITIONS)]
    with open(folder / "run" / "metrics.csv", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            condition, _, metric = row["name"].partition(".")
            if metric == name:
                values[int(condition.removeprefix("condition")) - 1].append(float(row["value"]))
    return values


def relapsed(costs_of_iterations: list[float]) -> bool:
    """Rollouts in the hole, and later ones that miss it: a mean cost below -10, then above 60."""
    inside = next((i for i, cost in enumerate(costs_of_iterations) if cost < -10), None)
    return inside is not None and max(costs_of_iterations[inside:]) > 60


def seed_list(text: str) -> list[int]:
    """"0-4,7" are 0, 1, 2, 3, 4, 7."""
    ranges = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return [seed for ends in ranges for seed in range(ends[0], ends[-1] + 1)]


def summary(folder: pathlib.Path, result: dict | None) -> dict:
    if result is None:
        return {"finished": 0}
    conditions = result["conditions"]
    errors = [value for values in metrics(folder, "previous_fit_rmse") for value in values]
    sampled = metrics(folder, "cost")
    distances = [c["clean_tip_distance_m"] for c in conditions]
    condition_numbers = [values[-1] for values in metrics(folder, "largest_condition")]
    return {
        "finished": 1,
        "clean_cost": statistics.mean(-c["clean_return"] for c in conditions),
        "noisy_cost": statistics.mean(-c["noisy_return"] for c in conditions),
        "worst_noisy_cost": max(-c["noisy_return"] for c in conditions),
        "clean_distance": statistics.mean(distances),
        "median_clean_distance": statistics.median(distances),
        "worst_clean_distance": max(distances),
        "inserted_clean": sum(c["inserted_clean"] for c in conditions),
        "inserted_noisy": sum(c["inserted_noisy"] for c in conditions),
        "relapses": sum(relapsed(values) for values in sampled),
        "next_fit_rmse": statistics.median(errors) if errors else "",
        "largest_condition": statistics.median(condition_numbers),
        "least_rank": min(values[-1] for values in metrics(folder, "least_rank")),
    }


def costs(folder: pathlib.Path, result: dict | None, cell: dict) -> list[dict]:
    """Of each policy: an iteration's rollouts are of the policy before; the last one is tested."""
    per_iteration = [statistics.mean(each) for each in zip(*metrics(folder, "cost"))]
    after = [i * cell["rollouts"] for i in range(len(per_iteration) + 1)]
    if result is not None:
        per_iteration.append(statistics.mean(-c["noisy_return"] for c in result["conditions"]))
    return [{"after": rollouts, "cost": cost} for rollouts, cost in zip(after, per_iteration)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("grid", choices=GRIDS)
    parser.add_argument("out")
    parser.add_argument("--foreplan", default="foreplan")
    parser.add_argument("--seeds", type=seed_list, default="0-4")
    parser.add_argument("--runs", default="runs/ablation")
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:  # whole grids, seed by seed
        for cell in GRIDS[arguments.grid]():
            name = "-".join(str(value) for value in cell.values())
            folder = pathlib.Path(arguments.runs) / arguments.grid / name / str(seed)
            result = run(arguments.foreplan, folder, cell, seed)
            found = costs(folder, result, cell) if "total" in cell else [summary(folder, result)]
            rows += [cell | {"seed": seed} | row for row in found]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with open(arguments.out, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, keys, restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
