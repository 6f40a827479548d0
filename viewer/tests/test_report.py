"""The report's page in a browser: its charts, beside a replay and without (see test_animation.py for how to run it)."""

import json

import pytest

import synthetic_animation as synthetic
from browser import ARGUMENTS, AXE_RULES, OpenedPage, chromium

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.skipif(chromium() is None, reason="no chromium")

EPISODES = [1, 2, 3, 4]
DATA = {"episodes": {"episode": EPISODES, "total_steps": [200, 400, 600, 800], "return": [12.5, None, -3, 180], "controller": ["uniform"] + ["mpc"] * 3},
        "metrics": {"model.one_step_rmse": {"episode": EPISODES, "total_steps": [200, 400, 600, 800], "value": [0.4, 0.3, 0.2, 0.15]},
                    "planning.ms_per_decision": {"episode": EPISODES[1:], "total_steps": [400, 600, 800], "value": [3, 3.5, 3.25]},
                    "something.else": {"episode": EPISODES, "total_steps": [200, 400, 600, 800], "value": [1, 1, 1, 1]}}}


def report_page():
    text = synthetic.read("report.html").replace("{{page_end}}", synthetic.read("page_end.html"))
    values = {name: "" for name in ["cards", "summary_rows", "episode_rows", "metric_rows", "config", "machine"]}
    values |= synthetic.parts() | {"task": "pendulum", "algorithm": "mpc", "method": "mpc with icem", "seed": "0", "status": "done",
                                   "status_class": "done", "data": json.dumps(DATA), "script": synthetic.read("report.js"),
                                   "cards": '<div class="card"><dt>Best return</dt><dd>180.0</dd></div>'}
    return synthetic.filled(text, values)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_its_charts(browser, tmp_path, scheme):
    path = tmp_path / "report.html"
    path.write_text(report_page(), encoding="utf-8")
    report = OpenedPage(browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme=scheme), path)
    report.page.wait_for_selector("#charts .uplot")
    assert report.page.locator("#charts figcaption strong").all_inner_texts() == ["Return per episode", "Model error", "Planning time"]
    assert report.page.locator("#more_charts figure").count() == 1
    label = report.page.locator("#charts [role=img]").nth(1).get_attribute("aria-label")
    assert label == "Model error (one step ahead: from 0.4 to 0.15, lowest 0.15, highest 0.4)"
    assert axe.Axe().run(report.page, options=AXE_RULES).response["violations"] == []
    report.check()
