"""A session's live stream, and the messages that come of it, followed for one reader."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ...codec import RawEntry
from ...codec.delta import Delta, delta
from ...errors import CorruptEntryError
from ...event_log import EventLog
from ...event_log.diagnosis import diagnosed
from ...event_log.reading import fetch, size_of
from ...events import Recorded, selector
from ...ids import START, EventId
from ...server.border import insist
from .buffer import Buffer, Sized
from .session_watch import SessionWatch
from .watch import Command, Standing, Watch, numbers_of

logger = logging.getLogger(__name__)

_MESSAGES = "message.*"


class DeltaWatch(Watch[Any]):
    """The pieces of messages that are being spoken.

    Nothing is promised of them: the stream may vanish and begin anew at any time.

    Args:
        log: Where; with `retry_for=0`.
        session_id: The session.
        after: The last piece that is known; `START` for all there are.
        buffer: Where they go.
    """

    def __init__(self, log: EventLog, session_id: str, after: EventId, buffer: Buffer[Any]) -> None:
        super().__init__(log.keyspace.session(session_id).live, log.keyspace.partition(session_id), buffer)
        self._log, self._session_id, self._at = log, session_id, after

    @property
    def position(self) -> tuple[int, int]:
        """The id of the piece read last."""
        return self._at

    def probe(self) -> Sequence[Command]:
        """The newest piece."""
        return (("XREVRANGE", self.key, "+", "-", "COUNT", 1),)

    def stands(self, replies: Sequence[Any]) -> bool:
        """Whether it is the one read last, or there is none."""
        return not replies[0] or numbers_of(replies[0][0]) == self._at

    def _begin(self) -> None:
        """Nothing has to be asked."""

    def _page(self, count: int) -> Sequence[RawEntry]:
        page = self._fetch(f"({self._at}" if self._at != START else "-", "+", count)
        newest = () if page else self._fetch("+", "-", 1, b"XREVRANGE")
        if newest and numbers_of(newest[0]) < self._at:
            # Another stream than that in which this one stood, by a clock that went back.
            self._at = START
            return self._fetch("-", "+", count)
        return page

    def _fetch(self, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
        with diagnosed(self._log.client, self._log.keyspace, self._session_id):
            return insist(lambda: fetch(self._log.client, self.key, start, end, count, command), 0)

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        self._at = EventId(*numbers_of(entry))
        found = _piece(entry)
        return [Sized(found, size_of(entry))] if found else []


class MessageWatch(SessionWatch):
    """The messages of a session, beginning where the oldest piece that is still there did.

    Args:
        log: Where; with `retry_for=0`.
        session_id: The session.
        after: What is known: a piece or an event; None for nothing.
        buffer: Where they go.
        deltas: Those to be followed once all that was written by then is in the buffer.

    Attributes:
        known: The last event that only has to be known of, as the reader has it, or came too late for it.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        after: EventId | None,
        buffer: Buffer[Recorded],
        deltas: DeltaWatch,
    ) -> None:
        super().__init__(log, session_id, None, selector(_MESSAGES), buffer)
        self.known = START
        self._after_id, self._deltas = after, deltas
        self._is_behind = True

    def advance(self) -> Standing:
        """Read one page."""
        standing = super().advance()
        if self._is_behind and standing is Standing.LIVE:
            self._is_behind = False
            self._deltas.followed_by(self._bring)
            self._deltas.come_again()
        return standing

    def _begin(self) -> None:
        if self._after_id is None:
            self._begin_now()
        else:
            # What was written in that very millisecond may not have been heard of.
            self._at = self._before(self._after_id.ms - 1)

    def _begin_now(self) -> None:
        head = self._head()
        since = self._spoken_since()
        began = head.id if since is None else self._log.locate(self._session_id, since)
        # Where the session was made anew, what is spoken belongs to another one.
        self._at = head if began in (None, START, head.id) else self._event(began)
        self.known = head.id

    def _spoken_since(self) -> int | None:
        """The revision at which the oldest message began of which there still are pieces."""
        live = self._log.keyspace.session(self._session_id).live
        with diagnosed(self._log.client, self._log.keyspace, self._session_id):
            found = insist(lambda: fetch(self._log.client, live, "-", "+", 1), 0)
        piece = _piece(found[0]) if found else None
        return piece.revision if piece else None


def _piece(entry: RawEntry) -> Delta | None:
    """Nothing is promised of pieces: one that somebody else wrote is none."""
    try:
        return delta(*entry)
    except CorruptEntryError as error:
        logger.warning("id=<%s>, error=<%s> | passed over a piece", entry[0], error)
        return None
