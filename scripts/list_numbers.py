#!/usr/bin/env python3
"""Where the documentation's numbers come from: docs/numbers.toml, page by page.

usage: list_numbers.py           prints the list: page, what, command, files with their revision, minutes; then
                                 the other pages that have numbers in tables, whose commands nobody listed
       list_numbers.py --check   every command and every file stands on its page; every .csv and .svg of
                                 docs/results belongs to one, and every page there
       list_numbers.py --run [PAGE…]   reruns what has a key `run` and takes less than five minutes, and
                                 compares what it made with what is in docs/

A [[number]] has
  page, what   the page below the root, and what is claimed there
  command      as the page has it (any part of its text; spaces and line ends do not matter), or several
  minutes      expected, on two cores
  files        that the commands made, below the root; the revision printed is the last that changed each
  quoted       optional: texts with numbers of this page that README.md repeats; --check finds each on both
  run          optional: what --run executes in the root; $OUT is an empty folder, $BUILD is build/release.
               It must end with 0.
  compare      optional: {made = "FILE in $OUT, or stdout", columns = […], tolerance = T}; the first of `files`
               must have the same rows: texts equal, numbers within T relative to the larger of both and 1e-3.
Of a file that was in git before its page named a command, the revision says when it changed, no more.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "numbers.toml"
RESULTS = ROOT / "docs" / "results"
LONGEST_RUN = 5  # [minutes]
SMALLEST = 1e-3  # numbers below it are compared as if they were as large


def commands(number: dict) -> list[str]:
    command = number["command"]
    return command if isinstance(command, list) else [command]


def plain(text: str) -> str:
    """Without backslashes at line ends; one space for any white space."""
    return " ".join(re.sub(r"\\\n", " ", text).split())


def revision(file: str) -> str:
    git = subprocess.run(["git", "log", "-1", "--format=%h %cs", "--", file], cwd=ROOT, capture_output=True, text=True)
    return git.stdout.strip() or "not committed"


def print_list(numbers: list[dict]) -> None:
    for number in numbers:
        again = ", --run repeats it" if "run" in number and number["minutes"] < LONGEST_RUN else ""
        print(f"{number['page']} ({revision(number['page'])}): {number['what']}")
        print(f"  {number['minutes']} min{again}")
        for command in commands(number):
            print(f"  $ {plain(command)}")
        for file in number.get("files", []):
            print(f"  -> {file} ({revision(file)})")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with_tables = [str(page.relative_to(ROOT)) for page in pages
                   if re.search(r"^\|.*\| *\**-?\d[^|]*\|", page.read_text(encoding="utf-8"), re.MULTILINE)]
    if rest := [page for page in with_tables if page not in {number["page"] for number in numbers}]:
        print(f"tables without an entry: {', '.join(rest)}")


def faults(numbers: list[dict]) -> list[str]:
    found = []
    listed: set[str] = set()
    for number in numbers:
        if missing := {"page", "what", "command", "minutes"} - number.keys():
            found.append(f"docs/numbers.toml: {number.get('what', number)}: no {', '.join(sorted(missing))}")
            continue
        page = ROOT / number["page"]
        if not page.is_file():
            found.append(f"docs/numbers.toml: no such page: {number['page']}")
            continue
        text = page.read_text(encoding="utf-8")
        for command in commands(number):
            if plain(command) not in plain(text):
                found.append(f"{number['page']}: does not have the command `{plain(command)}`")
        for quote in number.get("quoted", []):
            found += [f"{name}: does not have “{quote}”, which docs/numbers.toml says it has"
                      for name in ("README.md", number["page"])
                      if quote not in plain((ROOT / name).read_text(encoding="utf-8"))]
        for file in number.get("files", []):
            listed.add(file)
            if not (ROOT / file).is_file():
                found.append(f"docs/numbers.toml: no such file: {file}")
            elif not re.search(rf"(?<![\w-]){re.escape(Path(file).name)}", text):
                found.append(f"{number['page']}: does not name {file}")
    made = {str(path.relative_to(ROOT)) for kind in ("csv", "svg") for path in RESULTS.rglob(f"*.{kind}")}
    found += [f"{file}: in no entry of docs/numbers.toml" for file in sorted(made - listed)]
    pages = {str(path.relative_to(ROOT)) for path in RESULTS.glob("*.md")} - {"docs/results/README.md"}
    found += [f"{page}: in no entry of docs/numbers.toml" for page in sorted(pages - {n.get("page") for n in numbers})]
    return found


def rows_of(text: str, columns: list[str]) -> list[list[str]]:
    """The table's rows from its header on, what else a program printed left out."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if set(columns) <= set(next(csv.reader([line]), []))), None)
    if begin is None:
        return []
    header = next(csv.reader([lines[begin]]))
    rows = [row for row in csv.reader(lines[begin + 1 :]) if len(row) == len(header)]
    return [[row[header.index(column)] for column in columns] for row in rows]


def same(a: str, b: str, tolerance: float) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return abs(x - y) <= tolerance * max(abs(x), abs(y), SMALLEST)


def differences(was: list[list[str]], made: list[list[str]], tolerance: float) -> list[str]:
    if not was or len(was) != len(made):
        return [f"{len(made)} rows, {len(was)} in docs/"]
    return [
        f"row {i}: {', '.join(new)}; in docs/ {', '.join(old)}"
        for i, (old, new) in enumerate(zip(was, made), 1)
        if not all(same(a, b, tolerance) for a, b in zip(old, new))
    ]


def rerun(number: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as out:
        environment = {**os.environ, "OUT": out, "BUILD": str(ROOT / "build" / "release")}
        done = subprocess.run(["bash", "-c", number["run"]], cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            return [f"ended with {done.returncode}", *(done.stderr or done.stdout).strip().splitlines()[-5:]]
        compare = number.get("compare")
        if compare is None:
            return []
        made = done.stdout if compare["made"] == "stdout" else (Path(out) / compare["made"]).read_text("utf-8")
        was = (ROOT / number["files"][0]).read_text("utf-8")
        columns = compare["columns"]
        return differences(rows_of(was, columns), rows_of(made, columns), compare["tolerance"])


def run(numbers: list[dict], pages: list[str]) -> int:
    failed = 0
    for number in numbers:
        if "run" not in number or number["minutes"] >= LONGEST_RUN or (pages and number["page"] not in pages):
            continue
        found = rerun(number)
        failed += bool(found)
        print(f"{'DIFFERS' if found else 'same'}: {number['page']}: {number['what']}", flush=True)
        print("".join(f"  {line}\n" for line in found[:10]), end="")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--run", nargs="*", metavar="PAGE")
    arguments = parser.parse_args()
    numbers = tomllib.loads(TABLE.read_text(encoding="utf-8"))["number"]
    if arguments.check:
        found = faults(numbers)
        files = sum(len(number.get("files", [])) for number in numbers)
        print("\n".join(found) or f"numbers: {len(numbers)} claims name their commands, {files} files theirs", file=sys.stderr)
        return 1 if found else 0
    if arguments.run is not None:
        return run(numbers, arguments.run)
    print_list(numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
