"""Headless Chromium for the tests of pages."""

import shutil
import time

import numpy as np

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class OpenedPage:
    """A page, and what went wrong in it."""

    def __init__(self, page, path):
        self.page, self.path = page, path
        self.errors, self.requests = [], []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda request: self.requests.append(request.url))
        self.began = time.monotonic()
        page.goto(path.as_uri())

    def run(self, script, argument=None):
        return self.page.evaluate(script, argument)

    def check(self):
        """Nothing failed, nothing was asked of anybody."""
        assert self.errors == []
        assert [url for url in self.requests if url != self.path.as_uri() and not url.startswith(("blob:", "data:"))] == []


class Replay(OpenedPage):
    """A page with an animation; `c` is its controller there."""

    def __init__(self, page, path):
        super().__init__(page, path)
        self.shown = page.evaluate("foreplanAnimation.page.then((controller) => { window.c = controller; return controller !== null; })")
        self.opening_seconds = time.monotonic() - self.began

    def frame(self):
        return self.run("c.frame")

    def set_frame(self, frame):
        self.run("(n) => c.setFrame(n)", frame)

    def text(self):
        return self.page.inner_text("#replay")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)


def projected(camera, point):
    """Pixel of a point, from the camera alone."""
    position, target, up = (np.array(camera[key]) for key in ["position", "target", "up"])
    back = position - target
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    x, y, z = np.stack([right, np.cross(back, right), back]) @ (np.array(point) - position)
    focal = 0.5 * camera["height"] / np.tan(np.radians(camera["fov"]) / 2)
    return np.array([camera["width"] / 2 + focal * x / -z, camera["height"] / 2 - focal * y / -z])


def frames_to_look_at(steps):
    return [0, 1, steps // 2, steps - 1, steps]
