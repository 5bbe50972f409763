"""What verifying makes of a session that somebody tampered with, and of one that others write to meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from strands_session_log import SessionLog, chain, errors, events
from strands_session_log.audit import CheckedEvents
from strands_session_log.audit.witness import Witness
from strands_session_log.codec import RawEntry
from strands_session_log.errors import InvalidIdError
from strands_session_log.event_log import EventLog

Change = Callable[[dict[bytes, bytes]], dict[bytes, bytes]]


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


@pytest.fixture(params=[False, True], ids=["plain", "decoding"])
def log(make_client: Callable[..., Any], namespace: str, request: pytest.FixtureRequest) -> SessionLog:
    return SessionLog(make_client(decode_responses=request.param), namespace)


def tamper(log: SessionLog, revision: int, change: Change) -> None:
    """Rewrite one entry, as an administrator of the server could."""
    key = log._events.keyspace.session("s").events
    entries = list(log._events.entries("s"))
    log.client.execute_command("DEL", key)
    for number, (id_, fields) in enumerate(entries, 1):
        changed = change(fields) if number == revision else fields
        log.client.execute_command("XADD", key, id_, *(part for pair in changed.items() for part in pair))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (b"body", b"\xff\xfe", "cannot be read: UnicodeDecodeError"),
        (b"type", b"\xff", "cannot be read: UnicodeDecodeError"),
        (b"link", b"\xff", "cannot be read: UnicodeDecodeError"),
        (b"body", b"{}", "its link differs"),
    ],
)
def test_whatever_stands_in_an_entry_is_reported_as_one_problem(
    log: SessionLog, field: bytes, value: bytes, problem: str
) -> None:
    last = log.append("s", [note(number) for number in range(4)])
    tamper(log, 4, lambda fields: {**fields, field: value})
    head = log._events.keyspace.session("s").head
    if field == b"link":
        log.client.execute_command("HSET", head, "link", "")
    verification = log.verify("s")
    assert str(last) in verification.problems[0]
    assert problem in verification.problems[0]
    assert verification.revision == 4


def test_an_entry_that_cannot_be_read_does_not_put_those_after_it_under_suspicion(log: SessionLog) -> None:
    log.append("s", [note(number) for number in range(20)])
    tamper(log, 3, lambda fields: {**fields, b"body": b"\xff"})
    (problem,) = log.verify("s").problems
    assert "-3 cannot be read" in problem
    with pytest.raises(errors.CorruptEntryError):
        list(log.read("s"))


def test_an_entry_without_all_its_fields_is_reported(log: SessionLog) -> None:
    log.append("s", [note(number) for number in range(4)])
    tamper(log, 2, lambda fields: {b"something": b"else"})
    assert "-2 cannot be read: it has no field 'type'" in log.verify("s").problems[0]


def test_a_body_cannot_hide_its_beginning_in_the_salt(log: SessionLog) -> None:
    """`salt + body` is what is hashed, so that the border between both may not be moved."""

    def move(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        salt, body = chain.from_text(fields[b"salt"]), fields[b"body"]
        return {**fields, b"salt": chain.to_text(salt + body[:5]), b"body": body[5:]}

    log.append("s", [note(number) for number in range(3)])
    tamper(log, 2, move)
    (problem,) = log.verify("s").problems
    assert "has no salt of 16 bytes" in problem


def test_verification_notices_a_head_that_is_not_where_the_stream_ends(log: SessionLog) -> None:
    log.append("s", [note(number) for number in range(5)])
    key = log._events.keyspace.session("s").head
    true = log._events.head("s")
    assert true is not None
    for field, value, problem in (
        ("link", chain.to_text(b"x" * 32), "another link"),
        ("revision", 3, "stands at revision 3"),
        ("revision", 6, "stands at revision 6"),
        ("ms", true.id.ms + 1, "head says"),
        ("ms", "", "head cannot be read"),
    ):
        log.client.execute_command("HSET", key, field, value)
        (found,) = log.verify("s").problems
        assert problem in found
        log.client.execute_command("HSET", key, "revision", 5, "link", true.link, "ms", true.id.ms)
    assert log.verify("s").ok
    log.client.execute_command("DEL", key)
    assert log.verify("s").problems == ("the stream ends at revision 5, but the session's head is missing",)


def test_a_head_that_is_no_text_is_reported(log: SessionLog) -> None:
    log.append("s", note())
    log.client.execute_command("HSET", log._events.keyspace.session("s").head, "link", b"\xff")
    (problem,) = log.verify("s").problems
    assert "head cannot be read: its field 'link' holds" in problem


class Busy(EventLog):
    """A log to which others append whenever a page of it was read, or is about to be."""

    appends = 0
    others: SessionLog

    def pages(self, session_id: str, start: str = "-", end: str = "+") -> Iterator[Sequence[RawEntry]]:
        self._append(session_id)
        for page in super().pages(session_id, start, end):
            self._append(session_id)
            yield page

    def _append(self, session_id: str) -> None:
        if self.appends:
            self.appends -= 1
            self.others.append(session_id, [note(), note()])


@pytest.mark.parametrize("appends", [1, 3, 1000])
def test_those_who_append_meanwhile_raise_no_alarm(log: SessionLog, appends: int) -> None:
    log.append("s", [note(number) for number in range(20)])
    busy = Busy(log._events.store)
    busy.appends, busy.others = appends, SessionLog(log.client, log.namespace)
    log._events = busy
    verification = log.verify("s")
    assert verification.ok
    assert verification.revision >= 22


def test_a_session_that_begins_meanwhile_raises_no_alarm(log: SessionLog) -> None:
    busy = Busy(log._events.store)
    busy.appends, busy.others = 1, SessionLog(log.client, log.namespace)
    log._events = busy
    assert log.verify("s").ok


def test_a_session_deleted_meanwhile_is_not_called_forged(log: SessionLog) -> None:
    log.append("s", [note(number) for number in range(20)])

    def delete(done: int, total: int, /) -> None:
        log.delete("s")

    for _ in range(3):
        log.append("s", [note() for _ in range(1000)])
    with pytest.raises(errors.LogForkedError):
        log.verify("s", delete)


class Backwards(EventLog):
    """What no server does: entries in an order that is not that of their ids."""

    def pages(self, session_id: str, start: str = "-", end: str = "+") -> Iterator[Sequence[RawEntry]]:
        for page in super().pages(session_id, start, end):
            yield [[b"7-2", fields] if id_.endswith(b"-2") else [id_, fields] for id_, fields in page]


def test_time_that_goes_backwards_is_reported(log: SessionLog) -> None:
    log.append("s", [note(), note(), note()])
    log._events = Backwards(log._events.store)
    older, of_writer, of_feed = log.verify("s").problems
    assert older.startswith("event 7-2 (custom.note) is older than event ")
    assert of_writer.startswith("event 7-2 (custom.note) has another time than its writer gave it: ")
    assert of_feed == "event 7-2 (custom.note) is not the one that the feed told of when it was appended"


@pytest.mark.parametrize("time", ["2019-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_what_comes_late_out_of_an_outbox_under_an_id_of_its_own_is_intact(log: SessionLog, time: str) -> None:
    """What claims to be of tomorrow is not."""
    log.append("s", events.Custom("custom.order", {}, event_id="order-1", time=time), once=True)
    assert log.verify("s").ok is not time.startswith("9999")


def test_an_id_that_no_text_can_be_is_refused_by_whoever_checks(log: SessionLog) -> None:
    with pytest.raises(InvalidIdError):
        log.verify("\udcff")
    with pytest.raises(InvalidIdError):
        list(CheckedEvents(log._events, "\udcff"))


def test_a_session_deleted_and_begun_anew_meanwhile_raises_no_alarm(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append("s", [note(number) for number in range(20)])
    read, others = Witness.read, SessionLog(log.client, log.namespace)
    left = [2]

    def then_replaced(*arguments: Any, **options: Any) -> Witness:
        found = read(*arguments, **options)
        if left[0]:
            left[0] -= 1
            others.delete("s")
            others.append("s", [note(), note()])
        return found

    monkeypatch.setattr(Witness, "read", then_replaced)
    verification = log.verify("s", feed=True)
    assert (verification.problems, verification.revision, len(verification.deleted)) == ((), 2, 2)
    left[0] = 1
    assert [one.verification.problems for one in log.verify_all(feed=True)] == [()]


class Erasing(EventLog):
    """A log in which others erase what has just been read."""

    left = 1
    others: SessionLog

    def pages(self, session_id: str, start: str = "-", end: str = "+") -> Iterator[Sequence[RawEntry]]:
        for page in super().pages(session_id, start, end):
            if self.left:
                self.left -= 1
                self.others.erase(session_id, [2, 5], reason="why")
            yield page


def test_content_that_is_erased_meanwhile_raises_no_alarm(log: SessionLog) -> None:
    log.append("s", [note(number) for number in range(20)])
    erasing = Erasing(log._events.store)
    erasing.others = SessionLog(log.client, log.namespace)
    log._events = erasing
    assert (log.verify("s").problems, log.verify("s").revision) == ((), 21)
