"""What a session's `live` stream says: pieces of a message that is still being spoken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import CorruptEntryError
from ..errors.quoting import MalformedEntryError, reason_of
from ..ids import EventId

LIVE_MS = 120_000
"""How long a delta stays at most, and the stream after its last one, in milliseconds."""

TEXT, REASONING, TOOL, INPUT, END, DISCARDED = "text", "reasoning", "tool", "input", "end", "discarded"


class Line(NamedTuple):
    """A piece of a message, as it is published; every field of it stands in the entry, as text.

    Attributes:
        kind: `text`, `reasoning` or tool `input`, of which there is more; `tool`, the name of a tool that is called;
            `end`, when the message is whole; `discarded`, when it will never be, and what came of it does not count.
        agent: Who speaks.
        message: An id of the message, as long as it is being spoken; another one when the model is asked again.
        sequence: Counts the pieces of the message from 1; one that is missing was lost. 0 until it is in line.
        block: Which content block of the message it belongs to, from 0.
        tool_use_id: The id of the tool call, of `tool` and `input`.
        text: What is to be added.
    """

    kind: str
    agent: str
    message: str
    sequence: int
    block: int
    tool_use_id: str
    text: str


class Delta(NamedTuple):
    """A piece of a message, as it is read.

    Attributes:
        id: Where it stands in the live stream: the server's clock in milliseconds, and a number among those of it.
        line: What it says.
        revision: Where the session stood when the message began: one of the agent's messages after it is that message.
    """

    id: EventId
    line: Line
    revision: int


FIELDS = tuple(name.encode() for name in (*Line._fields, "revision"))
_NAMES = list(FIELDS)


def delta(entry_id: bytes, fields: Sequence[Any]) -> Delta:
    """Read an entry of the live stream as the server sends it.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    try:
        if list(fields[::2]) != _NAMES:
            raise MalformedEntryError("its fields are others")
        kind, agent, message, sequence, block, tool_use_id, text, revision = (value.decode() for value in fields[1::2])
        line = Line(kind, agent, message, int(sequence), int(block), tool_use_id, text)
        return Delta(EventId.parse(entry_id), line, int(revision))
    except ValueError as error:
        raise CorruptEntryError(entry_id.decode(), reason_of(error)) from error
