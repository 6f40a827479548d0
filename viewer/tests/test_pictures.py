"""`foreplan report --frames` and `--video`: through the user's Chromium.

    pip install pytest; pytest viewer/tests/test_pictures.py   # with a `chromium` in the PATH and build/release/foreplan
"""

import os
import signal
import struct
import subprocess
import time

import pytest

from conftest import CHROMIUM, TINY_RUN

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
STEPS = 30


@pytest.fixture(scope="module")
def run(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "run"
    subprocess.run([program, *TINY_RUN, "--episodes", "2", "--out", str(folder)], check=True, capture_output=True)
    return folder


def report(program, *arguments, **more):
    return subprocess.run([program, "report", *map(str, arguments)], capture_output=True, text=True, **more)


def size_of_png(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def frames_of_gif(data):
    """Image descriptors, block by block."""
    assert data.startswith(b"GIF89a")
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    frames = 0

    def behind_sub_blocks(at):
        while data[at]:
            at += data[at] + 1
        return at + 1

    while data[at] != 0x3B:
        if data[at] == 0x21:
            at = behind_sub_blocks(at + 2)
            continue
        assert data[at] == 0x2C
        frames += 1
        flags = data[at + 9]
        at = behind_sub_blocks(at + 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0))
    return frames


def test_frames_have_the_size_and_differ(program, run, tmp_path):
    result = report(program, run, "--frames", tmp_path / "frames", "--every", "10", "--size", "320x200")
    assert result.returncode == 0, result.stderr
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == [f"frame_{i:06}.png" for i in range(4)]
    pictures = [file.read_bytes() for file in files]
    assert {size_of_png(picture) for picture in pictures} == {(320, 200)}
    assert len(set(pictures)) == len(pictures)


def test_a_gif_has_all_pictures(program, run, tmp_path):
    result = report(program, run, "--video", tmp_path / "episode.gif", "--fps", "10", "--size", "160x120")
    assert result.returncode == 0, result.stderr
    data = (tmp_path / "episode.gif").read_bytes()
    assert struct.unpack("<HH", data[6:10]) == (160, 120)
    seconds = STEPS * 0.04  # the control period of the task
    assert frames_of_gif(data) == int(seconds * 10 + 1e-6) + 1


def test_a_webm_is_one(program, run, tmp_path):
    result = report(program, run, "--video", tmp_path / "episode.webm", "--fps", "10", "--size", "160x120")
    if "encodes no WebM" in result.stderr:
        pytest.skip("this Chromium encodes no WebM")
    assert result.returncode == 0, result.stderr
    data = (tmp_path / "episode.webm").read_bytes()
    assert data.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in data[:64]
    assert data.count(b"\xa3") + data.count(b"\xa0") >= 13  # blocks


def test_wrong_requests_say_what_is_expected(program, run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    for arguments, text in [(["--video", "a.mp4"], "expected a file .gif or .webm"), (["--frames", "a", "--size", "0x7"], "--size"),
                            (["--frames", "a", "--size", "800"], "--size"), (["--frames", tmp_path / "full"], "expected a new or empty folder")]:
        result = report(program, run, *arguments, cwd=tmp_path)
        assert result.returncode == 2 and text in result.stderr, result.stderr
    for browser in ["/nowhere", "true-but-not-there"]:
        result = report(program, run, "--video", tmp_path / "a.gif", env={**os.environ, "FOREPLAN_BROWSER": browser})
        assert result.returncode == 2 and "FOREPLAN_BROWSER" in result.stderr, result.stderr
    result = report(program, run, "--video", tmp_path / "a.gif", env={"PATH": str(tmp_path)})
    assert result.returncode == 2 and "apt-get install chromium" in result.stderr, result.stderr
    result = report(program, run, "--video", tmp_path / "a.gif", env={**os.environ, "FOREPLAN_BROWSER": "/bin/false"})
    assert result.returncode == 3 and "the browser ended" in result.stderr, result.stderr
    assert not (tmp_path / "a.gif").exists()


def processes_of(folder):
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in found if str(folder) in line]


def test_interrupted_the_browser_ends_too(program, run, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([program, "report", str(run), "--frames", str(tmp_path / "frames"), "--size", "1600x1200"], env=environment,
                               stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while len(processes_of(tmp_path / "foreplan-browser")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130, process.stderr.read()
    assert processes_of(tmp_path / "foreplan-browser") == []
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("foreplan-browser")] == []


def test_nothing_is_left_in_the_temporary_folder(program, run, tmp_path):
    result = report(program, run, "--video", tmp_path / "a.gif", "--size", "64x64", "--fps", "2", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gif"]
