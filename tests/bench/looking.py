"""A viewer in a process of its own, and a browser that looks at it and says what that took."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from strands_session_log import SessionLog
from support.browsing import chromium
from support.terminal import environment_of
from support.viewing import ViewerProcess

_SIZE = {"width": 1600, "height": 900}
_PATIENCE_MS = 120_000
_NOTED = "document.addEventListener('viewer:indexed', () => { window.indexedAt = performance.now(); }, { once: true });"
_PAINTED = """async () => {
  const painted = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
  while (!painted()) await new Promise(requestAnimationFrame);
  return painted() / 1000;
}"""
_INDEXED = """async () => {
  while (!window.indexedAt) await new Promise(requestAnimationFrame);
  return window.indexedAt / 1000;
}"""
_SIZES = """async () => {
  const all = performance.getEntriesByType('resource');
  const of = (end) => all.filter((one) => new URL(one.name).pathname.endsWith(end));
  const sum = (some) => some.reduce((before, one) => before + one.encodedBodySize, 0);
  return { page: sum(performance.getEntriesByType('navigation')), js: sum(of('.js')), css: sum(of('.css')) };
}"""
_INSIDE = """async (steps) => {
  const taken = [], talk = document.getElementById('talk');
  for (let step = 0; step < steps; step++) {
    const began = performance.now();
    window.viewer.actions.back();
    talk.offsetHeight;
    taken.push((performance.now() - began) / 1000);
    await new Promise(requestAnimationFrame);
  }
  return taken;
}"""
_ACROSS = """async (point) => {
  const slider = document.getElementById('slider'), talk = document.getElementById('talk');
  const has = ({ dataset }) => Number(dataset.first) <= point && point <= Number(dataset.last);
  const isThere = () => [...document.querySelectorAll('.stretch')].some(has);
  const began = performance.now();
  slider.value = point;
  slider.dispatchEvent(new Event('input'));
  while (!isThere()) await new Promise((done) => setTimeout(done, 1));
  talk.offsetHeight;
  return (performance.now() - began) / 1000;
}"""
_DRAWN = """async (times) => {
  const source = [...document.scripts].map((one) => one.src).find((one) => one.endsWith('following.js'));
  const { drawing } = await import(source.replace('following.js', 'timeline.js'));
  const taken = [];
  for (let time = 0; time < times; time++) {
    drawing.stale = true;
    const began = performance.now();
    drawing.draw();
    taken.push((performance.now() - began) / 1000);
    await new Promise(requestAnimationFrame);
  }
  return taken;
}"""
_FRAMES = """async (seconds) => {
  const taken = [];
  let last = await new Promise(requestAnimationFrame);
  const until = last + 1000 * seconds;
  window.viewer.actions.play();
  while (last < until) {
    const now = await new Promise(requestAnimationFrame);
    taken.push((now - last) / 1000);
    last = now;
  }
  window.viewer.actions.play();
  return taken;
}"""


class Looker:
    """Somebody with a browser of their own, who was at no page of the viewer before.

    Args:
        page: The tab.
        url: Where the viewer is.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self._url = page, url

    def open(self, path: str) -> float:
        """Look at a page; the seconds until there was something to see."""
        self.page.goto(self._url + path)
        return float(self.page.evaluate(_PAINTED))

    def indexed(self) -> float:
        """The seconds from the opening of a session until its timeline is whole."""
        return float(self.page.evaluate(_INDEXED))

    def follows(self) -> None:
        """Wait until the page is told what happens."""
        self.page.wait_for_selector("body[data-server=here]", state="attached")

    def sizes(self) -> dict[str, float]:
        """How many bytes came for the page, its scripts and its style sheet, compressed."""
        return dict(self.page.evaluate(_SIZES))

    def nodes(self) -> int:
        """How many elements the page has."""
        return int(self.page.evaluate("document.querySelectorAll('*').length"))

    def steps_inside(self, steps: int) -> list[float]:
        """Seconds of steps back by an event, each until it is laid out."""
        return list(self.page.evaluate(_INSIDE, steps))

    def step_across(self, point: int) -> float:
        """Seconds until a point far away is shown."""
        return float(self.page.evaluate(_ACROSS, point))

    def draws(self, times: int) -> list[float]:
        """Seconds of drawing the timeline anew."""
        return list(self.page.evaluate(_DRAWN, times))

    def frames(self, seconds: float) -> list[float]:
        """Seconds between the frames of a playback."""
        return list(self.page.evaluate(_FRAMES, seconds))


class Viewed:
    """A viewer, and a browser for those who look at it.

    Args:
        browser: The browser.
        viewer: The viewer.
    """

    def __init__(self, browser: Browser, viewer: ViewerProcess) -> None:
        self._browser, self._viewer = browser, viewer
        with self.context() as context:
            context.new_page().goto(viewer.address)
            self.cookies: Any = context.cookies()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._viewer.url

    @property
    def cookie(self) -> str:
        """The header that opens its pages."""
        return "; ".join(f"{one['name']}={one['value']}" for one in self.cookies)

    @property
    def resident(self) -> int:
        """Bytes of memory that its process has."""
        lines = Path(f"/proc/{self._viewer.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    @contextmanager
    def context(self) -> Iterator[BrowserContext]:
        """A browser without anything it has kept."""
        context = self._browser.new_context(viewport=_SIZE)  # type: ignore[arg-type]
        context.set_default_timeout(_PATIENCE_MS)
        context.add_init_script(_NOTED)
        try:
            yield context
        finally:
            context.close()

    @contextmanager
    def looker(self) -> Iterator[Looker]:
        """Somebody who may look, with nothing kept but that."""
        with self.context() as context:
            context.add_cookies(self.cookies)
            yield Looker(context.new_page(), self.url)


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser.

    Raises:
        FileNotFoundError: When there is none.
    """
    if which("chromium") is None:
        raise FileNotFoundError("there is no Chromium here: .ci/install-browser")
    with chromium() as browser:
        yield browser


@contextmanager
def viewed(browser: Browser, url: str, log: SessionLog) -> Iterator[Viewed]:
    """A viewer of a log, started now: it has read nothing yet."""
    with (
        tempfile.TemporaryDirectory() as directory,
        ViewerProcess(environment_of(url, log.namespace), Path(directory)) as viewer,
    ):
        yield Viewed(browser, viewer)
