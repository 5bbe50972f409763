"""One blocking read for all streams of a server that somebody waits for; in a cluster, of a slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from threading import Event, Lock
from typing import Any

from ..codec import RawEntry
from ..concurrency import WorkerThread
from ..errors import ServerRefusedError, SessionLogError
from ..errors.quoting import frames_of
from ..event_log.reader import size_of
from ..server import BlockingConnection, Outage, Store, is_transient
from .cursor import CursorState, StreamCursor

logger = logging.getLogger(__name__)

_READ_BYTES = 4 * 1024 * 1024
_MOST_ENTRIES = 64


class BlockingReader:
    """Waits for what comes in the streams of one slot, in a thread that is there only while there are some.

    Args:
        store: Where the streams are; one attempt is made.
        key: One key of the slot.
        hand_back: Takes a cursor that has to read by itself before it can wait again.
        outage: Told that the server is waited for.

    Attributes:
        pages: Whoever reads by page for those that were handed back, as a part of the outage.
    """

    def __init__(
        self, store: Store, key: str, hand_back: Callable[[StreamCursor[Any]], object], outage: Outage
    ) -> None:
        self._store, self._key, self._hand_back, self._outage = store.with_retry_for(0), key, hand_back, outage
        self.pages: Hashable = (self, "pages")
        self._lock, self._stopped = Lock(), Event()
        self._live: dict[StreamCursor[Any], None] = {}
        self._asked: dict[bytes, _Asked] | None = None
        self._thread = WorkerThread("session-log-tail")
        self._is_stale = False
        self._connection: BlockingConnection | None = None
        self._largest = 1

    def add(self, cursor: StreamCursor[Any]) -> None:
        """Wait for what comes after the position of a cursor; `wake` lets it begin before the running read ends."""
        with self._lock:
            self._live[cursor] = None
            self._asked, self._is_stale = None, True
            self._thread.start(self._run)

    def remove(self, cursor: StreamCursor[Any]) -> None:
        """Leave a cursor alone from now on, if it is here."""
        with self._lock:
            self._live.pop(cursor, None)
            self._asked = None

    @property
    def live(self) -> Sequence[StreamCursor[Any]]:
        """Those that wait here."""
        with self._lock:
            return tuple(self._live)

    def wake(self) -> bool:
        """Let the thread notice whom it has to wait for; False if that has to be tried again."""
        connection = self._connection
        if not self._is_stale or connection is None or not connection.can_be_unblocked:
            return True
        return connection.unblock() or not self._is_stale

    def stop(self) -> None:
        """Forget all of them, and let the thread end."""
        with self._lock:
            self._live.clear()
            self._asked, self._is_stale = None, True
        self._stopped.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False if it goes on."""
        return self._thread.join(timeout)

    def _run(self) -> None:
        while not self._has_nothing_to_do():
            try:
                self._store.retrying(self._serve)
            except Exception as error:
                if is_transient(error):
                    # It may come back with another history: before they wait again, all look where they stand.
                    self._let_go()
                    self._stopped.wait(self._outage.met(error, self))
                elif isinstance(error, ServerRefusedError) and error.is_wrong_type:
                    # One key that is no stream: by themselves, all others go on.
                    self._let_go()
                else:
                    self._fail(error)

    def _has_nothing_to_do(self) -> bool:
        with self._lock:
            if self._live:
                return False
            self._thread.rest()
        # Those that it had let go are read for by page: that will tell whether the server is back.
        self._outage.leave(self, to=self.pages)
        return True

    def _serve(self) -> None:
        """Read until nobody waits any more."""
        with self._store.blocking_connection(self._key) as connection:
            self._connection, self._asked = connection, None
            try:
                while asked := self._ask():
                    positions = {key: one.position for key, one in asked.items()}
                    reply = connection.read(positions, self._count(len(asked)))
                    self._outage.over(self)
                    self._hear(asked, reply)
            finally:
                self._connection = None

    def _ask(self) -> Mapping[bytes, _Asked]:
        """Who waits for what: the same as before, unless somebody came or went."""
        with self._lock:
            self._is_stale = False
            if self._asked is None:
                by_key = dict[str, list[StreamCursor[Any]]]()
                for cursor in self._live:
                    by_key.setdefault(cursor.key, []).append(cursor)
                self._asked = {key.encode(): _Asked(cursors) for key, cursors in by_key.items()}
            return self._asked

    def _count(self, streams: int) -> int:
        return max(1, min(_MOST_ENTRIES, _READ_BYTES // (streams * self._largest)))

    def _hear(self, asked: Mapping[bytes, _Asked], reply: Iterable[tuple[bytes, Sequence[RawEntry]]]) -> None:
        largest = 1
        for key, entries in reply:
            largest = max(largest, *map(size_of, entries))
            for cursor in asked[key].cursors:
                self._give(cursor, entries)
            asked[key].move()
        self._largest = max(largest, self._largest // 2)

    def _give(self, cursor: StreamCursor[Any], entries: Sequence[RawEntry]) -> None:
        with self._lock:
            if cursor not in self._live:
                return
            standing = _taken(cursor, entries)
            if standing is not CursorState.LIVE:
                del self._live[cursor]
                self._asked = None
        if standing in (CursorState.BEHIND, CursorState.CLOSED):
            self._hand_back(cursor)

    def _let_go(self) -> None:
        for cursor in self._taken_out():
            self._hand_back(cursor)

    def _taken_out(self) -> list[StreamCursor[Any]]:
        with self._lock:
            live = list(self._live)
            self._live.clear()
            self._asked = None
        return live

    def _fail(self, error: Exception) -> None:
        """Nobody here gets any further."""
        failed = self._taken_out()
        if not isinstance(error, SessionLogError):
            logger.error("error=<%s> | a tail failed", frames_of(error))
        for cursor in failed:
            cursor.fail(error)
            self._hand_back(cursor)


class _Asked:
    """Those who wait for one stream, and where it is read on.

    Of several the last is asked for; the others pass over what they have.
    """

    __slots__ = ("cursors", "position")

    def __init__(self, cursors: Sequence[StreamCursor[Any]]) -> None:
        self.cursors = cursors
        self.move()

    def move(self) -> None:
        """Note where they are now."""
        self.position = b"%d-%d" % min(cursor.position for cursor in self.cursors)


def _taken(cursor: StreamCursor[Any], entries: Sequence[RawEntry]) -> CursorState:
    """What one makes of it is no trouble of the others."""
    try:
        return cursor.take(entries)
    except Exception as error:
        cursor.fail(error)
        return CursorState.CLOSED
