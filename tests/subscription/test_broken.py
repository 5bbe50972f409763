"""Keys that become something else while they are read, and groups and pieces that others have made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.cli.commands.parked import recorded_of
from strands_session_log.errors import ServerRefusedError, WrongTypeError
from support.waiting import wait_until

from .helpers import Consumer, Told


def of_partition(log: SessionLog, partition: int) -> str:
    """A session of a partition."""
    return next(name for name in map(str, range(999)) if log._events.keyspace.partition(name) == partition)


def note(number: int) -> events.Event:
    return events.Custom("custom.number", {"number": number})


def replace(log: SessionLog, key: str) -> bytes:
    """Put text in place of a key; what was there."""
    dump: bytes = log.client.execute_command("DUMP", key, NEVER_DECODE=True)
    log.client.execute_command("DEL", key)
    log.client.execute_command("SET", key, "text")
    return dump


@pytest.mark.parametrize("key", ["feed", "group"])
@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
def test_a_partition_that_breaks_while_it_is_read_goes_on_once_it_is_mended(
    log: SessionLog, key: str, ordered: bool
) -> None:
    mine, neighbour = of_partition(log, 0), of_partition(log, 1)
    log.append(mine, note(0))
    with Consumer(log, ordered=ordered) as consumer:
        wait_until(lambda: (mine, 0) in consumer.handled, "the first")
        wait_until(lambda: not any(one.pending for one in log.groups()), "the server to know")
        broken = getattr(log._events.keyspace.group(0, "g"), key)
        dump = replace(log, broken)
        log.append(neighbour, note(1))
        wait_until(lambda: (neighbour, 1) in consumer.handled, "the neighbour's")
        (told,) = [one.problem for one in log.groups() if one.partition == 0]
        assert told.startswith(f"{key}: WRONGTYPE")
        log.client.execute_command("RESTORE", broken, 0, dump, "REPLACE")
        log.append(mine, note(2))
        wait_until(lambda: (mine, 2) in consumer.handled, "what follows it")
    assert not consumer.errors


def test_an_ack_that_cannot_be_noted_raises_and_the_event_comes_again(log: SessionLog) -> None:
    log.append("only", note(0))
    key = log._events.keyspace.group(log._events.keyspace.partition("only"), "g").group
    with Subscriber(log, "g", "c") as deliveries:
        delivery = next(deliveries)
        dump = replace(log, key)
        with pytest.raises(ServerRefusedError, match="WRONGTYPE"):
            delivery.ack(confirm=True)
        log.client.execute_command("RESTORE", key, 0, dump, "REPLACE")
    with Consumer(log, consumer="c") as again:
        wait_until(lambda: again.handled == [("only", 0)], "it to come again")


def test_a_session_that_becomes_no_stream_ends_the_tail_of_no_other(log: SessionLog) -> None:
    for name in ("one", "other"):
        log.append(name, note(0))
    with log.tail("one") as broken, log.tail("other") as sound:
        next(broken), next(sound)
        wait_until(lambda: _is_waited_for(log, 2), "both to be waited for")
        replace(log, log._events.keyspace.session("one").events)
        log.append("other", note(1))
        assert next(sound).event.data["number"] == 1
        with pytest.raises(WrongTypeError, match="is a string, not a stream"):
            next(broken)
        log.append("other", note(2))
        assert next(sound).event.data["number"] == 2


def _is_waited_for(log: SessionLog, count: int) -> bool:
    follower = log._multiplexer._catch_up
    return follower is not None and sum(len(lane.live) for lane in follower._readers.values()) == count


@pytest.mark.parametrize("name", [b"\xff\xfe", b"two\nlines", b"x" * 300], ids=["bytes", "lines", "long"])
def test_a_group_that_others_have_made_on_a_feed_is_told_of_and_no_trouble(log: SessionLog, name: bytes) -> None:
    log.append("only", note(0))
    keys = log._events.keyspace.session("only")
    log.client.execute_command("XGROUP", "CREATE", keys.feed, name, 0)
    log.client.execute_command("XGROUP", "CREATECONSUMER", keys.feed, name, b"\xff")
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled == [("only", 0)], "the event")
    assert {one.group for one in log.groups()} == {"g", name.decode("utf-8", "replace")}
    trimmed = log._events.trim_feed(log._events.keyspace.partition("only"), exactly=True)
    assert (trimmed.removed, trimmed.lost) == (0, ())


def test_a_live_piece_that_others_have_written_is_passed_over(log: SessionLog) -> None:
    log.append("only", note(0))
    keys, send = log._events.keyspace.session("only"), log.client.execute_command
    send("XADD", keys.live, "1-1", "field", b"\xff")
    with log.live("only") as live:
        send("XADD", keys.live, "2-1", "field", b"\xff")
        piece = (
            "kind",
            "text",
            "agent",
            "a",
            "message",
            "m",
            "sequence",
            1,
            "block",
            0,
            "tool_use_id",
            "",
            "text",
            "hi",
        )
        send("XADD", keys.live, "3-1", *piece, "revision", 1)
        found: Any = next(live)
        assert found.line.text == "hi"


def test_what_is_parked_is_held_against_its_event_where_that_is_shown(log: SessionLog, told: Told) -> None:
    told([1], "only")
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("later")
    (parked,) = log.parked("g")
    recorded, problem = recorded_of(log, parked)
    assert (recorded and recorded.event.data, problem) == ({"number": 1}, "")
    forged = dataclasses.replace(parked, envelope=parked.envelope._replace(type="custom.other"))
    recorded, problem = recorded_of(log, forged)
    assert recorded is None
    assert "type 'custom.other', not 'custom.number'" in problem
