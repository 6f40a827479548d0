#!/usr/bin/env python3
"""Short runs whose episodes.csv must stay what they are, to the byte (testdata/golden_episodes).

    scripts/golden_episodes.py                             compares this build with the golden files
    scripts/golden_episodes.py --write                     makes those of this processor's instruction set
    scripts/golden_episodes.py --write --program OTHER     the same with another revision's program
    scripts/golden_episodes.py --only pets_cartpole_0      some of the runs

Bits depend on the instruction set and on versions: golden files stand in a folder per instruction set, with the versions that
made them. Make them with the revision before the change that is to be judged (`--program`), not with the one after it.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = SOURCE / "testdata" / "golden_episodes"
MATTERS = ["instruction_set", "compiler", "eigen", "onednn", "mujoco"]  # what bits depend on


def runs():
    """{name: arguments of `foreplan run`}"""
    lines = (GOLDEN / "runs.txt").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {name: shlex.split(arguments) for name, arguments in pairs}


def versions(program):
    listed = subprocess.run([program, "list", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(listed)["versions"]


def episodes(program, arguments):
    """The bytes of episodes.csv of a run of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        environment = {**os.environ, "FOREPLAN_TASKS_DIR": str(SOURCE / "tasks")}
        subprocess.run([program, "run", *arguments, "--threads", "1", "--out", out], check=True, env=environment,
                       capture_output=True)
        return (out / "episodes.csv").read_bytes()


def write(build, program, names):
    ours, theirs = versions(build), versions(program)
    for key in MATTERS:
        if theirs.get(key, ours[key]) != ours[key]:
            sys.exit(f"golden_episodes: {program}: {key}: found {theirs[key]}, expected {ours[key]} as of {build}")
    folder = GOLDEN / ours["instruction_set"]
    known = folder / "versions.json"
    made_by = {**{key: ours[key] for key in MATTERS}, "git_revision": theirs["git_revision"]}
    if known.exists() and any(json.loads(known.read_text())[key] != ours[key] for key in MATTERS):
        shutil.rmtree(folder)  # golden files of other versions
        names = list(runs())
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.csv").write_bytes(episodes(program, runs()[name]))
        print(f"{folder.relative_to(SOURCE)}/{name}.csv")
    known.write_text(json.dumps(made_by, indent=2) + "\n")


def compare(program, names):
    ours = versions(program)
    folder = GOLDEN / ours["instruction_set"]
    if not folder.exists():
        sys.exit(f"golden_episodes: none for {ours['instruction_set']}; --write makes them, with the program of a "
                 "revision that is known to be right")
    golden = json.loads((folder / "versions.json").read_text())
    for key in MATTERS:
        if golden[key] != ours[key]:
            print(f"made with {key} {golden[key]}, this is {ours[key]}")
    differing = [name for name in names
                 if episodes(program, runs()[name]) != (folder / f"{name}.csv").read_bytes()]
    print(f"{len(names) - len(differing)} of {len(names)} runs give the golden bytes")
    if differing:
        sys.exit("golden_episodes: other bytes: " + ", ".join(differing))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--program", help="default: build/release/foreplan")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(runs()), default=list(runs()))
    arguments = parser.parse_args()
    build = SOURCE / "build" / "release" / "foreplan"
    program = pathlib.Path(arguments.program).resolve() if arguments.program else build
    if arguments.write:
        write(build, program, arguments.only)
    else:
        compare(program, arguments.only)


if __name__ == "__main__":
    main()
