#!/usr/bin/env python3
"""Learning curves of a task: for every label of DATA.csv (rows of scripts/actor_critic_runs.py collect) the mean over its seeds
as a line in the range of them all, and points of others' published means with their deviations, as an SVG figure.

usage: plot_learning.py OUT.svg TITLE DATA.csv TASK [--y COLUMN] [--published PUBLISHED.csv NAME]
"""

import argparse
import csv
import math
import pathlib
import statistics

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 64, 170, 48, 48
COLOURS = ("#123c69", "#b3402e", "#2f8f5b", "#8a6d1d", "#6b3fa0", "#3f7f8f")
PUBLISHED_COLOURS = ("#777777", "#c08a3e", "#7a5fa0", "#4f8f6f", "#a05f6f")


def curves_of(file: pathlib.Path, task: str, y: str) -> dict[str, dict[float, list[float]]]:
    """{label: {step: values of the seeds}}"""
    curves: dict = {}
    with open(file, encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["task"] == task and row[y]:
                curves.setdefault(row["label"], {}).setdefault(float(row["step"]), []).append(float(row[y]))
    return curves


def published_of(file: pathlib.Path | None, name: str, last: float) -> dict[str, list[dict]]:
    points: dict = {}
    if file is None:
        return points
    with open(file, encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["task"] == name and float(row["step"]) <= last:
                points.setdefault(row["method"], []).append(row)
    return points


def limits_of(values: list[float]) -> tuple[float, float, float]:
    """The lowest and highest tick around them, and the distance of ticks: 1, 2, 2.5 or 5 times a power of ten."""
    low, high = min(0.0, *values), max(0.0, *values)
    power = 10.0 ** math.floor(math.log10((high - low or 1) / 5))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= (high - low) / 5)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


class Figure:
    def __init__(self, title: str, y: str, last: float, low: float, high: float, tick: float):
        self.last, self.low, self.high = last, low, high
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="22" font-size="15">{title}</text>',
            f'<text x="6" y="{TOP - 8}">{y}</text>',
            f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">environment steps</text>']
        for k in range(round((high - low) / tick) + 1):
            value = low + k * tick
            self.parts += [
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(value):.1f}" y2="{self.y(value):.1f}" stroke="#ddd"/>',
                f'<text x="{LEFT - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">{value:g}</text>']
        for k in range(6):
            self.parts += [
                f'<text x="{self.x(k * last / 5):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{k * last / 5:g}</text>']
        self.named = 0

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.last

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM + (TOP - HEIGHT + BOTTOM) * share

    def name(self, text: str, colour: str) -> None:
        self.parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 16 * self.named}" fill="{colour}">{text}</text>')
        self.named += 1

    def curve(self, label: str, points: dict[float, list[float]], colour: str) -> None:
        steps = sorted(points)
        seeds = max(len(points[step]) for step in steps)
        self.name(f"{label}, {seeds} seed{'' if seeds == 1 else 's'}", colour)
        around = [(step, max(points[step])) for step in steps] + [(step, min(points[step])) for step in reversed(steps)]
        self.parts += [
            f'<polygon fill="{colour}" fill-opacity="0.15" points="{self.path(around)}"/>',
            f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" '
            f'points="{self.path([(step, statistics.mean(points[step])) for step in steps])}"/>']

    def path(self, points: list[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(step):.1f},{self.y(value):.1f}" for step, value in points)

    def others(self, method: str, rows: list[dict], colour: str, shift: float) -> None:
        self.name(f"{method}, published", colour)
        for row in rows:
            at, mean = self.x(float(row["step"])) + shift, float(row["mean"])
            if row["deviation"]:
                low, high = self.y(mean - float(row["deviation"])), self.y(mean + float(row["deviation"]))
                self.parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
            self.parts.append(f'<circle cx="{at:.1f}" cy="{self.y(mean):.1f}" r="3.5" fill="{colour}"/>')

    def text(self) -> str:
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("title")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("task")
    parser.add_argument("--y", default="mean_return")
    parser.add_argument("--published", nargs=2, default=(None, ""))
    arguments = parser.parse_args()
    curves = curves_of(arguments.data, arguments.task, arguments.y)
    if not curves:
        parser.error(f"{arguments.data}: found no rows of task '{arguments.task}' with '{arguments.y}'")
    last = max(step for points in curves.values() for step in points)
    published = published_of(arguments.published[0], arguments.published[1], last)
    values = [value for points in curves.values() for each in points.values() for value in each]
    values += [float(row["mean"]) for rows in published.values() for row in rows]
    figure = Figure(arguments.title, arguments.y.replace("_", " "), last, *limits_of(values))
    for i, (label, points) in enumerate(curves.items()):
        figure.curve(label, points, COLOURS[i % len(COLOURS)])
    for i, (method, rows) in enumerate(published.items()):
        figure.others(method, rows, PUBLISHED_COLOURS[i % len(PUBLISHED_COLOURS)], 3 * (i - len(published) / 2))
    arguments.out.write_text(figure.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
