#!/usr/bin/env python3
"""Checks that relative links in the documentation lead to a file, or to a heading of one.

Prints every dead link as file:line and exits with 1 if there is one.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("foreplan/*/README.md", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")

# [text](target), ![picture](target "title"), [text]: target, <img src="target">
LINK = re.compile(r'\]\(\s*<?([^)\s>]+)[^)]*\)|^\s*\[[^\]]+\]:\s+(\S+)|(?:src|href)="([^"]+)"')
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines outside code blocks."""
    in_code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            in_code = not in_code
        elif not in_code:
            yield number, line


def anchors(page: Path) -> set[str]:
    """The names that headings get on the usual code hosts."""
    names: set[str] = set()
    for _, line in prose(page):
        if heading := re.match(r"#+\s+(.*)", line):
            kept = re.sub(r"[^\w\- ]", "", heading[1].strip().lower())
            names.add(kept.replace(" ", "-"))
        names.update(re.findall(r'(?:id|name)="([^"]+)"', line))
    return names


def dead_links(page: Path) -> Iterator[str]:
    for number, line in prose(page):
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            target = next(group for group in match.groups() if group)
            if ELSEWHERE.match(target):
                continue
            path, _, anchor = unquote(target).partition("#")
            file = page.parent / path if path else page
            if not file.exists():
                yield f"{page.relative_to(ROOT)}:{number}: no such file: {target}"
            elif anchor and file.suffix == ".md" and anchor.lower() not in anchors(file):
                yield f"{page.relative_to(ROOT)}:{number}: no such heading: {target}"


def main() -> int:
    pages = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    dead = [link for page in pages for link in dead_links(page)]
    print("\n".join(dead) or f"docs: links of {len(pages)} pages resolve", file=sys.stderr)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
