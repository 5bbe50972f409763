"""A session's live stream, and the messages that come of it, followed for one reader."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeAlias

from ..codec import RawEntry
from ..codec.delta import LIVE_MS, Delta, delta
from ..encryption import opened_piece
from ..errors import CorruptEntryError, EncryptionError
from ..event_log import EventLog
from ..event_log.diagnosis import diagnosed
from ..event_log.reader import fetch, size_of
from ..events import Recorded, selector
from ..ids import START, EventId
from .buffer import Buffer, Sized
from .cursor import Command, CursorState, StreamCursor, numbers_of
from .live_position import LivePosition
from .session_cursor import SessionCursor

logger = logging.getLogger(__name__)

LivePoint: TypeAlias = "LivePosition | EventId"
"""After what a reader of what is being said may begin."""

_MESSAGES = "message.*"
_LATE_MS = 30_000
"""How long after its message is in the log a piece may still be published, at most."""


class DeltaCursor(StreamCursor[Any]):
    """The pieces of messages that are being spoken.

    Nothing is promised of them: the stream may vanish and begin anew at any time.

    Args:
        log: Where; with `retry_for=0`.
        session_id: The session.
        buffer: Where they go.
    """

    def __init__(self, log: EventLog, session_id: str, buffer: Buffer[Any]) -> None:
        super().__init__(log.keyspace.session(session_id).live, log.keyspace.partition(session_id), buffer)
        self._log, self._session_id, self._at = log, session_id, START

    def start_after(self, known: EventId) -> None:
        """Begin after the last piece that is known; `START` for all there are. Before anybody reads."""
        self._at = known

    @property
    def position(self) -> tuple[int, int]:
        """The id of the piece read last."""
        return self._at

    def probe(self) -> Sequence[Command]:
        """The newest piece."""
        return (("XREVRANGE", self.key, "+", "-", "COUNT", 1),)

    def is_current(self, replies: Sequence[Any]) -> bool:
        """Whether it is the one read last, or there is none."""
        return not replies[0] or EventId(*numbers_of(replies[0][0])) == self._at

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
        with diagnosed(self._log.store, self._session_id):
            return fetch(self._log.store, self.key, start, end, count, command)

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        self._at = EventId(*numbers_of(entry))
        found = self._piece(entry)
        return [Sized(found, size_of(entry))] if found else []

    def _piece(self, entry: RawEntry) -> Delta | None:
        """Nothing is promised of pieces: one that cannot be opened is left out, and one that others wrote is none."""
        try:
            return delta(*opened_piece(self._log.cipher, self._session_id, entry))
        except (CorruptEntryError, EncryptionError) as error:
            level = logging.WARNING if isinstance(error, CorruptEntryError) else logging.DEBUG
            logger.log(level, "id=<%s>, error=<%s> | passed over a piece", entry[0], error)
            return None


class MessageCursor(SessionCursor):
    """The messages of a session, also those before it begins whose pieces may still be there, or yet to come.

    Args:
        log: Where; with `retry_for=0`.
        session_id: The session.
        after: What is known: an event or a piece, or one of each; None for all that is in the log, and no piece.
        buffer: Where they go.
        deltas: Those to be followed once all that was written by then is in the buffer.
        types: Of which types other events are to come, too.

    Attributes:
        start: Where it begins, once that is known.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        after: LivePoint | None,
        buffer: Buffer[Recorded],
        deltas: DeltaCursor,
        types: str | Sequence[str] = (),
    ) -> None:
        others = (types,) if isinstance(types, str) else tuple(types)
        super().__init__(log, session_id, None, selector((_MESSAGES, *others)), buffer)
        self.start: LivePosition | None = None
        self._after_point, self._deltas = after, deltas
        self._is_behind = True

    @property
    def known(self) -> EventId:
        """The last event that only has to be known of, as the reader has it, or came too late for it."""
        return START if self.start is None else self.start.event

    def advance(self) -> CursorState:
        """Read one page."""
        standing = super().advance()
        if self._is_behind and standing is CursorState.LIVE:
            self._is_behind = False
            self._deltas.followed_by(self._bring)
            self._deltas.resume()
        return standing

    def _begin(self) -> None:
        start = self._start()
        self._at = self._before(self._since(start.event))
        self._deltas.start_after(start.piece)
        self.start = start

    def _start(self) -> LivePosition:
        match self._after_point:
            case None:
                return LivePosition(self._head().id)
            case LivePosition(event, piece) if event.revision or event == START:
                return LivePosition(self._existing(event), piece)
            case LivePosition(event, piece):
                return LivePosition(self._before(event.ms).id, piece)
            case EventId() as known:
                return self._named_by(known)

    def _existing(self, event: EventId) -> EventId:
        """An event that is known; what does not have it is another session, or another history of it."""
        return event if event == START else self._event(event).id

    def _named_by(self, known: EventId) -> LivePosition:
        """What one id stands for, which does not say of which stream it is."""
        if known == START or self._fetch(str(known), str(known), 1):
            return LivePosition(known)
        # Of a piece: what was written in that very millisecond may not have been heard of.
        return LivePosition(self._before(max(0, known.ms - 1)).id, known)

    def _since(self, event: EventId) -> int:
        """From when on it takes to know of every piece to come whether its message is in the log."""
        live = self._log.keyspace.session(self._session_id).live
        with diagnosed(self._log.store, self._session_id):
            oldest = fetch(self._log.store, live, "-", "+", 1)
        ms = min(event.ms, numbers_of(oldest[0])[0]) if oldest else event.ms
        return max(0, max(ms, event.ms - 2 * LIVE_MS) - _LATE_MS)
