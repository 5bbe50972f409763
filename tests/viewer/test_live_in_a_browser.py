"""A page that is open goes on by itself: what happens, what is said, and what is the matter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from strands import Agent, tool

from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from support.browsing import WIDE, Visitor
from support.following import note, notes
from support.programs import Program
from support.served_viewer import ServedViewer
from support.servers import Server
from support.speaking import SpeakingModel, speaking

pytestmark = pytest.mark.viewer

SOON = 15_000
ELSEWHERE = """
import sys
from strands import Agent
from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel
with SessionLog.connect(sys.argv[1], sys.argv[2]) as log:
    manager = ValkeySessionManager("s-1", log=log)
    Agent(model=ScriptedModel("It is **late**."), session_manager=manager, callback_handler=None)("How late is it?")
"""
SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifts += one.value; })
    .observe({ type: "layout-shift", buffered: false });
}"""


@pytest.fixture
def served(log: SessionLog) -> Iterator[ServedViewer]:
    with ServedViewer(log) as served:
        yield served


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[[str], Visitor]]:
    """Somebody with a browser of their own opens an address, and follows it."""
    contexts = []

    def open_page(address: str) -> Visitor:
        contexts.append(browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}))
        contexts[-1].set_default_timeout(SOON)
        visitor = Visitor(contexts[-1].new_page(), address)
        visitor.page.goto(address)
        expect(visitor.page.locator("body[data-server=here]")).to_be_attached()
        return visitor

    yield open_page
    for context in contexts:
        context.close()


def an_agent(log: SessionLog, *script: Any, session_id: str = "s-1", **options: Any) -> Agent:
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=ScriptedModel(*script), session_manager=manager, callback_handler=None, **options)


def scroll_up(page: Page) -> None:
    page.locator("#talk").evaluate("talk => new Promise(done => { talk.onscroll = done; talk.scrollTop = 0 })")


def test_what_an_agent_in_another_process_does_appears(
    log: SessionLog, server_url: str, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", note(1))
    visitor = look(f"{served.url}/s/s-1")
    with Program(["-c", ELSEWHERE, server_url, log.namespace], stdout=sys.__stdout__) as program:
        expect(visitor.page.locator(".said.user .prose")).to_have_text("How late is it?")
        expect(visitor.page.locator(".said.assistant strong")).to_have_text("late")
        assert program.wait(30) == 0
    expect(visitor.page.locator("#turns")).to_contain_text("How late is it?")
    expect(visitor.page.locator("#where")).to_contain_text(f"of {log.head('s-1').revision}")
    expect(visitor.page.locator("#badge")).to_contain_text("idle")
    expect(visitor.page.locator("#point")).to_contain_text("2 of 2 messages")
    assert visitor.complaints == []


def test_words_appear_as_they_are_said_and_the_message_takes_their_place(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    model = SpeakingModel(["one **two** <b>three</b> four"], chunk=8)
    manager = ValkeySessionManager("s-1", log=log)
    agent = Agent(model=model, session_manager=manager, hooks=[LiveTokens(log, "s-1", interval=0.01)])
    page = look(f"{served.url}/s/s-1").page
    with speaking(agent):
        model.say(1)
        expect(page.locator(".utterance [data-kind=text]")).to_have_text("one **tw")
        model.say(2)
        # What comes is text, whatever it looks like.
        expect(page.locator(".utterance [data-kind=text]")).to_have_text("one **two** <b>three</b>")
        model.say(10)
        expect(page.locator(".said.assistant strong")).to_have_text("two")
        expect(page.locator(".utterance")).to_have_count(0)


def test_what_is_read_stays_where_it_is_and_the_rest_is_counted(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", notes(0, 100))
    page = look(f"{served.url}/s/s-1").page
    expect(page.locator("#r100")).to_be_in_viewport()
    scroll_up(page)
    log.append("s-1", notes(100, 103))
    expect(page.locator("#below")).to_have_text("3 new below ↓")
    assert page.locator("#talk").evaluate("talk => talk.scrollTop") == 0
    page.locator("#below").click()
    expect(page.locator("#r103")).to_be_in_viewport()
    expect(page.locator("#below")).to_be_hidden()


def test_at_the_end_one_stays_at_the_end(log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]) -> None:
    log.append("s-1", notes(0, 100))
    page = look(f"{served.url}/s/s-1").page
    expect(page.locator("#r100")).to_be_in_viewport()
    page.evaluate(SHIFTS)
    for number in range(100, 300, 10):
        log.append("s-1", notes(number, number + 10))
    expect(page.locator("#r300")).to_be_in_viewport()
    expect(page.locator("#slider")).to_have_value("300")
    expect(page.locator("#below")).to_be_hidden()
    assert page.evaluate("window.shifts") == 0


def test_at_a_point_nothing_changes_but_how_much_there_is(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", notes(0, 10))
    page = look(f"{served.url}/s/s-1?at=5").page
    log.append("s-1", notes(10, 12))
    expect(page.locator("#where")).to_contain_text("r5 of 12")
    expect(page.locator("#below")).to_have_text("2 new below ↓")
    expect(page.locator("#r5")).to_be_visible()
    assert not page.locator("#r12").is_visible()
    page.keyboard.press("End")
    expect(page.locator("#r12")).to_be_visible()


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is a word"


def test_a_call_that_was_unfolded_stays_so_when_its_result_comes(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    call = [{"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {"word": "cat"}}}]
    model = SpeakingModel([call, "Done."])
    agent = Agent(
        model=model,
        tools=[look_up],
        session_manager=ValkeySessionManager("s-1", log=log),
        callback_handler=None,
    )
    waiting = _Gate()
    agent.hooks.add_callback(waiting.event, waiting)
    page = look(f"{served.url}/s/s-1").page
    with speaking(agent):
        model.say(5)
        page.locator(".call[id] summary").click()
        expect(page.locator(".call[id]")).to_have_attribute("open", "")
        waiting.open()
        model.say(5)
        expect(page.locator(".call[id]")).to_contain_text("cat is a word")
    expect(page.locator(".call[id]")).to_have_attribute("open", "")


def test_what_is_erased_goes_from_pages_that_are_open(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    an_agent(log, "The secret is 42.")("Tell me.")
    page = look(f"{served.url}/s/s-1").page
    expect(page.locator("#talk")).to_contain_text("The secret is 42.")
    secret = next(one for one in log.read("s-1", types="message.added") if "secret" in str(one.event.data))
    log.erase("s-1", secret.id, "asked for")
    expect(page.locator("#talk")).not_to_contain_text("The secret is 42.")
    expect(page.locator("#talk")).to_contain_text("asked for")


def test_a_deleted_session_is_said_to_be_gone_and_stays_readable(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", notes(0, 3))
    page = look(f"{served.url}/s/s-1").page
    expect(page.locator("#badge")).to_contain_text("idle")
    log.delete("s-1")
    expect(page.get_by_role("alert")).to_contain_text("was deleted")
    expect(page.locator("#r3")).to_be_visible()


def test_a_server_that_is_away_is_said_to_be_and_the_page_goes_on_when_it_is_back(
    tcp_server: Server, look: Callable[[str], Visitor]
) -> None:
    with SessionLog.connect(tcp_server.url) as log, ServedViewer(log) as served:
        log.append("s-1", notes(0, 3))
        page = look(f"{served.url}/s/s-1").page
        tcp_server.kill()
        expect(page.locator("#away")).to_contain_text("The server is away since")
        expect(page.locator("#r3")).to_be_visible()
        tcp_server.restart()
        expect(page.locator("#away")).to_be_hidden()
        log.append("s-1", note(3))
        expect(page.locator("#r4")).to_be_visible()


def test_a_page_goes_on_after_the_viewer_was_started_again(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", notes(0, 3))
    page = look(f"{served.url}/s/s-1").page
    expect(page.locator("#badge")).to_contain_text("idle")
    served.stop()
    expect(page.locator("#away")).to_contain_text("The viewer does not answer since")
    log.append("s-1", notes(3, 5))
    served.start()
    expect(page.locator("#r5")).to_be_visible()
    expect(page.locator("#away")).to_be_hidden()
    assert page.locator(".item").count() == 5


def test_the_list_shows_new_sessions_and_what_the_known_ones_do(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    an_agent(log, "Hello.", session_id="s-1")("Hi")
    visitor = look(f"{served.url}/")
    rows = visitor.page.locator("#rows tr")
    expect(rows).to_have_count(1)
    an_agent(log, "Welcome.", session_id="s-2")("Hi")
    expect(rows.first).to_contain_text("s-2")
    expect(rows.first).to_contain_text("Welcome.")
    log.append("s-1", events.SessionAnnotated({"team": "travel"}))
    expect(rows.last).to_contain_text("team=travel")
    expect(rows).to_have_count(2)
    assert visitor.complaints == []


def test_new_sessions_wait_for_those_who_are_somewhere_in_the_list(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", note(1))
    page = look(f"{served.url}/").page
    page.keyboard.press("j")
    expect(page.locator("#rows tr.current")).to_have_count(1)
    log.append("s-2", note(1))
    expect(page.locator("#newer")).to_have_text("1 new session ↑")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator("#newer").click()
    expect(page.locator("#rows tr").first).to_contain_text("s-2")


def test_a_filtered_list_is_told_only_of_what_it_shows(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("refund-1", note(1))
    page = look(f"{served.url}/?q=refund").page
    log.append("other-1", note(1))
    log.append("refund-2", note(1))
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#rows")).not_to_contain_text("other-1")


class _Gate:
    """Holds a tool back until it may run."""

    def __init__(self) -> None:
        from threading import Event

        from strands.hooks import BeforeToolCallEvent

        self.event, self._open = BeforeToolCallEvent, Event()

    def open(self) -> None:
        self._open.set()

    def __call__(self, event: Any) -> None:
        assert self._open.wait(SOON / 1000)


def test_a_filter_that_shows_nothing_does_not_load_its_page_again_and_again(
    log: SessionLog, served: ServedViewer, look: Callable[[str], Visitor]
) -> None:
    log.append("s-1", note(1))
    page = look(f"{served.url}/?since=2099-01-01").page
    page.evaluate("window.isSame = true")
    log.append("s-2", note(1))
    expect(page.locator("#newer")).to_have_text("1 new session ↑")
    assert page.evaluate("window.isSame")
