#!/usr/bin/env python3
"""Puts measurements of run_peers.py together: a table (CSV) and a figure (SVG) of the ratios.

    benchmarks/peers/collect.py build/peers/*.json --csv peers.csv --svg peers.svg

The figure shows, per case measured with one thread, how many times as long every peer took as
foreplan at the same precision (bf16 against bf16, all else against f32 or f64) did.
"""

import argparse
import csv
import html
import json
from pathlib import Path

COLUMNS = ("suite", "case", "threads", "program", "ms_median", "ms_p10", "ms_p90", "samples", "ratio")
LONGEST = 12  # ratio at which bars end


def precision_of(program: str) -> str:
    return "bf16" if program.endswith("bf16") else "other"


def rows_of(files: list[Path]) -> list[dict]:
    """Of files named <suite>-<threads>.json."""
    rows = []
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))["rows"]
        for row in found:
            ours = [other for other in found if other["case"] == row["case"]
                    and other["program"].startswith("foreplan")
                    and precision_of(other["program"]) == precision_of(row["program"])]
            rows.append({
                "suite": file.stem.rpartition("-")[0], "case": Path(row["case"]).stem,
                "threads": row["threads"], "program": row["program"],
                **{key: f"{row[key]:.5g}" for key in ("ms_median", "ms_p10", "ms_p90")},
                "samples": row["samples"],
                "ratio": f"{row['ms_median'] / ours[0]['ms_median']:.3g}" if ours else ""})
    return rows


def figure(rows: list[dict]) -> str:
    shown = [row for row in rows if str(row["threads"]) == "1" and row["ratio"]
             and not row["program"].startswith("foreplan")]
    groups: dict[str, list[dict]] = {}
    for row in shown:
        groups.setdefault(f"{row['suite']} {row['case']}", []).append(row)
    left, width, bar, gap = 190, 480, 11, 10
    height = sum(len(group) * bar + gap for group in groups.values()) + 36
    scale = width / LONGEST
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 170} {height}" '
             'font-family="sans-serif" font-size="10">',
             '<rect width="100%" height="100%" fill="#fff"/>',
             f'<text x="{left}" y="16">time of a peer / time of foreplan, one thread '
             f"(bars end at {LONGEST})</text>"]
    y = 28
    for title, group in groups.items():
        middle = y + len(group) * bar / 2 + 3
        parts.append(f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end">'
                     f"{html.escape(title)}</text>")
        for row in group:
            length = scale * min(float(row["ratio"]), LONGEST)
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" '
                         f'fill="#4c78a8"/><text x="{left + length + 4:.1f}" y="{y + bar - 3}" '
                         f'font-size="9">{row["ratio"]}  {html.escape(row["program"])}</text>')
            y += bar
        y += gap
    parts.append(f'<line x1="{left + scale:.1f}" y1="22" x2="{left + scale:.1f}" y2="{y}" '
                 'stroke="#333" stroke-dasharray="3 3"/>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="JSON")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--svg", type=Path, required=True)
    arguments = parser.parse_args()
    rows = rows_of(arguments.files)
    with arguments.csv.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    arguments.svg.write_text(figure(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
