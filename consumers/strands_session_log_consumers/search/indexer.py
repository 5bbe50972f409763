"""Keeps an index in step with the log: reads of each session what came since, and follows the feed, which tells which.

How far a session was read stands beside what was read of it, in one transaction: whatever ends in between, nothing is
missing and nothing is there twice. There is no consumer group, which would hold the feed while nobody indexes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import NamedTuple, Protocol

from strands_session_log import EventId, Recorded, SessionInfo, SessionLog
from strands_session_log.errors import (
    CorruptEntryError,
    CorruptKeyError,
    InvalidPointError,
    LogForkedError,
    SessionLogError,
    SessionNotFoundError,
)
from strands_session_log.events import PayloadErased

from .following import FeedFollower
from .query import SearchIndexAwayError, SearchIndexError
from .saying import said_in
from .stores import IndexedUpTo, SearchStore

logger = logging.getLogger(__name__)

_PAGE = 1_000
_AT_ONCE = 5_000
"""Messages in one transaction."""
_LIVES = 3
_PAUSE = 1.0
_MERGED = 1.0
"""Seconds for which pages of words are merged before it is looked what is new."""
_LATEST = 1 << 47
"""Milliseconds that no index has room for, in the year 6429: only a forged event is from then."""
_REPLACING = ("message.updated", "message.redacted")


class IndexSummary(NamedTuple):
    """What was done to an index.

    Attributes:
        sessions: How many sessions were looked at.
        messages: How many messages were added.
        removed: How many sessions were removed.
        unreadable: Of how many something could not be read.
        seconds: How long that took.
        is_scrubbed: Whether nothing that was removed is left where the index is kept.
    """

    sessions: int
    messages: int
    removed: int
    unreadable: int
    seconds: float
    is_scrubbed: bool = True


class _ProgressLostError(Exception):
    """Another process has changed how far a session is in the index, which is to be read anew."""


class IndexListener(Protocol):
    """Told what an indexer does."""

    def count(self, summary: IndexSummary) -> object:
        """What was indexed, or that there was nothing to be."""

    def fail(self) -> object:
        """Indexing stopped, and is tried again."""


class Indexer:
    """Keeps one index in step with one log.

    What is encrypted is not indexed, whatever keys the log was given: the index would have it in the clear.

    Args:
        log: The log.
        index: The index.
        listener: Told what it does, and that it does not.
    """

    def __init__(self, log: SessionLog, index: SearchStore, listener: IndexListener | None = None) -> None:
        # Without the keys it may have.
        self._log = SessionLog(log.client, log.namespace, allow_eviction=True)
        self._writer = index.writer()
        self._listener = listener
        self._sessions = self._removed = 0
        self._is_scrubbed = True
        self._unreadable = set[str]()

    def close(self) -> None:
        """Index no more; the log that was given stays open."""
        self._writer.close()
        self._log.close()

    def __enter__(self) -> Indexer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync(self, is_over: Callable[[], bool] = lambda: False) -> IndexSummary:
        """Look through all sessions, and index what came since; remove those that are gone.

        Args:
            is_over: Whether to stop.

        Raises:
            SearchIndexError: When the index cannot be written.
            SessionLogError: When the log cannot be read.
        """
        with self._summed_up() as summary:
            self._sync_changed(is_over)
            if not is_over():
                self._forget_gone()
            self._is_scrubbed = self._writer.scrub()
        return summary[0]

    def rebuild(self) -> None:
        """Empty the index, to be filled anew from the log."""
        with self._writer.transaction():
            self._writer.clear()
        self._writer.scrub()

    def run(self, stop: Event, ready: Callable[[IndexSummary], object] = lambda summary: None) -> None:
        """Keep the index in step until told to stop; a server or a database that is away is waited for.

        Args:
            stop: Set to end it.
            ready: Told once all there was is in the index.

        Raises:
            SearchIndexError: When the index cannot be written.
        """
        trouble = ""
        while not stop.is_set():
            try:
                self._follow(stop, ready)
            except SessionLogError as error:
                if isinstance(error, SearchIndexError) and not isinstance(error, SearchIndexAwayError):
                    raise
                if self._listener:
                    self._listener.fail()
                if str(error) != trouble:
                    logger.warning("error=<%s> | indexing stopped, and tries again", error)
                trouble = str(error)
                stop.wait(_PAUSE)

    def _follow(self, stop: Event, ready: Callable[[IndexSummary], object]) -> None:
        # In this order: an index that is emptied in between is looked through.
        filling, position = self._writer.filling, self._writer.position
        with FeedFollower(self._log, position) as follower:
            has_all, is_told = position is not None, False
            while not stop.is_set():
                with self._summed_up() as summary:
                    news = follower.take(0.0 if not has_all else 0.5)
                    now = self._writer.filling
                    if not has_all or news.has_gap or now != filling:
                        # Whoever has emptied it may not have come to fill it.
                        filling = now
                        self._look_through(stop)
                        has_all = not stop.is_set()
                    self._sync_named(news.session_ids, stop.is_set)
                    if has_all and not stop.is_set():
                        self._put_position(str(news.position), filling)
                    self._is_scrubbed = self._writer.scrub(_MERGED)
                if has_all and not is_told and not news.session_ids:
                    ready(summary[0])
                    is_told = True

    def _look_through(self, stop: Event) -> None:
        with self._writer.transaction():
            self._writer.put_position(None)
        self._sync_changed(stop.is_set)
        if not stop.is_set():
            self._forget_gone()

    def _put_position(self, position: str, filling: str | None) -> None:
        if position != self._writer.position:
            with self._writer.transaction():
                if self._writer.filling == filling:
                    self._writer.put_position(position)

    @contextmanager
    def _summed_up(self) -> Iterator[list[IndexSummary]]:
        begun, found = monotonic(), list[IndexSummary]()
        self._sessions, self._removed, self._writer.added = 0, 0, 0
        self._unreadable.clear()
        yield found
        done = self._sessions, self._writer.added, self._removed, len(self._unreadable)
        found.append(IndexSummary(*done, monotonic() - begun, self._is_scrubbed))
        if self._listener:
            self._listener.count(found[0])

    def _sync_changed(self, is_over: Callable[[], bool]) -> None:
        """Those first that were active longest ago: what changes meanwhile comes behind."""
        for page in self._pages():
            changed = [info.session_id for info in page if not self._has(info)]
            self._sync_named(changed, is_over)
            if is_over():
                return

    def _pages(self) -> Iterator[list[SessionInfo]]:
        before: SessionInfo | None = None
        while page := self._log.sessions(_PAGE, before, ascending=True):
            yield page
            before = page[-1]

    def _has(self, info: SessionInfo) -> bool:
        at = self._writer.up_to(info.session_id)
        return at is not None and at.id == EventId(round(info.last_event_at.timestamp() * 1000), info.revision)

    def _forget_gone(self) -> None:
        """Sessions that are in the index only: deleted while nobody followed the feed."""
        gone = [name for name in self._writer.session_ids() if not self._is_there(name)]
        self._sync_named(gone, lambda: False)

    def _is_there(self, session_id: str) -> bool:
        try:
            return bool(self._log.head(session_id))
        except SessionNotFoundError:
            return False
        except CorruptKeyError:
            return True

    def _sync_named(self, session_ids: Iterable[str], is_over: Callable[[], bool]) -> None:
        names = list(session_ids)
        while names and not is_over():
            with self._writer.transaction():
                while names and self._writer.pending < _AT_ONCE and not is_over():
                    self._sync_session(names.pop())
                    self._sessions += 1

    def _sync_session(self, session_id: str) -> None:
        """Index what came since; of a session that was deleted, or begun anew, nothing stays of what it was."""
        lives = _LIVES
        while lives:
            try:
                if self._read_on(session_id):
                    return
            except _ProgressLostError:
                continue
            except CorruptKeyError as error:
                self._note_unreadable(session_id, error)
                return
            except LogForkedError:
                pass
            self._removed += self._writer.forget(session_id)
            lives -= 1

    def _read_on(self, session_id: str) -> bool:
        """Whether it is still the session whose beginning is in the index, if one is."""
        at = self._writer.up_to(session_id)
        begins_at, needs_labels = at, False
        # With the event that was read last: whether it is the same one tells whether the session is.
        after = None if at is None or at.id.revision == 1 else EventId(at.id.ms, at.id.revision - 1)
        for recorded in self._readable(session_id, after):
            if begins_at is not None:
                if (recorded.id, recorded.link) != begins_at:
                    return False
                begins_at = None
                continue
            needs_labels |= self._index(session_id, recorded)
            at = IndexedUpTo(recorded.id, recorded.link)
            if self._writer.pending >= _AT_ONCE:
                self._save(session_id, at, needs_labels)
                needs_labels = False
        if begins_at is not None:
            return False
        self._complete(session_id, at, needs_labels)
        return True

    def _readable(self, session_id: str, after: EventId | None) -> Iterator[Recorded]:
        """The events, without those that cannot be read."""
        while True:
            try:
                for recorded in self._log.read(session_id, after):
                    if recorded.id.ms >= _LATEST:
                        # No honest one can follow.
                        raise CorruptEntryError(str(recorded.id), "it is from a time that is not to come")
                    yield recorded
                return
            except CorruptEntryError as error:
                self._note_unreadable(session_id, error)
                try:
                    after = EventId.parse(error.entry_id)
                except InvalidPointError:
                    # Nothing of ours has a place behind such a number.
                    return
                if after.ms >= _LATEST:
                    return

    def _save(self, session_id: str, at: IndexedUpTo, needs_labels: bool) -> None:
        """As whole as it would be if all ended here."""
        self._complete(session_id, at, needs_labels)
        self._writer.save()
        if self._writer.up_to(session_id) != at:
            # In between another process may have emptied the index, removed the session, or gone on with it.
            raise _ProgressLostError

    def _complete(self, session_id: str, at: IndexedUpTo | None, needs_labels: bool) -> None:
        if at is not None:
            self._writer.put_up_to(session_id, at)
        if needs_labels:
            self._put_labels(session_id)

    def _index(self, session_id: str, recorded: Recorded) -> bool:
        """Index one event; whether labels may be others after it."""
        event = recorded.event
        if event.type == "message.added":
            self._writer.add(session_id, said_in(recorded))
        elif event.type in _REPLACING:
            said = said_in(recorded)
            self._writer.remove_number(session_id, said)
            self._writer.add(session_id, said)
        elif isinstance(event, PayloadErased):
            self._writer.remove_events(session_id, event.erased)
            return True
        return event.type in ("session.annotated", "session.forked")

    def _put_labels(self, session_id: str) -> None:
        try:
            self._writer.put_labels(session_id, self._log.session(session_id).labels)
        except (SessionNotFoundError, CorruptKeyError):
            # Its deletion comes with the feed.
            return

    def _note_unreadable(self, session_id: str, error: SessionLogError) -> None:
        if session_id not in self._unreadable:
            logger.warning("session_id=<%s>, error=<%s> | not all of it can be indexed", session_id, error)
        self._unreadable.add(session_id)
