#!/usr/bin/env python3
"""Learning curves from the JSON of `foreplan run --json`: a CSV with every return and an SVG figure.

usage: plot_learning_curves.py OUT TITLE RUN.json...   (writes OUT.csv and OUT.svg)
"""

import csv
import itertools
import json
import math
import statistics
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 24, 40, 48


def read_curve(file: str) -> tuple[int, list[tuple[int, float]]]:
    """Seed and (environment steps, return) after each episode."""
    with open(file, encoding="utf-8") as stream:
        run = json.load(stream)
    steps = itertools.accumulate(run["episode_steps"])
    return run["seed"], list(zip(steps, run["episode_returns"]))


def write_csv(path: str, curves: dict[int, list[tuple[int, float]]]) -> None:
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


def write_svg(path: str, title: str, curves: dict[int, list[tuple[int, float]]]) -> None:
    points = [point for curve in curves.values() for point in curve]
    x_max = max(x for x, _ in points)
    y_min = min(0.0, min(y for _, y in points))
    y_max = max(y for _, y in points) * 1.05 if max(y for _, y in points) > 0 else 0.0

    def place(x: float, y: float) -> str:
        px = LEFT + (WIDTH - LEFT - RIGHT) * x / x_max
        py = TOP + (HEIGHT - TOP - BOTTOM) * (y_max - y) / (y_max - y_min)
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
    for curve in curves.values():
        parts.append(line(curve, 'stroke="#7aa6d6" stroke-width="1" opacity="0.7"'))
    if len({tuple(x for x, _ in curve) for curve in curves.values()}) == 1:
        mean = [(c[0][0], statistics.fmean(y for _, y in c)) for c in zip(*curves.values())]
        parts.append(line(mean, 'stroke="#123c69" stroke-width="2.5"'))
    parts.append("</svg>")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(parts) + "\n")


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    out, title, *files = sys.argv[1:]
    curves = dict(read_curve(file) for file in files)
    write_csv(out + ".csv", curves)
    write_svg(out + ".svg", title, curves)


if __name__ == "__main__":
    main()
