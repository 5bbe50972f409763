"""A session as one page in one file, opened in a real browser without any server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer.single_page.page import SinglePage
from support.browsing import NARROW, WIDE, Visitor
from support.conversations import EVIL, LONG, PICTURE, TRIP, agent_of

pytestmark = pytest.mark.viewer

Opened = Callable[..., Visitor]


@pytest.fixture
def opened(seen_log: SessionLog, browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Keeps a session as a file, and opens that; what the browser complains of, or asks anybody for, fails the test."""
    visitors = list[Visitor]()

    def open_(session_id: str, size: tuple[int, int] = WIDE, point: int = 0, **options: Any) -> Visitor:
        path = tmp_path / "kept page.html"
        path.write_bytes(b"".join(SinglePage(seen_log, session_id).chunks()))
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        visitor = Visitor(context.new_page(), path.as_uri())
        visitors.append(visitor)
        visitor.page.goto(path.as_uri() + (f"#at={point}" if point else ""))
        visitor.page.locator("#turns ol").wait_for(state="attached")
        return visitor

    yield open_
    for one in visitors:
        assert one.complaints == []
        assert [url for url in one.asked if not url.startswith(("file:", "data:"))] == []
        one.page.context.close()


def shown(page: Page) -> int:
    return page.locator("#talk .item:not([hidden])").count()


def test_it_shows_the_conversation_as_the_viewer_does(opened: Opened) -> None:
    page = opened(TRIP, offline=True).page
    talk = page.locator("#talk")
    expect(talk).to_contain_text("Find me a flight to Oslo on Friday.")
    expect(talk.locator("table").first).to_contain_text("DY77")
    expect(talk.locator("details.call.failed[open]").first).to_contain_text("timed out after 30 s")
    expect(page.locator("#turns [data-turn]")).to_have_count(3)
    expect(page.locator(".verified")).to_contain_text("verified")


def test_keys_move_through_its_time(opened: Opened) -> None:
    visitor = opened(TRIP)
    page, last = visitor.page, visitor.point
    everything = shown(page)
    visitor.press("ArrowLeft")
    assert visitor.point == last - 1
    visitor.press("Shift+ArrowLeft")
    assert visitor.point < last - 1
    expect(page.locator("#point")).to_contain_text("travellers")
    visitor.press("Home")
    assert visitor.point == 1
    assert shown(page) == 1
    expect(page.locator("#point")).not_to_contain_text("travellers")
    expect(page).to_have_url(re.compile("#at=1$"))
    visitor.press("End")
    assert shown(page) == everything


def test_the_mouse_moves_through_its_timeline_far_from_what_is_loaded(opened: Opened) -> None:
    visitor = opened(LONG)
    page, last = visitor.page, visitor.point
    box = page.locator("#timeline").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + 10)
    assert 1 <= visitor.point < last
    expect(page.locator(f"#talk [data-from='{visitor.point}'].item")).to_be_attached()
    page.locator("#turns [data-turn]").nth(2).click()
    expect(page.locator("#turns [aria-current]")).to_contain_text("Question 2")


def test_it_plays(opened: Opened) -> None:
    visitor = opened(TRIP, point=1)
    assert visitor.point == 1
    visitor.press(">", ">", " ")
    slider = visitor.page.locator("#slider")
    expect(slider).to_have_value(slider.get_attribute("max") or "")


def test_axis_detail_and_theme_can_be_chosen(opened: Opened) -> None:
    visitor = opened(TRIP)
    page = visitor.page
    visitor.press("x", ".", "t")
    expect(page.locator("#axis")).to_have_text("time")
    expect(page.locator("#talk")).to_have_attribute("data-detail", "3")
    expect(page.locator("html")).to_have_attribute("data-theme", re.compile("dark|light"))


def test_keys_for_what_needs_a_server_do_nothing(opened: Opened) -> None:
    visitor = opened(TRIP)
    address = visitor.page.url
    visitor.press("a", "b", "d", "r", "y", "v", "/", "g", "s", "g", "i")
    assert visitor.page.url == address


def test_images_are_seen(opened: Opened) -> None:
    page = opened(PICTURE, offline=True).page
    image = page.locator("#talk img").first
    expect(image).to_be_visible()
    assert image.evaluate("one => one.naturalWidth") == 96


def test_hostile_words_stay_words_and_reach_nobody(opened: Opened, seen_log: SessionLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        said = " ".join(
            (
                f"</script><script>fetch('{address}/a')</script> ![x]({address}/b.png)",
                f"<img src='{address}/c' onerror='x()'> <style>@import '{address}/d'</style>",
                f"<iframe src='{address}/e'></iframe> <!-- <svg onload=fetch('{address}/f')>",
                f"[go](javascript:fetch('{address}/g')) <link rel=prefetch href='{address}/h'>",
            )
        )
        agent_of(seen_log, "hostile-page", said, system_prompt=said)(said)
        for session_id in ("hostile-page", EVIL):
            visitor = opened(session_id)
            visitor.press("Home", "End", "ArrowLeft", "Shift+ArrowLeft", "End")
            expect(visitor.page.locator("#talk")).to_contain_text("<script>")
            assert visitor.page.locator("#talk :is(script, iframe, style, link, svg, img)").count() == 0
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(opened: Opened, size: tuple[int, int], scheme: str) -> None:
    visitor = opened(TRIP, size, color_scheme=scheme)
    page = visitor.page
    page.locator(".kept-facts > summary").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visitor.barriers() == []
