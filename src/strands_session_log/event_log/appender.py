"""The append protocol: one script call, all or nothing, exactly once.

The chain makes every call specific to the position it follows. When the session has moved meanwhile, the script says
where it stands now, and the batch is chained again (unfenced) or refused (fenced). When no reply came, the identical
call is repeated; the script recognises a batch that has landed.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import Any, Generic, TypeVar

from ..codec import Encoded, encode
from ..errors import (
    ConcurrentWriteError,
    ContentionError,
    SessionLogError,
    UnknownOutcomeError,
)
from ..events import Event
from ..ids import EventId
from ..instrumentation import Rechained
from ..instrumentation.hooks import hooks
from ..keys import Keyspace
from ..scripts import APPEND
from ..server.border import Client, insist, may_have_written, text
from ..server.line import Line
from .connection import connection_to
from .durability import Durability
from .expected import Expected, describe
from .sealed import Position, Sealed, seal

_MIN_ATTEMPTS = 100
_ATTEMPTS_IN_A_ROW = 5
_MAX_PAUSE = 0.02
V = TypeVar("V")


class Appender:
    """Appends to the sessions of one namespace; one for any number of threads."""

    def __init__(self, client: Client, keyspace: Keyspace, durability: Durability, retry_for: float) -> None:
        """See `EventLog`."""
        self._client, self._keyspace, self._durability, self._retry_for = client, keyspace, durability, retry_for
        self._line = Line(client)
        self._positions: _Recent[Position] = _Recent(4096)
        self._unsettled: _Recent[Sealed] = _Recent(1024)

    def remember(self, session_id: str, position: Position) -> None:
        """Note where a session stands, which saves the next append a round trip."""
        self._positions.put(session_id, position)

    def close(self) -> None:
        """Hold no connection any more; the next append takes one again."""
        self._line.hang_up()

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session."""
        self._positions.pop(session_id)

    def append(self, session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        """See `EventLog.append`."""
        if not events:
            raise ValueError("there is no event to append")
        batch = [event if isinstance(event, Encoded) else encode(event) for event in events]
        unsettled = self._unsettled_call(session_id, batch) if self._unsettled else None
        sealed = unsettled or self._seal(session_id, batch, expected)
        give_up = time.monotonic() + self._retry_for
        for attempt in count(1):
            reply = self._settle(session_id, sealed, keep=sealed is unsettled)
            match [text(part) for part in reply]:
                case ["landed", link, *ids]:
                    return self._landed(session_id, link, ids)
                case ["conflict", what, agent, actual]:
                    raise ConcurrentWriteError(session_id, *describe(expected, what, agent, actual))
                case ["moved", last, link]:
                    hooks.tell(Rechained())
                    self.remember(session_id, Position(EventId.parse(last), link))
                    sealed = self._seal(session_id, batch, expected)
            if attempt >= _MIN_ATTEMPTS and time.monotonic() > give_up:
                raise ContentionError(session_id, attempt)
            if attempt % _ATTEMPTS_IN_A_ROW == 0:
                # What was just learned goes stale in a pause; the next attempt learns it anew, those after it use it.
                time.sleep(random.uniform(0, min(_MAX_PAUSE, 0.0005 * attempt)))
        raise AssertionError("unreachable")

    def _unsettled_call(self, session_id: str, batch: Sequence[Encoded]) -> Sealed | None:
        sealed = self._unsettled.pop(_name(session_id, batch[0].event))
        if sealed and [one.event.event_id for one in sealed.batch] != [one.event.event_id for one in batch]:
            self._unsettled.put(_name(session_id, batch[0].event), sealed)
            raise ValueError("the outcome of a batch that begins with this event is unknown: append exactly that batch")
        return sealed

    def _seal(self, session_id: str, batch: Sequence[Encoded], expected: Expected) -> Sealed:
        return seal(session_id, batch, expected, self._positions.get(session_id) or Position())

    def _landed(self, session_id: str, link: str, ids: Sequence[str]) -> list[EventId]:
        landed = [EventId.parse(id_) for id_ in ids]
        self.remember(session_id, Position(landed[-1], link))
        return landed

    def _settle(self, session_id: str, sealed: Sealed, keep: bool) -> Any:
        """Send until there is an answer; a call whose outcome is open is kept, to be repeated word for word.

        Whatever ends the sending without an answer leaves it open, an interrupt of the process among others; so does a
        refusal that comes after an attempt without a reply.
        """
        try:
            return insist(lambda: self._send(session_id, sealed), self._retry_for)
        except BaseException as error:
            is_open = may_have_written(error)
            if is_open or keep:
                self._unsettled.put(_name(session_id, sealed.batch[0].event), sealed)
            if is_open and isinstance(error, SessionLogError) and not isinstance(error, UnknownOutcomeError):
                raise UnknownOutcomeError(session_id, str(error)) from error
            raise

    def _send(self, session_id: str, sealed: Sealed) -> Any:
        keys = self._keyspace.session(session_id)
        if not self._durability.command:
            return APPEND.over(self._line, keys.append, sealed.arguments)
        with connection_to(self._client, keys.head) as client:
            reply, waited = APPEND.followed_by(client, keys.append, sealed.arguments, self._durability.command)
        if text(reply[0]) == "landed" and (shortfall := self._durability.shortfall(waited)):
            raise UnknownOutcomeError(session_id, shortfall)
        return reply


class _Recent(Generic[V]):
    """The most recently used entries, up to a number; dict operations are atomic, so threads may share it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> V | None:
        return self._entries.get(name)

    def put(self, name: str, value: V) -> None:
        self._entries[name] = value
        self._entries.move_to_end(name)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def pop(self, name: str) -> V | None:
        return self._entries.pop(name, None)


def _name(session_id: str, event: Event) -> str:
    return f"{session_id} {event.event_id}"
