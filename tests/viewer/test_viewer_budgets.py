"""What the viewer takes stays what it is, however long a session is, and however many look at it for however long."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from markupsafe import Markup
from starlette.testclient import TestClient

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer import app
from strands_session_log_consumers.viewer.conversation.reading import Conversation, Drawn
from strands_session_log_consumers.viewer.conversation.talk import STRETCH
from strands_session_log_consumers.viewer.recent import Recent
from support.browsing import Visitor
from support.conversations import LONG, PICTURE, TRIP
from support.following import notes
from support.viewing import ViewerProcess

MEGABYTE = 1024 * 1024
VIEWS, WARM_UP = 1_000, 150
TURNS = 250


def turns(count: int) -> list[events.Event]:
    return [events.InvocationStarted({"invocation": f"i{number}"}, "default") for number in range(count)]


def write_turns(log: SessionLog) -> None:
    """A session of many turns, for both tests that look at it."""
    if "many-turns" not in set(log.session_ids()):
        for _ in range(20):
            log.append("many-turns", turns(STRETCH))


def resident(viewer: ViewerProcess) -> int:
    """Bytes of memory."""
    status = Path(f"/proc/{viewer.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_thousand_views_leave_its_memory_as_it_was(viewer: ViewerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=60)
    cookie = ""

    def ask(path: str) -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        return answer

    cookie = (ask(viewer.address.removeprefix(viewer.url)).getheader("Set-Cookie") or "").partition(";")[0]
    paths = ("/", f"/s/{TRIP}", f"/s/{TRIP}?at=6", f"/f/s/{LONG}/stretch/1", f"/f/s/{LONG}/turns", f"/s/{PICTURE}")
    for number in range(WARM_UP):
        ask(paths[number % len(paths)])
    before = resident(viewer)
    statuses = {ask(paths[number % len(paths)]).status for number in range(VIEWS)}
    connection.close()
    assert statuses == {200}
    grown = (resident(viewer) - before) / MEGABYTE
    assert grown < 5, f"{before / MEGABYTE:.0f} MB, and {grown:.1f} more"


def test_what_is_kept_weighs_no_more_than_it_may() -> None:
    kept = Recent[int, str](10, len)
    for number in range(5):
        kept.put(number, "four")
    assert [kept.get(number) for number in range(5)] == [None, None, None, "four", "four"]
    kept.put(4, "and")
    assert (kept.get(3), kept.get(4)) == ("four", "and")
    kept.put(5, "more than all of it")
    assert [kept.get(number) for number in range(6)] == [None] * 6


def test_a_stretch_is_drawn_once_until_it_is_another(log: SessionLog) -> None:
    log.append("s-1", notes(0, 3))
    drawn = list[int]()

    def look(head: int) -> None:
        conversation.drawn(conversation.stretch(0, head), "/base", draw)

    def draw(stretch: object) -> Markup:
        drawn.append(1)
        return Markup("drawn")

    conversation = Conversation(log, "s-1")
    look(3)
    look(3)
    assert len(drawn) == 1
    log.append("s-1", notes(3, 4))
    look(4)
    assert len(drawn) == 2


def test_what_was_drawn_of_an_erased_event_is_let_go(log: SessionLog) -> None:
    log.append("s-1", notes(0, 3))
    kept = Drawn(1_000, len)
    conversation, other = Conversation(log, "s-1", kept), Conversation(log, "s-1", kept)
    list(conversation.indexed(3))
    conversation.drawn(conversation.stretch(0, 3), "/base", lambda stretch: Markup("number 1"))
    log.erase("s-1", log.event("s-1", 2).id, "asked for")
    list(conversation.indexed(4))
    assert other.drawn(other.stretch(0, 4), "/base", lambda stretch: Markup("erased")) == "erased"


def test_of_a_long_session_the_turns_around_the_point_are_listed(log: SessionLog) -> None:
    log.append("s-1", turns(TURNS))
    client = TestClient(app(log), "http://localhost")
    first, middle, last = (client.get(f"/f/s/s-1/turns?at={at}").text for at in (1, 150, TURNS))
    assert [text.count("<li") for text in (first, middle, last)] == [100, 100, 50]
    assert 'data-number="101" data-since="101" data-until="201"' in middle
    assert ("before" in first, "before" in middle, "before" in last) == (False, True, True)
    assert ("150 more" in first, "50 more" in middle, "more</a>" in last) == (True, True, False)


def test_stretches_that_are_read_together_are_those_that_are_read_one_by_one(log: SessionLog) -> None:
    log.append("s-1", notes(0, 3 * STRETCH - 5))
    head, conversation = 3 * STRETCH - 5, Conversation(log, "s-1")
    together = conversation.around(STRETCH + 1, head)
    alone = [conversation.stretch(number, head) for number in range(3)]
    shown = [[(one.first, one.last, list(one.items)) for one in some] for some in (together, alone)]
    assert shown[0] == shown[1]


@pytest.mark.viewer
def test_a_page_has_no_more_elements_wherever_one_goes(visit: Callable[..., Visitor], seen_log: SessionLog) -> None:
    write_turns(seen_log)
    visitor = visit()
    page = visitor.open("/s/many-turns")
    page.locator("#turns [data-turn]").first.wait_for(state="attached")
    for key in ("Home", "End", *["Shift+ArrowLeft"] * 3, "Home", *["ArrowRight"] * 5):
        visitor.press(key)
        page.locator(f"#r{visitor.point}").wait_for()
    assert page.locator(".stretch").count() <= 4
    assert page.locator("#turns li").count() <= 150
    assert page.locator("*").count() < 6_000


@pytest.mark.viewer
def test_the_list_of_turns_goes_where_the_point_goes(visit: Callable[..., Visitor], seen_log: SessionLog) -> None:
    write_turns(seen_log)
    visitor = visit()
    page = visitor.open("/s/many-turns")
    current = page.locator("#turns [aria-current] .number")
    assert current.inner_text() == f"{20 * STRETCH:,}"
    visitor.press("Home")
    page.locator("#turns .number", has_text="100").wait_for()
    assert current.inner_text() == "1"
    page.locator("#turns").get_by_role("link", name="more").click()
    page.locator("#turns .number", has_text="101").wait_for()
    assert (visitor.point, current.inner_text()) == (101, "101")
