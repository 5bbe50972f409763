"""A batch of events, chained onto one position and ready to be sent any number of times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .. import chain
from ..codec import Encoded
from ..ids import START, EventId
from .expected import Expected

_LINK = -5
"""Where the last link stands among the arguments: before body, facts, index and moves."""


class Position(NamedTuple):
    """A place in a session that a batch can follow.

    Attributes:
        id: The last event before the batch; `START` for a new session.
        link: The hash chain at that event, base64url. For a new session, the token of the deletion of the one that had
            its id before; empty when none had.
    """

    id: EventId = START
    link: str = ""


class ChainedBatch(NamedTuple):
    """One call of the append script. Sending it again cannot store anything twice.

    Attributes:
        batch: The events.
        base: The position they follow.
        arguments: The script's arguments.
    """

    batch: Sequence[Encoded]
    base: Position
    arguments: list[bytes]

    @property
    def link(self) -> str:
        """The hash chain at the last of them, base64url; with random salts, only this very call can have it."""
        return self.arguments[_LINK].decode()


def chain_batch(session_id: str, batch: Sequence[Encoded], expected: Expected, base: Position) -> ChainedBatch:
    """Chain a batch onto a position."""
    first = base.id.revision + 1
    texts = (str(base.id.revision), base.link, str(base.id), session_id, *expected.arguments())
    arguments = [text.encode() for text in texts]
    base_id = arguments[2]
    link = chain.from_text(base.link) if base.id.revision else chain.genesis(session_id)
    for revision, encoded in enumerate(batch, first):
        salt = chain.new_salt()
        clear, commitment = (*encoded.header, encoded.retained), chain.commitment(salt, encoded.body)
        link = chain.link(link, base_id, revision, clear, commitment)
        index = b"" if encoded.message_index is None else b"%d" % encoded.message_index
        moves = encoded.event.moves.encode()
        arguments += clear
        arguments += (chain.to_text(salt), chain.to_text(link), encoded.body, encoded.facts, index, moves)
    return ChainedBatch(batch, base, arguments)
