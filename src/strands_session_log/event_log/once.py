"""Appending once, whoever tries and however often: events are known by the ids that their writers gave them.

For those who bring ids of their own, an outbox for example. A hash beside the session has its newest event ids. These
appends alone keep it, so that others do not pay for it; it catches up by reading what others wrote. See docs/adr/0022.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, islice
from typing import NamedTuple

from ..codec import Encoded, RawEntry, fields_of, parse
from ..errors import ContentionError, EncodingError, EventOrderError, InvalidPointError, LogForkedError
from ..events import Event
from ..ids import EventId
from ..scripts import session
from ..scripts.session import Behind, PartlyThere
from ..server import Store
from .appender import Appender
from .chained_batch import MOST_EVENTS, Position, chain_batch
from .expected import Expected
from .reader import EventReader

KEPT = MOST_EVENTS
"""How many of a session's newest events are known by their event ids, at least: a whole batch."""

_ADDED_AT_ONCE = 500
_MIN_ATTEMPTS = 100


class _Indexed(NamedTuple):
    """What the index is told of an entry."""

    event_id: str
    id: str
    link: str

    @classmethod
    def of(cls, raw: RawEntry) -> _Indexed:
        entry = parse(raw[0], fields_of(raw[1]))
        return cls(entry.header[2], str(entry.id), entry.link)


class OnceAppender:
    """Appends what is not there yet; one for any number of threads.

    Args:
        store: See `EventLog`.
        appender: Sends what is to be appended.
        reader: Reads what others appended.
        head: Where a session stands.
        locate: Finds the id of a revision.
    """

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reader: EventReader,
        head: Callable[[str], Position | None],
        locate: Callable[[str, int], EventId | None],
    ) -> None:
        self._store, self._appender, self._reader = store, appender, reader
        self._head, self._locate = head, locate

    def append(self, session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        """Append the events of a batch that the session does not have, if that keeps their order.

        Raises:
            EventOrderError: When it has one, but not one that comes before it in the batch.
        """
        batch = self._appender.checked(events)
        _check_can_be_known(batch)
        appender, found = self._appender, list[EventId]()
        give_up = time.monotonic() + self._store.retry_for
        for attempt in count(1):
            rest = batch[len(found) :]
            sealed = chain_batch(session_id, rest, expected, appender.position(session_id))
            reply = appender.settle(session_id, sealed, KEPT)
            match reply:
                case PartlyThere(ids):
                    found += _prefix(session_id, rest, ids)
                case Behind(upto, link):
                    self._catch_up(session_id, upto, link)
                case _:
                    found += appender.answer(session_id, rest, expected, reply) or ()
            if len(found) == len(batch):
                appender.settled_to_the_end(session_id, batch)
                return found
            if attempt >= _MIN_ATTEMPTS and time.monotonic() > give_up:
                raise ContentionError(session_id, attempt)
        raise AssertionError("unreachable")

    def _catch_up(self, session_id: str, upto: str, link: str) -> None:
        """Add what others have appended to the index; begin it anew where it is of another history or far behind."""
        try:
            entries = self._since(session_id, upto, link)
            if entries is None:
                entries, upto, link = self._newest(session_id), "", ""
            while page := list(islice(entries, _ADDED_AT_ONCE)):
                if not self._add(session_id, upto, link, page):
                    return
                _, upto, link = page[-1]
                self._appender.remember(session_id, Position(EventId.parse(upto), link))
        except LogForkedError:
            # Deleted or replaced while it was read: the next attempt sees what there is.
            return

    def _since(self, session_id: str, upto: str, link: str) -> Iterator[_Indexed] | None:
        """What follows the event the index ends with; None where that does not stand there, or too much follows."""
        try:
            at, head = EventId.parse(upto), self._head(session_id)
        except InvalidPointError:
            return None
        if head is None or not 0 <= head.id.revision - at.revision <= KEPT:
            return None
        entries = self._entries(session_id, upto)
        first = next(entries, None)
        return entries if first and first[1:] == (upto, link) else None

    def _newest(self, session_id: str) -> Iterator[_Indexed]:
        head = self._head(session_id)
        start = head and self._locate(session_id, max(1, head.id.revision - KEPT + 1))
        return self._entries(session_id, str(start)) if start else iter(())

    def _entries(self, session_id: str, start: str) -> Iterator[_Indexed]:
        return map(_Indexed.of, chain.from_iterable(self._reader.pages(session_id, start, "+")))

    def _add(self, session_id: str, upto: str, link: str, page: Sequence[_Indexed]) -> bool:
        ids = {one.event_id: one.id for one in page}
        return session.add_ids(self._store, session_id, (upto, link), page[-1][1:], KEPT, ids)


def _check_can_be_known(batch: Sequence[Encoded]) -> None:
    seen = set[str]()
    for encoded in batch:
        event_id = encoded.event.event_id
        if event_id in seen:
            raise EncodingError("event_id", f"{event_id!r} stands twice in a batch that is to be appended once")
        seen.add(event_id)


def _prefix(session_id: str, batch: Sequence[Encoded], ids: Sequence[str]) -> list[EventId]:
    """Where the first events of a batch stand already, if none of the others does."""
    stand = [EventId.parse(id_) if id_ else None for id_ in ids]
    prefix = [id_ for id_ in stand if id_]
    if stand[: len(prefix)] != sorted(prefix):
        raise EventOrderError(session_id, [(one.event.event_id, id_) for one, id_ in zip(batch, stand, strict=True)])
    return prefix
