"""Text is found in a session a while at a time, and what differs between two texts is told word by word."""

from __future__ import annotations

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer.conversation.differing import LONGEST, pieces
from strands_session_log_consumers.viewer.conversation.finding import found_in
from support.asking import asking
from support.command_line import CALL, RESULT, message


def write(log: SessionLog) -> int:
    log.append(
        "s", [message(0, "user", "What should I pack?"), message(1, "assistant", CALL), message(2, "user", RESULT)]
    )
    return log.append("s", message(3, "assistant", "Pack a JACKET.")).revision


def test_what_events_hold_is_found_however_it_is_written(log: SessionLog) -> None:
    head = write(log)
    assert found_in(log, "s", "pack", 0, head).revisions == [1, 4]
    assert found_in(log, "s", "forecast", 0, head).revisions == [2]
    assert found_in(log, "s", "no such thing", 0, head) == ([], head)
    # Names of records are none of what was said.
    assert found_in(log, "s", "message_id", 0, head).revisions == []


def test_a_search_goes_on_where_it_stopped(log: SessionLog) -> None:
    head = write(log)
    found = found_in(log, "s", "pack", 0, head, seconds=0)
    assert found == ([1], 1)
    assert found_in(log, "s", "pack", found.seen, head).revisions == [4]


def test_a_page_asks_for_hits_and_how_far_one_has_looked(log: SessionLog) -> None:
    write(log)
    with asking(log) as client:
        assert client.get("/f/s/s/find?q=pack&after=1").json() == {"hits": [4], "seen": 4, "head": 4}
        for query in ("", "?q=", "?q=a&after=-1", "?q=a&after=" + "9" * 5_000, "?q=a&after=²"):
            assert client.get(f"/f/s/s/find{query}").status_code == 400
        assert client.get("/f/s/s/source/4").text == "Pack a JACKET."
        assert client.get("/f/s/s/source/9").status_code == 404


def test_what_differs_is_told_word_by_word() -> None:
    assert pieces("It failed.", "It failed, sorry.") == [
        ("same", "It failed"),
        ("new", ", sorry"),
        ("same", "."),
    ]
    assert pieces("", "new") == [("new", "new")]
    long = "word " * LONGEST
    assert [one.kind for one in pieces(long, "short")] == ["gone", "new"]
