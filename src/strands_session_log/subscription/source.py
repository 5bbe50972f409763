"""Events that do not come from the feed: those the sessions hold, and those that were parked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ..codec import RawEntry, decode, fields_of, to_json
from ..errors import LogForkedError
from ..event_log import EventLog
from ..feed import Envelope, FeedId, envelope
from ..ids import EventId
from .delivery import BaseDelivery
from .group import Group

logger = logging.getLogger(__name__)

_SLACK_MS = 60_000
"""A clock may go back when another server is promoted; so much is read again rather than left out."""


@dataclass(slots=True)
class Item:
    """One event to be delivered.

    Attributes:
        envelope: What the feed would say of it.
        body: Its entry in the session; None when it is gone.
        attempts: Which attempt this is.
        parked_id: The entry it was parked as, if it was.
        delivery: As what it is in somebody's hands; None if it is not.
        is_settled: Whether somebody has said what became of it.
        due_at: When it may be tried (again), on the monotonic clock.
    """

    envelope: Envelope
    body: RawEntry | None
    attempts: int = 1
    parked_id: str = ""
    delivery: BaseDelivery | None = None
    is_settled: bool = False
    due_at: float = 0.0

    @property
    def is_out(self) -> bool:
        """Whether it is in somebody's hands."""
        return self.delivery is not None

    @property
    def is_waiting(self) -> bool:
        """Whether it is still to be delivered."""
        return not self.is_settled and self.delivery is None

    @property
    def cursor(self) -> str:
        """Where to go on after it."""
        return "" if self.parked_id else f"{self.envelope.id} {self.envelope.session_id}"


class Source(Protocol):
    """Where items come from."""

    def after_last(self) -> Iterator[Item]:
        """What was not read yet."""

    def missing(self) -> Sequence[str]:
        """Parked entries that are not there any more, since this was asked last."""


class _Reader:
    """Reads, and knows how far it has come: a generator that raised cannot go on.

    Args:
        read: Reads what comes after a cursor.
        cursor: Where to begin.
    """

    def __init__(self, read: Callable[[str], Iterator[Item]], cursor: str) -> None:
        self._read, self._cursor = read, cursor

    def after_last(self) -> Iterator[Item]:
        for item in self._read(self._cursor):
            self._cursor = item.cursor
            yield item

    def missing(self) -> Sequence[str]:
        return ()


class _Parked:
    """Parked entries that are to be tried again."""

    def __init__(self, group: Group, partition: int, ids: Sequence[str]) -> None:
        self._group, self._partition, self._ids = group, partition, list(ids)
        self._missing: list[str] = []

    def after_last(self) -> Iterator[Item]:
        key = self._group.keyspace.group(self._partition, self._group.settings.group).parked
        while self._ids:
            found = self._group.command(b"XRANGE", key, self._ids[0], self._ids[0])
            item = self._item(found[0][1]) if found else None
            id_ = self._ids.pop(0)
            if item is None:
                self._missing.append(id_)
            else:
                yield item

    def missing(self) -> Sequence[str]:
        missing, self._missing = self._missing, []
        return missing

    def _item(self, fields: list[bytes]) -> Item:
        found = envelope(self._partition, fields[13], fields[:12])
        return Item(found, self._group.body(found), parked_id=self._ids[0])


def parked(group: Group, partition: int, ids: Sequence[str]) -> Source:
    """Parked entries that are to be tried again."""
    return _Parked(group, partition, ids)


def history(events: EventLog, group: Group, partition: int, kind: str, cursor: str) -> Source:
    """The events of all sessions of a partition, or those of a time, session by session in the order of their ids."""

    def read(cursor: str) -> Iterator[Item]:
        return _sessions(events, group, partition, kind, cursor)

    return _Reader(read, cursor)


def _sessions(events: EventLog, group: Group, partition: int, kind: str, cursor: str) -> Iterator[Item]:
    from_ms, to_ms = (int(ms) for ms in kind.split()[1:]) if kind.startswith("between") else (0, 1 << 62)
    at, _, last_session = cursor.partition(" ")
    least = max(0, from_ms - _SLACK_MS)
    lines = group.command(b"ZRANGE", events.keyspace.sessions(partition), least, "+inf", "BYSCORE")
    for session_id in sorted(line.decode() for line in lines):
        if session_id < last_session:
            continue
        start = f"({at}" if session_id == last_session else str(least)
        try:
            for page in events.pages(session_id, start, str(to_ms) if to_ms < 1 << 62 else "+"):
                for entry_id, flat in page:
                    yield _item(partition, session_id, entry_id, flat)
        except LogForkedError:
            # It was deleted while it was read. If it was begun anew, the feed tells.
            logger.info("session=<%s> | gone while its history was read", session_id)


def _item(partition: int, session_id: str, entry_id: bytes, flat: Any) -> Item:
    recorded = decode(entry_id, fields_of(flat))
    event = recorded.event
    facts = b"{}" if event.is_erased else orjson.dumps(to_json(event.facts(), "facts"))
    place = FeedId(partition, recorded.id.ms, 0)
    of_feed = Envelope(place, session_id, EventId(*recorded.id), event.type, event.agent, recorded.link, facts)
    return Item(of_feed, (entry_id, flat))
