"""The pictures of docs/viewer.md: `make viewer-screens` takes them anew, of conversations of scripted agents."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import Page

from strands_session_log import SessionLog
from support import conversations
from support.browsing import NARROW, WIDE, Visitor, chromium
from support.conversations import PICTURE, REFUND, TRIP
from support.terminal import environment_of
from support.viewing import ViewerProcess

FOLDER = Path(__file__).parents[2] / "docs" / "viewer"


class Picture(NamedTuple):
    """A picture of a page.

    Attributes:
        name: Of the file, without its ending.
        path: Of the page.
        size: Of the window.
        scheme: `light` or `dark`.
        keys: Typed before it is taken.
        shows: What is there once it can be taken, as a CSS selector.
    """

    name: str
    path: str
    size: tuple[int, int] = WIDE
    scheme: str = "light"
    keys: tuple[str, ...] = ()
    shows: str = "main"


PICTURES = (
    Picture("sessions-light", "/"),
    Picture("sessions-dark", "/", scheme="dark"),
    Picture("sessions-narrow", "/", NARROW),
    Picture("talk-light", f"/s/{TRIP}"),
    Picture("talk-dark", f"/s/{TRIP}", scheme="dark"),
    Picture("talk-narrow", f"/s/{TRIP}", NARROW),
    Picture("point-light", f"/s/{TRIP}?at=12"),
    Picture("diff-light", f"/s/{TRIP}?at=4", keys=("a", "End", "b", "d"), shows="#diff ins"),
    Picture("picture-light", f"/s/{PICTURE}"),
    Picture("waits-light", f"/s/{REFUND}"),
    Picture("inbox-light", "/inbox"),
    Picture("inbox-narrow", "/inbox", NARROW),
    Picture("event-light", f"/s/{TRIP}/e/4"),
    Picture("keys-dark", f"/s/{TRIP}", scheme="dark", keys=("?",), shows="#help[open]"),
)


def stands_still(page: Page) -> None:
    """Wait until all that a page asks for by itself is there."""
    if page.locator("#turns").count():
        page.locator("#turns [data-turn]").first.wait_for(state="attached")
    page.evaluate("Promise.all([...document.images].map((one) => one.decode().catch(() => one)))")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def take(folder: Path, names: set[str]) -> None:
    """Take them all, or those that are named."""
    with TemporaryDirectory() as directory, chromium() as browser:
        url = f"embedded://{directory}/data"
        with SessionLog.connect(url) as log:
            conversations.write(log)
            with ViewerProcess(environment_of(url, log.namespace), Path(directory)) as viewer:
                for one in PICTURES:
                    if names and one.name not in names:
                        continue
                    width, height = one.size
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if one.scheme == "dark" else "light",
                    )
                    visitor = Visitor(context.new_page(), viewer.address)
                    visitor.page.goto(viewer.address)
                    stands_still(visitor.open(one.path))
                    visitor.press(*one.keys)
                    visitor.page.locator(one.shows).first.wait_for()
                    stands_still(visitor.page)
                    visitor.page.screenshot(path=folder / f"{one.name}.png")
                    context.close()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    take(FOLDER, set(sys.argv[1:]))
