#!/usr/bin/env python3
"""Learning curves of runs: OUT.csv with every return and the figure OUT.svg.

A run is its folder, or the document that `foreplan run --json` wrote.
"""

import argparse
import csv
import itertools
import json
import math
import statistics
import tomllib
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 24, 40, 48

Curve = list[tuple[int, float]]  # (environment steps, return) after each whole episode
WHOLE = ("length", "terminated")  # neither cut off nor diverged: their returns can be compared


def read_curve(run: Path) -> tuple[int, Curve]:
    """Seed and curve."""
    if run.is_dir():
        seed = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["run"]["seed"]
        with open(run / "episodes.csv", encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return seed, [(int(row["total_steps"]), float(row["return"])) for row in rows if row["end"] in WHOLE]
    document = json.loads(run.read_text(encoding="utf-8"))
    steps = itertools.accumulate(document["episode_steps"])
    points = zip(steps, document["episode_returns"], document["episode_ends"])
    return document["seed"], [(step, value) for step, value, end in points if end in WHOLE]


def write_csv(path: str, curves: dict[int, Curve]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["seed", "total_steps", "episode_return"])
        for seed, curve in sorted(curves.items()):
            writer.writerows((seed, *point) for point in curve)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within [low, high], four to ten of them."""
    span = high - low
    step = 10 ** math.floor(math.log10(span))
    while span / step < 4:
        step /= 2
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]


def write_svg(path: str, title: str, curves: dict[int, Curve], lowest: float,
              levels: dict[str, float]) -> None:
    points = [point for curve in curves.values() for point in curve]
    x_max = max(x for x, _ in points)
    values = [max(y, lowest) for _, y in points] + list(levels.values())
    y_min = min(0.0, min(values))
    y_max = max(0.0, 1.05 * max(values))

    def place(x: float, y: float) -> str:
        px = LEFT + (WIDTH - LEFT - RIGHT) * x / x_max
        py = TOP + (HEIGHT - TOP - BOTTOM) * (y_max - max(y, y_min)) / (y_max - y_min)
        return f"{px:.1f},{py:.1f}"

    def line(curve: list[tuple[float, float]], style: str) -> str:
        return f'<polyline fill="none" {style} points="{" ".join(place(*p) for p in curve)}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{title}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">environment steps</text>',
    ]
    for y in ticks(y_min, y_max):
        parts.append(line([(0, y), (x_max, y)], 'stroke="#ddd"'))
        py = float(place(0, y).split(",")[1]) + 4
        parts.append(f'<text x="{LEFT - 6}" y="{py:.1f}" text-anchor="end">{y:g}</text>')
    for x in ticks(0, x_max):
        px = place(x, y_min).split(",")[0]
        parts.append(f'<text x="{px}" y="{HEIGHT - 28}" text-anchor="middle">{x:g}</text>')
    for label, y in levels.items():
        parts.append(line([(0, y), (x_max, y)], 'stroke="#b5541c" stroke-dasharray="5 4"'))
        py = float(place(0, y).split(",")[1]) - 4
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{py:.1f}" text-anchor="end" fill="#b5541c">'
                     f'{label}</text>')
    for curve in curves.values():
        parts.append(line(curve, 'stroke="#7aa6d6" stroke-width="1" opacity="0.7"'))
    if len({tuple(x for x, _ in curve) for curve in curves.values()}) == 1:
        mean = [(c[0][0], statistics.fmean(y for _, y in c)) for c in zip(*curves.values())]
        parts.append(line(mean, 'stroke="#123c69" stroke-width="2.5"'))
    parts.append("</svg>")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(parts) + "\n")


def level(text: str) -> tuple[str, float]:
    label, value = text.rsplit("=", 1)
    return label, float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="writes OUT.csv and OUT.svg")
    parser.add_argument("title")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--lowest", type=float, default=-math.inf, help="the figure's axis ends here")
    parser.add_argument("--level", type=level, action="append", default=[], metavar="LABEL=RETURN",
                        help="a horizontal line, e.g. of the true model; repeatable")
    options = parser.parse_args()
    curves = dict(read_curve(run) for run in options.runs)
    write_csv(options.out + ".csv", curves)
    write_svg(options.out + ".svg", options.title, curves, options.lowest, dict(options.level))


if __name__ == "__main__":
    main()
