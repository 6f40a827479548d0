#!/usr/bin/env python3
"""What an open `foreplan view` costs the run that it follows: pairs of the same run, with and without.

usage: view_cost.py [--pairs 15] [--episodes 8] [--browser PROGRAM] [--program build/release/foreplan] > docs/results/view_cost.csv

Beside every other run a server follows it, and somebody listens as the page does: a stream of events, the charts of every
change, and every new recorded episode; with --browser the page itself in that Chromium, headless, on the same machine. A row
per run: pair, whether it was followed, seconds, the run's processor time, the server's, episodes that were announced.
"""

import argparse
import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

RUN = ["run", "cartpole_closed_form", "--seed", "1", "--record", "--threads", "1", "--set", "episode_length=100", "--set",
       "fit.min_steps=100", "--set", "fit.max_steps=100"]
ROOT = Path(__file__).resolve().parent.parent


def processor_seconds(pid: int) -> float:
    """User and system time of a process by now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class View:
    """A server of a folder and whoever listens."""

    def __init__(self, program: str, folder: Path, browser: str | None):
        self.announced = 0
        self.process = subprocess.Popen([program, "view", folder, "--json"], stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.answer())["url"]
        self.browser = self.profile = None
        if browser:
            # Helpers of the browser may write into it while it is removed.
            self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            self.browser = subprocess.Popen(
                [browser, "--headless", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
                 "--disable-background-networking", "--disable-sync", "--remote-debugging-port=0", f"--user-data-dir={self.profile.name}"]
                + (["--no-sandbox"] if os.geteuid() == 0 else []) + [self.url],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(5)  # it starts
        else:
            threading.Thread(target=self.listen, daemon=True).start()

    def answer(self) -> str:
        """The document that it prints before it waits for requests."""
        text = ""
        while True:
            text += self.process.stdout.readline()
            try:
                json.loads(text)
                return text
            except json.JSONDecodeError:
                if self.process.poll() is not None:
                    raise SystemExit("view_cost: the server did not start") from None

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read()

    def listen(self) -> None:
        shown = None
        try:
            for line in urllib.request.urlopen(self.url + "events"):
                if not line.startswith(b"data: "):
                    continue
                for run in json.loads(line[6:]).get("runs", []):
                    self.announced = max(self.announced, run["episodes"])
                    self.get(f"runs/{run['id']}")
                    if run["recording"] and run["recording"]["key"] != shown:
                        shown = run["recording"]["key"]
                        self.get(f"runs/{run['id']}/animation?episode={run['recording']['episode']}")
        except OSError:
            pass  # the server ended

    def end(self) -> float:
        """The processor time that it took."""
        seconds = processor_seconds(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        if self.browser:
            self.browser.terminate()
            self.browser.wait()
            self.profile.cleanup()
        return seconds


def timed_run(program: str, episodes: int, followed: bool, browser: str | None) -> dict:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        view = View(program, Path(folder), browser) if followed else None
        begin = time.monotonic()
        before = os.times()
        subprocess.run([program, *RUN, "--episodes", str(episodes), "--out", f"{folder}/run"], check=True, capture_output=True)
        after = os.times()
        seconds = time.monotonic() - begin
        run = after.children_user - before.children_user + after.children_system - before.children_system
        return {"followed": int(followed), "seconds": round(seconds, 3), "run_processor_seconds": round(run, 3),
                "view_processor_seconds": round(view.end(), 3) if view else 0, "announced": view.announced if view else 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--browser")
    parser.add_argument("--program", default=str(ROOT / "build/release/foreplan"))
    arguments = parser.parse_args()
    table = csv.writer(sys.stdout, lineterminator="\n")
    pairs = []
    for pair in range(arguments.pairs):
        rows = {}
        for followed in (False, True) if pair % 2 == 0 else (True, False):
            rows[followed] = timed_run(arguments.program, arguments.episodes, followed, arguments.browser)
            if not pairs and not rows.get(not followed):
                table.writerow(["pair", *rows[followed]])
            table.writerow([pair + 1, *rows[followed].values()])
            sys.stdout.flush()
        pairs.append(rows)
    for name in ("seconds", "run_processor_seconds"):
        changes = [100 * (rows[True][name] / rows[False][name] - 1) for rows in pairs]
        print(f"{name}: median of pairs {statistics.median(changes):+.1f} %, quartiles "
              f"{' '.join(f'{value:+.1f}' for value in statistics.quantiles(changes, n=4))}", file=sys.stderr)
    shares = [100 * rows[True]["view_processor_seconds"] / rows[True]["run_processor_seconds"] for rows in pairs]
    print(f"the server's processor time: median {statistics.median(shares):.2f} % of the run's", file=sys.stderr)


if __name__ == "__main__":
    main()
