#!/usr/bin/env python3
"""Two columns of a CSV on logarithmic axes: every row a point, medians joined, as an SVG figure.

usage: plot_points.py OUT.svg TITLE DATA.csv X Y
"""

import csv
import math
import statistics
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 64, 24, 40, 52


def read_points(file: str, x: str, y: str) -> dict[float, list[float]]:
    """Values of y for each x; rows without y are left out."""
    points: dict[float, list[float]] = {}
    with open(file, encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row[y]:
                points.setdefault(float(row[x]), []).append(float(row[y]))
    return dict(sorted(points.items()))


def scale(values: list[float], low: float, high: float):
    """From a number to its place between low and high, logarithmic, with a margin."""
    first, last = (math.log10(value) for value in (min(values) / 1.3, max(values) * 1.3))
    return lambda value: low + (high - low) * (math.log10(value) - first) / (last - first)


def decades(values: list[float]) -> list[float]:
    """1, 2, 5 times powers of ten within the values' range."""
    exponents = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    return [m * 10.0**e for e in exponents for m in (1, 2, 5)
            if min(values) / 1.3 <= m * 10.0**e <= max(values) * 1.3]


def figure(title: str, points: dict[float, list[float]], x: str, y: str) -> str:
    all_y = [value for values in points.values() for value in values]
    at_x = scale(list(points), LEFT, WIDTH - RIGHT)
    at_y = scale(all_y, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{title}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{x}</text>',
        f'<text x="6" y="{TOP - 4}">{y}</text>',
    ]
    for value in decades(all_y):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at_y(value):.1f}" '
                     f'y2="{at_y(value):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at_y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in points:
        parts.append(f'<text x="{at_x(value):.1f}" y="{HEIGHT - 30}" text-anchor="middle">{value:g}</text>')
    for value, values in points.items():
        parts += [f'<circle cx="{at_x(value):.1f}" cy="{at_y(each):.1f}" r="3.5" fill="#7aa6d6"/>'
                  for each in values]
    medians = " ".join(f"{at_x(value):.1f},{at_y(statistics.median(values)):.1f}"
                       for value, values in points.items())
    parts += [f'<polyline fill="none" stroke="#123c69" stroke-width="2.5" points="{medians}"/>', "</svg>"]
    return "\n".join(parts) + "\n"


def main() -> None:
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    out, title, file, x, y = sys.argv[1:]
    with open(out, "w", encoding="utf-8") as stream:
        stream.write(figure(title, read_points(file, x, y), x, y))


if __name__ == "__main__":
    main()
