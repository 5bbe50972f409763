"""People's way through the viewer, in a real browser: find a conversation, move through it, compare, share."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from strands_session_log import SessionLog
from support.browsing import NARROW, WIDE, Visitor
from support.conversations import ALL, EVIL, FAILED, LONG, PICTURE, REFUND, TRIP

pytestmark = pytest.mark.viewer

Visit = Callable[..., Visitor]
PAGES = (
    "/",
    "/inbox",
    f"/s/{TRIP}",
    f"/s/{TRIP}?at=6",
    f"/s/{REFUND}",
    f"/s/{PICTURE}",
    f"/s/{EVIL}",
    f"/s/{TRIP}/e/4",
    "/?q=nothing-is-like-that",
    "/?since=never",
    "/inbox?agent=nobody",
    "/api",
    f"/s/{TRIP}?at=6&l=wrong",
)


FOCUSED = """() => {
  const one = document.activeElement, label = one.labels?.[0]?.textContent ?? "";
  const name = one === document.body ? "" : one.getAttribute("aria-label") || label || one.textContent || one.title;
  return [name.trim(), getComputedStyle(one).outlineStyle !== "none"];
}"""
"""What has the focus is called, and whether that shows."""


def ids(visitor: Visitor) -> list[str]:
    return visitor.page.locator("#rows .id bdi:first-of-type").all_inner_texts()


def test_all_conversations_are_listed_with_what_they_do(visit: Visit) -> None:
    page = visit().page
    for session_id in ALL:
        expect(page.locator("#rows")).to_contain_text(session_id)
    expect(page.locator("tr", has_text=REFUND).locator(".badge")).to_contain_text("waits")
    expect(page.locator("tr", has_text=FAILED).locator(".badge")).to_contain_text("failed")


def test_a_filter_narrows_the_list_as_one_types_and_stands_in_the_address(visit: Visit) -> None:
    visitor = visit()
    visitor.press("/")
    visitor.page.keyboard.type("oslo")
    expect(visitor.page.locator("#rows tr")).to_have_count(1)
    expect(visitor.page).to_have_url(re.compile("q=oslo"))
    visitor.page.reload()
    expect(visitor.page.locator("#rows")).to_contain_text(TRIP)
    expect(visitor.page.locator('input[name="q"]')).to_have_value("oslo")


def test_nothing_matches_and_the_way_back_is_offered(visit: Visit) -> None:
    page = visit().page
    page.locator('input[name="q"]').fill("no such thing")
    expect(page.locator("#list")).to_contain_text("No session is like that")
    page.get_by_role("link", name="Show all sessions").click()
    expect(page.locator("#rows")).to_contain_text(TRIP)


def test_a_session_is_opened_by_keys_alone(visit: Visit) -> None:
    visitor = visit()
    visitor.press("j", "Enter")
    expect(visitor.page).to_have_url(re.compile(r"/s/[\w-]+"))
    expect(visitor.page.locator("#talk .item").first).to_be_attached()


def test_a_conversation_is_shown_as_people_read_it(visit: Visit) -> None:
    page = visit().open(f"/s/{TRIP}")
    talk = page.locator("#talk")
    expect(talk).to_contain_text("Find me a flight to Oslo on Friday.")
    expect(talk.locator("table").first).to_contain_text("DY77")
    expect(talk.locator("pre .hl-k").first).to_be_attached()
    call = talk.locator("details.call", has_text="search").first
    assert call.get_attribute("open") is None
    call.locator("summary").click()
    expect(call).to_contain_text("SK1234")
    # What failed is never folded away.
    expect(talk.locator("details.call.failed[open]").first).to_contain_text("timed out after 30 s")


def test_arrows_move_by_events_and_with_shift_by_turns(visit: Visit) -> None:
    visitor = visit()
    visitor.open(f"/s/{TRIP}?at=6")
    visitor.press("ArrowRight")
    assert visitor.point == 7
    visitor.press("ArrowLeft", "ArrowLeft")
    assert visitor.point == 5
    visitor.press("Home")
    assert visitor.point == 1
    expect(visitor.page).to_have_url(re.compile("at=1$"))
    expect(visitor.page.locator("#turns [data-turn]")).to_have_count(3)
    visitor.press("Shift+ArrowRight")
    assert visitor.point > 1


def test_what_had_not_happened_yet_is_not_shown(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}")
    failed = page.locator("details.call.failed").first
    expect(failed).to_be_visible()
    visitor.press("Home")
    expect(failed).to_be_hidden()
    visitor.press("End")
    expect(failed).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/s/{TRIP}$"))


def test_the_state_is_that_of_the_point(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}")
    expect(page.locator("#point")).to_contain_text("travellers")
    visitor.press("Home")
    expect(page.locator("#point")).not_to_contain_text("travellers")


def test_a_link_shows_the_same_to_somebody_else(visit: Visit) -> None:
    first, second = visit(), visit()
    first.open(f"/s/{TRIP}")
    first.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    expect(first.page).to_have_url(re.compile("at="))
    address = first.page.url.removeprefix(first.url)
    second.open(address)
    assert second.point == first.point
    shown = "#talk .item:not([hidden])"
    assert second.page.locator(shown).count() == first.page.locator(shown).count()


def test_back_leads_to_where_one_was(visit: Visit) -> None:
    visitor = visit()
    visitor.open(f"/s/{TRIP}?at=6")
    visitor.press("Home")
    assert visitor.point == 1
    visitor.page.go_back()
    expect(visitor.page.locator("#slider")).to_have_value("6")


def test_the_mouse_moves_through_the_timeline(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{LONG}")
    last = visitor.point
    box = page.locator("#timeline").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10)
    page.mouse.down()
    middle = visitor.point
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 10, steps=5)
    page.mouse.up()
    assert 1 <= visitor.point < middle < last


def test_a_far_jump_loads_what_is_there(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{LONG}")
    visitor.press("Home")
    visitor.press("j")
    expect(page.get_by_text("Question 0: how is that?").last).to_be_visible()
    visitor.press("End")
    expect(page.get_by_text("Answer 59,").last).to_be_visible()


def test_it_plays_to_the_end_and_says_so(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}")
    last = visitor.point
    visitor.press("Home")
    assert visitor.point == 1
    visitor.press(">", ">", " ")
    expect(page.locator("#slider")).to_have_value(str(last), timeout=20_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_two_points_are_pinned_and_compared(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}?at=4")
    visitor.press("a", "End", "b", "d")
    expect(page).to_have_url(re.compile(r"a=4&b=\d+"))
    # It stays, whatever was asked for before it.
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(page.locator("#diff")).to_contain_text("messages added")
    expect(page.locator("#diff")).to_contain_text("trip")


def test_errors_are_found_by_a_key(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}")
    expect(page.locator("#turns [data-turn]")).to_have_count(3)
    visitor.press("Home", "e")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", re.compile("failed"))


def test_help_lists_the_keys_and_letters_can_be_switched_off(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{TRIP}?at=6")
    visitor.press("?")
    expect(page.locator("#help")).to_contain_text("next, previous error")
    page.locator("#single-keys").uncheck()
    visitor.press("Escape")
    visitor.press("e")
    assert visitor.point == 6
    visitor.press("ArrowRight")
    assert visitor.point == 7


def test_an_image_is_shown_and_a_file_can_be_had(visit: Visit) -> None:
    page = visit().open(f"/s/{PICTURE}")
    expect(page.locator("#talk img")).to_have_js_property("naturalWidth", 96)
    with page.expect_download() as download:
        page.locator("#talk figure", has_text="numbers").locator("a[download]").click()
    assert download.value.path().read_bytes().startswith(b"day,steps")


def test_hostile_words_are_words(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(f"/s/{EVIL}")
    expect(page.locator("#talk")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("#talk")).to_contain_text("(evil.example)")
    assert page.locator("#talk script, #talk img, #talk b").filter(has_text="evil").count() == 0


def test_light_and_dark_follow_the_system_and_a_key(visit: Visit) -> None:
    visitor = visit(color_scheme="dark")
    page = visitor.page
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(background)
    visitor.press("t")
    light = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == light


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_telephone(visit: Visit, path: str) -> None:
    page = visit(size=NARROW).open(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"])
def test_no_page_keeps_people_out(visit: Visit, path: str, size: tuple[int, int], scheme: str) -> None:
    visitor = visit(size=size, color_scheme=scheme)
    visitor.open(path)
    assert visitor.barriers() == []


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_that_is_unfolded_or_compared_keeps_people_out(
    visit: Visit, size: tuple[int, int], scheme: str
) -> None:
    visitor = visit(size=size, color_scheme=scheme)
    page = visitor.open(f"/s/{TRIP}")
    visitor.press(".", "Home", "a", "End", "b", "d")
    expect(page.locator("#diff")).to_contain_text("→")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert visitor.barriers() == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visitor.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert visitor.barriers() == []


@pytest.mark.parametrize("path", ["/", "/inbox", f"/s/{TRIP}", f"/s/{TRIP}/verify"])
def test_each_stop_of_the_tab_key_has_a_name_and_is_seen(visit: Visit, path: str) -> None:
    visitor = visit()
    page = visitor.open(path)
    stops = list[str]()
    for _ in range(40):
        visitor.press("Tab")
        name, is_seen = page.evaluate(FOCUSED)
        if not name and stops:
            break
        assert is_seen, name
        stops.append(name)
    assert stops[0] == "To the content"
    assert "Sessions" in stops
    assert all(stops)


def test_it_can_be_read_without_script(visit: Visit) -> None:
    page = visit(java_script_enabled=False).open(f"/s/{TRIP}?at=6")
    expect(page.locator("#talk")).to_contain_text("Find me a flight")
    page.get_by_label("Event back").click()
    expect(page).to_have_url(re.compile("at=5$"))


def test_a_session_that_is_not_there_is_said_with_a_way_on(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open("/s/trip-osl")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not found")
    page.get_by_role("link", name=TRIP).click()
    expect(page.locator("#talk")).to_contain_text("Find me a flight")
    visitor.complaints.clear()  # the browser notes the 404, and is right


def test_what_is_written_meanwhile_is_there_when_it_is_looked_at_again(visit: Visit, seen_log: SessionLog) -> None:
    from support.conversations import agent_of

    agent = agent_of(seen_log, "meanwhile", ["First.", "Second."])
    agent("One?")
    page = visit().open("/s/meanwhile")
    expect(page.locator("#talk")).to_contain_text("First.")
    agent("Two?")
    page.reload()
    expect(page.locator("#talk")).to_contain_text("Second.")
