#!/usr/bin/env python3
"""Keeps the last result of each stage of `./dev check` in docs/checks.md.

usage: record_check.py STAGE RESULT MINUTES    writes the stage's row, at the revision checked out
       record_check.py --passed STAGE          prints the revision where the stage last passed, if any
"""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "checks.md"
# | `stage` | result | minutes | revision | date |; other tables have other numbers of columns
ROW = re.compile(r"^\| `(\w+)` \|((?:[^|\n]*\|){3}[^|\n]*)\|$", re.MULTILINE)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = {match[1]: match for match in ROW.finditer(text)}
    if sys.argv[1] == "--passed":
        cells = [cell.strip() for cell in rows[sys.argv[2]][2].split("|")] if sys.argv[2] in rows else ["", "", ""]
        # A revision with local changes is none that can be compared with.
        if cells[2] and git("rev-parse", "--verify", "--quiet", f"{cells[2]}^{{commit}}"):
            print(cells[2])
        return
    stage, result, minutes = sys.argv[1:4]
    if stage not in rows:
        sys.exit(f"record_check: docs/checks.md has no row for '{stage}'")
    # Beside the page itself, which each stage rewrites.
    dirty = "-dirty" if git("status", "--porcelain", "--", ".", ":!docs/checks.md") else ""
    revision = git("rev-parse", "--short=12", "HEAD") + dirty
    if result != "ok":  # the column keeps where the stage last passed
        result, revision = f"{result} at {revision}", rows[stage][2].split("|")[2].strip()
    row = f"| `{stage}` | {result} | {minutes} | {revision} | {datetime.date.today()} |"
    PAGE.write_text(text[: rows[stage].start()] + row + text[rows[stage].end():], encoding="utf-8")


if __name__ == "__main__":
    main()
