"""A session followed for one reader: every event is held against the hash chain before anybody sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..codec import RawEntry, fields_of, parse, recorded
from ..errors import LogForkedError, SessionDeletedError, SessionLogError
from ..event_log import EventLog
from ..event_log.chained_batch import Chained, Position
from ..event_log.diagnosis import diagnosed, parsed
from ..event_log.reader import fetch, size_of
from ..events import Recorded
from ..ids import START, EventId, Point
from ..server import text
from .buffer import Buffer, Sized
from .cursor import Command, StreamCursor

NOW = "now"
"""The point after which there is only what is still to come."""


class SessionCursor(StreamCursor[Recorded]):
    """One session.

    Args:
        log: Where; with `retry_for=0`, since whoever follows waits by itself.
        session_id: The session; it need not exist yet.
        after: Where to begin; None for the beginning, `NOW` for the end.
        wanted: Whether the consumer wants events of a type and an agent.
        buffer: Where they go.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        after: Point | None,
        wanted: Callable[[str, str], bool],
        buffer: Buffer[Recorded],
    ) -> None:
        keyspace = log.keyspace
        super().__init__(keyspace.session(session_id).events, keyspace.partition(session_id), buffer)
        self._log, self._session_id, self._after, self._wanted = log, session_id, after, wanted
        self._at, self._from_ms = Chained(START, "", ""), 0

    @property
    def position(self) -> tuple[int, int]:
        """The id of the event read last."""
        return self._at.id

    @property
    def can_wait(self) -> bool:
        """Before the first event the head has to be asked where the chain begins: a fork's does elsewhere."""
        return self._at.id != START

    def probe(self) -> Sequence[Command]:
        """Ask the head, which is small, however large the last event."""
        return (("HMGET", self._log.keyspace.session(self._session_id).head, "revision", "link", "ms"),)

    def is_current(self, replies: Sequence[Any]) -> bool:
        """Whether the head stands where this does."""
        revision, link, ms = ("" if value is None else text(value) for value in replies[0])
        if self._at.id == START:
            return not revision
        return (revision, link, ms) == (str(self._at.id.revision), self._at.link, str(self._at.id.ms))

    def _begin(self) -> None:
        if self._after == NOW:
            self._at = self._head()
        elif self._after is not None:
            # What is relative to now is so from now on, however long the server stays away.
            found = self._after = self._log.resolve(self._session_id, self._after)
            self._at = self._event(found) if found.revision else self._before(found.ms)

    def _head(self) -> Chained:
        """Where the session stands. What follows is no part of the same batch, so the base of that does not matter."""
        head = self._log.head(self._session_id) or Position()
        return Chained(head.id, "", head.link)

    def _event(self, id_: EventId) -> Chained:
        """The event that was read last, in an earlier life."""
        self._at = Chained(id_, "", "")
        found = self._fetch(str(id_), str(id_), 1)
        if not found:
            raise self._gone()
        return _chained(found[0])

    def _before(self, ms: int) -> Chained:
        """The last event up to a time; what follows it is the first that follows the time."""
        self._from_ms = ms
        found = self._fetch(str(ms), "-", 1, b"XREVRANGE") if ms else ()
        return _chained(found[0]) if found else Chained(START, "", "")

    def _page(self, count: int) -> Sequence[RawEntry]:
        if self._at.id == START:
            page = self._fetch("-", "+", count)
            self._at = Chained.start(self._root()) if page else self._at
            return page
        page = self._fetch(str(self._at.id), "+", count + 1)
        if not page or _chained(page[0])[::2] != self._at[::2]:
            raise self._gone()
        return page[1:]

    def _root(self) -> str:
        """The session for which the first link was computed: this one, unless it is a fork."""
        head = self._log.keyspace.session(self._session_id).head
        with diagnosed(self._log.store, self._session_id):
            (found,) = self._log.store.fields(head, "root")
        return self._session_id if found is None else parsed(head, "root", found, str)

    def _fetch(self, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
        with diagnosed(self._log.store, self._session_id):
            return fetch(self._log.store, self.key, start, end, count, command)

    def _gone(self) -> SessionLogError:
        """What has become of the position."""
        is_deleted = self._log.head(self._session_id) is None
        return (SessionDeletedError if is_deleted else LogForkedError)(self._session_id, self._at.id)

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        fields = fields_of(entry[1])
        found = parse(entry[0], fields)
        follows = found.id.revision == self._at.id.revision + 1 and self._at.continues(found)
        if not follows or not self._at.links(found):
            raise LogForkedError(self._session_id, self._at.id)
        wanted = found.id.ms > self._from_ms and self._wanted(found.header[0], found.header[1])
        items = [Sized(self._recorded(entry), size_of(entry))] if wanted else []
        self._at = Chained.of(found)
        return items

    def _recorded(self, entry: RawEntry) -> Recorded:
        (opened,) = self._log.cipher.opened(self._session_id, [entry], is_strict=False)
        return recorded(opened)


def _chained(entry: RawEntry) -> Chained:
    return Chained.of(parse(entry[0], fields_of(entry[1])))
