#!/usr/bin/env python3
"""Runs what the pages of the documentation say: every code block is run, or says why not.

usage: run_pages.py [--slow] [--build DIR] [PAGE…]    default: README.md, CONTRIBUTING.md, docs/*.md,
                                                     and notebooks, whose code cells are blocks of python
       run_pages.py --check      only that every block says what it is, and that its flags exist; needs no build
       run_pages.py --self-test

The blocks of a page are run in its order, in one empty folder, with the built program on the PATH and the module
on the PYTHONPATH: `sh` in a shell that ends at the first failure, of `console` what stands behind `$`, `python` in one
interpreter per page. `toml`, `xml` and `json` are parsed, a whole task is loaded; `text`, `cmake`, `yaml` and `cpp` are
not run (a listing is held against its file by embed_listings.py). Comments directly above a block say more:

  <!-- not run: REASON -->   commands and flags are still held against docs/commands.md
  <!-- run: slow -->         only with --slow
  <!-- file: NAME -->        the block is also written to that file
  <!-- given: COMMANDS -->   may have several lines: what is run in a shell before the block
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/notebooks/*.ipynb")
SHELL = {"sh", "bash", "console"}
RUN = SHELL | {"python"}
READ = {"toml", "xml", "json"}
SHOWN = {"text", "cmake", "cpp", "yaml"}
BUDGET = 360  # [s] for all that is not slow
LONGEST = {False: 300, True: 3600}  # [s] for a block, by whether it is slow

BLOCK = re.compile(r"^( *)```(\S*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
MARKS = re.compile(r"(?:^ *<!--(?:(?!-->).)*-->\n)+\Z", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"<!-- (not run|run|file|given|listing):\s*(.*?) -->", re.DOTALL)

# Executes the blocks that come, a JSON text a line, and answers with what they raised.
INTERPRETER = """
import json, sys, traceback
answers, sys.stdout = sys.stdout, sys.stderr
names = {"__name__": "__main__"}
for line in sys.stdin:
    block = json.loads(line)
    raised = ""
    try:
        exec(compile(block["code"], block["name"], "exec"), names)
    except BaseException:
        raised = traceback.format_exc()
    print(json.dumps(raised), file=answers, flush=True)
"""


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def slow(self) -> bool:
        return self.marks.get("run") == "slow"

    @property
    def shell_text(self) -> str:
        return "".join(re.findall(r"^\$ (.*\n)", self.text, re.MULTILINE)) if self.language == "console" else self.text


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        above = MARKS.search(text[: match.start()])
        lines = [line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True)]
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[2], "".join(lines),
                    dict(MARK.findall(above[0])) if above else {})


def cells_of(page: str, text: str) -> Iterator[Block]:
    """The code cells of a notebook; their number stands for the line."""
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        if cell["cell_type"] == "code":
            yield Block(page, number, "python", "".join(cell["source"]) + "\n")


def unmarked(block: Block) -> str:
    """What is wrong with how a block is marked, or ""."""
    known = RUN | READ | SHOWN
    if block.language not in known:
        return f"a block of '{block.language}', expected one of {', '.join(sorted(known))}"
    if block.marks.get("not run") == "":
        return "not run, but for no reason"
    if block.marks.get("run", "slow") != "slow":
        return f"run: {block.marks['run']}, expected slow"
    if block.language == "cpp" and not block.marks.keys() & {"listing", "not run"}:
        return "C++ that is neither a listing nor says why it is not run"
    return ""


def commands(text: str) -> Iterator[list[str]]:
    """The words of every call of the program, without comments; quotes are left as they are."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = re.sub(r"\s#.*", "", line)
        for call in re.findall(r"(?:^|[|;&] *|do |\$\()\s*(?:build/release/)?foreplan ([^|;&>)]*)", line):
            yield call.split()


def unknown_flags(block: Block, flags: dict[str, set[str]]) -> list[str]:
    """Commands and flags of the block that the program does not have."""
    wrong = []
    for name, *words in commands(block.shell_text):
        if name not in flags:
            wrong.append(f"no command 'foreplan {name}'")
            continue
        used = {match[0] for word in words if (match := re.match(r"--[\w-]+", word))}
        wrong += [f"'foreplan {name}' has no {flag}" for flag in sorted(used - flags[name])]
    return wrong


def flags_of_program() -> dict[str, set[str]]:
    """By command, from the page that the program writes of itself."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    flags = {section.splitlines()[0]: set(re.findall(r"--[\w-]+", section)) for section in sections}
    before = set(re.findall(r"--[\w-]+", head))
    return flags | {"--version": before, "--help": before, "COMMAND": {"--help"}}


class Page:
    """Runs the blocks of one page."""

    def __init__(self, folder: str, environment: dict[str, str]):
        self.folder, self.environment = folder, environment
        self.interpreter: subprocess.Popen[str] | None = None

    def run(self, block: Block) -> str:
        """What went wrong, or ""."""
        if wrong := self.shell(block.marks.get("given", ""), block.slow):
            return wrong
        if file := block.marks.get("file"):
            Path(self.folder, file).write_text(block.text, encoding="utf-8")
        if "not run" in block.marks:
            return ""
        if block.language in SHELL:
            return self.shell(block.shell_text, block.slow)
        if block.language == "python":
            return self.python(block)
        return self.read(block) if block.language in READ else ""

    def shell(self, text: str, slow: bool) -> str:
        if not text:
            return ""
        try:
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self.environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST[slow])
        except subprocess.TimeoutExpired:
            return f"took longer than {LONGEST[slow]} s"
        return "" if done.returncode == 0 else f"ended with {done.returncode}\n{last_lines(done.stdout + done.stderr)}"

    def python(self, block: Block) -> str:
        if self.interpreter is None:
            self.log = tempfile.TemporaryFile("w+")
            self.interpreter = subprocess.Popen(
                ["python3", "-c", INTERPRETER], cwd=self.folder, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        assert self.interpreter.stdin and self.interpreter.stdout
        self.interpreter.stdin.write(json.dumps({"code": block.text, "name": block.name}) + "\n")
        self.interpreter.stdin.flush()
        if answer := self.interpreter.stdout.readline():
            return last_lines(json.loads(answer))
        self.log.seek(0)
        return "the interpreter ended\n" + last_lines(self.log.read())

    def read(self, block: Block) -> str:
        try:
            if block.language == "xml":
                xml.etree.ElementTree.fromstring(block.text)
                return ""
            if block.language == "json":
                json.loads(block.text)
                return ""
            table = tomllib.loads(block.text)
        except (ValueError, xml.etree.ElementTree.ParseError) as error:
            return f"cannot be read: {error}"
        if not {"name", "reward", "system"} <= table.keys():
            return ""
        file = block.marks.get("file", "task_of_the_page.toml")
        Path(self.folder, file).write_text(block.text, encoding="utf-8")
        return self.shell(f"foreplan show {file}", slow=False)

    def close(self) -> None:
        if self.interpreter is not None:
            self.interpreter.communicate()
            self.log.close()


def last_lines(text: str, count: int = 12) -> str:
    return "".join(f"  {line}\n" for line in text.strip().splitlines()[-count:]).rstrip()


def environment_of(build: Path) -> dict[str, str]:
    path = [str(build), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]
    return {**os.environ, "PATH": os.pathsep.join(path), "PYTHONPATH": str(build / "python"), "TERM": "dumb",
            "ROOT": str(ROOT)}


def check(blocks: list[Block], flags: dict[str, set[str]]) -> list[str]:
    wrong = [f"{block.name}: {fault}" for block in blocks if (fault := unmarked(block))]
    return wrong + [f"{block.name}: {fault}" for block in blocks if block.language in SHELL
                    for fault in unknown_flags(block, flags)]


def run_page(blocks: list[Block], environment: dict[str, str], slow: bool) -> list[str]:
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        page = Page(folder, environment)
        for block in blocks:
            if block.slow and not slow:
                continue
            if fault := page.run(block):
                wrong.append(f"{block.name}: {fault}")
                break  # what follows may need it
        page.close()
    return wrong


def self_test() -> None:
    text = ("<!-- given:\nmkdir a -->\n<!-- file: x.sh -->\n```sh\nls a\n```\n```python\na = 1\n```\n"
            "  ```python\n  assert a == 1\n  ```\n\n<!-- not run: hours -->\n```sh\nfalse\n```\n```\n?\n```\n")
    blocks = list(blocks_of("p.md", text))
    assert [block.language for block in blocks] == ["sh", "python", "python", "sh", ""], blocks
    assert blocks[0].marks == {"given": "mkdir a", "file": "x.sh"} and blocks[0].line == 4
    assert blocks[2].text == "assert a == 1\n" and blocks[3].marks == {"not run": "hours"}
    assert [bool(unmarked(block)) for block in blocks] == [False, False, False, False, True]
    assert unmarked(Block("p", 1, "cpp", "")) and unmarked(Block("p", 1, "sh", "", {"not run": ""}))
    assert not run_page(blocks[:4], dict(os.environ), slow=False)
    for text in ("exit 3\n", "false | true\n", "ls none\n"):
        assert run_page([Block("p", 1, "sh", text)], dict(os.environ), slow=False), text
        assert not run_page([Block("p", 1, "sh", text, {"run": "slow"})], dict(os.environ), slow=False), text
    assert "NameError" in run_page([Block("p", 1, "python", "b\n")], dict(os.environ), slow=False)[0]
    assert "ended" in run_page([Block("p", 1, "python", "import os; os._exit(1)\n")], dict(os.environ), slow=False)[0]
    assert "cannot be read" in run_page([Block("p", 1, "toml", "a = \n")], dict(os.environ), slow=False)[0]
    assert not run_page([Block("p", 1, "console", "$ echo a >b\na\n$ test -s b\n")], dict(os.environ), slow=False)
    flags = {"run": {"--out"}, "--version": {"--json"}}
    used = "a | foreplan run x --out=y \\\n  --bogus 1  # --no\nforeplan --version --json\nx=$(foreplan rum)\n"
    assert unknown_flags(Block("p", 1, "sh", used), flags) == ["'foreplan run' has no --bogus", "no command 'foreplan rum'"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes")
    parser.add_argument("--check", action="store_true", help="run nothing")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    environment = environment_of(arguments.build.resolve())
    found = {str(page.relative_to(ROOT)) for pattern in PAGES for page in ROOT.glob(pattern)}
    names = arguments.pages or sorted(found)
    pages = {name: list((cells_of if name.endswith(".ipynb") else blocks_of)(name, (ROOT / name).read_text("utf-8")))
             for name in names}
    blocks = [block for page in pages.values() for block in page]
    wrong = check(blocks, flags_of_program())
    begin = time.monotonic()
    for name, of_page in pages.items():
        began = time.monotonic()
        if not arguments.check and of_page:
            wrong += run_page(of_page, environment, arguments.slow)
            print(f"pages: {time.monotonic() - began:6.1f} s  {name}", file=sys.stderr, flush=True)
    if not arguments.slow and (seconds := time.monotonic() - begin) > BUDGET:
        wrong.append(f"all pages took {seconds:.0f} s, at most {BUDGET}: mark what is slow")
    left = sum("not run" in block.marks for block in blocks)
    done = f"pages: {len(blocks)} blocks of {len(pages)} pages, {left} of them not run for a reason"
    print("\n".join(wrong) or done, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
