"""Reports of real runs in a browser, and replays held against MuJoCo itself.

    pytest viewer/tests/test_report.py   # in .venv, which has MuJoCo
"""

import csv
import gzip
import io
import json
import os
import pathlib
import subprocess
import time

import numpy as np
import pytest

import synthetic_animation as synthetic
from conftest import PROGRAM
from browser import AXE_RULES, OpenedPage, Replay, chromium, frames_to_look_at, projected

mujoco = pytest.importorskip("mujoco")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.skipif(chromium() is None or not PROGRAM.exists(), reason=f"no chromium, or no {PROGRAM}")

SMALL = ["--set", "planner.icem.population=20", "--set", "planner.icem.iterations=1", "--set", "model.members=2",
         "--set", "model.width=16", "--set", "model.hidden_layers=1", "--set", "fit.min_steps=20", "--set", "fit.max_steps=20"]
LARGEST_HALF_CHEETAH = 2_000_000  # bytes, 1,000 steps with all futures


def foreplan(*arguments, folder):
    done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Runs that tests look at, made once: task -> folder."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(task, episodes=2, *arguments):
        if task not in made:
            name = pathlib.Path(task).stem
            foreplan("run", task, "--episodes", episodes, *SMALL, *arguments, "--out", name, folder=folder)
            made[task] = folder / name
        return made[task]

    return run


def recording_of(run, episode):
    """Tensors and header of a recorded episode."""
    data = gzip.decompress((run / "recordings" / f"episode_{episode:06}.safetensors.gz").read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    episode = json.loads(header.pop("__metadata__")["episode"])
    types = {"F64": "<f8", "F32": "<f4", "I32": "<i4"}
    tensors = {name: np.frombuffer(data[8 + size :][slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
               for name, t in header.items()}
    return tensors, episode


def mujoco_of(run):
    """The model that a run keeps in its folder."""
    model = next(run.glob("*.xml"))
    model = mujoco.MjModel.from_xml_path(str(model))
    if run.name == "peg_insertion":  # its first condition
        model.body("shoulder").pos[1] += 0.2
    return model, mujoco.MjData(model)


def placed(model, data, state):
    data.qpos[:] = state[: model.nq]
    mujoco.mj_forward(model, data)


# --- the replay against the simulator ------------------------------------------------------------

HILLS = """<mujoco>
  <option timestep="0.01"/>
  <asset>
    <mesh name="wedge" vertex="0 0 0  0.4 0 0  0 0.3 0  0 0 0.5"/>
    <hfield name="hills" nrow="4" ncol="5" size="3 2 0.4 0.1"
            elevation="0 0 0 0 0  0 .2 .5 .1 0  0 .4 1 .3 0  0 0 0 0 0"/>
  </asset>
  <worldbody>
    <geom name="ground" type="hfield" hfield="hills"/>
    <body name="stone" pos="0.2 0.1 0.9"><freejoint name="stone"/>
      <geom name="wedge" type="mesh" mesh="wedge" mass="1" rgba=".7 .3 .2 1"/></body>
    <body name="arm" pos="-1 0 1"><joint name="shoulder" axis="0 1 0"/>
      <geom name="upper" type="capsule" fromto="0 0 0 .6 0 0" size=".05"/>
      <geom name="egg" type="ellipsoid" size=".1 .05 .07" pos=".7 0 0"/>
      <geom name="disc" type="cylinder" size=".1 .02" pos="0 0 .1" euler="30 0 0"/></body>
  </worldbody>
  <actuator><motor name="turn" joint="shoulder" ctrllimited="true" ctrlrange="-1 1" gear="5"/></actuator>
</mujoco>"""
HILLS_TASK = """name = "hills"
reward = "-square(shoulder)"
episode_length = 40
[system]
type = "mujoco"
model = "hills.xml"
frame_skip = 2
observation = ["qpos", "qvel"]
"""


@pytest.fixture(scope="session")
def hills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hills")
    (folder / "hills.xml").write_text(HILLS)
    (folder / "hills.toml").write_text(HILLS_TASK)
    return str(folder / "hills.toml")


TASKS = ["pets_half_cheetah", "gymnasium_humanoid", "peg_insertion", "hills"]


def run_of(task, runs, hills):
    settings = {"peg_insertion": ["--algorithm", "mpc"]}.get(task, [])
    return runs(hills if task == "hills" else task, 2, "--set", "episode_length=60", *settings)


def animation_page(run):
    return pathlib.Path(json.loads(foreplan("report", run, "--animation", "--json", folder=run))["file"])


@pytest.mark.parametrize("task", TASKS)
def test_every_geom_is_where_mujoco_has_it(new_page, runs, hills, task):
    run = run_of(task, runs, hills)
    tensors, _ = recording_of(run, 2)
    model, data = mujoco_of(run)
    replay = Replay(new_page(), animation_page(run))
    scene = replay.run("c.info.scene")
    extent, steps = scene["extent"], len(tensors["reward"])
    corners = 0.25 * extent * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    compared = 0
    for frame in frames_to_look_at(steps):
        placed(model, data, tensors["state"][frame])
        replay.set_frame(frame)
        for i, shape in enumerate(scene["shapes"]):
            kind = mujoco.mjtObj.mjOBJ_SITE if shape["kind"] == "site" else mujoco.mjtObj.mjOBJ_GEOM
            number = mujoco.mj_name2id(model, kind, shape["name"])
            if number < 0:
                continue  # without a name
            position, axes = ((data.site_xpos, data.site_xmat) if shape["kind"] == "site" else (data.geom_xpos, data.geom_xmat))
            drawn = replay.run("(i) => c.shapePose(i)", i)
            at = np.array(drawn["position"]) + corners @ synthetic.matrix(drawn["rotation"]).T
            truth = position[number] + corners @ axes[number].reshape(3, 3).T
            assert np.abs(at - truth).max() < 1e-4 * extent, (shape["name"], frame)
            compared += 1
    assert compared >= 5 * 3
    replay.check()


@pytest.mark.parametrize("task, body", [("pets_half_cheetah", "torso"), ("gymnasium_humanoid", "right_foot"), ("hills", "stone")])
def test_bodies_are_drawn_at_mujocos_pixels(new_page, runs, hills, task, body):
    run = run_of(task, runs, hills)
    tensors, _ = recording_of(run, 2)
    model, data = mujoco_of(run)
    number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, body)
    replay = Replay(new_page(), animation_page(run))
    for frame in frames_to_look_at(len(tensors["reward"])):
        placed(model, data, tensors["state"][frame])
        replay.set_frame(frame)
        place = replay.run("(name) => c.projectBody(name)", body)
        assert np.abs([place["x"], place["y"]] - projected(replay.run("c.camera()"), data.xpos[number])).max() < 2
    replay.check()


def test_futures_are_those_of_the_plan_that_acts(new_page, runs, hills):
    run = run_of("pets_half_cheetah", runs, hills)
    tensors, episode = recording_of(run, 2)
    model, data = mujoco_of(run)
    names = [component["name"] for component in episode["observation"]]
    replay = Replay(new_page(), animation_page(run))
    lines = None
    for frame in [0, 30, 59]:
        replay.set_frame(frame)
        plan = tensors["plan"][frame]
        assert tensors["plan.first_step"][plan] == frame
        lines = replay.run("c.futureLines()")
        assert len(lines["futures"]) == tensors["future.return"].shape[1]
        # The height of the torso is observed: that of the drawn line is the imagined one.
        model_z = tensors["future.observation"][plan, 0, :, names.index("root_z")]
        placed(model, data, tensors["state"][frame])
        stands_higher_by = data.body("torso").xpos[2] - tensors["state"][frame][1]
        drawn_z = np.reshape(lines["futures"][0], (-1, 3))[:, 2]
        trace_step = replay.run("c.info.trace_step")
        assert np.abs(drawn_z - (model_z + stands_higher_by)).max() < 1.01 * trace_step
    replay.check()


# --- the half-cheetah as it is promised ----------------------------------------------------------


def test_a_half_cheetah_with_futures_is_small_and_opens_at_once(new_page, runs):
    run = runs("gymnasium_half_cheetah", 2, "--set", "planner.icem.horizon=30")
    page = animation_page(run)
    assert len(recording_of(run, 2)[0]["reward"]) == 1000
    assert page.stat().st_size < LARGEST_HALF_CHEETAH
    assert (run / "report.html").stat().st_size < 1.1 * LARGEST_HALF_CHEETAH
    replay = Replay(new_page(width=800, height=600), page)
    print(f"half-cheetah: {page.stat().st_size / 1e6:.2f} MB, opened in {replay.opening_seconds:.2f} s")
    replay.check()


# --- the report ------------------------------------------------------------------------------------


class Report(OpenedPage):
    """A page of a run, whether it has a replay or not."""

    def __init__(self, page, path):
        super().__init__(page, path)
        page.wait_for_selector("#charts figure canvas")

    def charts(self):
        """What uPlot draws: title -> points per series."""
        return self.run("""Object.fromEntries([...document.querySelectorAll("#charts figure, #detail_charts figure")].map((figure) =>
            [figure.querySelector("strong").textContent, figure.querySelector("[role=img]").getAttribute("aria-label")]))""")

    def saved(self, title, kind):
        self.run("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=f"{title}: save as {kind}", exact=True).click()
        return pathlib.Path(download.value.path()).read_text(encoding="utf-8")


    def made(self, title, kind):
        """The same without saving it: a browser asks before it saves many files."""
        return self.run("""async (name) => {
            let blob;
            const [create, click] = [URL.createObjectURL, HTMLAnchorElement.prototype.click];
            URL.createObjectURL = (made) => { blob = made; return "blob:nothing"; };
            HTMLAnchorElement.prototype.click = () => {};
            document.querySelector(`button[aria-label="${name}"]`).click();
            [URL.createObjectURL, HTMLAnchorElement.prototype.click] = [create, click];
            return await blob.text();
        }""", f"{title}: save as {kind}")


@pytest.fixture
def report(new_page):
    return lambda path, **options: Report(new_page(**options), path)


@pytest.fixture(scope="session")
def cartpole(runs):
    run = runs("cartpole_closed_form", 4, "--set", "episode_length=60", "--set", "mpc.deadline_ms=50")
    foreplan("eval", run, "--controller", "uniform", "--episodes", 2, folder=run)
    foreplan("eval", run, "--controller", "zero", "--episodes", 2, folder=run)
    foreplan("report", run, folder=run)
    return run


def test_figures_have_the_numbers_of_the_run(report, cartpole):
    page = report(cartpole / "report.html")
    episodes = list(csv.DictReader(io.StringIO((cartpole / "episodes.csv").read_text())))
    table = list(csv.reader(io.StringIO(page.saved("Return per episode", "CSV"))))
    assert table[0][0:2] == ["episode", "return"] and "random" in table[0] and "no action" in table[0]
    assert [float(row[1]) for row in table[1:]] == [float(row["return"]) for row in episodes]
    level = json.loads((cartpole / "evaluation" / "uniform.json").read_text())["mean"]
    assert float(table[1][table[0].index("random")]) == level
    decisions = list(csv.reader(io.StringIO(page.saved("Decision time", "CSV"))))[1:]
    assert sum(float(row[1]) for row in decisions) == 3 * 60, "of the episodes after the first"
    for title in ["Model error", "Imagined and realised return", "Coverage", "Error of hinge", "Where the model is asked"]:
        assert title in page.charts(), title
    page.check()


def test_figures_are_saved_as_svg_that_stands_alone(report, cartpole):
    page = report(cartpole / "report.html")
    assert page.saved("Return per episode", "SVG").startswith("<svg xmlns=")
    for title in page.charts():
        svg = page.made(title, "SVG")
        assert svg.startswith("<svg xmlns=") and "NaN" not in svg and "undefined" not in svg, title
        assert page.run("(text) => new DOMParser().parseFromString(text, 'image/svg+xml').querySelector('parsererror')", svg) is None
    page.check()


def test_the_report_says_in_words_what_it_shows(report, cartpole):
    page = report(cartpole / "report.html")
    words = page.page.inner_text(".words")
    assert "4 episodes of cartpole_closed_form by mpc" in words and "On fresh episodes earn: random" in words
    for label in page.charts().values():
        assert "from" in label or "no finite value" in label
    page.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible(report, cartpole, scheme):
    page = report(cartpole / "report.html", scheme=scheme)
    found = axe.Axe().run(page.page, options=AXE_RULES).response["violations"]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []


def test_the_report_fits_a_phone(report, cartpole):
    page = report(cartpole / "report.html", width=360)
    assert page.run("document.documentElement.scrollWidth") <= 360
    page.check()


def test_a_run_without_a_recording_has_a_report_that_says_so(report, runs):
    run = runs("pendulum", 2, "--set", "episode_length=40", "--no-record")
    page = report(run / "report.html")
    assert "No replay: no episode was recorded" in page.page.inner_text("main")
    page.check()


# --- pictures to look at ---------------------------------------------------------------------------


@pytest.mark.skipif("FOREPLAN_SCREENSHOTS" not in os.environ, reason="FOREPLAN_SCREENSHOTS names no folder")
@pytest.mark.parametrize("scheme, width", [("light", 1200), ("dark", 1200), ("light", 360)])
def test_screenshots_of_the_report(report, cartpole, scheme, width):
    folder = pathlib.Path(os.environ["FOREPLAN_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    page = report(cartpole / "report.html", width=width, scheme=scheme)
    page.run("foreplanAnimation.page.then((controller) => controller.setFrame(30))")
    time.sleep(0.5)
    page.page.screenshot(path=folder / f"report_{scheme}_{width}.png", full_page=True)
