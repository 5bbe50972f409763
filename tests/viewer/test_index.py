"""The rows a timeline is drawn from: one for each event, in fixed blocks, without content."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import pytest

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer.conversation.index import BLOCK, Flag, IndexBlock, Kind
from strands_session_log_consumers.viewer.conversation.reading import Conversation
from support.command_line import message, write_session


class Row(NamedTuple):
    """An event as a browser reads it."""

    offset: int
    duration: int
    lane: str
    kind: Kind
    flags: Flag


def read(encoded: bytes) -> tuple[dict[str, Any], list[Row]]:
    """The head and the rows of a block, as the page's script reads them."""
    (length,) = struct.unpack_from("<I", encoded)
    head = json.loads(encoded[4 : 4 + length])
    count, at = head["count"], 4 + length
    assert at % 4 == 0
    columns = []
    for code, size in (("I", 4), ("I", 4), ("H", 2), ("B", 1), ("B", 1)):
        columns.append(struct.unpack_from(f"<{count}{code}", encoded, at))
        at += count * size
    assert at == len(encoded)
    rows = zip(*columns, strict=True)
    return head, [Row(a, b, head["lanes"][lane], Kind(kind), Flag(flags)) for a, b, lane, kind, flags in rows]


def block_of(log: SessionLog, session_id: str) -> IndexBlock:
    return Conversation(log, session_id).block(0, log.head(session_id).revision)


def test_every_event_has_a_row_with_its_lane_and_kind(log: SessionLog) -> None:
    write_session(log)
    head, rows = read(block_of(log, "s-42").encoded())
    assert (head["first"], head["count"]) == (1, 6)
    assert [row.kind for row in rows] == [Kind.STATE, Kind.STATE, Kind.USER, Kind.MODEL, Kind.USER, Kind.MODEL]
    assert [row.lane for row in rows] == ["session", *["default"] * 5]
    assert [bool(row.flags & Flag.MESSAGE) for row in rows] == [False, False, True, True, True, True]
    assert rows[0].offset == 0


def test_a_row_holds_nothing_that_was_said(log: SessionLog) -> None:
    write_session(log)
    encoded = block_of(log, "s-42").encoded()
    assert b"pack" not in encoded
    assert b"jacket" not in encoded


@pytest.mark.parametrize(
    ("event", "kind", "flags"),
    [
        (events.ToolFailed({"name": "t", "tool_use_id": "1", "duration_ms": 30}, "a"), Kind.TOOL, Flag.ERROR),
        (events.ModelFailed({"error": "E"}, "a"), Kind.MODEL, Flag.ERROR),
        (events.InterruptRaised({"id": "i", "name": "n"}, "a"), Kind.WAIT, Flag(0)),
        (events.InterruptAnswered({"id": "i", "name": "n"}, "a"), Kind.WAIT, Flag.ANSWER),
        (events.InvocationStarted({}, "a"), Kind.TURN, Flag.TURN_START),
        (events.InvocationFailed({"error": "E"}, "a"), Kind.TURN, Flag.TURN_END | Flag.ERROR),
        (events.InvocationFailed({"error": "E", "cancelled": True}, "a"), Kind.TURN, Flag.TURN_END),
        (events.Custom("custom.note", {}, "a"), Kind.CUSTOM, Flag(0)),
        (events.RecordingGap({"lost": 3}, "a"), Kind.GAP, Flag.ERROR),
    ],
)
def test_what_happened_is_drawn_as_what_it_is(log: SessionLog, event: events.Event, kind: Kind, flags: Flag) -> None:
    log.append("s", event)
    (row,) = read(block_of(log, "s").encoded())[1]
    assert (row.kind, row.flags) == (kind, flags)
    assert row.duration == event.data.get("duration_ms", 0)


@pytest.mark.parametrize("duration", [-1, 1e30, "long", None, True, [1]])
def test_a_duration_that_cannot_be_is_as_near_as_can_be(log: SessionLog, duration: Any) -> None:
    log.append("s", events.ToolCompleted({"name": "t", "tool_use_id": "1", "duration_ms": duration}, "a"))
    (row,) = read(block_of(log, "s").encoded())[1]
    assert 0 <= row.duration <= 0xFFFFFFFF


def test_a_turn_is_about_what_was_asked_in_it(log: SessionLog) -> None:
    log.append("s", events.InvocationStarted({}, "default"))
    log.append("s", message(0, "user", "What  should\nI pack? " + "x" * 200))
    log.append("s", message(1, "assistant", "A jacket."))
    (turn,) = block_of(log, "s").turns
    assert (turn.revision, turn.agent) == (1, "default")
    assert turn.title.startswith("What should I pack?")
    assert len(turn.title) == 80


def test_erasures_and_rewinds_are_noted_where_they_belong(log: SessionLog) -> None:
    write_session(log)
    log.erase("s-42", 3, "GDPR 17", by="Ada")
    log.rewind("s-42", 3)
    block = block_of(log, "s-42")
    assert block.erasures[3].reason == "GDPR 17"
    assert [jump.to for jump in block.jumps] == [3]
    assert read(block.encoded())[1][2].flags & Flag.ERASED


def test_a_block_grows_with_its_session_and_is_read_once(log: SessionLog) -> None:
    write_session(log)
    conversation = Conversation(log, "s-42")
    block = conversation.block(0, 6)
    log.append("s-42", message(4, "user", "Thanks."))
    assert conversation.block(0, 7) is block
    assert len(block) == 7


def test_blocks_begin_at_fixed_revisions(log: SessionLog) -> None:
    for _ in range(9):
        log.append("s", [events.Custom("custom.note", {}) for _ in range(1000)])
    conversation = Conversation(log, "s")
    newest, first = conversation.indexed(9000)
    assert (newest.first, len(newest), newest.is_full) == (BLOCK + 1, 9000 - BLOCK, False)
    assert (first.first, len(first), first.is_full) == (1, BLOCK, True)
