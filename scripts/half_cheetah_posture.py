#!/usr/bin/env python3
"""How the half-cheetah of PETS ran: a CSV row per episode with its posture, from run folders.

Columns: seed, total_steps, episode_return, upside_down (share of steps with cos(pitch) < 0), turns
(net turns of the torso).
"""

import argparse
import csv
import json
import math
import sys
import tomllib
from array import array
from pathlib import Path

WHOLE = ("length", "terminated")  # neither cut off nor diverged: their returns can be compared
OBSERVATION, PITCH = 18, 2  # components, and the place of the torso's pitch among them


def read_doubles(file: Path, name: str) -> array:
    """One tensor of a safetensors file."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entry = json.loads(content[8:start])[name]
    first, last = entry["data_offsets"]
    values = array("d")
    values.frombytes(content[start + first:start + last])
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["seed", "total_steps", "episode_return", "upside_down", "turns"])
    for run in parser.parse_args().runs:
        seed = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["run"]["seed"]
        with open(run / "episodes.csv", encoding="utf-8", newline="") as stream:
            episodes = list(csv.DictReader(stream))
        pitch = []
        for data in sorted((run / "data").glob("transitions-*.safetensors")):
            pitch += read_doubles(data, "data.next_observation")[PITCH::OBSERVATION]
        for row in episodes:
            if row["end"] not in WHOLE:
                continue
            end, episode_return = int(row["total_steps"]), float(row["return"])
            episode = pitch[end - int(row["steps"]):end]
            down = sum(math.cos(angle) < 0 for angle in episode) / len(episode)
            turns = (episode[-1] - episode[0]) / (2 * math.pi)
            writer.writerow([seed, end, f"{episode_return:.1f}", f"{down:.3f}", f"{turns:.2f}"])


if __name__ == "__main__":
    main()
