#!/usr/bin/env python3
"""Means over the rows of a CSV that share everything named: a panel for each value of PANEL, in it a
line over X for each value of LINE, as an SVG figure. Values of Y beyond the limits end at the edge;
rows without X are left out.

usage: plot_lines.py OUT.svg TITLE DATA.csv PANEL LINE X Y LOWEST HIGHEST
"""

import csv
import statistics
import sys

PANEL_WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 220, 320, 56, 52, 48, 14
COLOURS = ("#b3402e", "#123c69", "#2f8f5b", "#8a6d1d", "#6b3fa0")


def read_means(file: str, keys: tuple[str, str, str], y: str) -> dict:
    """{panel: {line: {x: mean of y}}}, in the file's order."""
    values: dict = {}
    with open(file, encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            panel, line, x = (row[key] for key in keys)
            if not x:
                continue
            values.setdefault(panel, {}).setdefault(line, {}).setdefault(float(x), []).append(float(row[y]))
    return {panel: {line: {x: statistics.mean(each) for x, each in points.items()}
                    for line, points in lines.items()} for panel, lines in values.items()}


def figure(title: str, means: dict, panel_name: str, x_name: str, y_name: str,
           low: float, high: float) -> str:
    width = LEFT + len(means) * (PANEL_WIDTH + GAP)
    bottom = HEIGHT - BOTTOM
    last = max(x for lines in means.values() for points in lines.values() for x in points)

    def at_y(value: float) -> float:
        return bottom + (TOP - bottom) * (min(max(value, low), high) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{title}</text>',
        f'<text x="6" y="{TOP - 8}">{y_name}</text>',
        f'<text x="{width - GAP}" y="{HEIGHT - 8}" text-anchor="end">{x_name}</text>',
    ]
    names = list(dict.fromkeys(name for lines in means.values() for name in lines))
    at = LEFT
    for i, name in enumerate(names):
        parts.append(f'<text x="{at}" y="{HEIGHT - 8}" fill="{COLOURS[i % len(COLOURS)]}">{name}</text>')
        at += 16 + 7 * len(name)  # pixels, of letters
    for p, (panel, lines) in enumerate(means.items()):
        left = LEFT + p * (PANEL_WIDTH + GAP)
        parts.append(f'<text x="{left + PANEL_WIDTH / 2}" y="{TOP - 8}" text-anchor="middle">'
                     f'{panel_name} {panel}</text>')
        for k in range(5):
            value = low + k * (high - low) / 4
            parts.append(f'<line x1="{left}" x2="{left + PANEL_WIDTH}" y1="{at_y(value):.1f}" '
                         f'y2="{at_y(value):.1f}" stroke="#ddd"/>')
            if p == 0:
                parts.append(f'<text x="{left - 6}" y="{at_y(value) + 4:.1f}" text-anchor="end">'
                             f'{value:g}</text>')
        for k in range(3):
            parts.append(f'<text x="{left + PANEL_WIDTH * k / 2:.1f}" y="{bottom + 16}" '
                         f'text-anchor="middle">{last * k / 2:g}</text>')
        for name, points in lines.items():
            path = " ".join(f"{left + PANEL_WIDTH * x / last:.1f},{at_y(y):.1f}"
                            for x, y in sorted(points.items()))
            parts.append(f'<polyline fill="none" stroke="{COLOURS[names.index(name) % len(COLOURS)]}" '
                         f'stroke-width="2.5" points="{path}"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    if len(sys.argv) != 10:
        sys.exit(__doc__)
    out, title, file, panel, line, x, y, low, high = sys.argv[1:]
    means = read_means(file, (panel, line, x), y)
    with open(out, "w", encoding="utf-8") as stream:
        stream.write(figure(title, means, panel, x, y, float(low), float(high)))


if __name__ == "__main__":
    main()
