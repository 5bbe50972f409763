"""Events that do not come from the feed: those the sessions hold, and those that were parked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..codec import RawEntry, fields_of, recorded, sealed_facts
from ..encryption import Cipher, is_encrypted
from ..errors import CorruptEntryError, LogForkedError, ServerRefusedError, ServerUnavailableError
from ..event_log import EventLog
from ..feed import Envelope, FeedId
from ..ids import EventId, check_id
from ..scripts.group_protocol import Cursor, is_stream_id
from ..server import pairs
from .delivery import BaseDelivery
from .group import Group
from .parked import parked_envelope

logger = logging.getLogger(__name__)

_PAGE = 500
_SLACK_MS = 60_000
"""A clock may go back when another server is promoted; so much is read again rather than left out."""


@dataclass(slots=True)
class BackfillItem:
    """One event to be delivered.

    Attributes:
        envelope: What the feed would say of it.
        body: Its entry in the session; None when it is gone.
        attempts: Which attempt this is.
        parked_id: The entry it was parked as, if it was.
        error: Why it cannot be delivered: it is not what it should be. It is parked.
        delivery: As what it is in somebody's hands; None if it is not.
        is_settled: Whether somebody has said what became of it.
        due_at: When it may be tried (again), on the monotonic clock.
    """

    envelope: Envelope
    body: RawEntry | None
    attempts: int = 1
    parked_id: str = ""
    error: Exception | None = None
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


class BackfillSource(Protocol):
    """Where items come from."""

    def after_last(self) -> Iterator[BackfillItem]:
        """What was not read yet."""

    def missing(self) -> Sequence[str]:
        """Parked entries that are not there any more, since this was asked last."""

    def unreadable(self) -> Sequence[str]:
        """Parked entries that stay, as nobody can tell what they are about, since this was asked last."""


class _History:
    """Reads, and knows how far it has come: a generator that raised cannot go on.

    Args:
        read: Reads what comes after a cursor.
        cursor: Where to begin.
    """

    def __init__(self, read: Callable[[Cursor], Iterator[BackfillItem]], cursor: Cursor) -> None:
        self._read, self._cursor = read, cursor

    def after_last(self) -> Iterator[BackfillItem]:
        for item in self._read(self._cursor):
            self._cursor = str(item.envelope.id), item.envelope.session_id
            yield item

    def missing(self) -> Sequence[str]:
        return ()

    def unreadable(self) -> Sequence[str]:
        return ()


class _Parked:
    """Parked entries that are to be tried again, in the order in which that was asked for."""

    def __init__(self, group: Group, partition: int) -> None:
        self._group, self._partition = group, partition
        self._keys = group.keyspace.group(partition, group.settings.group)
        self._last, self._missing, self._unreadable = "-inf", list[str](), list[str]()

    def after_last(self) -> Iterator[BackfillItem]:
        while page := self._page():
            for member, score in page:
                item = self._read(member)
                # What could not be read because the server is away is read the next time.
                self._last = f"({float(score)!r}"
                if item:
                    yield item

    def _page(self) -> Sequence[tuple[bytes, bytes | float]]:
        limits = (self._last, "+inf", "BYSCORE", "LIMIT", 0, _PAGE, "WITHSCORES")
        return pairs(self._group.store.command(b"ZRANGE", self._keys.replay, *limits))

    def _read(self, member: bytes) -> BackfillItem | None:
        if not is_stream_id(member):
            logger.warning("group=<%s>, member=<%r> | not tried again, it is no parked entry", self._keys.group, member)
            self._group.store.command(b"ZREM", self._keys.replay, member)
            return None
        id_ = member.decode()
        try:
            if found := self._group.store.command(b"XRANGE", self._keys.parked, id_, id_):
                return self._item(id_, found[0][1])
            self._missing.append(id_)
        except CorruptEntryError as error:
            logger.warning("parked=<%s>, error=<%s> | it stays parked", id_, error)
            self._unreadable.append(id_)
        return None

    def missing(self) -> Sequence[str]:
        missing, self._missing = self._missing, []
        return missing

    def unreadable(self) -> Sequence[str]:
        unreadable, self._unreadable = self._unreadable, []
        return unreadable

    def _item(self, id_: str, fields: Sequence[bytes]) -> BackfillItem:
        found = parked_envelope(self._group.keyspace, self._partition, fields)
        body, error = None, None
        try:
            body = self._group.body(found)
            if body is not None:
                found.check(recorded(body))
        except ServerUnavailableError:
            raise
        except Exception as raised:
            error = raised
        return BackfillItem(found, body, parked_id=id_, error=error)


def parked(group: Group, partition: int) -> BackfillSource:
    """Parked entries that are to be tried again."""
    return _Parked(group, partition)


def history(events: EventLog, group: Group, partition: int, kind: str, cursor: Cursor) -> BackfillSource:
    """The events of all sessions of a partition, or those of a time, session by session in the order of their ids."""

    def read(cursor: Cursor) -> Iterator[BackfillItem]:
        return _sessions(events, group, partition, kind, cursor)

    return _History(read, cursor)


def _sessions(events: EventLog, group: Group, partition: int, kind: str, cursor: Cursor) -> Iterator[BackfillItem]:
    from_ms, to_ms = (int(ms) for ms in kind.split()[1:]) if kind.startswith("between") else (0, 1 << 62)
    at, last_session = cursor
    least = max(0, from_ms - _SLACK_MS)
    end = str(to_ms) if to_ms < 1 << 62 else "+"
    for session_id in _listed(events, group, partition, least):
        if session_id < last_session:
            continue
        start = f"({at}" if session_id == last_session else str(least)
        try:
            for page in events.pages(session_id, start, end):
                for entry in page:
                    yield _item(partition, session_id, entry, events.cipher)
        except LogForkedError:
            # It was deleted while it was read. If it was begun anew, the feed tells.
            logger.info("session=<%s> | gone while its history was read", session_id)
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            logger.warning("session=<%s>, error=<%s> | its history cannot be read", session_id, error)


def _listed(events: EventLog, group: Group, partition: int, least: int) -> list[str]:
    """The sessions of a partition; what is none, somebody else has written there."""
    found: list[str] = []
    for line in group.store.command(b"ZRANGE", events.keyspace.sessions(partition), least, "+inf", "BYSCORE"):
        try:
            found.append(check_id("session_id", line.decode()))
        except ValueError as error:
            logger.warning("partition=<%d>, error=<%s> | no session", partition, error)
    return sorted(found)


def _item(partition: int, session_id: str, entry: RawEntry, cipher: Cipher) -> BackfillItem:
    entry_id, flat = entry
    place = FeedId.parse(partition, entry_id)._replace(sequence=0)
    try:
        (opened,) = cipher.opened(session_id, [entry], is_strict=False)
        told = Envelope.of(place, session_id, recorded(opened))
        if is_encrypted(entry):
            told = told._replace(facts_json=sealed_facts(told.facts_json))
        return BackfillItem(told, entry)
    except Exception as error:
        # Whatever somebody else has written there, the events around it are read.
        return BackfillItem(_remains(place, session_id, entry_id, flat), None, error=error)


def _remains(place: FeedId, session_id: str, entry_id: bytes, flat: Sequence[bytes]) -> Envelope:
    """What can be said of an entry that cannot be read."""
    fields = fields_of(flat)
    type_, agent, link = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"type", b"agent", b"link"))
    id_ = FeedId.parse(place.partition, entry_id)
    return Envelope(place, session_id, EventId(id_.ms, id_.sequence), type_, agent, link, b"{}")
