"""Entries of the feed that no writer of this library made, or that say something else than the session does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import CorruptEntryError, EnvelopeMismatchError, FeedGapError
from strands_session_log.feed import Envelope
from support.waiting import wait_until

from .helpers import Consumer, Told, number_of, raw

Fields = dict[bytes, bytes]
MODES = [{}, {"bodies": False}, {"ordered": True}, {"types": "custom.*"}]
NAMES = ("session", "id", "type", "agent", "link", "facts")


def entries(log: SessionLog, key: str) -> list[tuple[bytes, list[bytes]]]:
    found = raw(log, b"XRANGE", key, "-", "+")
    return [(id_, list(flat)) for id_, flat in found]


def rewrite(log: SessionLog, key: str, at: int, change: Callable[[Fields], object]) -> None:
    """Put a stream in place of itself in which one entry is another."""
    kept = entries(log, key)
    log.client.execute_command("DEL", key)
    for number, (id_, flat) in enumerate(kept):
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        if number == at:
            change(fields)
        log.client.execute_command("XADD", key, id_, *(part for pair in fields.items() for part in pair))


def put(log: SessionLog, session: str, *fields: Any) -> None:
    """Write an entry of one's own to the feed that a session is told in."""
    keys = log._events.keyspace.session(session)
    id_ = entries(log, keys.feed)[-1][0].decode()
    ms, _, sequence = id_.partition("-")
    log.client.execute_command("XADD", keys.feed, f"{ms}-{int(sequence) + 1}", *fields)
    # As append.lua counts: the next envelope follows without a gap.
    log.client.execute_command("INCRBY", keys.position, 1)


def of_event(log: SessionLog, session_id: str, **changes: Any) -> list[Any]:
    """The fields of the envelope of a session's first event, changed."""
    recorded = next(iter(log.read(session_id)))
    known = dict(zip(NAMES, [session_id, str(recorded.id), recorded.event.type, "", recorded.link, "{}"], strict=True))
    return [part for pair in {**known, **changes}.items() for part in pair]


LIES: dict[str, dict[str, Any]] = {
    "type": {"type": "custom.other"},
    "agent": {"agent": "somebody"},
    "link": {"link": "A" * 43},
    "facts": {"facts": '{"role":"user"}'},
    "an event that is not there": {"id": "99999999999999-9"},
}
JUNK: dict[str, list[Any] | dict[str, Any]] = {
    "other fields": ["field", "value"],
    "many fields": [part for number in range(20) for part in (f"f{number}", b"\xff")],
    "no such id": {"id": "one-two"},
    "a negative id": {"id": "-5-3"},
    "an id of no time": {"id": "9999999999999999-1"},
    "a huge id": {"id": f"1-{'9' * 400}"},
    "no session": {"session": ""},
    "a session not UTF-8": {"session": b"\xff\xfe"},
    "a session of another partition": {"session": "another"},
    "a type not UTF-8": {"type": b"\xff"},
    "an agent not UTF-8": {"agent": b"\xff"},
    "a link not UTF-8": {"link": b"\xff"},
    "no JSON": {"facts": "{"},
    "deep JSON": {"facts": "[" * 5000},
    "facts that are a list": {"facts": "[]"},
    "facts not UTF-8": {"facts": b"\xff"},
}


@pytest.fixture
def seven(log: SessionLog, told: Told) -> Told:
    """Seven events of one session, told, and a consumer of each test handles them all."""
    told(range(7), "only")
    return told


@pytest.mark.parametrize("settings", MODES, ids=str)
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_an_entry_that_is_no_envelope_is_parked_and_all_others_are_delivered(
    log: SessionLog, seven: Told, junk: list[Any] | dict[str, Any], settings: dict[str, Any]
) -> None:
    put(log, "only", *(of_event(log, "only", **junk) if isinstance(junk, dict) else junk))
    seven(range(7, 10), "only")
    with Consumer(log, handle=lambda delivery: delivery.envelope.facts, **{**settings, "bodies": True}) as consumer:
        wait_until(lambda: len(consumer.handled) == 10, "all that are events")
        wait_until(lambda: list(log.parked("g")), "the other to be parked")
    assert not consumer.errors
    (parked,) = log.parked("g")
    assert parked.error.startswith("CorruptEntryError: entry ")
    assert parked.attempts == 1


@pytest.mark.parametrize("settings", [{}, {"ordered": True}], ids=str)
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_envelope_that_says_something_else_than_the_session_is_parked(
    log: SessionLog, seven: Told, lie: dict[str, Any], settings: dict[str, Any]
) -> None:
    put(log, "only", *of_event(log, "only", **lie))
    seven(range(7, 10), "only")
    with Consumer(log, **settings) as consumer:
        wait_until(lambda: len(consumer.handled) == 10, "all that are events")
        wait_until(lambda: list(log.parked("g")), "the forged one to be parked")
    assert not consumer.errors
    (parked,) = log.parked("g")
    assert parked.error.startswith("EnvelopeMismatchError: envelope ")
    assert "of session 'only' what the session does not" in parked.error


def test_an_event_that_was_rewritten_is_found_by_the_envelope_the_feed_still_has(log: SessionLog, seven: Told) -> None:
    key = log._events.keyspace.session("only").events
    rewrite(log, key, 3, lambda fields: fields.update({b"body": b'{"number":666}', b"link": b"B" * 43}))
    with Consumer(log) as consumer:
        wait_until(lambda: list(log.parked("g")) and len(consumer.handled) == 6, "the others")
    (parked,) = log.parked("g")
    assert parked.id.revision == 4
    assert "EnvelopeMismatchError" in parked.error


@pytest.mark.parametrize("body", [b"{", b"[" * 3000, b"\xff", b""], ids=["text", "depth", "bytes", "nothing"])
def test_an_event_that_cannot_be_read_takes_no_other_with_it(log: SessionLog, seven: Told, body: bytes) -> None:
    key = log._events.keyspace.session("only").events
    rewrite(log, key, 3, lambda fields: fields.update({b"body": body}))
    with Consumer(log) as consumer:
        wait_until(lambda: list(log.parked("g")) and len(consumer.handled) == 6, "the others")
    assert [one.id.revision for one in log.parked("g")] == [4]


def test_a_session_that_is_no_stream_takes_no_other_with_it(log: SessionLog, seven: Told) -> None:
    neighbour = next(name for name in map(str, range(999)) if _share(log, name, "only"))
    log.append(neighbour, [events.Custom("custom.number", {"number": 7})])
    key = log._events.keyspace.session("only").events
    log.client.execute_command("DEL", key)
    log.client.execute_command("SET", key, "text")
    with Consumer(log) as consumer:
        wait_until(lambda: len(list(log.parked("g"))) == 7 and len(consumer.handled) == 1, "the others")
    assert all("WRONGTYPE" in one.error for one in log.parked("g"))


def _share(log: SessionLog, one: str, other: str) -> bool:
    return log._events.keyspace.partition(one) == log._events.keyspace.partition(other)


def test_whoever_wants_to_hear_of_it_is_told_and_goes_on(log: SessionLog, seven: Told) -> None:
    put(log, "only", "field", "value")
    put(log, "only", *of_event(log, "only", agent="somebody"))
    heard: list[type[Exception]] = []
    with Subscriber(log, "g", bodies=True, on_corrupt="raise") as deliveries:
        seen = 0
        while seen < 7 or len(heard) < 2:
            try:
                next(deliveries).ack()
                seen += 1
            except (CorruptEntryError, EnvelopeMismatchError) as error:
                heard.append(type(error))
    assert heard == [CorruptEntryError, EnvelopeMismatchError]
    assert len(list(log.parked("g"))) == 2


def test_a_mismatch_names_the_session_the_event_and_what_differs(log: SessionLog, seven: Told) -> None:
    put(log, "only", *of_event(log, "only", type="custom.other", agent="somebody"))
    # What is wrong in a batch is told before the rest of it.
    with (
        Subscriber(log, "g", bodies=True, on_corrupt="raise") as deliveries,
        pytest.raises(EnvelopeMismatchError) as raised,
    ):
        next(deliveries)
    error = raised.value
    assert (error.session_id, error.id) == ("only", next(iter(log.read("only"))).id)
    assert error.differs == {"type": ("custom.other", "custom.number"), "agent": ("somebody", "")}


def test_what_was_parked_as_forged_is_parked_again_when_it_is_replayed(log: SessionLog, seven: Told) -> None:
    put(log, "only", *of_event(log, "only", link="A" * 43))
    with Consumer(log, bodies=True):
        wait_until(lambda: list(log.parked("g")), "the forged one to be parked")
        (first,) = log.parked("g")
        log.parked("g").replay([first.parked_id])
        wait_until(lambda: [one.parked_id for one in log.parked("g")] not in ([], [first.parked_id]), "it to be again")
    (again,) = log.parked("g")
    assert (again.is_replayed, again.error) == (False, first.error)


def test_a_parked_entry_that_is_about_nothing_stays_and_holds_up_no_replay(log: SessionLog, told: Told) -> None:
    told([1, 2], "only")
    with Subscriber(log, "g") as deliveries:
        for _ in range(2):
            next(deliveries).park("later")
    ids = [one.parked_id for one in log.parked("g")]
    log.parked("g").replay(ids)
    keys = log._events.keyspace.group(log._events.keyspace.partition("only"), "g")
    rewrite(log, keys.parked, 0, lambda fields: fields.update({b"feed_id": b"nowhere"}))
    with Consumer(log, bodies=True) as consumer:
        wait_until(lambda: consumer.handled == [("only", 2)], "the other")
        wait_until(lambda: not any(one.backfill for one in log.groups()), "the replay to be over")
    assert [(one.session_id, one.parked_id) for one in log.parked("g")] == [("", ids[0])]


def test_history_goes_on_behind_what_somebody_else_wrote(log: SessionLog, seven: Told) -> None:
    keyspace = log._events.keyspace
    directory = keyspace.session("only").sessions
    for member in (b"\xff\xfe", b"", b"x" * 300, b"no stream"):
        log.client.execute_command("ZADD", directory, "1e300", member)
    broken = next(name for name in map(str, range(999)) if _share(log, name, "only"))
    log.client.execute_command("ZADD", directory, "inf", broken)
    log.client.execute_command("SET", keyspace.session(broken).events, "text")
    rewrite(log, keyspace.session("only").events, 3, lambda fields: fields.update({b"body": b"{"}))
    with Consumer(log, start="beginning") as consumer:
        wait_until(lambda: len(consumer.handled) == 6, "what can be read")
        wait_until(lambda: log.groups() and not any(one.backfill for one in log.groups()), "history to be over")
    assert not consumer.errors
    assert {(one.session_id, one.id.revision) for one in log.parked("g")} == {("only", 4)}


def test_a_function_that_handles_is_never_called_with_a_forged_event(log: SessionLog, seven: Told) -> None:
    put(log, "only", "field", "value")
    put(log, "only", *of_event(log, "only", agent="somebody"))
    handled: list[tuple[str, int]] = []

    async def main() -> None:
        async def handle(delivery: Any) -> None:
            handled.append(number_of(delivery))

        task = asyncio.create_task(Subscriber(log, "g", bodies=True).run(handle, concurrency=4))
        while len(handled) < 7 or len(await asyncio.to_thread(lambda: list(log.parked("g")))) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))
    assert len(handled) == len(set(handled)) == 7


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_a_tail_tells_of_what_is_no_envelope_and_goes_on_behind_it(
    log: SessionLog, seven: Told, junk: list[Any] | dict[str, Any]
) -> None:
    put(log, "only", *(of_event(log, "only", **junk) if isinstance(junk, dict) else junk))
    seven(range(7, 10), "only")
    heard, found = list[Exception](), list[Envelope]()
    with log.tail() as tail:
        position = None
        while len(found) < 10:
            try:
                found.append(next(tail))
            except CorruptEntryError as error:
                heard.append(error)
                position = tail.position
    assert len(heard) == 1
    assert [one.id.revision for one in found] == list(range(1, 11))
    with log.tail(after=position) as tail:
        assert next(tail) == found[7]


def test_a_junk_entry_of_a_client_that_decodes_ends_no_tail(
    another_log: Callable[..., SessionLog], log: SessionLog, seven: Told
) -> None:
    with another_log(decode_responses=True) as decoding, decoding.tail() as tail:
        assert [next(tail).id.revision for _ in range(7)] == list(range(1, 8))
        put(log, "only", "field", b"\xff\xfe")
        with pytest.raises(CorruptEntryError):
            next(tail)
        keys = log._events.keyspace.session("only")
        log.client.execute_command("SET", keys.position, b"\xff")
        # The place behind it is looked at, with what cannot be decoded as the newest entry.
        wait_until(lambda: _was_checked(decoding), "the tail to be looked after")
        told_later = events.Custom("custom.number", {"number": 7})
        log.append("only", [told_later])
        found: list[Envelope] = []
        while not found:
            with suppress(FeedGapError):
                found.append(next(tail))
        assert found[0].id.revision == 8


def _was_checked(log: SessionLog) -> bool:
    follower = log._multiplexer._catch_up
    return follower is not None and any(follower._seen)


def test_what_was_given_last_may_be_junk_and_history_still_stands(log: SessionLog, seven: Told) -> None:
    put(log, "only", "field", "value")
    with Consumer(log) as consumer:
        wait_until(lambda: list(log.parked("g")), "the junk to be parked")
        # As after a connection that was lost: what was given last is held against the feed.
        for fetcher in consumer.deliveries._consumer._fetchers:
            for state in fetcher._partitions.values():
                state.connection_lost()
        seven(range(7, 10), "only")
        wait_until(lambda: len(consumer.handled) == 10, "what follows")
    assert not consumer.errors


def everything(log: SessionLog) -> None:
    """Events whose facts are hard to tell anew."""
    message = {
        "role": "assistant",
        "content": [{"text": "hi"}, {"toolUse": {"name": "add", "toolUseId": "t", "input": {}}}],
    }
    usage = {"usage": {"inputTokens": Decimal("1.5"), "cache": float("nan"), "big": 2**70, "text": "\ud800"}}
    wrapped = {"__encoded__": "decimal", "data": "1"}
    record = {"message": {**message, "metadata": usage}, "message_id": 0, "redact_message": None}
    log.append(
        "only",
        [
            events.MessageAdded(record, "a"),
            events.MessageUpdated({"message": {"role": "user", "content": ()}, "message_id": 0}, "a"),
            events.ModelCompleted({"usage": wrapped, "duration_ms": 1.0, "discarded": False}, "a"),
            events.ToolFailed({"name": "add", "error": b"\x00\xff", "status": {1, 2}}, "a"),
            events.WindowChanged({"items": [[0, 0], {"message": message}], "removed": 0, "next": 1}, "a"),
            events.RecordingGap({"lost": 1, "since": events.now(), "error": "x"}),
            events.SessionAnnotated({"name": "x"}),
        ],
    )


def test_whatever_is_appended_agrees_with_its_own_envelope(log: SessionLog) -> None:
    everything(log)
    first, second = log.read("only", until=2)
    log.erase("only", first.id, reason="asked to")
    log.erase("only", second.id, reason="and this")
    log.fork("only", None, "other", allow_unanswered=True)
    log.rewind("only", 6, allow_unanswered=True)
    feeds = map(log._events.keyspace.feed, range(log._events.keyspace.partitions))
    count = sum(len(entries(log, feed)) for feed in feeds)
    with Subscriber(log, "g", bodies=True) as deliveries:
        for _ in range(count):
            next(deliveries).ack()
    assert list(log.parked("g")) == []


def test_a_session_that_was_deleted_and_begun_anew_is_not_taken_for_a_forged_one(log: SessionLog, seven: Told) -> None:
    log.delete("only")
    seven([8], "only")
    found: list[object] = []
    with Subscriber(log, "g", bodies=True) as deliveries:
        for _ in range(9):
            delivery = next(deliveries)
            found.append(delivery.event)
            delivery.ack()
    # What the deletion took, the deletion itself, and the event with which it began anew.
    assert [event is None for event in found] == [*[True] * 8, False]
    assert list(log.parked("g")) == []
