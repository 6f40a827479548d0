#!/usr/bin/env python3
"""Solves the reference problems of trajectory optimisation with foreplan and Crocoddyl in turn.

Makes a virtual environment in build/peers-crocoddyl, installs Crocoddyl's C++ wheel from PyPI,
builds driver.cc against it, then alternates `foreplan bench trajopt --json` and the driver on one
processor. Writes build/peers/trajopt.json and .md: medians over the rounds and their ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / "build/peers-crocoddyl"
WHEEL = "libcrocoddyl==3.2.1"
# Our variant, the peer's that it is compared with, and what is compared.
COMPARED = [
    ("lqr_37x12", "free", "free", "us_per_iteration", 3),
    ("lqr_56x22", "8", "8", "us_per_iteration", 3),
    ("lqr_56x22", "64", "64", "us_per_iteration", 3),
    ("lqr_56x22", "512", "512", "us_per_iteration", 3),
    ("unicycle", "free", "free", "us_per_iteration", 2),
    ("unicycle", "free", "free", "us_total", 2),
    ("cartpole", "free", "free", "us_per_iteration", 3),
    ("cartpole", "bounded", "bounded", "us_per_iteration", 5),
    ("cartpole", "ddp", "free", "us_total", 8),
    ("acrobot", "free", "free", "us_per_iteration", 2.5),
    ("acrobot", "bounded", "bounded", "us_per_iteration", 4),
    ("acrobot", "target", "free", "us_total", 3.5),
    ("quadrotor", "free", "free", "us_per_iteration", 2.5),
    ("quadrotor", "bounded", "bounded", "us_per_iteration", 3.5),
    ("quadrotor", "infeasible", "infeasible", "us_per_iteration", 2.5),
    ("box_qp_8", "cold", "cold", "us_total", None),
    ("box_qp_36", "cold", "cold", "us_total", 3),
    ("box_qp_76", "cold", "cold", "us_total", 3),
    ("box_qp_36", "warm", "warm", "us_total", None),
    ("box_qp_76", "warm", "warm", "us_total", None),
]


def run(*command: str | Path, **options) -> str:
    return subprocess.run([str(part) for part in command], check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


def prefix() -> Path:
    found = sorted(VENV.glob("lib/python*/site-packages/cmeel.prefix"))
    if not found:
        sys.exit(f"run.py: no cmeel.prefix in {VENV}: the wheel has another layout than expected")
    return found[-1]


def build_driver() -> Path:
    """Compiled for baseline x86-64, like the wheel."""
    if not (VENV / "bin/pip").exists():
        run(sys.executable, "-m", "venv", VENV)
    run(VENV / "bin/pip", "install", "--quiet", "--disable-pip-version-check", WHEEL)
    driver = VENV / "driver"
    run("g++", "-std=c++20", "-O3", "-DNDEBUG", "-w", f"-I{ROOT}", "-isystem", prefix() / "include",
        "-isystem", "/usr/include/eigen3", ROOT / "benchmarks/peers/crocoddyl/driver.cc", "-o",
        driver, f"-L{prefix() / 'lib'}", "-lcrocoddyl", "-lpinocchio_default",
        f"-Wl,-rpath,{prefix() / 'lib'}", f"-Wl,-rpath-link,{prefix() / 'lib'}")
    return driver


def rows(text: str) -> dict[tuple[str, str], dict]:
    return {(row["problem"], row["variant"]): row for row in json.loads(text)}


def median(samples: list[dict], case: tuple[str, str], key: str) -> float:
    return statistics.median(sample[case][key] for sample in samples)


def table(ours: list[dict], peers: list[dict]) -> str:
    lines = ["| problem | variant | compared | foreplan [us] | Crocoddyl [us] | ratio | wanted | "
             "iterations | final cost |",
             "|---|---|---|---|---|---|---|---|---|"]
    for problem, variant, peer_variant, key, wanted in COMPARED:
        case, peer_case = (problem, variant), (problem, peer_variant)
        a, b = median(ours, case, key), median(peers, peer_case, key)
        us, peer = ours[0][case], peers[0][peer_case]
        lines.append(
            f"| {problem} | {variant} | {key[3:]} | {a:.2f} | {b:.2f} | **{b / a:.2f}** | "
            f"{wanted or '-'} | {us['iterations']:g} / {peer['iterations']:g} | "
            f"{us['final_cost']:.10g} / {peer['final_cost']:.10g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/foreplan")
    parser.add_argument("--processor", type=int, default=0)
    arguments = parser.parse_args()
    driver = build_driver()
    environment = os.environ | {"LD_LIBRARY_PATH": str(prefix() / "lib")}
    bound = ["taskset", "-c", str(arguments.processor)]
    ours, peers = [], []
    for number in range(arguments.rounds):
        both = [lambda: ours.append(rows(run(
                    *bound, arguments.program, "bench", "trajopt", "--threads", "1", "--seconds",
                    "0.3", "--json"))),
                lambda: peers.append(rows(run(*bound, driver, env=environment)))]
        for one in both if number % 2 == 0 else reversed(both):
            one()
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    text = table(ours, peers)
    folder = ROOT / "build/peers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trajopt.md").write_text(text)
    samples = {"foreplan": [list(s.values()) for s in ours],
               "crocoddyl": [list(s.values()) for s in peers]}
    (folder / "trajopt.json").write_text(json.dumps(samples, indent=1))
    print(text)


if __name__ == "__main__":
    main()
