#!/usr/bin/env python3
"""The returns that `foreplan bench deadlines --json` measured, a row for each planner, way to decide and time for a
decision; without a number where time is not limited.

usage: deadlines_table.py BENCH.json OUT.csv
"""

import csv
import json
import re
import sys

WAYS = {"return": "a plan at every step", "follow": "the first plan shifted"}


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as stream:
        rows = json.load(stream)
    with open(sys.argv[2], "w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["planner", "decisions", "deadline_ms", "return"])
        for row in rows:
            for key, value in row.items():
                if match := re.fullmatch(r"(return|follow)_(?:(.+)_ms|unlimited)", key):
                    table.writerow([row["case"], WAYS[match[1]], match[2], f"{value:.2f}"])


if __name__ == "__main__":
    main()
