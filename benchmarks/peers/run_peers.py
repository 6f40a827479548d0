#!/usr/bin/env python3
"""Measures foreplan and what a user might take instead, side by side in one run.

    benchmarks/peers/run_peers.py planning --case lite --threads 1
    benchmarks/peers/run_peers.py simulation --model half_cheetah.xml

Makes a virtual environment, installs the peers from PyPI, and then alternates: in every round each
program does the same work once, in an order that turns around from round to round. Writes
<suite>.json and <suite>.md (medians, spread, ratios, processor, versions) into --out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SUITES = ("planning", "training", "actor_critic", "latency", "mppi", "simulation")


def python_of_peers(environment: Path) -> Path:
    """The interpreter of the virtual environment, which is made when it is not there."""
    python = environment / "bin" / "python"
    done = environment / "peers-installed"
    if done.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
    # Its pins are of the year 2021; nothing that is measured here needs them.
    subprocess.run([*pip, "--no-deps", "mbrl==0.2.0"], check=True)
    done.touch()
    return python


def pin_to_one_processor() -> None:
    """With one thread every program runs on the same processor, peers in worker.py."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Foreplan:
    """Ours: every sample is a run of the program, which warms up and measures the case itself."""

    def __init__(self, arguments, case: str, label: str, precision: str):
        self.label = label
        name, _, self.net = case.partition(":")
        self.command = [arguments.program, "bench", arguments.suite, "--threads",
                        str(arguments.threads), "--repeats", "5", "--seconds",
                        str(arguments.seconds), "--json"]
        if precision:
            self.command += ["--precision", precision]
        self.pin = pin_to_one_processor if arguments.threads == 1 else None
        self.command += ["--model", case] if arguments.suite == "simulation" else ["--case", name]

    def start(self) -> None:
        self.sample()  # says what is wrong before the round begins

    def sample(self) -> float:
        done = subprocess.run(self.command, capture_output=True, text=True, check=False,
                              preexec_fn=self.pin)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        for row in json.loads(done.stdout):
            if self.net in ("", row.get("net")):
                return row["us_median"] * 1e-6 if "us_median" in row else row["ms_median"] * 1e-3
        raise RuntimeError(f"foreplan measured no case of net '{self.net}'")

    def stop(self) -> None:
        pass


class Peer:
    """A worker process; idle between its samples."""

    def __init__(self, python: Path, arguments, case: str, label: str):
        self.label = label
        self.command = [python, HERE / "worker.py", arguments.suite, label, case,
                        str(arguments.threads)]

    def start(self) -> None:
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        self._answer("ready")

    def _answer(self, expected: str | None = None) -> str:
        answer = self.process.stdout.readline().strip()
        if not answer or (expected and answer != expected):
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines()
            raise RuntimeError(lines[-1] if lines else "the worker ended")
        return answer

    def sample(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._answer())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(contestants: list, rounds: int, seconds: float) -> tuple[dict, dict]:
    """Samples [s] by label, and why a contestant is missing."""
    samples, failures = {}, {}
    running = []
    for contestant in contestants:
        try:
            contestant.start()
            running.append(contestant)
        except (RuntimeError, OSError) as error:
            failures[contestant.label] = str(error)
    began = time.monotonic()
    for number in range(rounds):
        for contestant in running if number % 2 == 0 else reversed(running):
            samples.setdefault(contestant.label, []).append(contestant.sample())
        if number >= 2 and time.monotonic() - began > seconds * len(running):
            break
    for contestant in running:
        contestant.stop()
    return samples, failures


def row_of(case: str, threads: int, label: str, seconds: list[float], ours: float | None) -> dict:
    ordered = sorted(seconds)
    place = lambda share: ordered[round(share * (len(ordered) - 1))]
    median = statistics.median(ordered)
    return {"case": case, "threads": threads, "program": label, "ms_median": 1e3 * median,
            "ms_p10": 1e3 * place(0.1), "ms_p90": 1e3 * place(0.9), "samples": len(ordered),
            "times_foreplan": median / ours if ours else None}


def cases_of(arguments) -> list[str]:
    sys.path.insert(0, str(HERE))
    import shapes

    known = {"planning": list(shapes.PLANNING), "training": list(shapes.TRAINING),
             "actor_critic": list(shapes.ACTOR_CRITIC),
             "latency": [f"{case}:{net}" for case in shapes.LATENCY for net in shapes.NETS],
             "mppi": list(shapes.MPPI),
             "simulation": [str(Path(model).resolve()) for model in
                            arguments.model or [ROOT / "tasks" / "pets_cartpole.xml"]]}
    cases = known[arguments.suite]
    if not arguments.case:
        return cases
    chosen = [case for case in cases
              if case in arguments.case or case.split(":")[0] in arguments.case]
    if not chosen:
        sys.exit(f"run_peers: found no case {arguments.case}, expected of: {', '.join(cases)}")
    return chosen


def contestants_of(arguments, python: Path, case: str) -> list:
    names = subprocess.run(
        [python, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r}); "
                       f"import {arguments.suite} as suite; print('\\n'.join(suite.PEERS))"],
        check=True, capture_output=True, text=True).stdout.split("\n")
    peers = [name for name in names if name and (
        not arguments.peer or any(part in name for part in arguments.peer))]
    precisions = arguments.precision if arguments.suite == "planning" else [""]
    ours = [Foreplan(arguments, case, f"foreplan {p}".strip(), p) for p in precisions]
    return ours + [Peer(python, arguments, case, name) for name in peers]


def describe_machine(arguments, python: Path) -> dict:
    processor = next((line.split(": ", 1)[1].strip() for line in open("/proc/cpuinfo")
                      if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in open("/proc/cpuinfo") if line.startswith("flags")), [])
    versions = subprocess.run([python, "-m", "pip", "list", "--format", "json"], check=True,
                              capture_output=True, text=True).stdout
    peers = ("torch", "jax", "jaxlib", "mbrl", "pytorch_mppi", "mujoco", "numpy")
    listed = subprocess.run([arguments.program, "list", "--json"], check=True,
                            capture_output=True, text=True).stdout
    return {"processor": processor, "cores": os.cpu_count(), "load": os.getloadavg()[0],
            "flags": [f for f in flags if f.startswith(("avx", "amx", "fma"))],
            "python": platform.python_version(), "foreplan": json.loads(listed)["versions"],
            "peers": {p["name"]: p["version"] for p in json.loads(versions)
                      if p["name"].replace("-", "_") in peers}}


def markdown(suite: str, machine: dict, rows: list[dict], failures: dict) -> str:
    lines = [f"## {suite}", "",
             f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f}; "
             f"{', '.join(machine['flags'])}.",
             "foreplan " + ", ".join(f"{k} {v}" for k, v in machine["foreplan"].items()) + "; "
             + ", ".join(f"{k} {v}" for k, v in machine["peers"].items())
             + f", Python {machine['python']}.", "",
             "| case | threads | program | median ms | p10 – p90 | samples | × foreplan |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row["times_foreplan"] is None else f"{row['times_foreplan']:.2f}"
        lines.append(f"| `{Path(row['case']).stem}` | {row['threads']} | {row['program']} | "
                     f"{row['ms_median']:.4g} | {row['ms_p10']:.4g} – {row['ms_p90']:.4g} | "
                     f"{row['samples']} | {ratio} |")
    lines += [f"\nNot measured: `{case}`, {label}: {why}" for (case, label), why in failures.items()]
    return "\n".join(lines) + "\n"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--case", action="append", help="only this case; repeatable")
    parser.add_argument("--peer", action="append",
                        help="only peers whose name contains this; repeatable")
    parser.add_argument("--model", action="append", help="simulation: MJCF file; repeatable")
    parser.add_argument("--precision", action="append", help="ours in planning; default: f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9, help="most samples of each program")
    parser.add_argument("--seconds", type=float, default=20,
                        help="per program and case, after which no further round begins")
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "foreplan"))
    parser.add_argument("--environment", type=Path, default=ROOT / "build" / "peers-venv")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "peers")
    arguments = parser.parse_args()
    arguments.precision = arguments.precision or ["f32"]
    if arguments.threads < 1 or arguments.rounds < 1:
        parser.error("--threads and --rounds: expected at least 1")
    if not Path(arguments.program).is_file():
        parser.error(f"--program: found no {arguments.program}; ./dev build makes it")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    python = python_of_peers(arguments.environment)
    machine = describe_machine(arguments, python)
    rows, failures = [], {}
    for case in cases_of(arguments):
        samples, missing = measure(contestants_of(arguments, python, case), arguments.rounds,
                                   arguments.seconds)
        failures.update({(case, label): why for label, why in missing.items()})
        ours = next((statistics.median(s) for label, s in samples.items()
                     if label.startswith("foreplan")), None)
        for label, seconds in samples.items():
            rows.append(row_of(case, arguments.threads, label, seconds, ours))
            print(f"{case}  {label:24} {rows[-1]['ms_median']:10.4g} ms", file=sys.stderr)
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = f"{arguments.suite}-{arguments.threads}"
    document = {"machine": machine, "rows": rows,
                "failures": [[*key, why] for key, why in failures.items()]}
    (arguments.out / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    (arguments.out / f"{name}.md").write_text(
        markdown(arguments.suite, machine, rows, failures))
    print((arguments.out / f"{name}.md").read_text())


if __name__ == "__main__":
    main()
