#!/usr/bin/env python3
"""Draws docs/rooms.svg from the code: the rooms of foreplan/, and an arrow for every room whose files include another's.

An arrow that follows from others (a room includes what a room that it includes includes) is pale. A room stands on the
floor above the highest that it includes. Boxes show how many files and lines a room has, without tests.

usage: draw_rooms.py           writes docs/rooms.svg
       draw_rooms.py --check   exits with 1 when rooms or arrows of docs/rooms.svg are not those of the code
"""

import re
import sys
from pathlib import Path

from check_includes import FOR_TESTS, INCLUDE, ROOMS

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "rooms.svg"
WIDTH, BOX, HEIGHT, FLOOR, MARGIN = 700, 118, 44, 84, 20


def sources(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / "foreplan" / room).rglob("*"))
            if path.suffix in (".h", ".cc") and not FOR_TESTS.search(path.relative_to(ROOT).as_posix())]


def includes(room: str) -> set[str]:
    """Other rooms that files of this one include."""
    found = set()
    for path in sources(room):
        for line in path.read_text(encoding="utf-8").splitlines():
            if (match := INCLUDE.match(line)) and match[1].startswith("foreplan/"):
                found.add(match[1].split("/")[1])
    return found & set(ROOMS) - {room}


def reached(room: str, arrows: dict[str, set[str]]) -> set[str]:
    """Rooms below, directly or by others."""
    below = set(arrows[room])
    for other in arrows[room]:
        below |= reached(other, arrows)
    return below


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    floor: dict[str, int] = {}
    for room in ROOMS:  # a room stands behind all that it includes
        floor[room] = 1 + max((floor[other] for other in arrows[room]), default=-1)
    return floor


def places(floor: dict[str, int]) -> dict[str, tuple[float, float]]:
    """The middle of every room's box; core at the bottom, neighbours of a floor apart."""
    top = max(floor.values())
    place = {}
    for level in range(top + 1):
        rooms = [room for room in ROOMS if floor[room] == level]
        for i, room in enumerate(rooms):
            # Floors lean to alternate sides, so that arrows that skip one do not run through its box.
            lean = (40 if level % 2 else -40) if len(rooms) == 1 else 0
            spread = 0.5 if level == 1 else 1  # narrow: arrows from above pass between the boxes of floor 2
            x = WIDTH * (0.5 + spread * ((i + 0.5) / len(rooms) - 0.5)) + lean
            place[room] = (x, MARGIN + HEIGHT / 2 + (top - level) * FLOOR)
    return place


def arrow(start: tuple[float, float], end: tuple[float, float], implied: bool) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + HEIGHT / 2), (end[0], end[1] - HEIGHT / 2)
    bend = 0 if y2 - y1 < 3 * FLOOR else (70 if x1 >= WIDTH / 2 else -70)
    middle = (y1 + y2) / 2
    style = 'stroke="#d5d9e0"' if implied else 'stroke="#123c69" stroke-width="1.6" marker-end="url(#tip)"'
    return (f'<path d="M {x1:.0f} {y1:.0f} C {x1 + bend:.0f} {middle:.0f}, {x2 + bend:.0f} {middle:.0f}, '
            f'{x2:.0f} {y2 - 3:.0f}" fill="none" {style}/>')


def figure() -> str:
    arrows = {room: includes(room) for room in ROOMS}
    place = places(floors(arrows))
    height = MARGIN + max(y for _, y in place.values()) + HEIGHT / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" '
        f'font-size="14">',
        "<title>Rooms and which of them include which</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M 0 0 L 8 4 L 0 8 z" fill="#123c69"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
    ]
    for implied in (True, False):  # pale ones below
        for room in ROOMS:
            for other in sorted(arrows[room]):
                by_others = any(other in reached(via, arrows) for via in arrows[room] - {other})
                if by_others == implied:
                    parts.append(f"<!-- {room} -> {other} -->{arrow(place[room], place[other], implied)}")
    for room in ROOMS:
        x, y = place[room]
        files = sources(room)
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
        parts.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" height="{HEIGHT}" rx="6" '
            f'fill="#eef3f9" stroke="#123c69"/>'
            f'<text x="{x:.0f}" y="{y - 3:.0f}" text-anchor="middle" font-weight="bold">{room}</text>'
            f'<text x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle" font-size="11" fill="#555">'
            f"{len(files)} files, {lines / 1000:.1f}k lines</text>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def structure(text: str) -> tuple[set[str], set[str]]:
    """Rooms and arrows of a figure; sizes are not compared, they change with every line."""
    return set(re.findall(r'font-weight="bold">(\w+)<', text)), set(re.findall(r"<!-- (\w+ -> \w+) -->", text))


def main() -> int:
    made = figure()
    if "--check" in sys.argv[1:]:
        if not FIGURE.is_file() or structure(FIGURE.read_text(encoding="utf-8")) != structure(made):
            print("docs/rooms.svg: its rooms or arrows are not those of the code; run scripts/draw_rooms.py",
                  file=sys.stderr)
            return 1
        return 0
    FIGURE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
