"""Reading a conversation in a real browser: find, views, lanes, folds, playback, secrets, and what people come for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from strands_session_log import SessionLog, events
from support.answers import application
from support.browsing import NARROW, Visitor
from support.command_line import message
from support.conversations import LONG, REFUND, TRIP
from support.terminal import environment_of
from support.viewing import ViewerProcess

pytestmark = pytest.mark.viewer

Visit = Callable[..., Visitor]
TEAM, KEY = "a-team", "sk-proj-" + "a1B2" * 10


@pytest.fixture(autouse=True)
def team(seen_log: SessionLog) -> None:
    """A session in which an agent asks another one by a tool."""
    if TEAM not in set(seen_log.session_ids()):
        _write_team(seen_log)


def _write_team(log: SessionLog) -> None:
    call = {"toolUse": {"toolUseId": "ask", "name": "ask_research", "input": {"about": "flights"}}}
    result = {"toolResult": {"toolUseId": "ask", "status": "success", "content": [{"text": "They fly on Friday."}]}}
    for event in (
        events.SessionCreated({"session_id": TEAM, "session_type": "AGENT"}),
        events.AgentCreated({"agent_id": "default", "state": {"api_key": "correct horse"}}, "default"),
        events.AgentCreated({"agent_id": "research", "state": {}}, "research"),
        events.InvocationStarted({}, "default"),
        message(0, "user", f"When do they fly? My key is {KEY}."),
        message(1, "assistant", call),
        events.ToolStarted({"name": "ask_research", "tool_use_id": "ask"}, "default"),
        events.InvocationStarted({}, "research"),
        message(0, "user", "flights", agent="research"),
        message(1, "assistant", "I look into the **timetable**.", agent="research"),
        message(2, "assistant", "On Friday.", agent="research"),
        events.InvocationCompleted({"stop_reason": "end_turn"}, "research"),
        events.ToolCompleted({"name": "ask_research", "tool_use_id": "ask", "status": "success"}, "default"),
        message(2, "user", result),
        message(3, "assistant", "They fly on Friday."),
        events.InvocationCompleted({"stop_reason": "end_turn"}, "default"),
    ):
        log.append(TEAM, event)


def loaded(visitor: Visitor, path: str) -> Visitor:
    """Somebody who waits until the timeline is there."""
    visitor.open(path)
    expect(visitor.page.locator("#turns [data-turn]").first).to_be_attached(timeout=20_000)
    return visitor


def test_text_is_found_wherever_it_stands_and_the_address_says_so(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TRIP}")
    page = visitor.page
    visitor.press("/")
    page.keyboard.type("SK1234")
    visitor.press("Enter")
    expect(page.locator("#found")).to_have_text(re.compile(r"^1 of [2-9]$"))
    first = visitor.point
    # It stands in the result of a call, which is open now.
    expect(page.locator("#talk details.call[open]", has_text="SK1234").first).to_be_visible()
    visitor.press("n")
    expect(page.locator("#found")).to_have_text(re.compile(r"^2 of"))
    assert visitor.point > first
    visitor.press("N")
    assert visitor.point == first
    expect(page).to_have_url(re.compile("find=SK1234"))
    page.reload()
    expect(page.locator("#found")).to_have_text(re.compile(r"of [2-9]$"))
    expect(page.locator("#find-text")).to_have_value("SK1234")


def test_the_last_hit_is_followed_by_the_first_and_nothing_found_is_said(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{LONG}")
    page = visitor.page
    page.locator("#find-text").fill("QUESTION 7:")
    page.locator("#find-text").press("Enter")
    expect(page.locator("#found")).to_have_text("1 of 1")
    there = visitor.point
    visitor.press("n")
    assert visitor.point == there
    expect(page.get_by_text("Question 7: how is that?").last).to_be_visible()
    page.locator("#find-text").fill("no such words")
    page.locator("#find-text").press("Enter")
    expect(page.locator("#found")).to_have_text("not found")
    visitor.press("Escape")
    expect(page.locator("#found")).to_have_text("")


def test_the_views_are_a_key_apart_and_stand_in_the_address(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TRIP}?at=6")
    page = visitor.page
    visitor.press("2")
    expect(page).to_have_url(re.compile("view=events"))
    expect(page.locator("#talk .type", has_text="invocation.started").first).to_be_visible()
    expect(page.locator("#talk .prose").first).to_be_hidden()
    visitor.press("3")
    expect(page.locator("#diff")).to_contain_text("messages added")
    expect(page.locator("#talk")).to_be_hidden()
    expect(page).to_have_url(re.compile("view=diff"))
    page.reload()
    expect(page.locator("#diff")).to_contain_text("messages added")
    visitor.press("1")
    expect(page.locator("#talk .prose").first).to_be_visible()


def test_what_ran_within_a_call_is_folded_to_its_last_message(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TEAM}")
    page = visitor.page
    talk = page.locator("#talk")
    expect(talk.locator(".prose", has_text=re.compile("^On Friday"))).to_be_visible()
    expect(talk.locator(".prose", has_text="I look into the")).to_be_hidden()
    expect(talk.get_by_text("turn begins, called by ask_research")).to_be_visible()
    talk.get_by_role("button", name="Unfold").click()
    expect(talk.locator(".prose", has_text="I look into the")).to_be_visible()
    talk.get_by_role("button", name="Fold").click()
    expect(talk.locator(".prose", has_text="I look into the")).to_be_hidden()
    # Who stands in it sees it.
    visitor.open(f"/s/{TEAM}?at=10")
    expect(talk.locator(".prose", has_text="I look into the")).to_be_visible()


def test_one_agent_is_looked_at_alone(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TEAM}?agent=research")
    page = visitor.page
    expect(page.locator("#talk .said.assistant:visible")).to_have_text(re.compile("On Friday"))
    page.locator("#lane").select_option("default")
    expect(page).to_have_url(re.compile("agent=default"))
    expect(page.locator("#talk .prose", has_text=re.compile("^On Friday"))).to_be_hidden()
    visitor.press("l")
    visitor.press("l")
    expect(page).not_to_have_url(re.compile("agent="))


def test_zoom_and_axis_stand_in_the_address_and_come_back(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{LONG}")
    visitor.press("+", "+", "x")
    expect(visitor.page).to_have_url(re.compile(r"axis=time&z=\d+-\d+"))
    address = visitor.page.url
    visitor.page.reload()
    expect(visitor.page.locator("#axis")).to_have_text("time")
    expect(visitor.page.locator("#turns [data-turn]").first).to_be_attached()
    visitor.press("ArrowLeft")
    expect(visitor.page).to_have_url(re.compile(re.escape(address.partition("&z=")[2])))
    visitor.press("0")
    expect(visitor.page).not_to_have_url(re.compile("z="))


def test_what_was_unfolded_is_unfolded_for_who_follows_the_link(visit: Visit) -> None:
    first, second = loaded(visit(), f"/s/{TRIP}"), visit()
    first.page.locator("#talk details.call", has_text="search").first.locator("summary").first.click()
    expect(first.page).to_have_url(re.compile(r"open=\d+"))
    second.open(first.page.url.removeprefix(first.url))
    expect(second.page.locator("#talk details.call[open]", has_text="SK1234").first).to_be_visible()


def test_a_pause_that_is_passed_over_is_said_and_who_moves_while_it_plays_goes_on_from_there(
    visit: Visit, seen_log: SessionLog
) -> None:
    visitor = loaded(visit(), f"/s/{LONG}")
    page = visitor.page
    # As if an hour lay between any two events.
    page.evaluate(
        """async () => {
          const commands = document.querySelector('script[src*="commands.js"]').src;
          const { columns } = await import(commands.replace("commands", "timeline"));
          columns.ms = (revision) => revision * 3_600_000;
        }"""
    )
    visitor.press("Home", " ")
    expect(page.locator("#skipped")).to_have_text("skipped 1 h 0 m")
    page.locator("#slider").fill("200")
    expect(page.locator("#slider")).to_have_value("201")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_playing_stops_at_an_error_if_it_is_to(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TRIP}")
    page = visitor.page
    page.get_by_role("button", name="stop at errors").click()
    page.locator("#talk").focus()
    visitor.press("Home", ">", ">", " ")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", re.compile("failed"), timeout=20_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_secret_is_hidden_until_somebody_clicks_on_it(visit: Visit) -> None:
    page = loaded(visit(), f"/s/{TEAM}").page
    secret = page.locator("#talk .item .secret:visible").first
    expect(secret.locator(".secret-text")).to_be_hidden()
    assert KEY not in page.locator("#talk").inner_text()
    secret.click()
    expect(secret.locator(".secret-text")).to_have_text(KEY)
    expect(secret.locator(".secret-text")).to_be_visible()
    assert "correct horse" not in page.locator("#point").inner_text()


def test_a_message_is_shown_as_it_was_written(visit: Visit) -> None:
    page = loaded(visit(), f"/s/{TRIP}").page
    said = page.locator("#talk .item.assistant", has_text="cheaper one").first
    said.hover()
    said.get_by_role("button", name="source").click()
    expect(said.locator("pre.written")).to_contain_text("There are **two** flights")
    said.get_by_role("button", name="source").click()
    expect(said.locator("pre.written")).to_have_count(0)


def test_detail_is_chosen_by_a_key_and_kept(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TRIP}")
    page = visitor.page
    seen = dict[str, int]()
    for level in ("3", "1", "2"):
        visitor.press(".")
        expect(page.locator("#density")).to_have_text(level)
        seen[level] = page.locator("#talk .item:visible").count()
    assert seen["1"] < seen["2"] < seen["3"]
    # What failed is there at any.
    visitor.press(".", ".")
    expect(page.locator("#talk details.call.failed").first).to_be_visible()
    page.reload()
    expect(page.locator("#density")).to_have_text("1")


def test_why_did_it_do_that_takes_three_keys_and_the_id(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    visitor.press("/")
    page.keyboard.type(TRIP)
    expect(page.locator("#rows tr")).to_have_count(1)
    visitor.press("Enter")
    expect(page).to_have_url(re.compile(rf"/s/{TRIP}"))
    expect(page.locator("#turns [data-turn]").first).to_be_attached(timeout=20_000)
    visitor.press("e")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", re.compile("failed"), timeout=20_000)
    # What failed is open already, with what it was given.
    call = page.locator("#talk details.call.failed[open]").first
    expect(call).to_contain_text("no answer about DY77")
    expect(page.locator("#point")).to_contain_text("window:")
    visitor.press("Enter")
    expect(page.locator("#talk details.call.failed:not([open])").first).to_be_attached()


def test_what_changed_between_good_and_bad_takes_three_keys(visit: Visit) -> None:
    visitor = loaded(visit(), f"/s/{TRIP}?at=5")
    page = visitor.page
    visitor.press("a")
    page.locator("#turns [data-turn]").last.click()
    visitor.press("b", "d")
    expect(page.locator("#diff")).to_contain_text("messages added")
    expect(page.locator("#diff")).to_contain_text("trip")
    expect(page).to_have_url(re.compile(r"a=5&b=\d+.*view=diff"))


def test_a_copied_link_proves_which_event_was_meant(visit: Visit) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    page = loaded(visitor, f"/s/{TRIP}").page
    visitor.press("ArrowLeft", "ArrowLeft")
    expect(page.locator("#point [data-link]")).to_have_text(f"r{visitor.point}")
    visitor.press("y")
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(rf"at={visitor.point}&l=[\w-]{{8}}$", copied)
    visitor.press("c")
    expect(page.locator('[data-do="copy-message"]')).to_have_text("copied")


def test_may_it_go_on_takes_three_taps_on_a_telephone(
    visit: Visit, seen_log: SessionLog, seen_url: str, tmp_path: Path
) -> None:
    environment = environment_of(seen_url, seen_log.namespace)
    with application() as taking:
        given = ("--answer-url", taking.url, "--answers", "approve-refund=approve:yes,refuse:no")
        with ViewerProcess(environment, tmp_path, *given) as running:
            page = visit(running.address, size=NARROW, has_touch=True).open("/")
            page.evaluate("localStorage.setItem('person', 'Ada')")
            page.get_by_role("link", name="Inbox").tap()
            item = page.locator("article.asked", has_text=REFUND)
            expect(item).to_contain_text("More than 100 EUR: may I?")
            expect(item).to_contain_text("310")
            item.get_by_role("button", name="approve").tap()
            item.get_by_role("button", name="Send").tap()
            expect(item).to_contain_text("sent by Ada")
        (taken,) = taking.taken
        assert (taken.json["answer"], taken.json["person"]) == ("yes", "Ada")


def test_on_a_telephone_state_and_find_are_a_tap_away(visit: Visit) -> None:
    page = loaded(visit(size=NARROW, has_touch=True), f"/s/{TRIP}").page
    page.get_by_role("button", name="Point").tap()
    expect(page.locator("#point")).to_contain_text("travellers")
    page.get_by_role("button", name="Point").tap()
    page.get_by_role("button", name="Find", exact=True).tap()
    page.locator("#find-text").fill("Hebrew")
    page.locator("#find-text").press("Enter")
    expect(page.locator("#found")).to_contain_text("1 of")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
