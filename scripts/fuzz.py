#!/usr/bin/env python3
"""Gives every reader of a format whatever bytes there are, as long as it is told to.

usage: fuzz.py [TARGET ...] [--seconds N] [--beside N] [--table OUT.csv] [--program FILE] [--folder FOLDER]
       fuzz.py --reduce FILE TARGET
       fuzz.py --keep TARGET ...

Begins with fuzz/corpus/TARGET, with what the program itself writes, and with what earlier calls found worth keeping, in
FOLDER/corpus/TARGET (build/fuzz). A finding ends its target: the bytes are in FOLDER/findings/TARGET-*, and the exit code is 1.
The table gets a row per call and target: seconds, executions, edges that were reached, findings.

--reduce  the shortest bytes that still are that finding, beside it
--keep    fuzz/corpus/TARGET becomes the smallest files that reach what is reached by all there are, those of LARGEST bytes and
          less, and at most COUNT of them: they are tests

What is built by: cmake --preset fuzz && cmake --build build/fuzz --target foreplan_fuzz
"""

import argparse
import concurrent.futures
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

COLUMNS = ("target", "seconds", "executions", "edges", "findings")
LARGEST = 8192  # bytes of a file that is kept
COUNT = 60
LIMITS = ("-timeout=10", "-rss_limit_mb=3000", "-malloc_limit_mb=1500", "-max_len=65536", "-detect_leaks=1")


class Fuzzer:
    def __init__(self, arguments):
        self.program = str(pathlib.Path(arguments.program).resolve())
        self.folder = pathlib.Path(arguments.folder)
        self.seconds = arguments.seconds
        (self.folder / "findings").mkdir(parents=True, exist_ok=True)

    def targets(self) -> list[str]:
        return [line.split()[0] for line in self.call().stdout.splitlines()]

    def call(self, *words: str):
        """With files in memory, where there is such a place; libFuzzer ends without cleaning up."""
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
            return subprocess.run([self.program, *words], capture_output=True, text=True, check=False, errors="replace",
                                  env=os.environ | {"TMPDIR": scratch})

    def corpora(self, target: str) -> list[str]:
        """The one that grows comes first."""
        grown, seeds = self.folder / "corpus" / target, self.folder / "seeds" / target
        grown.mkdir(parents=True, exist_ok=True)
        self.call("--seeds", target, str(seeds))
        given = pathlib.Path("fuzz/corpus") / target
        return [str(each) for each in (grown, seeds, given) if each.exists()]

    def fuzz(self, target: str) -> dict:
        findings = self.folder / "findings" / f"{target}-"
        began = time.monotonic()
        done = self.call(target, f"-max_total_time={self.seconds}", "-print_final_stats=1", f"-artifact_prefix={findings}", *LIMITS,
                         *self.corpora(target))
        executions = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        edges = re.findall(r" cov: (\d+)", done.stderr)
        if done.returncode != 0:
            lines = done.stderr.splitlines()
            first = next((i for i, line in enumerate(lines) if re.search("^found |^==[0-9]+==ERROR|runtime error:|^ALARM", line)), len(lines) - 25)
            print("\n".join(lines[max(first, 0):first + 25]), file=sys.stderr)
        return {"target": target, "seconds": round(time.monotonic() - began), "executions": int(executions[1]) if executions else 0,
                "edges": int(edges[-1]) if edges else 0, "findings": int(done.returncode != 0)}

    def reduce(self, target: str, file: str) -> int:
        done = self.call(target, "-minimize_crash=1", f"-max_total_time={self.seconds}", f"-exact_artifact_path={file}.reduced", *LIMITS, file)
        print(done.stderr[-2000:], file=sys.stderr)
        print(f"{file}.reduced")
        return 0

    def keep(self, target: str) -> None:
        given = pathlib.Path("fuzz/corpus") / target
        with tempfile.TemporaryDirectory() as merged, tempfile.TemporaryDirectory() as small:
            for number, file in enumerate(file for corpus in self.corpora(target) for file in pathlib.Path(corpus).iterdir()):
                if file.stat().st_size <= LARGEST:
                    shutil.copy(file, pathlib.Path(small) / str(number))
            done = self.call(target, "-merge=1", *LIMITS, merged, small)
            if done.returncode != 0:
                raise SystemExit(done.stderr[-2000:])
            # Findings that were mended stay; of the rest the smallest.
            stay = sorted(given.glob("found_*")) if given.exists() else []
            chosen = sorted(pathlib.Path(merged).iterdir(), key=lambda file: (file.stat().st_size, file.name))[:COUNT]
            contents = {file.name: file.read_bytes() for file in [*chosen, *stay]}
        shutil.rmtree(given, ignore_errors=True)
        given.mkdir(parents=True)
        for name, data in contents.items():
            (given / (name if name.startswith("found_") else name[:12])).write_bytes(data)
        print(f"{target}: {len(contents)} files, {sum(map(len, contents.values()))} bytes")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--beside", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--program", default="build/fuzz/foreplan_fuzz")
    parser.add_argument("--folder", default="build/fuzz")
    parser.add_argument("--reduce", metavar="FILE")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments)
    known = fuzzer.targets()
    targets = arguments.targets or known
    unknown = [target for target in targets if target not in known]
    if unknown:
        sys.exit(f"fuzz: unknown target {unknown[0]}, expected: {' '.join(known)}")
    if arguments.reduce:
        return fuzzer.reduce(targets[0], arguments.reduce)
    if arguments.keep:
        for target in targets:
            fuzzer.keep(target)
        return 0

    print(f"{'target':<28}{'seconds':>8}{'executions':>12}{'edges':>8}{'findings':>10}", flush=True)
    findings = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.beside) as pool:
        for row in pool.map(fuzzer.fuzz, targets):
            findings += row["findings"]
            print(f"{row['target']:<28}{row['seconds']:>8}{row['executions']:>12}{row['edges']:>8}{row['findings']:>10}", flush=True)
            if arguments.table:
                is_new = not arguments.table.exists()
                with open(arguments.table, "a", encoding="utf-8", newline="") as stream:
                    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
                    if is_new:
                        writer.writeheader()
                    writer.writerow(row)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
