"""The append protocol: one script call, all or nothing, exactly once.

The chain makes every call specific to the position it follows. When the session has moved meanwhile, the script says
where it stands now, and the batch is chained again (unfenced) or refused (fenced). When no reply came, the identical
call is repeated; the script recognises it, if it has landed, by its last link. A batch that had to be chained again
after that may be there by any of its calls: all of them are asked for before it is chained once more.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from ..codec import Encoded, encode
from ..errors import (
    ContentionError,
    ServerUnavailableError,
    SessionDeletedError,
    SessionLogError,
    UnknownOutcomeError,
)
from ..events import Event
from ..ids import START, EventId
from ..instrumentation import Rechained
from ..instrumentation.hooks import hooks
from ..scripts import session
from ..scripts.session import AppendReply, Conflict, Landed, Moved
from ..server import Store, may_have_written
from .chained_batch import ChainedBatch, Position, chain_batch, check_batch
from .expected import Expected, conflict
from .namespace import Layout

_MIN_ATTEMPTS = 100
_ATTEMPTS_IN_A_ROW = 5
_MAX_PAUSE = 0.02
_MOST_POSITIONS = 4096


class Call(NamedTuple):
    """As much of a call as tells it from every other: its last link follows from random salts.

    Attributes:
        base: The id of the event it follows.
        events: How many it has.
        link: The hash chain at the last of them, base64url.
    """

    base: str
    events: int
    link: str


class Unsettled(NamedTuple):
    """A batch of which nobody knows whether it has landed.

    Attributes:
        event_ids: Its events.
        calls: All calls that may have brought it there; each stands on a history of its own.
    """

    event_ids: Sequence[str]
    calls: list[Call]


class Appender:
    """Appends to the sessions of one namespace; one for any number of threads."""

    def __init__(self, store: Store, layout: Layout) -> None:
        """See `EventLog`."""
        self._store, self._layout = store, layout
        # Of those appended to last; operations of a dict are atomic, so threads may share it.
        self._positions: OrderedDict[str, Position] = OrderedDict()
        # As long as nobody appends them again, they stay: a few hundred bytes each, without the content.
        self._unsettled: dict[tuple[str, str], list[Unsettled]] = {}

    def remember(self, session_id: str, position: Position) -> None:
        """Note where a session stands, which saves the next append a round trip."""
        self._positions[session_id] = position
        self._positions.move_to_end(session_id)
        while len(self._positions) > _MOST_POSITIONS:
            self._positions.popitem(last=False)

    def position(self, session_id: str) -> Position:
        """Where a session is thought to stand."""
        return self._positions.get(session_id) or Position()

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session."""
        self._positions.pop(session_id, None)

    def append(self, session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        """See `EventLog.append`."""
        batch = self.checked(events)
        reply: AppendReply | None = None
        if self._unsettled:
            reply = self._outcome(session_id, self._unsettled_of(session_id, batch))
        give_up = time.monotonic() + self._store.retry_for
        for attempt in count(1):
            if reply is None or isinstance(reply, Moved):
                reply = self._send_batch(session_id, batch, expected)
            if ids := self.answer(session_id, batch, expected, reply):
                return ids
            if attempt >= _MIN_ATTEMPTS and time.monotonic() > give_up:
                raise ContentionError(session_id, attempt)
            if attempt % _ATTEMPTS_IN_A_ROW == 0:
                # What was just learned goes stale in a pause; the next attempt learns it anew, those after it use it.
                # A pause that doubles, as everywhere else, let fewer appends of eight writers through (measured).
                time.sleep(random.uniform(0, min(_MAX_PAUSE, 0.0005 * attempt)))
        raise AssertionError("unreachable")

    def checked(self, events: Sequence[Event | Encoded]) -> Sequence[Encoded]:
        """Events that can be appended, encoded."""
        if not events:
            raise ValueError("there is no event to append")
        self._layout.check()
        batch = [event if isinstance(event, Encoded) else encode(event) for event in events]
        check_batch(batch)
        return batch

    def answer(
        self, session_id: str, batch: Sequence[Encoded], expected: Expected, reply: AppendReply
    ) -> list[EventId] | None:
        """What the reply means for the writer; None where the session has moved, which is noted."""
        match reply:
            case Landed():
                return self._landed(session_id, batch, reply)
            case Conflict(what, agent, actual):
                raise conflict(session_id, expected, what, agent, actual)
            case Moved():
                hooks.tell(Rechained())
                self.remember(session_id, Position(*reply))
                return None
        self.settled(session_id, batch)
        raise SessionDeletedError(session_id, START)

    def _send_batch(self, session_id: str, batch: Sequence[Encoded], expected: Expected) -> AppendReply:
        """Chain the batch onto where the session is thought to stand, and send it.

        Where that was refused, but an earlier call of this batch may have landed, the answer is what came of that one:
        it may be the very reason for the refusal.
        """
        sealed = chain_batch(session_id, batch, expected, self.position(session_id))
        reply = self.settle(session_id, sealed)
        if self._unsettled and isinstance(reply, (Moved, Conflict)):
            outcome = self._outcome(session_id, self._unsettled_of(session_id, batch))
            is_less = outcome is None or (isinstance(outcome, Moved) and isinstance(reply, Conflict))
            return reply if outcome is None or is_less else outcome
        return reply

    def _unsettled_of(self, session_id: str, batch: Sequence[Encoded]) -> Unsettled | None:
        noted, event_ids = self._unsettled.get(_name(session_id, batch), []), _event_ids(batch)
        found = next((one for one in noted if one.event_ids == event_ids), None)
        if noted and found is None:
            raise ValueError("the outcome of a batch that begins with this event is unknown: append exactly that batch")
        return found

    def _outcome(self, session_id: str, unsettled: Unsettled | None) -> Landed | Moved | None:
        """Whether one of these calls has landed, and if not, where the session stands in a history without them."""
        if unsettled is None:
            return None
        try:
            found = session.outcome(self._store, session_id, unsettled.calls)
        except ServerUnavailableError as error:
            raise UnknownOutcomeError(session_id, str(error)) from error
        if isinstance(found, Moved):
            self.remember(session_id, Position(*found))
        return found

    def _landed(self, session_id: str, batch: Sequence[Encoded], landed: Landed) -> list[EventId]:
        self.remember(session_id, Position(landed.ids[-1], landed.link))
        if self._unsettled:
            self.settled(session_id, batch)
        if landed.begins_feed:
            # It needs a connection, and this one has nothing to do meanwhile.
            self._store.release()
            self._layout.confirm(self._store.keyspace.partition(session_id))
        return landed.ids

    def settled(self, session_id: str, batch: Sequence[Encoded]) -> None:
        """Forget that the outcome of a batch was unknown; not that of another one that begins like it."""
        name = _name(session_id, batch)
        if noted := self._unsettled.get(name):
            event_ids = _event_ids(batch)
            self._unsettled[name] = left = [one for one in noted if one.event_ids != event_ids]
            if not left:
                del self._unsettled[name]

    def settled_to_the_end(self, session_id: str, batch: Sequence[Encoded]) -> None:
        """The same for what a batch ends with, as its first events were there already."""
        for first in range(len(batch) if self._unsettled else 0):
            self.settled(session_id, batch[first:])

    def settle(self, session_id: str, sealed: ChainedBatch, kept: int = 0) -> AppendReply:
        """Send until there is an answer; a call whose outcome is open is noted.

        Args:
            session_id: The session.
            sealed: The call.
            kept: Append once: how many event ids are known, at least.

        Whatever ends the sending without an answer leaves it open, an interrupt of the process among others. So does an
        attempt without a reply, if what the next one met says that it has not landed: that may be another primary.
        """
        try:
            if kept:
                reply, was_lost = session.append_once(self._store, session_id, sealed.arguments, kept)
            else:
                begins = not sealed.base.id.revision
                reply, was_lost = session.append(self._store, session_id, sealed.arguments, begins)
        except BaseException as error:
            is_open = may_have_written(error)
            if is_open:
                self._note_unsettled(session_id, sealed)
            if is_open and isinstance(error, SessionLogError) and not isinstance(error, UnknownOutcomeError):
                raise UnknownOutcomeError(session_id, str(error)) from error
            raise
        if was_lost and isinstance(reply, (Moved, Conflict)):
            self._note_unsettled(session_id, sealed)
        return reply

    def _note_unsettled(self, session_id: str, sealed: ChainedBatch) -> None:
        batch = sealed.batch
        noted, event_ids = self._unsettled.setdefault(_name(session_id, batch), []), _event_ids(batch)
        found = next((one for one in noted if one.event_ids == event_ids), None)
        if found is None:
            noted.append(found := Unsettled(event_ids, []))
        found.calls.append(Call(str(sealed.base.id), len(batch), sealed.link))


def _name(session_id: str, batch: Sequence[Encoded]) -> tuple[str, str]:
    return session_id, batch[0].event.event_id


def _event_ids(batch: Sequence[Encoded]) -> list[str]:
    return [one.event.event_id for one in batch]
