#!/usr/bin/env python3
"""Checks the house: includes point one way, rooms say what they are, files stay readable.

A room includes only itself and the rooms above it. Help for tests (foreplan/<room>/testing/) is included by tests and
benchmarks only. Every room has a README.md that says what it may include. A file of more than 500 lines says why in
its first comment ("Long because ..."). A type is defined once: to the linker two of one name in one namespace are one,
whatever they hold. Prints every violation as file:line and exits with 1 if there is one.
--self-test checks the checker.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# In the order in which the data walks through them; see the layout in CONTRIBUTING.md.
ROOMS = ("core", "data", "expressions", "systems", "nets", "models", "policies", "critics", "trajopt", "planners",
         "control", "runs", "learners", "experiments")
# What stands outside the library may include all of it.
OUTSIDE = ("apps", "benchmarks", "examples", "python")
UMBRELLA = "foreplan/foreplan.h"

FOR_TESTS = re.compile(r"_(test|benchmark)\.cc$|/testing/|^(apps/bench|benchmarks)/")
LONGEST = 500  # [lines] without a reason
REASON = re.compile(r"\blong because\b", re.IGNORECASE)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
UNNAMED = "{}"  # namespace
TYPE = re.compile(r"(?:struct|class|enum class|enum|union) (?:alignas\(\w+\) )?(\w+)(?: final)?\s*(?:[:{]\s.*|[:{])?$")


def problem(includer: str, included: str) -> str | None:
    """Says what is wrong with an include; both paths are relative to the repository's root."""
    folder, *rest = included.split("/")
    if folder in OUTSIDE:
        ours = includer.split("/")[0]
        return None if ours == folder else f"includes {folder}/, which stands outside the library"
    if folder != "foreplan":
        return "is no path from the repository's root (foreplan/<room>/<file>.h)"
    if included == UMBRELLA:
        return None if includer.startswith(OUTSIDE) else "the umbrella header is for users only"
    if len(rest) < 2 or rest[0] not in ROOMS:
        return f"is in no known room ({', '.join(ROOMS)})"
    if "testing" in rest and not FOR_TESTS.search(includer):
        return "is for tests only"
    if includer.startswith(OUTSIDE) or includer == UMBRELLA:
        return None
    room, included_room = includer.split("/")[1], rest[0]
    if room not in ROOMS:
        return f"comes from no known room ({', '.join(ROOMS)})"
    if ROOMS.index(included_room) > ROOMS.index(room):
        return f"points backwards, {room} is above {included_room}"
    return None


def violations(root: Path) -> Iterator[str]:
    for folder in ("foreplan", *OUTSIDE):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            includer = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                if match and (what := problem(includer, match[1])):
                    yield f'{includer}:{number}: "{match[1]}" {what}'


def wrong_readmes(root: Path) -> Iterator[str]:
    for i, room in enumerate(ROOMS):
        path = f"foreplan/{room}/README.md"
        expected = f"**May include**: {', '.join(f'`{other}`' for other in ROOMS[:i]) or 'nothing of foreplan'}."
        if not (root / path).is_file():
            yield f"{path}: there is none, expected what lives here, what it may include, where to start"
        elif expected not in (root / path).read_text(encoding="utf-8"):
            yield f"{path}: expected the line: {expected}"


def first_comment(text: str) -> str:
    """Of C++ or Python: up to the first line that is none."""
    if '"""' in text[:200]:
        return text.split('"""')[1]
    lines = text.splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith(("//", "#!"))), len(lines))
    return " ".join(lines[:end])


def long_files(root: Path) -> Iterator[str]:
    for folder in ("foreplan", "scripts", *OUTSIDE):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc", ".py"):
                continue
            text = path.read_text(encoding="utf-8")
            lines = len(text.splitlines())
            if lines > LONGEST and not REASON.search(first_comment(text)):
                yield (f"{path.relative_to(root).as_posix()}: found {lines} lines, expected at most {LONGEST}, or "
                       f"'Long because ...' in its first comment")


def types_of(text: str) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the types that a file defines outside of unnamed namespaces. In our style nothing in a
    namespace is indented, and its end says so."""
    spaces: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"(?:inline )?namespace\b([\w: ]*)\{", line):
            spaces.append(match[1].strip() or UNNAMED)
        elif line.startswith("}  // namespace") and spaces:
            spaces.pop()
        elif (match := TYPE.match(re.sub(r"\s*//.*", "", line))) and UNNAMED not in spaces:
            yield "::".join(spaces), match[1]


def types_defined_twice(root: Path) -> Iterator[str]:
    first: dict[tuple[str, str], str] = {}
    for folder in ("foreplan", "apps", "python"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            name = path.relative_to(root).as_posix()
            for kind in types_of(path.read_text(encoding="utf-8")):
                if first.setdefault(kind, name) != name:
                    yield f"{name}: '{'::'.join(kind)}' is the name of a type in {first[kind]} as well"


def self_test() -> None:
    cases = {
        "foreplan/core/a.h": [("foreplan/core/b.h", True), ("foreplan/data/b.h", False),
                              ("b.h", False), ("foreplan/attic/b.h", False)],
        "foreplan/models/a_test.cc": [("foreplan/nets/b.h", True), ("foreplan/planners/b.h", False),
                                      ("foreplan/core/testing/b.h", True),
                                      ("foreplan/control/testing/b.h", False),
                                      (UMBRELLA, False), ("apps/b.h", False)],
        "foreplan/learners/a.cc": [("foreplan/runs/b.h", True),
                                   ("foreplan/core/testing/b.h", False)],
        UMBRELLA: [("foreplan/learners/b.h", True)],
        "apps/a.cc": [("foreplan/learners/b.h", True), (UMBRELLA, True), ("apps/b.h", True)],
        "examples/a.cc": [(UMBRELLA, True), ("apps/b.h", False)],
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        expected = set()
        for includer, includes in cases.items():
            path = root / includer
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ["#include <vector>", *(f'#include "{included}"' for included, _ in includes)]
            path.write_text("\n".join(lines))
            expected |= {f'{includer}:{number}: "{included}"'
                         for number, (included, allowed) in enumerate(includes, 2) if not allowed}
        found = {" ".join(v.split(" ")[:2]) for v in violations(root)}
        assert found == expected, f"found {found}, expected {expected}"
        assert len(list(wrong_readmes(root))) == len(ROOMS)
        for name, first, lines in (("foreplan/core/long.h", "// Numbers.", LONGEST + 1),
                                   ("foreplan/core/table.h", "// Numbers.\n// Long because a table.", LONGEST + 1),
                                   ("foreplan/core/full.h", "// Numbers.", LONGEST),
                                   ("foreplan/core/long.py", '"""Numbers.\n\nLong because a table."""', LONGEST + 1)):
            rest = lines - len(first.splitlines())
            (root / name).write_text(first + "\n" + "int x;\n" * rest)
        assert [v.split(":")[0] for v in long_files(root)] == ["foreplan/core/long.h"]
        for name, text in (("a.h", "namespace foreplan {\n\nstruct Row {\n  int x;\n};\n\n}  // namespace foreplan\n"),
                           ("b.h", "namespace foreplan {\nstruct Row;\nclass Other final : public Base {\n};\n}  // namespace foreplan\n"),
                           ("c.cc", "namespace foreplan {\nnamespace {\nstruct Row {\n};\n}  // namespace\n"
                                    "class Other::Impl {\n};\n}  // namespace foreplan\n"),
                           ("d.cc", "namespace foreplan {\nnamespace {\n}  // namespace\nenum class Row : int {\n};\n}  // namespace foreplan\n"),
                           ("e.h", "namespace foreplan::data {\nstruct Row {\n};\n}  // namespace foreplan::data\n")):
            (root / "foreplan/core" / name).write_text(text)
        assert [v.split(":")[0] for v in types_defined_twice(root)] == ["foreplan/core/d.cc"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        self_test()
        return 0
    root = Path(__file__).resolve().parent.parent
    found = [*violations(root), *wrong_readmes(root), *long_files(root), *types_defined_twice(root)]
    print("\n".join(found) if found else "includes: all point one way; no file is too long; no type is defined twice",
          file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
