"""Commands of the program that scripts disturb, what they come to, and the table of it: shared by kill_runs.py and damage_files.py."""

import argparse
import collections
import concurrent.futures
import csv
import gzip
import json
import os
import pathlib
import random
import re
import struct
import sys
import time
from collections.abc import Callable, Iterable

TINY = ["episode_length=12", "model.members=2", "model.width=8", "model.hidden_layers=1", "fit.min_steps=5", "fit.max_steps=5",
        "planner.icem.horizon=4", "planner.icem.population=6", "planner.icem.elites=2", "planner.icem.iterations=1"]
CRITICS = ["actor_critic.base_steps=20", "actor_critic.train_every=12", "actor_critic.pool=200", "actor_critic.pool_updates=4",
           "actor_critic.training.batch=8", "actor_critic.policy.width=8", "actor_critic.critic.width=8", "fit.first_steps=0",
           "actor_critic.policy.hidden_layers=1", "actor_critic.critic.hidden_layers=1", "fit.batch=8", "model.members=4",
           "actor_critic.training.particles=4"]


def settings(*more: str) -> list[str]:
    return [word for setting in [*TINY, *more] for word in ("--set", setting)]


def loop(name: str, episodes: int, *more: str) -> list[str]:
    return ["run", "cartpole_closed_form", "--algorithm", name, "--seed", "3", "--threads", "1", "--episodes", str(episodes), "--record",
            "--out", "run", *settings(*more)]


CASES = {
    "mpc": loop("mpc", 4, "mpc.refit_every=8"),
    "aggregate": loop("aggregate", 4),
    "fit_then_plan": loop("fit_then_plan", 4),
    "policy_backprop": loop("policy_backprop", 4, "policy_backprop.training.steps=3"),
    "local_models": loop("local_models", 12, "local_models.rollouts=4"),
    **{name: loop(name, 5, *CRITICS) for name in ("dhmbpo", "mbpo", "svg", "sac")},
    "fit": ["fit", "log.csv", "--task", "cartpole_closed_form", "--threads", "1", "--out", "fit", *settings()],
    "tune": ["tune", "cartpole_closed_form", "--budget", "4", "--check", "1", "--effort", "400", "--threads", "1", "--out", "tuned.toml", *settings()],
    "compare": ["compare", "cartpole_closed_form", "--planner", "icem,random_shooting", "--seeds", "2", "--episodes", "2", "--threads", "1",
                "--out", "compare", *settings()],
}


def tensors_of(name: str, data: bytes) -> dict[str, bytes]:
    """Tensors and metadata of a file by their names."""
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    items = {f"{name}:metadata.{key}": text.encode() for key, text in header.pop("__metadata__", {}).items() if key != "crc32c"}
    for tensor, entry in header.items():
        begin, end = entry["data_offsets"]
        items[f"{name}:{tensor}"] = data[8 + length:][begin:end]
    return items


def items_of(work: pathlib.Path) -> dict[str, bytes]:
    """All that is there, in pieces as small as their format has."""
    items: dict[str, bytes] = {}
    for file in sorted(work.rglob("*")):
        name = str(file.relative_to(work))
        if not file.is_file() or name == "log.csv" or file.suffix in (".html", ".svg", ".md") or "tfevents" in name:
            continue
        data = file.read_bytes()
        if name.endswith(".safetensors.gz"):
            items |= tensors_of(name, gzip.decompress(data))
        elif name.endswith(".safetensors"):
            items |= tensors_of(name, data)
        elif name.endswith("metrics.csv"):
            for number, line in enumerate(data.splitlines()):
                items[f"{name}:{number}.{line.split(b',')[2].decode()}"] = line
        elif name.endswith(".json"):
            for key, value in json.loads(data).items():
                items[f"{name}:{key}"] = json.dumps(value).encode()
        elif name.endswith("config.toml"):  # but for the summary, which changes nothing
            items[name] = b"\n".join(line for line in data.splitlines() if not line.startswith(b"summary = "))
        else:
            items[name] = data
    return items


def write_log(file: pathlib.Path) -> None:
    """What `fit` learns from."""
    draw = random.Random(0)
    rows = ["slider,hinge,slider_velocity,hinge_velocity,slide"]
    rows += [",".join(f"{draw.uniform(-1, 1):.3f}" for _ in range(5)) for _ in range(40)]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")


# Some are the same in two runs now and then.
TIMES = re.compile("decision_times|seconds|per_second|metadata.metrics.csv")


def left_out_of(first: dict[str, bytes], second: dict[str, bytes]) -> set[str]:
    """What is not the same in two undisturbed runs: times, and what counts their bytes."""
    return {key for key in first | second if TIMES.search(key) or first.get(key) != second.get(key)}


def differences(found: dict[str, bytes], whole: dict[str, bytes], left_out: set[str]) -> list[str]:
    return sorted(key for key in found | whole if key not in left_out and found.get(key) != whole.get(key))


def sample(jobs: list, count: int, seed: int) -> list:
    """So many of them, in their order; 0: all."""
    if count == 0 or count >= len(jobs):
        return jobs
    return [jobs[i] for i in sorted(random.Random(seed).sample(range(len(jobs)), count))]


def add_table_flags(parser: argparse.ArgumentParser) -> None:
    """Of scripts that fill a table."""
    parser.add_argument("--sample", metavar="N", type=int, default=0, help="so many of each case, drawn by --draw; 0: all")
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--counts", metavar="FILE", type=pathlib.Path, help="table of how many of each case came to what")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--beside", type=int, default=os.cpu_count() or 1)


def fill(table: pathlib.Path, columns: tuple[str, ...], head_size: int,
         jobs: Iterable[tuple[tuple, Callable[[], tuple]]], minutes: float, beside: int) -> None:
    """Appends a row per job: its head, the first columns, and what it returns. What stands there by its head is not done again, and after so many minutes
    nothing is begun any more. `jobs` are made one after the other, so that a case may be prepared when it is its turn."""
    end = time.monotonic() + 60 * minutes
    done = set()
    if table.exists():
        with open(table, encoding="utf-8") as stream:
            done = {tuple(row[column] for column in columns[:head_size]) for row in csv.DictReader(stream)}

    def work(job):
        head, disturb = job
        return None if tuple(map(str, head)) in done or time.monotonic() > end else (*head, *disturb())

    with open(table, "a", encoding="utf-8", newline="") as stream, concurrent.futures.ThreadPoolExecutor(beside) as pool:
        writer = csv.writer(stream)
        if not done:
            writer.writerow(columns)
        for row in pool.map(work, jobs):
            if row is not None:
                writer.writerow(row)
                stream.flush()


def summary(table: pathlib.Path, kind: str, right: tuple[str, ...], kept: pathlib.Path | None = None) -> int:
    """Prints how many of each case and kind came to what, and writes it to `kept`; 1 when something did not end as it should."""
    with open(table, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    counts = collections.Counter((row["case"], row[kind], row["outcome"]) for row in rows)
    for (case, of_kind, outcome), count in sorted(counts.items()):
        print(f"{case:<16} {of_kind:<10} {outcome:<10} {count:>6}")
    if kept:
        with open(kept, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("case", kind, "outcome", "count"))
            writer.writerows((*key, count) for key, count in sorted(counts.items()))
    wrong = [row for row in rows if row["outcome"] not in right]
    print(f"{len(rows)} in all, {len(wrong)} that did not end as they should")
    for row in wrong[:40]:
        print(" | ".join(row.values()), file=sys.stderr)
    return 1 if wrong else 0
