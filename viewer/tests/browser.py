"""Headless Chromium for the tests of pages."""

import shutil
import time

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
