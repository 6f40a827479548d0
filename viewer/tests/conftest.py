"""What tests in a browser share: headless Chromium, which draws in software."""

import os
import pathlib

import pytest

import browser

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHROMIUM = browser.chromium()
PROGRAM = pathlib.Path(os.environ.get("FOREPLAN_PROGRAM", ROOT / "build/release/foreplan")).resolve()
TINY_RUN = ["run", "cartpole_closed_form", "--seed", "3"] + [word for setting in [
    "episode_length=30", "mpc.refit_every=12", "model.members=2", "model.width=16", "model.hidden_layers=1", "fit.min_steps=20",
    "fit.max_steps=20", "planner.icem.horizon=8", "planner.icem.population=20", "planner.icem.elites=4",
    "planner.icem.iterations=2"] for word in ("--set", setting)]


@pytest.fixture(scope="session")
def program():
    """The built program; FOREPLAN_PROGRAM names another one."""
    if not PROGRAM.exists():
        pytest.skip(f"no program {PROGRAM}")
    return str(PROGRAM)


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=browser.ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def new_page(chromium):
    """Opens pages, each in a context of its own."""
    contexts = []

    def open_page(width=1200, height=900, scheme="light", script=None, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
