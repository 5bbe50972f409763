"""The feed, followed for an index: which sessions have something new, and up to where that is known."""

from __future__ import annotations

from threading import Condition, Thread
from typing import NamedTuple

from strands_session_log import Envelope, FeedId, FeedPosition, SessionLog
from strands_session_log.errors import CorruptEntryError, FeedGapError, LogForkedError, SessionLogError

_MOST = 10_000
"""Sessions that wait to be read; the feed waits then."""
_TOLD = frozenset(
    (
        "message.added",
        "message.redacted",
        "message.updated",
        "payload.erased",
        "session.annotated",
        "session.deleted",
        "session.forked",
        "session.imported",
    )
)


class FeedNews(NamedTuple):
    """What the feed has told.

    Attributes:
        session_ids: Sessions in which something happened.
        position: Up to where that is all.
        has_gap: Whether something is not known, so that all sessions have to be looked through.
    """

    session_ids: list[str]
    position: FeedPosition
    has_gap: bool


class FeedFollower:
    """Follows the feed in a thread.

    Args:
        log: The log.
        position: Where the feed was followed to; None to begin now.
    """

    def __init__(self, log: SessionLog, position: str | None) -> None:
        self._tail = log.tail(after="now" if position is None else FeedPosition.parse(position))
        self._changed, self._names = Condition(), dict[str, None]()
        self._places = dict[int, FeedId]()
        self._has_gap = self._is_over = False
        self._error: SessionLogError | None = None
        self._thread = Thread(target=self._read, name="session-log-search", daemon=True)

    def __enter__(self) -> FeedFollower:
        self._tail.__enter__()
        self._places = dict(self._tail.position.by_partition)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._tail.close()
        self._thread.join()

    def take(self, seconds: float) -> FeedNews:
        """What was told since it was asked last, waiting for so long at most.

        Raises:
            SessionLogError: When the feed cannot be followed any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._names or self._has_gap or self._error, seconds)
            if self._error:
                raise self._error
            news = FeedNews(list(self._names), FeedPosition(tuple(sorted(self._places.values()))), self._has_gap)
            self._names.clear()
            self._has_gap = False
            self._changed.notify_all()
            return news

    def _read(self) -> None:
        while not self._is_over:
            try:
                for envelope in self._tail:
                    self._note(envelope)
                return
            except (FeedGapError, LogForkedError):
                self._tell(has_gap=True)
            except CorruptEntryError:
                # Somebody else wrote it, and it is about no session.
                continue
            except SessionLogError as error:
                self._tell(error=error)
                return

    def _note(self, envelope: Envelope) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or len(self._names) < _MOST)
            self._places[envelope.feed_id.partition] = envelope.feed_id
            if envelope.type in _TOLD:
                self._names[envelope.session_id] = None
                self._changed.notify_all()

    def _tell(self, has_gap: bool = False, error: SessionLogError | None = None) -> None:
        with self._changed:
            self._has_gap, self._error = self._has_gap or has_gap, error
            self._changed.notify_all()
