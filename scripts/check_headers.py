#!/usr/bin/env python3
"""Checks which headers are installed: those that programs may include, and what these include.

cmake/installed_headers.txt lists them: first the public ones, chosen by hand; then, written by --write, the internal
ones that a public one includes, directly or not, and that nobody should include on their own. All other headers stay
at home. Prints what is wrong with the list and exits with 1 if something is. --self-test checks the checker.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = "cmake/installed_headers.txt"
INTERNAL = "# Internal: public headers include them. Written by scripts/check_headers.py --write."
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def read_list(root: Path) -> tuple[str, list[str], list[str]]:
    """The text above the internal headers, the public ones, the internal ones."""
    above, _, below = (root / LIST).read_text(encoding="utf-8").partition(INTERNAL)
    def names(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and not line.startswith("#")]
    return above, names(above), names(below)


def includes(root: Path, header: str) -> list[str]:
    path = root / header
    return INCLUDE.findall(path.read_text(encoding="utf-8")) if path.is_file() else []


def closure(root: Path, headers: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(headers)
    while waiting:
        header = waiting.pop()
        if header not in found:
            found.add(header)
            waiting += includes(root, header)
    return found


def wrong(root: Path) -> list[str]:
    _, public, internal = read_list(root)
    found = [f"{LIST}: there is no {header}" for header in public if not (root / header).is_file()]
    found += [f"{LIST}: {header} is help for tests" for header in public if "/testing/" in header]
    needed = closure(root, public) - set(public)
    found += [f"{LIST}: {header} is missing: a public header includes it (scripts/check_headers.py --write)"
              for header in sorted(needed - set(internal))]
    found += [f"{LIST}: no public header includes {header} (scripts/check_headers.py --write)"
              for header in sorted(set(internal) - needed)]
    return found


def write(root: Path) -> None:
    above, public, _ = read_list(root)
    needed = sorted(closure(root, public) - set(public))
    (root / LIST).write_text(above + "\n".join([INTERNAL, *needed, ""]), encoding="utf-8")


def self_test() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {"foreplan/a.h": '#include "foreplan/b.h"\n', "foreplan/b.h": '#include "foreplan/c.h"\n',
                           "foreplan/c.h": "", "foreplan/d.h": "",
                           LIST: "# Public\nforeplan/a.h\nforeplan/gone.h\n\n" + INTERNAL + "\nforeplan/d.h\n"}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        found = [line.split(": ")[1] for line in wrong(root)]
        assert found == ["there is no foreplan/gone.h", "foreplan/b.h is missing", "foreplan/c.h is missing",
                         "no public header includes foreplan/d.h (scripts/check_headers.py --write)"], found
        (root / LIST).write_text((root / LIST).read_text().replace("foreplan/gone.h\n", ""))
        write(root)
        assert not wrong(root) and read_list(root)[1:] == (["foreplan/a.h"], ["foreplan/b.h", "foreplan/c.h"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the internal headers anew")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    if arguments.write:
        write(ROOT)
    found = wrong(ROOT)
    _, public, internal = read_list(ROOT)
    print("\n".join(found) if found else
          f"headers: {len(public)} public ones and {len(internal)} that they include are installed", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
