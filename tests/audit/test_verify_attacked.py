"""Verifying attacked: whichever single thing is changed in a stream, a head or a feed is told, or seen by nobody."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.errors import SessionLogError
from strands_session_log.event_log.reader import fetch
from strands_session_log.feed import envelope
from support.command_line import message

SAMPLE = 300
"""How many of about five thousand changes are tried; another sample with another seed."""

MOST = 1000
Flat = list[bytes]


class Edit(NamedTuple):
    """One change.

    Attributes:
        key: Where.
        what: In words.
        commands: What makes it, the key emptied before.
    """

    key: str
    what: str
    commands: Sequence[Sequence[Any]]


@pytest.fixture
def full(server_url: str, namespace: str) -> Iterator[SessionLog]:
    """Two sessions with a bit of everything, and what is left of a third, in one partition."""
    with SessionLog.connect(server_url, namespace, partitions=1, snapshots=None) as log:
        log.append("gone", events.Custom("custom.note", {"number": 1}))
        log.delete("gone", by="Ada", reason="why")
        log.append("gone", events.Custom("custom.note", {"number": 2}))
        log.append("s", events.SessionCreated({"session_id": "s", "session_type": "AGENT"}))
        log.append(
            "s", [events.AgentCreated({"agent_id": "a", "state": {"x": 1}}, "a"), message(0, "user", "hi", agent="a")]
        )
        log.append(
            "s",
            [
                message(1, "assistant", "hello", agent="a"),
                events.ToolCompleted({"name": "t", "status": "success"}, "a"),
            ],
        )
        log.append(
            "s", [message(3, "user", "secret", agent="a"), events.Custom("custom.note", {"commitment": 43 * "A"})]
        )
        log.append("s", events.WindowChanged({"items": [[0, 1]], "removed": 1, "next": 4}, "a"))
        log.erase("s", 6, reason="a password", by="Ada")
        log.rewind("s", 5, allow_unanswered=True)
        log.fork("s", 8, "f", allow_unanswered=True)
        log.append("f", message(9, "user", "more", agent="a"))
        yield log


def others(value: bytes, neighbour: bytes) -> Iterator[bytes]:
    """What may stand in place of a value."""
    flipped = {len(value) // 2, 0, len(value) - 1} if value else set()
    yield from (value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in sorted(flipped))
    candidates = (
        b"",
        value + b" ",
        value + b"=",
        b"0" + value,
        b"\n" + value,
        value[:-1],
        value.swapcase(),
        b"\xff",
        neighbour,
    )
    yield from (one for one in candidates if one != value)


def stream_edits(log: SessionLog, key: str, is_feed: bool) -> Iterator[Edit]:
    found = fetch(log._events.store, key, "-", "+", MOST)
    entries: list[tuple[bytes, Flat]] = [(id_, list(flat)) for id_, flat in found]

    def with_entry(at: int, id_: bytes, flat: Sequence[bytes] | None) -> list[Sequence[Any]]:
        changed = [*entries[:at], *([(id_, flat)] if flat else []), *entries[at + 1 :]]
        return [("XADD", key, one, *fields) for one, fields in changed]

    for at, (id_, flat) in enumerate(entries):
        name = f"{key} {id_.decode()}"
        yield Edit(key, f"{name} removed", with_entry(at, id_, None))
        for field in range(0, len(flat), 2):
            if is_feed and flat[field] == b"facts":
                # For those who follow along, and no evidence: no link covers it.
                continue
            neighbour = entries[at - 1][1][field + 1]
            for other in others(flat[field + 1], neighbour):
                changed = [*flat[: field + 1], other, *flat[field + 2 :]]
                yield Edit(key, f"{name} {flat[field].decode()}={other!r}", with_entry(at, id_, changed))
            yield Edit(key, f"{name} without {flat[field]!r}", with_entry(at, id_, flat[:field] + flat[field + 2 :]))
            named = [*flat[:field], flat[field] + b"x", *flat[field + 1 :]]
            yield Edit(key, f"{name} {flat[field]!r} renamed", with_entry(at, id_, named))
            twice = [*flat, flat[field], b"twice"]
            yield Edit(key, f"{name} {flat[field]!r} twice", with_entry(at, id_, twice))
        if not is_feed:
            ms, _, revision = id_.partition(b"-")
            for shift in (-1, 1, 100_000_000, -100_000_000):
                moved = b"%d-%s" % (int(ms) + shift, revision)
                yield Edit(key, f"{name} moved by {shift}", with_entry(at, moved, flat))


def hash_edits(log: SessionLog, key: str) -> Iterator[Edit]:
    fields: dict[bytes, bytes] = log.client.execute_command("HGETALL", key)
    for name, value in fields.items():
        for other in others(value, b"s"):
            yield Edit(key, f"{key} {name!r}={other!r}", [("HSET", key, name, other)])
        yield Edit(key, f"{key} without {name!r}", [("HDEL", key, name)])
    for name in (
        b"agent:b:messages",
        b"agent:a:moved:moved",
        b"parent",
        b"root",
        b"erased",
        b"predecessor",
        b"forks",
        b"new",
    ):
        if name not in fields:
            yield Edit(key, f"{key} {name!r} added", [("HSET", key, name, b"1-1")])


def all_edits(log: SessionLog) -> list[Edit]:
    keys = [log._events.keyspace.session(name) for name in ("s", "f", "gone")]
    found = [edit for one in keys for edit in (*stream_edits(log, one.events, False), *hash_edits(log, one.head))]
    return [*found, *stream_edits(log, keys[0].feed, True)]


def _envelopes(log: SessionLog, feed: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for id_, flat in feed:
        one = envelope(log._events.keyspace, 0, id_, flat)
        if one.type == "session.deleted":
            found = [other for other in found if other[0] != one.session_id]
        found.append(one[1:6])
    return found


def _events(log: SessionLog, name: str) -> list[Any]:
    return list(log.read(name))


def seen(log: SessionLog) -> list[Any]:
    """What readers see; those that are refused see something else."""

    def attempt(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (SessionLogError, UnicodeDecodeError) as error:
            return type(error)

    # Envelopes of what was deleted since are left out: nothing is there any more that they could be held against.
    feed = fetch(log._events.store, log._events.keyspace.feed(0), "-", "+", MOST)
    readers: list[Callable[[], Any]] = [
        lambda: _envelopes(log, feed),
        lambda: log.sessions(),
    ]
    for name in ("s", "f", "gone"):
        readers += [partial(_events, log, name), partial(log.state, name), partial(log.anchor, name)]
    return list(map(attempt, readers))


def test_whatever_single_thing_is_changed_is_told_or_seen_by_nobody(full: SessionLog) -> None:
    assert [(one.verification.problems, one.verification.notes) for one in full.verify_all(feed=True)] == [((), ())] * 3
    before, edits = seen(full), all_edits(full)
    chosen = edits if len(edits) < SAMPLE else random.Random().sample(edits, SAMPLE)
    unnoticed = []
    for edit in chosen:
        kept = full.client.execute_command("DUMP", edit.key, NEVER_DECODE=True)
        if not edit.key.endswith(":head"):
            full.client.execute_command("DEL", edit.key)
        try:
            for command in edit.commands:
                full.client.execute_command(*command)
        except Exception:
            # A stream takes no id that is not above the last: nobody can have made that.
            pass
        else:
            found = [one.verification for one in full.verify_all(feed=True)]
            if all(one.ok and not one.notes for one in found) and seen(full) != before:
                unnoticed.append(edit.what)
        full.client.execute_command("RESTORE", edit.key, 0, kept, "REPLACE")
    assert not unnoticed
    assert seen(full) == before
