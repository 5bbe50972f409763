"""Hostile content of every kind in every place, in a real browser: nobody is reached, nothing runs, all is text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer import ViewerSettings
from strands_session_log_consumers.viewer.addresses import session_path
from strands_session_log_consumers.viewer.single_page.page import SinglePage
from support.attacks import ATTACKS, IN_A_SESSION, listening, write_attacks
from support.browsing import NARROW, WIDE, Visitor
from support.served_viewer import ServedViewer

pytestmark = pytest.mark.viewer

SLOW = 60_000
"""Milliseconds; there is much to draw."""
SESSIONS = -(-len(ATTACKS) // IN_A_SESSION)

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
window.ran = false;
window.pwned = () => { window.ran = true; };
"""
OPEN = "for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true;"
ELEMENTS = (
    "script, iframe, frame, object, embed, style, link, base, meta, math, template, portal, marquee, svg, source, "
    "track, audio, video"
)
"""None of them stands in what is shown: there is no sound or film that is one in these sessions."""
FOUND = """(elements) => {
  const within = [...document.querySelectorAll("main, dialog, header.bar")];
  const all = within.flatMap((one) => [...one.querySelectorAll("*")]);
  const isWrong = (one, name) => name.startsWith("on") || name === "srcdoc" || name === "formaction"
    || (name === "style" && !one.closest(".lanes, .stretch"))
    || (name.startsWith("hx-") && !one.closest(".filter, .more"));
  const wrong = all.filter((one) =>
    one.matches(elements) || [...one.attributes].some(({ name }) => isWrong(one, name)));
  const leading = all.filter((one) => one.matches("a[href], form[action], img[src]"))
    .map((one) => new URL(one.href || one.action || one.src, location.href))
    .filter((url) => !["http:", "https:", "mailto:", location.protocol].includes(url.protocol));
  const hidden = /[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u3164\\u0000-\\u0008\\u000e-\\u001f\\u007f-\\u009f]/;
  const shown = document.title + within.map((one) => one.textContent).join("")
    + all.flatMap((one) => [one.title, one.alt, one.getAttribute("aria-label")]).join("");
  const bar = document.querySelector("header.bar").getBoundingClientRect();
  const top = document.elementFromPoint(bar.x + 20, bar.y + bar.height / 2);
  return {
    violations, ran, wrong: wrong.map((one) => one.outerHTML.slice(0, 200)), leading: leading.map(String),
    hidden: hidden.exec(shown)?.[0].codePointAt(0) ?? 0,
    covered: !document.querySelector("dialog[open]") && !top?.closest("header.bar"),
    nodes: document.querySelectorAll("*").length,
  };
}"""


@dataclass
class Attacked:
    """A viewer whose sessions are full of attacks."""

    log: SessionLog
    viewer: ServedViewer
    sessions: list[str]
    came: list[bytes]


@pytest.fixture(scope="module")
def attacked(seen_url: str) -> Iterator[Attacked]:
    """A viewer that may write and asks for answers, with everything in it that somebody hostile could have said."""
    settings = ViewerSettings(allow_write=True, answer_url="http://127.0.0.1:9/answers")
    with listening() as (listener, came), SessionLog.connect(seen_url, "attacked") as log:
        sessions = write_attacks(log, listener)
        with ServedViewer(log, settings) as viewer:
            yield Attacked(log, viewer, sessions, came)
    assert came == []


@pytest.fixture
def victim(attacked: Attacked, browser: Any) -> Iterator[Visitor]:
    """Somebody who looks at it; what their browser complains of, asks of others, or runs, fails the test."""
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
    context.set_default_timeout(SLOW)
    context.add_init_script(WATCH)
    context.add_init_script("localStorage.setItem('detail', '3')")
    visitor = Visitor(context.new_page(), attacked.viewer.url)
    yield visitor
    assert visitor.complaints == []
    assert visitor.outside == set()
    context.close()
    assert attacked.came == []


def harmless(page: Page) -> None:
    """Nothing that was said is anything but text."""
    page.evaluate(OPEN)
    found = page.evaluate(FOUND, ELEMENTS)
    assert found["violations"] == []
    assert not found["ran"]
    assert found["wrong"] == []
    assert found["leading"] == []
    assert found["hidden"] == 0
    assert not found["covered"]
    # What a browser still draws without effort.
    assert found["nodes"] < 40_000


def test_there_are_attacks_of_enough_kinds() -> None:
    assert len(set(ATTACKS.values())) == len(ATTACKS) > 60


@pytest.mark.parametrize("path", ["/", "/?q=script", "/inbox", "/inbox?order=newest"])
def test_lists_of_them_are_text(victim: Visitor, path: str) -> None:
    page = victim.open(path)
    expect(page.locator("main")).to_contain_text("script", timeout=SLOW)
    harmless(page)


@pytest.mark.parametrize("number", range(SESSIONS))
def test_a_session_full_of_them_is_text_at_each_point(victim: Visitor, attacked: Attacked, number: int) -> None:
    page = victim.open(session_path(attacked.sessions[number]))
    expect(page.locator("#turns [data-turn]")).not_to_have_count(0, timeout=SLOW)
    harmless(page)
    victim.press("Home", "j", "j", "Shift+ArrowRight", "a", "End", "b", "d")
    expect(page.locator("#diff")).to_contain_text("→", timeout=SLOW)
    harmless(page)
    victim.press("e", "v")
    expect(page.locator("#sheet-dialog")).to_contain_text("Yes", timeout=SLOW)
    harmless(page)


def test_events_as_they_are_stored_are_text(victim: Visitor, attacked: Attacked) -> None:
    for session_id in attacked.sessions:
        harmless(victim.open(session_path(session_id, "e/5")))


def test_what_is_asked_before_something_is_done_is_text(victim: Visitor, attacked: Attacked) -> None:
    for number, session_id in enumerate(attacked.sessions):
        act = ("erase", "rewind", "fork")[number % 3]
        page = victim.open(session_path(session_id, act, at=4, events="1-60", allow_unanswered="yes"))
        expect(page.locator("main form").last).to_be_visible(timeout=SLOW)
        harmless(page)


def test_what_somebody_typed_comes_back_as_text(victim: Visitor, attacked: Attacked) -> None:
    for number, text in enumerate(ATTACKS.values()):
        typed, session = quote(text[:500]), session_path(attacked.sessions[0])
        path = (f"/?q={typed}&agent=x", f"/inbox?agent={typed}", f"{session}/fork?at=3&by={typed}&into={typed}")[
            number % 3
        ]
        harmless(victim.open(path))


@pytest.mark.parametrize("number", range(SESSIONS))
def test_a_page_kept_as_a_file_is_text(victim: Visitor, attacked: Attacked, tmp_path: Path, number: int) -> None:
    kept = tmp_path / "page.html"
    kept.write_bytes(b"".join(SinglePage(attacked.log, attacked.sessions[number]).chunks()))
    page = victim.page
    page.goto(kept.as_uri())
    page.locator("#turns ol").wait_for(state="attached")
    victim.press("Home", "j", "Shift+ArrowRight", "End")
    harmless(page)
    # The file is no one else than the viewer.
    victim.asked[:] = [one for one in victim.asked if one != kept.as_uri()]


def test_nothing_makes_a_page_wider_than_a_telephone(victim: Visitor, attacked: Attacked) -> None:
    victim.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    for path in ("/", "/inbox", *map(session_path, attacked.sessions)):
        page = victim.open(path)
        page.evaluate(OPEN)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], path
