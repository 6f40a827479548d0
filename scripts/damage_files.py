#!/usr/bin/env python3
"""Damages what the program wrote, and goes on: it must say so, by file and place, or come to what it comes to without the damage.

usage: damage_files.py OUT.csv [--foreplan PROGRAM] [--cases NAME,...] [--kinds bytes,numbers] [--no-logs] [--bytes N] [--sample N] [--draw N]
                       [--minutes M] [--beside N]
       damage_files.py --summary OUT.csv [--counts COUNTS.csv]

bytes     one bit changed, or a few bytes missing or doubled, at --bytes places of every file of a run
numbers   one number of a checkpoint, a model or the data that cannot be (NaN, an infinity, a negative one, one beyond all sizes), and
          texts of metadata; with the right checksums

logs      files of others (testdata/logs, testdata/recordings): bytes as above. What is read of them nobody can judge, but the program neither
          crashes nor hangs, nor takes more than 2 GB

--sample: so many of all these per case, others with every --draw.

OUT.csv gets a row per damage: case, kind, file, place, damage, outcome, message; with it the same command ends what it had begun.
Outcomes: refused (exit code 2, one line that names the file); equal; read (of logs); accepted (it goes on to something else, or `foreplan check` finds
nothing where going on does not read the file); silent (refused, but without the file's name); crashed; hangs.
"""

import argparse
import functools
import gzip
import json
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

from disturbed_runs import CASES, add_table_flags, differences, fill, items_of, left_out_of, sample, summary, tensors_of

COLUMNS = ("case", "kind", "file", "place", "damage", "outcome", "message")
# What may not depend on anything beside a run's own files.
FILES = ("checkpoint/state.safetensors", "model/model.safetensors", "episodes.csv", "metrics.csv", "config.toml")
FLOATS = {"F32": ("<f", 4), "F64": ("<d", 8)}
TABLE = []
for byte in range(256):
    value = byte
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)


def crc32c(data: bytes) -> str:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return f"{crc ^ 0xFFFFFFFF:08x}"


class TensorFile:
    """Header and data of a file, and its bytes with the right checksums."""

    def __init__(self, data: bytes):
        length, = struct.unpack("<Q", data[:8])
        self.header = json.loads(data[8:8 + length])
        self.metadata = self.header.pop("__metadata__", {})
        self.metadata.pop("crc32c", None)
        self.data = bytearray(data[8 + length:])

    def bytes(self) -> bytes:
        header = dict(self.header, **({"__metadata__": self.metadata} if self.metadata else {}))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        tensors = sorted((entry["data_offsets"][0], entry["data_offsets"][1], name) for name, entry in self.header.items())
        sums = [crc32c(text)] + [crc32c(bytes(self.data[begin:end])) for begin, end, _ in tensors]
        header["__metadata__"] = dict(self.metadata, crc32c=" ".join(sums))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + bytes(self.data)


def damaged_numbers(data: bytes):
    """(place, damage, bytes) of files with one impossible number each."""
    whole = TensorFile(data)
    for name, entry in sorted(whole.header.items()):
        begin, end = entry["data_offsets"]
        if entry["dtype"] in FLOATS:
            form, size = FLOATS[entry["dtype"]]
            values = [(text, struct.pack(form, float(text))) for text in ("nan", "inf", "-inf")]
        elif entry["dtype"] == "I32":
            size = 4
            values = [(str(value), struct.pack("<i", value)) for value in (-1, -2**31, 2**31 - 1)]
        else:
            size, values = 1, [("255", b"\xff")]
        if begin == end:
            continue
        place = random.Random(name).randrange((end - begin) // size)
        for text, packed in values:
            file = TensorFile(data)
            file.data[begin + place * size:begin + (place + 1) * size] = packed
            yield f"{name}[{place}]", text, file.bytes()
    for key in sorted(whole.metadata):
        for text in ("", "-1", "nan", "x", "99999999999999999999"):
            file = TensorFile(data)
            file.metadata[key] = text
            yield f"metadata {key}", text, file.bytes()


def damaged_bytes(data: bytes, name: str, count: int):
    draw = random.Random(name)
    for number in range(count):
        at = draw.randrange(len(data))
        kind = ("bit", "missing", "doubled", "cut")[number % 4] if number >= count // 2 else "bit"
        if kind == "bit":
            bit = draw.randrange(8)
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]
            yield f"byte {at}", f"bit {bit}", changed
        elif kind == "missing":
            yield f"byte {at}", kind, data[:at] + data[at + draw.randrange(1, 9):]
        elif kind == "doubled":
            yield f"byte {at}", kind, data[:at] + data[at:at + 5] + data[at:]
        else:
            yield f"byte {at}", kind, data[:at]


class Case:
    """A run of three quarters of its length, as it was stopped, and what it comes to."""

    def __init__(self, name: str, program: str, work: pathlib.Path):
        self.name, self.program = name, program
        command = list(CASES[name])
        length = command.index("--episodes") + 1
        self.episodes = command[length]
        command[length] = str(int(self.episodes) * 3 // 4)
        self.begun = work / f"{name}-begun"
        self.begun.mkdir()
        self.run(command, self.begun)
        ends = []
        for part in ("whole", "again"):
            shutil.copytree(self.begun, work / f"{name}-{part}")
            done = self.go_on(work / f"{name}-{part}")
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done.stderr.strip()}")
            ends.append(items_of(work / f"{name}-{part}"))
        self.whole, self.left_out = ends[0], left_out_of(*ends)

    def run(self, command: list[str], work: pathlib.Path):
        return subprocess.run([self.program, *command], cwd=work, capture_output=True, text=True, check=False, timeout=120)

    def go_on(self, work: pathlib.Path):
        return self.run(["run", "--resume", "run", "--threads", "1", "--episodes", self.episodes], work)

    def damages(self, kinds: list[str], count: int):
        files = sorted((self.begun / "run").rglob("*"))
        names = [str(file.relative_to(self.begun / "run")) for file in files if file.is_file()]
        names.remove("checkpoint/previous.safetensors")  # which is not read while the last one holds
        for name in names:
            data = (self.begun / "run" / name).read_bytes()
            if "bytes" in kinds and data and (name in FILES or name.startswith(("data/", "checkpoint/", "recordings/"))):
                for each in damaged_bytes(data, self.name + name, count):
                    yield "bytes", name, *each
            if "numbers" in kinds and name.endswith(".safetensors"):
                for each in damaged_numbers(data):
                    yield "numbers", name, *each

    def outcome(self, file: str, changed: bytes, scratch: pathlib.Path) -> tuple[str, str]:
        work = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "work"
        try:
            shutil.copytree(self.begun, work)
            (work / "run" / file).write_bytes(changed)
            # Going on does not read what was recorded.
            is_recording = file.startswith("recordings/")
            done = self.run(["check", "run"], work) if is_recording else self.go_on(work)
            message = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
            place = "run/data" if file.startswith("data/") else pathlib.Path(file).name
            if done.returncode < 0:
                return "crashed", f"signal {-done.returncode}"
            if is_recording and done.returncode == 0:  # as in a time that a packed file has
                whole = tensors_of("", gzip.decompress((self.begun / "run" / file).read_bytes()))
                return ("equal" if tensors_of("", gzip.decompress(changed)) == whole else "accepted"), ""
            if done.returncode == 2:
                is_named = place in message + done.stdout or (file == "config.toml" and "--accept" in message)
                return ("refused" if is_named else "silent"), message[:300]
            if done.returncode != 0:
                return "accepted", f"exit code {done.returncode}: {message}"
            wrong = [key for key in differences(items_of(work), self.whole, self.left_out) if "previous.safetensors" not in key]
            return ("accepted", ", ".join(wrong[:4])) if wrong else ("equal", "")
        except subprocess.TimeoutExpired:
            return "hangs", ""
        except (ValueError, struct.error, EOFError, OSError) as error:
            return "accepted", str(error)[:300]
        finally:
            shutil.rmtree(work.parent, ignore_errors=True)


def log_outcome(program: str, name: str, changed: bytes, scratch: pathlib.Path) -> tuple[str, str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        (pathlib.Path(folder) / name).write_bytes(changed)
        try:
            done = subprocess.run([program, "check", name], cwd=folder, capture_output=True, check=False, timeout=60, preexec_fn=limit)
        except subprocess.TimeoutExpired:
            return "hangs", ""
        text = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode == 0:
            return "read", ""
        last = text.strip().splitlines()[-1][:300] if text.strip() else ""
        if done.returncode != 2:
            return "crashed", f"exit code {done.returncode}: {last}"
        return ("refused" if name in text else "silent"), last


def log_jobs(arguments, folder: pathlib.Path):
    program = str(pathlib.Path(arguments.foreplan).resolve())
    damages = []
    for file in sorted([*pathlib.Path("testdata/logs").glob("*.*"), *pathlib.Path("testdata/recordings").glob("*.*")]):
        data = file.read_bytes()
        if file.suffix not in (".md", ".py") and data:
            damages += [(file, *each) for each in damaged_bytes(data, str(file), arguments.bytes)]
    for file, place, damage, changed in sample(damages, arguments.sample, arguments.draw):
        yield ("logs", "bytes", file.name, place, damage), functools.partial(log_outcome, program, file.name, changed, folder)


def jobs(arguments, folder: pathlib.Path):
    program = str(pathlib.Path(arguments.foreplan).resolve())
    if arguments.logs:
        yield from log_jobs(arguments, folder)
    for name in filter(None, arguments.cases.split(",")):
        case = Case(name, program, folder)
        damages = list(case.damages(arguments.kinds.split(","), arguments.bytes))
        for kind, file, place, damage, changed in sample(damages, arguments.sample, arguments.draw):
            yield (name, kind, file, place, damage), functools.partial(case.outcome, file, changed, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=pathlib.Path)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--foreplan", default="build/release/foreplan")
    parser.add_argument("--cases", default=",".join(name for name, command in CASES.items() if command[0] == "run"))
    parser.add_argument("--kinds", default="bytes,numbers")
    parser.add_argument("--bytes", type=int, default=24)
    parser.add_argument("--no-logs", dest="logs", action="store_false")
    add_table_flags(parser)
    arguments = parser.parse_args()
    if not arguments.summary:
        with tempfile.TemporaryDirectory() as folder:
            fill(arguments.table, COLUMNS, 5, jobs(arguments, pathlib.Path(folder)), arguments.minutes, arguments.beside)
    return summary(arguments.table, "kind", ("refused", "equal", "read"), arguments.counts)


if __name__ == "__main__":
    sys.exit(main())
