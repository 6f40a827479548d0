#!/usr/bin/env python3
"""Deliberate faults: builds all of them into one copy of the tree, switches on one at a time, and runs the
tests that must fail.

usage: mutations.py [--only NAME…] [--rooms ROOM…] [--survey] [--build-only] [--write]
       mutations.py --check        the tables alone: every text stands once in its file, every test exists
       mutations.py --self-test    this script

The faults are faults/<room>.toml, [[fault]] with
  name, what   unique, snake_case; one sentence
  file, text   a piece of source that stands exactly once in the file
  fault        what stands there instead, when the fault is on
  caught_by    tests that must fail then, <room>.<Suite>.<Test> as ctest calls them
A text that ends with ';' or '}' becomes `{ if (on) { fault } else { text } }`, any other
`(on ? (fault) : (text))`. Without a fault that is on, the copy is the program as it is.

--survey runs all fast tests of the rooms that have tests in caught_by against each fault, and names every
one that fails; --write puts the table of faults and tests into docs/reliability.md.
"""

import argparse
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "faults"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
TIMEOUT = 120  # [s] for the tests of one fault in one program; beyond it the fault counts as caught
SWITCH = "foreplan/core/active_fault.h"  # stands in the copy alone

SWITCH_TEXT = """\
#pragma once
#include <cstdlib>
namespace foreplan {
// The number of the fault that is on (mutations.py); 0 for none.
inline const int active_fault = std::getenv("FOREPLAN_FAULT") ? std::atoi(std::getenv("FOREPLAN_FAULT")) : 0;
}  // namespace foreplan
"""


class TableError(Exception):
    """A table that cannot be used as it is."""


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    what: str
    file: str
    text: str
    fault: str
    caught_by: tuple[str, ...]
    room: str

    @property
    def number(self) -> int:
        """From the name alone, so that a new fault leaves the others' files as they are."""
        return zlib.crc32(self.name.encode()) & 0x7FFFFFFF

    @property
    def programs(self) -> dict[str, list[str]]:
        """Test program -> filters of Google Test."""
        found: dict[str, list[str]] = {}
        for test in self.caught_by:
            room, name = test.split(".", 1)
            found.setdefault(room + "_test", []).append(name)
        return found


# --- tables -------------------------------------------------------------------------------------

FIELDS = {field.name for field in dataclasses.fields(Fault)} - {"room"}


def read_tables(folder: Path) -> list[Fault]:
    faults = []
    for path in sorted(folder.glob("*.toml")):
        with path.open("rb") as file:
            try:
                entries = tomllib.load(file).get("fault", [])
            except tomllib.TOMLDecodeError as error:
                raise TableError(f"{path.name}: {error}") from error
        for entry in entries:
            where = f"{path.name}: fault '{entry.get('name', '?')}'"
            if set(entry) != FIELDS:
                raise TableError(f"{where}: found {sorted(entry)}, expected {sorted(FIELDS)}")
            if not entry["caught_by"]:
                raise TableError(f"{where}: caught_by is empty")
            faults.append(Fault(**entry | {"caught_by": tuple(entry["caught_by"])}, room=path.stem))
    names = [fault.name for fault in faults]
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"fault '{name}' stands twice")
    if len({fault.number for fault in faults}) < len(faults):
        raise TableError("two names have the same number: rename one")
    return faults


def is_statement(text: str) -> bool:
    return text.rstrip().endswith((";", "}"))


def is_fragment(text: str) -> bool:
    """Neither an expression nor statements: brackets left open, or an `if` without what it is for."""
    opened = any(text.count(left) != text.count(right) for left, right in ("()", "[]", "{}"))
    return opened or (not is_statement(text) and re.match(r"\s*(if|for|while|return|else|const|auto)\b", text) is not None)


def mutated(source: str, faults: list[Fault]) -> str:
    """The source with all of its faults in it, each behind its number."""
    places: dict[tuple[int, int], list[Fault]] = {}
    for fault in faults:
        if (count := source.count(fault.text)) != 1:
            raise TableError(f"{fault.room}.toml: fault '{fault.name}': its text stands {count} times in "
                             f"{fault.file}, expected once")
        begin = source.index(fault.text)
        if not is_statement(fault.text) and source[:begin].endswith((".", "->")):
            raise TableError(f"{fault.room}.toml: fault '{fault.name}': its text begins behind '.' or '->', "
                             "expected with the object")
        places.setdefault((begin, begin + len(fault.text)), []).append(fault)
    spans = sorted(places)
    for (_, end), (begin, _) in zip(spans, spans[1:]):
        if begin < end:
            names = [fault.name for span in spans for fault in places[span] if begin < span[1] and span[0] < end]
            raise TableError(f"faults {names} overlap: their texts must be equal or apart")
    for begin, end in reversed(spans):
        text = source[begin:end]
        for fault in places[begin, end]:
            on = f"::foreplan::active_fault == {fault.number}"
            text = (f"{{ if ({on}) {{ {fault.fault} }} else {{ {text} }} }}" if is_statement(fault.text)
                    else f"({on} ? ({fault.fault}) : ({text}))")
        source = source[:begin] + text + source[end:]
    return f'#include "{SWITCH}"\n' + source


# TEST(Suite, Name), TEST_F, TEST_P, TYPED_TEST
TEST_MACRO = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)|\bTYPED_TEST\(\s*(\w+)\s*,\s*(\w+)\s*\)"
                        r"|\bRC_GTEST_PROP\(\s*(\w+)\s*,\s*(\w+)\s*,")


def tests_in(root: Path) -> set[str]:
    """<room>.<Suite>.<Test> of every test file; instances of a parameter are not told apart."""
    found = set()
    for path in [*root.glob("foreplan/**/*_test.cc"), *root.glob("apps/**/*_test.cc")]:
        parts = path.relative_to(root).parts
        room = parts[1] if parts[0] == "foreplan" else "apps"
        for match in TEST_MACRO.finditer(path.read_text(encoding="utf-8")):
            suite, name = [group for group in match.groups() if group]
            found.add(f"{room}.{suite}.{name}")
    return found


def without_instance(test: str) -> str:
    """room.Instance/Suite.Test/3 -> room.Suite.Test"""
    room, suite, name = test.split(".", 2)
    suite = suite.split("/")
    return f"{room}.{suite[-1] if not suite[-1].isdigit() else suite[0]}.{name.split('/')[0]}"


def check(faults: list[Fault], root: Path) -> list[str]:
    """What is wrong with the tables, a line each."""
    problems = []
    known = tests_in(root)
    for file in sorted({fault.file for fault in faults}):
        try:
            mutated((root / file).read_text(encoding="utf-8"), [f for f in faults if f.file == file])
        except FileNotFoundError:
            problems.append(f"{file}: no such file")
        except TableError as error:
            problems.append(str(error))
    for fault in faults:
        if is_fragment(fault.text) or is_fragment(fault.fault):
            problems.append(f"{fault.room}.toml: fault '{fault.name}': found a part of a statement, expected an "
                            "expression or whole statements")
        for test in fault.caught_by:
            if test.count(".") < 2 or without_instance(test) not in known:
                problems.append(f"{fault.room}.toml: fault '{fault.name}': there is no test '{test}'")
    return problems


# --- the copy with all faults -------------------------------------------------------------------


def write_if_changed(path: Path, content: bytes) -> None:
    """Leaves equal files alone: their time decides what is built anew."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def make_copy(faults: list[Fault], copy: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True).stdout.decode().split("\0")
    files = {file for file in listed if file and (ROOT / file).is_file()}
    for file in sorted(files):
        write_if_changed(copy / file, (ROOT / file).read_bytes())
        shutil.copymode(ROOT / file, copy / file)
    write_if_changed(copy / SWITCH, SWITCH_TEXT.encode())
    for file in {fault.file for fault in faults}:
        source = (ROOT / file).read_text(encoding="utf-8")
        write_if_changed(copy / file, mutated(source, [f for f in faults if f.file == file]).encode())
    kept = files | {SWITCH}
    for path in [p for folder in ("foreplan", "apps") for p in (copy / folder).rglob("*") if p.is_file()]:
        if path.relative_to(copy).as_posix() not in kept:
            path.unlink()
    venv = copy / ".venv"
    if not venv.exists() and (ROOT / ".venv").exists():
        venv.symlink_to((ROOT / ".venv").resolve())


def build(copy: Path, targets: list[str]) -> Path:
    subprocess.run(["cmake", "--preset", "release"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    jobs = str(os.cpu_count() or 2)
    subprocess.run(["cmake", "--build", "build/release", "-j", jobs, "--target", *targets, "--", "-k", "0"],
                   cwd=copy, check=True, stdout=sys.stderr)  # -k 0: names every fault that does not compile
    return copy / "build" / "release"


# --- running ------------------------------------------------------------------------------------

FAILED = re.compile(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", re.MULTILINE)
RUNNING = re.compile(r"^\[ RUN      \] ([\w/]+\.[\w/]+)", re.MULTILINE)


def failing(folder: Path, program: str, filters: str, number: int) -> set[str]:
    """Tests that fail, <room>.<Suite>.<Test>; one that crashes or never ends is one of them, and those after
    it are run anew. A program that ends before its first test fails as a whole: "<room>"."""
    room = program.removesuffix("_test")
    found: set[str] = set()
    while True:
        output, ended = start(folder, program, filters, number)
        found |= {f"{room}.{test}" for test in FAILED.findall(output)}
        if ended:
            return found
        started = RUNNING.findall(output)
        if not started:
            return found | {room}
        found.add(f"{room}.{started[-1]}")
        filters += (":" if "-" in filters else "-") + ":".join(started)


def start(folder: Path, program: str, filters: str, number: int) -> tuple[str, bool]:
    """What the tests print, and whether they came to their end. What they started ends with them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        environment = os.environ | {"FOREPLAN_FAULT": str(number), "TMPDIR": temporary}
        command = [str(folder / program), f"--gtest_filter={filters}"]
        tests = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True,
                                 stderr=subprocess.DEVNULL, errors="replace", start_new_session=True)
        try:
            output, _ = tests.communicate(timeout=TIMEOUT)
            return output, tests.returncode in (0, 1)
        except subprocess.TimeoutExpired as error:
            return (error.stdout or b"").decode(errors="replace"), False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGKILL)
            tests.wait()


def judge(fault: Fault | None, tests: dict[str, list[str]], folder: Path, survey: bool) -> set[str]:
    """Which of the tests fail with this fault (none: with the tree as it is)."""
    number = fault.number if fault else 0
    found = set()
    for program, names in tests.items():
        filters = "-*Gate.*" if survey else ":".join(names)
        found |= failing(folder, program, filters, number)
    return found


def silent_tests(fault: Fault, failed: set[str]) -> set[str]:
    """Tests that must fail with the fault and do not."""
    return {test for test in fault.caught_by if test not in failed and test.split(".")[0] not in failed}


def all_tests(faults: list[Fault]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for fault in faults:
        for program, names in fault.programs.items():
            found.setdefault(program, set()).update(names)
    return {program: sorted(names) for program, names in sorted(found.items())}


def run(faults: list[Fault], folder: Path, survey: bool) -> dict[str, set[str]]:
    """Fault -> failing tests. Prints a line for each as it is known."""
    tests = all_tests(faults)
    if broken := judge(None, tests, folder, survey):
        raise TableError(f"without any fault these fail: {', '.join(sorted(broken))}")
    caught: dict[str, set[str]] = {}
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        jobs = [(fault, pool.submit(judge, fault, tests if survey else fault.programs, folder, survey))
                for fault in faults]
        for fault, job in jobs:
            caught[fault.name] = job.result()
            silent = silent_tests(fault, caught[fault.name])
            verdict = "caught" if not silent else f"MISSED by {', '.join(sorted(silent))}"
            others = sorted(caught[fault.name] - set(fault.caught_by))
            print(f"{fault.room:12} {fault.name:48} {verdict}: "
                  f"{', '.join(sorted(caught[fault.name] & set(fault.caught_by)))}"
                  f"{' and ' + ', '.join(others) if others else ''}", flush=True)
    return caught


# --- the page -----------------------------------------------------------------------------------


def table(faults: list[Fault]) -> str:
    lines = ["| room | fault | tests that must fail with it |", "|---|---|---|"]
    for fault in faults:
        tests = ", ".join(f"`{test}`" for test in fault.caught_by)
        lines.append(f"| {fault.room} | {fault.what.replace('|', chr(92) + '|')} (`{fault.name}`) | {tests} |")
    return "\n".join(lines)


def write_page(faults: list[Fault]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(faults)}\n{END}{after}", encoding="utf-8")


# --- main ---------------------------------------------------------------------------------------


def self_test() -> None:
    base = {"what": "w", "file": "f.cc", "caught_by": ("a.B.C",), "room": "a"}
    expression = Fault(name="e", text="a + b", fault="a - b", **base)
    statement = Fault(name="s", text="run();", fault="", **base)
    out = mutated("int f() { run(); return a + b; }", [expression, statement])
    assert f"(::foreplan::active_fault == {expression.number} ? (a - b) : (a + b))" in out, out
    assert f"{{ if (::foreplan::active_fault == {statement.number}) {{  }} else {{ run(); }} }}" in out, out
    for source, faults in (("a + b; a + b", [expression]),
                           ("run(); a + b", [expression, Fault(name="o", text="+ b", fault="- b", **base)])):
        try:
            mutated(source, faults)
            raise AssertionError("accepted a text that stands twice, or an overlap")
        except TableError:
            pass
    assert is_fragment("if (a) {") and is_fragment("if (a)") and is_fragment("f(a,")
    assert not is_fragment("a") and not is_fragment("if (a) b();") and not is_fragment("")
    pair = Fault(name="p", text="c", fault="d", **base | {"caught_by": ("a.B.C", "b.D.E")})
    assert silent_tests(pair, {"a.B.C"}) == {"b.D.E"}
    assert silent_tests(pair, {"a.B.C", "b"}) == set(), "a program that does not start fails all of its tests"
    assert without_instance("a.All/Suite.Test/3") == "a.Suite.Test"
    assert without_instance("a.Suite/1.Test") == "a.Suite.Test"


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--rooms", nargs="+", default=[])
    for flag in ("--survey", "--build-only", "--write", "--check", "--self-test"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    faults = read_tables(TABLES)
    if problems := check(faults, ROOT):
        print("\n".join(problems))
        return 1
    if arguments.write:
        write_page(faults)
    if arguments.check or arguments.write:
        print(f"{len(faults)} faults: every text stands once, every test exists")
        return 0
    # All of them are built in; the choice is which ones are run.
    copy = ROOT / "build" / "mutations"
    chosen = [fault for fault in faults if (not arguments.only or fault.name in arguments.only) and
              (not arguments.rooms or fault.room in arguments.rooms)]
    if not chosen:
        raise TableError(f"no fault is called {arguments.only or arguments.rooms}")
    make_copy(faults, copy)
    began = time.monotonic()
    folder = build(copy, list(all_tests(chosen)))
    built = time.monotonic()
    if arguments.build_only:
        return 0
    caught = run(chosen, folder, arguments.survey)
    missed = [fault.name for fault in chosen if silent_tests(fault, caught[fault.name])]
    print(f"\n{len(chosen)} faults: {len(chosen) - len(missed)} caught by every test that must, {len(missed)} not; "
          f"build {(built - began) / 60:.1f}, tests {(time.monotonic() - built) / 60:.1f} minutes")
    if missed:
        print("not: " + ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TableError as problem:
        sys.exit(f"mutations: {problem}")
