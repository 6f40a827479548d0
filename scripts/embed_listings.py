#!/usr/bin/env python3
"""Checks that the listings of the documentation are the files that they show, which are built and run as tests.

A listing is a code block below a line <!-- listing: PATH -->, PATH from the root of the repository. Prints every one that
differs and exits with 1 if there is one; --write writes them anew. --self-test checks the checker.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/*.md")
LISTING = re.compile(r"(<!-- listing: (\S+) -->\n```(?:cpp|python)\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"<!-- listing: (\S+) -->")


def embedded(text: str, files: dict[str, str]) -> str:
    """The page with its listings as the files are."""
    return LISTING.sub(lambda match: match[1] + files[match[2]] + match[4], text)


def read(paths: set[str]) -> dict[str, str]:
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}


def self_test() -> None:
    for language in ("cpp", "python"):
        page = f"a\n<!-- listing: x.cc -->\n```{language}\nold\n```\nb\n```{language}\nkept\n```\n"
        assert embedded(page, {"x.cc": "new\n\nlines\n"}) == page.replace("old\n", "new\n\nlines\n")
        assert embedded(page, {"x.cc": "old\n"}) == page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the listings anew")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    wrong, count = [], 0
    for page in sorted({page for pattern in PAGES for page in ROOT.glob(pattern)}):
        text = page.read_text(encoding="utf-8")
        paths = MARK.findall(text)
        count += len(paths)
        name = page.relative_to(ROOT)
        gone = [path for path in paths if not (ROOT / path).is_file()]
        if gone or len(LISTING.findall(text)) != len(paths):
            wrong.append(f"{name}: " + (f"no such file: {gone[0]}" if gone else "a listing's mark without its block"))
            continue
        new = embedded(text, read(set(paths)))
        if arguments.write:
            page.write_text(new, encoding="utf-8")
        elif new != text:
            wrong.append(f"{name}: listings differ from their files (scripts/embed_listings.py --write)")
    print("\n".join(wrong) or f"listings: {count} are their files", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
