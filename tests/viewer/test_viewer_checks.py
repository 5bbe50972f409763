"""The viewer says whether what it shows is what was written: in the header, beside what it shows, and in full."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from threading import Event as Happened
from typing import Any

import pytest
from starlette.testclient import TestClient

from strands_session_log import Anchor, SessionLog, events
from strands_session_log.errors import LogForkedError
from strands_session_log_consumers.viewer.addresses import session_path
from strands_session_log_consumers.viewer.conversation.checking import RunningCheck
from strands_session_log_consumers.viewer.conversation.pasted import understood
from strands_session_log_consumers.viewer.conversation.reading import Conversation
from support.asking import asking, words_of
from support.tampering import Fields, entries_of, forge_all, tamper
from support.waiting import wait_until

PART = {"HX-Request": "true"}


def notes(count: int) -> list[events.Event]:
    return [events.Custom("custom.note", {"number": number}) for number in range(count)]


def other_body(fields: Fields) -> Mapping[str, bytes]:
    return {**fields, "body": b'{"number":77}'}


@pytest.fixture
def reader(log: SessionLog) -> Iterator[TestClient]:
    """Somebody who looks at a session with 300 events."""
    log.append("s", notes(300))
    with asking(log) as client:
        yield client


def header(client: TestClient) -> str:
    """What the header says once all is checked."""
    text = client.get("/f/s/s/verify").text
    while "data-going" in text:
        text = client.get("/f/s/s/verify").text
    return words_of(text)


def report(client: TestClient, **query: str) -> str:
    """What is reported once all is verified."""
    text = ""

    def is_done() -> bool:
        nonlocal text
        text = client.get("/s/s/verify", params=query, headers=PART).text
        return "data-again" not in text

    wait_until(is_done, "a report")
    return words_of(text)


def test_the_header_claims_nothing_before_it_was_checked(reader: TestClient) -> None:
    assert "not checked" in reader.get("/s/s").text
    assert "✓ checked to r300" in header(reader)
    assert "✓ checked to r300" in words_of(reader.get("/s/s").text.partition("</header>")[0])


def test_the_header_goes_on_with_the_session(reader: TestClient, log: SessionLog) -> None:
    header(reader)
    log.append("s", notes(2))
    assert "✓ checked to r302" in header(reader)


def test_the_header_tells_where_a_session_is_broken(reader: TestClient, log: SessionLog) -> None:
    tamper(log, 200, other_body)
    assert "✗ FAILED at r200" in header(reader)
    assert "✗ FAILED at r200" in words_of(reader.get("/s/s").text.partition("</header>")[0])


def test_what_is_shown_is_checked_whatever_the_header_found_before(reader: TestClient, log: SessionLog) -> None:
    header(reader)
    assert "What is shown here is not what was written" not in reader.get("/s/s?at=200").text
    tamper(log, 200, other_body)
    shown = words_of(reader.get("/s/s?at=200").text)
    assert "What is shown here is not what was written: event" in shown


def test_what_was_written_anew_with_links_that_fit_is_not_what_was_checked(reader: TestClient, log: SessionLog) -> None:
    header(reader)
    entries = [(id_, fields) for id_, fields in entries_of(log)]
    entries[199] = (entries[199][0], {**entries[199][1], "body": b'{"number":77}'})
    forge_all(log, entries)
    shown = words_of(reader.get("/s/s?at=200").text)
    assert "has another link than when it was checked" in shown
    assert "replaced since" in header(reader)


def test_a_session_of_which_events_are_missing_is_shown_with_a_note_in_their_place(
    reader: TestClient, log: SessionLog
) -> None:
    for revision in (200, 201):
        id_ = log.event("s", revision).id
        log.client.execute_command("XDEL", log._events.keyspace.session("s").events, str(id_))
    page = reader.get("/s/s?at=250")
    shown = words_of(page.text)
    assert page.status_code == 200
    assert ("r200 is missing" in shown, "r201 is missing" in shown) == (True, True)
    assert "What is shown here is not what was written: event r200 is missing" in shown
    assert "What the agents held cannot be told" in shown
    assert page.text.count('data-density="1"') == 2
    assert "✗ No" in report(reader)
    assert "FAILED" in header(reader)


@pytest.mark.parametrize("revision", [1, 128, 300], ids=["the first", "of a stretch the last", "the last"])
def test_whichever_event_is_missing_the_others_are_shown(reader: TestClient, log: SessionLog, revision: int) -> None:
    id_ = log.event("s", revision).id
    log.client.execute_command("XDEL", log._events.keyspace.session("s").events, str(id_))
    shown = words_of(reader.get(f"/s/s?at={revision}").text)
    assert f"r{revision} is missing" in shown
    assert shown.count("is missing before") <= 1
    assert reader.get("/s/s/timeline/0").status_code == 200


def test_an_event_that_cannot_be_read_is_said_in_its_place(reader: TestClient, log: SessionLog) -> None:
    tamper(log, 299, lambda fields: {**fields, "body": b"{nonsense"})
    page = reader.get("/s/s")
    assert page.status_code == 200
    assert "r299 cannot be read" in words_of(page.text)
    assert "The server is away" not in page.text


def test_a_session_that_was_replaced_is_not_told_to_have_lost_events(reader: TestClient, log: SessionLog) -> None:
    conversation = Conversation(log, "s")
    conversation.block(0, 300)
    log.delete("s")
    log.append("s", notes(400))
    with pytest.raises(LogForkedError):
        conversation.block(0, 400)


def test_a_check_takes_no_longer_than_it_may_and_goes_on_the_next_time(log: SessionLog) -> None:
    log.append("s", notes(1000))
    check = RunningCheck(log, "s", lambda: None)
    first = check.advance(1000, seconds=0)
    assert (first.done, first.revision, first.percent) == (False, 128, 12)
    assert check.advance(1000, seconds=60).done
    assert check.contradiction(128, log.event("s", 128).link) == ""
    assert check.contradiction(100, "anything") == ""
    assert "another link" in check.contradiction(256, log.event("s", 128).link)


def test_a_session_that_is_replaced_is_read_anew(log: SessionLog) -> None:
    log.append("s", notes(3))
    conversation, forgotten = Conversation(log, "s"), Happened()
    conversation.check(3)
    check = RunningCheck(log, "s", forgotten.set)
    check.advance(3)
    log.delete("s")
    log.append("s", notes(5))
    found = check.advance(5)
    assert (found.done, found.revision, found.replaced) == (True, 5, True)
    assert forgotten.is_set()


def test_a_report_tells_what_was_verified_and_what_to_note(reader: TestClient, log: SessionLog) -> None:
    told = report(reader)
    assert "✓ Yes: 300 events, the chain is intact." in told
    assert str(log.anchor("s")) in told
    assert "The feed tells of r1 to r300." in told


def test_a_report_lists_what_is_wrong_and_where(reader: TestClient, log: SessionLog) -> None:
    tamper(log, 200, other_body)
    told = report(reader)
    assert re.search(r"✗ No: \d+ problems?\.", told)
    assert "r200" in told
    assert "agrees with itself" not in told


def test_a_report_is_held_against_what_was_noted(reader: TestClient, log: SessionLog) -> None:
    link = log.event("s", 200).link
    for noted in (f"200:{link}", str(Anchor("s", 200, link))):
        assert "and with 1 link that you noted" in report(reader, expect=noted)
    address = f"https://viewer.example/s/s?at=200&l={link[:8]}"
    assert "✓ r200 is the event that the address meant" in report(reader, expect=address)


def test_what_was_noted_of_other_events_is_found_out(reader: TestClient, log: SessionLog) -> None:
    link = log.event("s", 200).link
    assert "has another link than was noted" in report(reader, expect=f"201:{link}")
    told = report(reader, expect=f"http://x/s/s?at=201&l={link[:8]}")
    assert "it is not what you noted" in told
    assert "✗ The address meant another event" in told
    assert "there is no such event" in report(reader, expect=f"http://x/s/s?at=900&l={link[:8]}")


def test_a_copied_link_says_so_where_it_means_another_event(reader: TestClient, log: SessionLog) -> None:
    link = log.event("s", 200).link[:8]
    assert "This link meant another event" not in reader.get(f"/s/s?at=200&l={link}").text
    assert "This link meant another event" in reader.get(f"/s/s?at=201&l={link}").text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "is no link"),
        ("7:short", "is no link"),
        ("<script>alert(1)</script>", "is no link"),
        ("http://x/s/s?at=7", "proves nothing"),
        ("http://x/s/other?at=7&l=Xk3f9aQ2", "link of session 'other'"),
        (f"7:{'A' * 43} other", "link of session 'other'"),
        ("http://[/s/s", "is no address"),
    ],
)
def test_what_proves_nothing_is_told_so(text: str, told: str) -> None:
    (problem,) = understood(text, "s").problems
    assert told in problem


def test_several_things_can_be_pasted_a_line_each() -> None:
    link = "A" * 43
    found = understood(f"7:{link}\n\n  8:{link} s \nhttp://x/v/s/s?at=9&l=Xk3f\n7:{link}", "s")
    assert (found.expect, found.beginnings, found.problems) == ((f"7:{link}", f"8:{link}"), ((9, "Xk3f"),), ())


def test_a_session_with_another_name_is_verified_under_it(log: SessionLog) -> None:
    log.append("a/../b \u05e9", notes(3))
    with asking(log) as client:
        page = client.get(session_path("a/../b \u05e9", "verify"))
        assert page.status_code == 200
        assert "Is a/../b \u05e9 what was written?" in words_of(page.text)


def test_an_event_is_shown_as_the_command_line_prints_it(reader: TestClient, run: Any) -> None:
    printed = run("events", "s", "--after", "199", "--until", "200", "--json").stdout.strip()
    assert printed in words_of(reader.get("/s/s/e/200").text)


def test_an_event_that_was_changed_is_shown_with_what_is_wrong(reader: TestClient, log: SessionLog) -> None:
    assert "its link follows from the event before" in reader.get("/s/s/e/200").text
    tamper(log, 200, other_body)
    page = words_of(reader.get("/s/s/e/200").text)
    assert "its link follows from the event before" not in page
    assert "77" in page


def test_a_session_is_exported_as_the_command_line_prints_it(reader: TestClient, run: Any) -> None:
    answer = reader.get("/s/s/export?to=jsonl")
    assert answer.text == run("events", "s", "--json").stdout
    assert answer.headers["Content-Disposition"] == 'attachment; filename="s.jsonl"'


def test_what_is_no_export_is_refused(reader: TestClient) -> None:
    assert reader.get("/s/s/export?to=exe").status_code == 400
    assert reader.get("/s/nobody/export?to=jsonl").status_code == 404
