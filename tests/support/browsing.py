"""A real browser that looks at the viewer: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .waiting import PATIENCE

AXE = Path(__file__).parents[1] / "viewer" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = (1400, 900), (360, 740)
_EXPECTED = ("favicon",)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips what needs it where there is none."""
    found = which("chromium")
    if found is None:
        pytest.skip("there is no Chromium here: .ci/install-browser")
    # As root it has no sandbox of its own; all that it is shown here comes from this machine.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    # What comes at once on a machine that is not busy.
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """Somebody who looks at the viewer, and notes what a browser complains of.

    Args:
        page: The tab.
        address: As the viewer printed it.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.complaints, self.asked = page, list[str](), list[str]()
        self._address = urlsplit(address)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(one in text for one in _EXPECTED):
            self.complaints.append(f"{kind}: {text}")

    @property
    def url(self) -> str:
        """Where the viewer is."""
        return f"{self._address.scheme}://{self._address.netloc}"

    def open(self, path: str = "/") -> Page:
        """Look at a page, and wait until it stands still."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("load")
        return self.page

    def press(self, *keys: str) -> None:
        """Type keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def point(self) -> int:
        """At which revision the page stands."""
        return int(self.page.locator("#slider").input_value())

    @property
    def outside(self) -> set[str]:
        """What was asked of others than the viewer."""
        return {one for one in self.asked if not one.startswith((self.url, "data:", "blob:"))}

    def barriers(self) -> list[str]:
        """What keeps people from using the page, as far as a machine can tell: axe-core's serious findings."""
        # Not as a script of the page, which its policy would refuse.
        session = self.page.context.new_cdp_session(self.page)
        session.send("Runtime.evaluate", {"expression": AXE.read_text()})
        ran = session.send(
            "Runtime.evaluate",
            {"expression": "axe.run(document).then(JSON.stringify)", "awaitPromise": True, "returnByValue": True},
        )
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in json.loads(ran["result"]["value"])["violations"]
            if one["impact"] in ("serious", "critical")
        ]
