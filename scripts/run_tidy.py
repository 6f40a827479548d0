#!/usr/bin/env python3
"""Runs clang-tidy on what changed, then on the rest, as far as time allows.

Files that differ from the base revision come first (a header through a file that includes it), then the others,
beginning elsewhere after every commit, until --minutes are over. The closing line says how many were not looked at;
where changed ones are among them, --note gets a line about it. What passed is remembered by a hash of the file, the
headers of ours it includes, its compile command and the list of checks, and is not run again.
"""

import argparse
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLANG_TIDY = "clang-tidy-16"
FILES_PER_RUN = 30  # about as many are looked at in one run
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


@functools.cache
def text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@functools.cache
def closure(file: str) -> frozenset[str]:
    """The file and all headers of ours that it includes, directly or not."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in found and (ROOT / current).is_file():
            found.add(current)
            waiting += INCLUDE.findall(text(current))
    return frozenset(found)


def compile_commands(build: Path) -> dict[str, str]:
    """Compile command of every source file of ours, without generated ones and those of packages in .venv."""
    commands: dict[str, str] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = Path(entry["file"])
        if file.is_relative_to(ROOT) and not file.is_relative_to(build) and not file.is_relative_to(ROOT / ".venv"):
            commands[file.relative_to(ROOT).as_posix()] = entry["command"].replace(str(ROOT), "")
    return commands


def git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def changed_files(base: str) -> set[str] | None:
    """What differs from the base, committed or not; None when no base can be found.

    Without a given base: where this branch left origin/main, else the last commit's parent.
    """
    if base and git("rev-parse", "--verify", f"{base}^{{commit}}") is None:
        sys.exit(f"tidy: base revision '{base}' is unknown")
    head = git("rev-parse", "HEAD")
    if not base:
        base = git("merge-base", "HEAD", "origin/main") or ""
    if not base or git("rev-parse", base) == head:
        base = git("rev-parse", "--verify", "HEAD~1") or ""
    if not base:
        return None
    listed = (git("diff", "--name-only", base) or "") + "\n"
    listed += git("ls-files", "--others", "--exclude-standard") or ""
    return set(listed.split("\n"))


def select(sources: list[str], changed: set[str] | None) -> list[str]:
    """The sources that must be checked: changed ones, and one for every changed header."""
    if changed is None:
        return sources
    chosen = [source for source in sources if source in changed]
    for header in sorted(file for file in changed if file.endswith(".h")):
        if not any(header in closure(source) for source in chosen):
            includers = [source for source in sources if header in closure(source)]
            own = [source for source in includers if source == header.removesuffix(".h") + ".cc"]
            chosen += (own or includers)[:1]
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="has compile_commands.json")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--base", default="", help="revision to compare with")
    parser.add_argument("--minutes", default="5", help="for all of it; all: no limit")
    parser.add_argument("--note", type=Path, help="file for a line about changed files that were not looked at")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    commands = compile_commands(options.build.resolve())
    sources = sorted(commands)
    checks = (ROOT / ".clang-tidy").read_text()
    version = subprocess.run([CLANG_TIDY, "--version"], capture_output=True, check=True).stdout
    # The compile commands hold warning options of g++.
    tidy = [CLANG_TIDY, "--quiet", f"-p={options.build}", "--extra-arg=-Wno-unknown-warning-option"]

    def remembered(source: str) -> Path:
        digest = hashlib.sha256(version + checks.encode() + commands[source].encode())
        for file in sorted(closure(source)):
            digest.update(f"\0{file}\0{text(file)}".encode())
        return options.cache / digest.hexdigest()

    due = select(sources, changed_files(options.base))
    rest = [source for source in sources if source not in set(due)]
    first = int(git("rev-list", "--count", "HEAD") or 0) * FILES_PER_RUN % max(1, len(rest))
    rest = rest[first:] + rest[:first]
    deadline = float("inf") if options.minutes == "all" else time.monotonic() + 60 * float(
        options.minutes)

    def check(source: str) -> str:
        """Returns "known", "passed", "failed" or "left"."""
        mark = remembered(source)
        if mark.exists():
            return "known"
        if time.monotonic() > deadline:
            return "left"
        began = time.monotonic()
        # The static analyzer is half of the time; tests run under the sanitizers anyway.
        lighter = ["--checks=-clang-analyzer-*"] if source.endswith("_test.cc") else []
        done = subprocess.run([*tidy, *lighter, source], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        failed = done.returncode != 0
        print(f"tidy: {source}: {'failed' if failed else 'passed'}, "
              f"{time.monotonic() - began:.0f} s" + ("\n" + done.stdout if failed else ""),
              file=sys.stderr, flush=True)
        if not failed:
            mark.touch()
        return "failed" if failed else "passed"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, due + rest))

    changed_left = results[: len(due)].count("left")
    print(f"tidy: {len(sources)} files: {results.count('passed')} passed, "
          f"{results.count('failed')} failed, {results.count('known')} passed before, "
          f"{results.count('left')} not looked at, {changed_left} of them changed "
          f"(FOREPLAN_TIDY_MINUTES=all checks them)", file=sys.stderr)
    if options.note:
        options.note.write_text(f"{changed_left} changed files not looked at" if changed_left else "")
    return 1 if "failed" in results else 0


if __name__ == "__main__":
    sys.exit(main())
