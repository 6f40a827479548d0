"""`foreplan view` in a browser, beside runs that go on.

    pip install pytest playwright==1.65.2 axe-playwright-python==0.1.8
    pytest viewer/tests/test_view.py                      # with a `chromium` in the PATH and build/release/foreplan
    FOREPLAN_SCREENSHOTS=DIR pytest viewer/tests/test_view.py -k screenshots
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from conftest import TINY_RUN

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
MARKUP = "<img src=x onerror=window.hacked=1>"
PATIENCE = 30000  # ms, on a machine that does other things, too


class Server:
    """`foreplan view` of a folder."""

    def __init__(self, program, folder, *more):
        self.process = subprocess.Popen([program, "view", str(folder), "--json", *more], stdout=subprocess.PIPE, text=True)
        text = ""
        while True:
            text += self.process.stdout.readline()
            try:
                self.url = json.loads(text)["url"]
                break
            except json.JSONDecodeError:
                assert self.process.poll() is None, text
        self.port = int(self.url.split(":")[2].split("/")[0])

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


class View:
    """A page of it, and what went wrong in it."""

    def __init__(self, page, url, failures=False):
        self.page, self.url = page, url
        self.errors, self.requests = [], []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)

    def row(self, name):
        return self.page.locator("#runs tbody tr", has=self.page.get_by_role("button", name=name, exact=True))

    def wait_for(self, condition, argument=None):
        self.page.wait_for_function(condition, arg=argument, timeout=PATIENCE)

    def wait_for_text(self, selector, text):
        self.wait_for("([s, t]) => document.querySelector(s)?.textContent.includes(t)", [selector, text])

    def check(self):
        assert self.errors == []
        allowed = (self.url.split("?")[0], "blob:", "data:")
        assert [url for url in self.requests if not url.startswith(allowed)] == []


def run(program, folder, *more):
    subprocess.run([program, *TINY_RUN, *more, "--out", str(folder)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def finished(program, tmp_path_factory):
    """Three runs, one of which is damaged."""
    folder = tmp_path_factory.mktemp("view") / "runs"
    run(program, folder / "cartpole-1", "--episodes", "6", "--record")
    run(program, folder / "cartpole-2", "--episodes", "4", "--set", "planner.icem.population=30")
    run(program, folder / "damaged", "--episodes", "1")
    (folder / "damaged/config.toml").write_text("[[[")
    return folder


@pytest.fixture
def viewed(program, chromium):
    servers, contexts = [], []

    def view(folder, *more, width=1200, height=900, scheme="light", server=None):
        server = server or Server(program, folder, *more)
        servers.append(server)
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        shown = View(context.new_page(), server.url)
        shown.server = server
        return shown

    yield view
    for context in contexts:
        context.close()
    for server in servers:
        server.end()


def test_runs_charts_and_replay_are_shown(viewed, finished):
    view = viewed(finished)
    view.wait_for_text("#replay_message", "Episode 6, the newest")
    assert view.page.locator("#runs tbody tr").count() == 3
    assert "done" in view.row("cartpole-1").inner_text()
    legend = view.page.locator("#charts figure").first.locator(".u-label").all_inner_texts()
    assert legend == ["episode", "cartpole-1", "cartpole-2"]
    assert view.page.locator("#charts figure:visible").count() == 2
    assert view.page.locator("#replay canvas").count() > 0
    view.check()


def test_lines_differ_in_colour_and_dash(viewed, finished):
    view = viewed(finished)
    view.wait_for_text("#runs", "cartpole-2")
    lines = view.page.eval_on_selector_all(".swatch line", "lines => lines.map(l => l.getAttribute('stroke') + l.getAttribute('stroke-dasharray'))")
    assert len(lines) == 2 and len(set(lines)) == 2


def test_a_run_is_hidden_and_another_is_selected(viewed, finished):
    view = viewed(finished)
    view.wait_for_text("#replay_message", "Episode 6")
    view.page.get_by_role("checkbox", name="Show cartpole-1").uncheck()
    labels = view.page.locator("#charts figure").first.locator(".u-label")
    view.wait_for("() => document.querySelectorAll('#charts figure:first-child .u-label').length === 2")
    assert labels.all_inner_texts() == ["episode", "cartpole-2"]
    view.page.get_by_role("button", name="cartpole-2", exact=True).click()
    view.wait_for_text("#selected_title", "cartpole-2")
    view.wait_for_text("#replay_message", "Episode 4, the newest")
    with view.page.expect_popup() as popup:
        view.page.click("#report")
    assert "cartpole_closed_form" in popup.value.inner_text("h1")
    view.check()


def test_a_damaged_run_says_why(viewed, finished):
    view = viewed(finished)
    view.wait_for_text("#runs", "damaged")
    view.page.get_by_role("button", name="damaged", exact=True).click()
    assert "config.toml" in view.row("damaged").inner_text()
    assert "config.toml" in view.page.inner_text("#selected_error")
    view.check()


def test_keyboard_alone(viewed, finished):
    view = viewed(finished)
    view.wait_for_text("#replay_message", "Episode 6")
    view.page.get_by_role("checkbox", name="Show cartpole-2").focus()
    view.page.keyboard.press("Space")
    assert not view.page.get_by_role("checkbox", name="Show cartpole-2").is_checked()
    assert view.page.evaluate("document.activeElement.dataset.name") == "cartpole-2"
    view.page.keyboard.press("Tab")
    view.page.keyboard.press("Enter")
    view.wait_for_text("#selected_title", "cartpole-2")
    view.check()


def test_an_empty_folder_says_how_to_begin(viewed, tmp_path):
    view = viewed(tmp_path)
    view.wait_for("() => !document.getElementById('empty').hidden")
    assert "foreplan run" in view.page.inner_text("#empty")
    view.check()


def seconds_until_shown(view, table, episodes=8):
    """How long after their rows episodes stand in the list."""
    late = []
    for _ in range(episodes):
        before = table.read_text().count("\n")
        while table.read_text().count("\n") == before:
            time.sleep(0.005)
        number, begin = table.read_text().count("\n") - 1, time.monotonic()
        view.page.wait_for_function("(n) => Number(document.querySelector('#runs td.number')?.textContent) >= n", arg=number,
                                    polling=20, timeout=PATIENCE)
        late.append(time.monotonic() - begin)
    return sorted(late)


def test_a_run_is_followed_within_a_second(viewed, program, tmp_path):
    view = viewed(tmp_path)
    view.wait_for("() => !document.getElementById('empty').hidden")
    process = subprocess.Popen([program, *TINY_RUN, "--episodes", "100000", "--out", str(tmp_path / "live"), "--set", "episode_length=400",
                                "--threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        view.wait_for("() => document.querySelector('#runs .running')")
        for _ in range(3):  # beside whatever else the machine does
            late = seconds_until_shown(view, tmp_path / "live/episodes.csv")
            print("seconds until an episode was shown:", [round(s, 2) for s in late])
            if late[len(late) // 2] < 1:
                break
    finally:
        process.kill()  # in the middle of whatever it does
        process.wait()
    view.wait_for_text("#runs .state", "stopped after episode")
    assert late[len(late) // 2] < 1
    view.check()


def test_a_newer_episode_replaces_the_replay(viewed, finished, tmp_path):
    shutil.copytree(finished / "cartpole-1", tmp_path / "run")
    recordings = tmp_path / "run/recordings"
    held = tmp_path / "episode_000006.safetensors.gz"
    (recordings / held.name).rename(held)
    view = viewed(tmp_path)
    view.wait_for_text("#replay_message", "Episode 5, the newest")
    held.rename(recordings / held.name)
    view.wait_for_text("#replay_message", "Episode 6, the newest")
    assert "episode 6" in view.page.inner_text("#replay")
    view.check()


def test_a_shown_episode_stays_where_that_is_wanted(viewed, program, finished, tmp_path):
    shutil.copytree(finished / "cartpole-1", tmp_path / "run")
    moved = tmp_path / "episode_000006.safetensors.gz"
    (tmp_path / "run/recordings" / moved.name).rename(moved)
    view = viewed(tmp_path)
    view.wait_for_text("#replay_message", "Episode 5, the newest")
    view.page.check("#stay")
    moved.rename(tmp_path / "run/recordings" / moved.name)
    view.wait_for_text("#replay_message", "Episode 5; episode 6 is there, too.")
    view.page.uncheck("#stay")
    view.wait_for_text("#replay_message", "Episode 6, the newest")
    view.check()


def test_the_server_begins_anew(viewed, program, finished):
    view = viewed(finished)
    view.wait_for_text("#connection", "updated at")
    port = view.server.port
    view.server.end()
    view.wait_for_text("#connection", "connection lost")
    again = Server(program, finished, "--port", str(port))
    try:
        view.wait_for_text("#connection", "updated at")
        view.wait_for("() => document.getElementById('message').hidden")
        assert view.page.locator("#runs tbody tr").count() == 3
    finally:
        again.end()
    assert [error for error in view.errors if "ERR_CONNECTION_REFUSED" not in error and "ERR_INCOMPLETE" not in error] == []


def test_names_that_are_markup_are_text(viewed, finished, tmp_path):
    folder = tmp_path / f"a{MARKUP}"
    shutil.copytree(finished / "cartpole-2", folder)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('name = "cartpole_closed_form"', f'name = "{MARKUP}"', 1))
    view = viewed(tmp_path)
    view.wait_for_text("#runs", MARKUP)
    view.wait_for_text("#selected_title", MARKUP)
    with view.page.expect_popup() as popup:
        view.page.click("#report")
    popup.value.wait_for_load_state()
    assert popup.value.evaluate("window.hacked") is None
    assert view.page.evaluate("window.hacked") is None


def test_a_recording_that_is_cut_off_gives_a_message(viewed, finished, tmp_path):
    shutil.copytree(finished / "cartpole-1", tmp_path / "run")
    recording = tmp_path / "run/recordings/episode_000006.safetensors.gz"
    recording.write_bytes(recording.read_bytes()[:1000])
    view = viewed(tmp_path)
    view.wait_for_text("#replay_message", "Episode 6 cannot be replayed")
    assert view.page.locator("#charts figure:visible").count() == 2
    assert [error for error in view.errors if "404" not in error] == []


def test_a_token_is_carried_along(viewed, finished):
    view = viewed(finished, "--host", "0.0.0.0")
    view.wait_for_text("#replay_message", "Episode 6, the newest")
    assert "token=" in view.page.get_attribute("#report", "href")
    view.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(viewed, finished, scheme):
    view = viewed(finished, scheme=scheme)
    view.wait_for_text("#replay_message", "Episode 6")
    result = axe.Axe().run(view.page, options={"runOnly": {"type": "tag", "values": AXE_RULES["runOnly"]}})
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.skipif("FOREPLAN_SCREENSHOTS" not in os.environ, reason="no FOREPLAN_SCREENSHOTS")
@pytest.mark.parametrize("width, scheme", [(1200, "light"), (1200, "dark"), (390, "light")])
def test_screenshots(viewed, finished, width, scheme):
    view = viewed(finished, width=width, scheme=scheme)
    view.wait_for_text("#replay_message", "Episode 6")
    time.sleep(1)
    folder = pathlib.Path(os.environ["FOREPLAN_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    view.page.screenshot(path=folder / f"view_{width}_{scheme}.png", full_page=True)
    assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
