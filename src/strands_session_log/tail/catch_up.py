"""The thread that brings cursors to the end of their streams, and looks after those that wait there."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Any

from ..codec import RawEntry
from ..concurrency import WorkerThread
from ..errors import ServerRefusedError, SessionLogError
from ..errors.quoting import frames_of
from ..server import ANSWERED_WITHIN, Outage, Store, is_transient
from .blocking_reader import BlockingReader
from .cursor import CursorState, StreamCursor

logger = logging.getLogger(__name__)

_CHECK_EVERY = 1.0
"""Seconds after which a position at which nothing has come is looked at."""
_WAKE_EVERY = 0.002
_WAKES = 50
"""How often a blocking reader is woken in vain, its read being on the way still, before it is left to wake up."""


class CatchUpReader:
    """See `multiplexer`; begins with the first cursor and ends for good once there are none.

    Args:
        store: Where the streams are.
    """

    def __init__(self, store: Store) -> None:
        # Who follows waits for a server by itself, and for as long as it takes.
        self._store = store.with_retry_for(0, within=ANSWERED_WITHIN)
        self._outage = Outage("tail", store.keyspace.namespace)
        # Consumers and the garbage collector put cursors into it, in whatever they are interrupted: it takes no lock.
        self._inbox: SimpleQueue[StreamCursor[Any] | None] = SimpleQueue()
        self._lock, self._closing, self._has_ended = Lock(), Event(), False
        self._cursors: dict[StreamCursor[Any], None] = {}
        self._behind: dict[StreamCursor[Any], None] = {}
        self._readers: dict[int, BlockingReader] = {}
        self._to_wake: dict[BlockingReader, int] = {}
        self._seen: dict[StreamCursor[Any], tuple[int, int]] = {}
        self._landmarks: dict[StreamCursor[Any], RawEntry] = {}
        self._next_check = time.monotonic() + _CHECK_EVERY
        self._thread = WorkerThread("session-log-tails")

    def add(self, cursors: Iterable[StreamCursor[Any]]) -> bool:
        """Take care of these, too; False if the thread has ended, or stayed in the process this one was forked from."""
        with self._lock:
            if self._has_ended or self._thread.has_ended:
                return False
            for cursor in cursors:
                cursor.followed_by(self._inbox.put)
                cursor.resume()
            self._thread.start(self._run)
            return True

    def close(self, timeout: float) -> None:
        """End all tails, and wait for the threads."""
        self._closing.set()
        self._inbox.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            while not self._may_end():
                self._work()
        except Exception as failure:
            error = self._taken_amiss(failure, "all tails of a log failed")
        self._end(error)

    def _may_end(self) -> bool:
        with self._lock:
            self._has_ended = self._closing.is_set() or not (self._cursors or self._inbox.qsize())
            return self._has_ended

    def _taken_amiss(self, error: Exception, what: str) -> Exception | None:
        """What consumers are to hear of an error; nothing once all of it is closed, perhaps the client, too."""
        if self._closing.is_set():
            return None
        if not isinstance(error, SessionLogError):
            logger.error("error=<%s> | %s", frames_of(error), what)
        return error

    def _end(self, error: Exception | None) -> None:
        self._has_ended = True
        self._collect(0)
        for cursor in self._cursors:
            cursor.buffer.end(error)
        for reader in self._readers.values():
            reader.stop()
        deadline = time.monotonic() + _CHECK_EVERY
        for reader in self._readers.values():
            while not reader.join(_WAKE_EVERY) and time.monotonic() < deadline:
                reader.wake()
        self._outage.close()

    def _work(self) -> None:
        self._collect(self._idle_time())
        if pause := self._read():
            self._closing.wait(pause)
        self._wake()
        self._check()

    def _idle_time(self) -> float:
        """For how long nothing need be done."""
        if self._behind:
            return 0
        return _WAKE_EVERY if self._to_wake else max(0.0, self._next_check - time.monotonic())

    def _collect(self, timeout: float) -> None:
        """Take over all who want to be read for; let go all who do not any more."""
        with suppress(Empty):
            cursor = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            while True:
                if cursor is not None:
                    self._take_over(cursor)
                cursor = self._inbox.get_nowait()

    def _take_over(self, cursor: StreamCursor[Any]) -> None:
        self._reader(cursor).remove(cursor)
        if cursor.is_over:
            for where in (self._cursors, self._behind, self._seen, self._landmarks):
                where.pop(cursor, None)
        else:
            self._cursors[cursor] = self._behind[cursor] = None

    def _read(self) -> float:
        """A page for everybody who is behind; for how many seconds to wait for servers that are away."""
        away: dict[BlockingReader, float] = {}
        answered: set[BlockingReader] = set()
        for cursor in list(self._behind):
            reader = self._reader(cursor)
            if reader not in away:
                try:
                    standing = self._advanced(cursor)
                except Exception as error:
                    if not is_transient(error):
                        raise
                    away[reader] = self._outage.met(error, reader.pages)
                else:
                    self._go_on(cursor, reader, standing)
                    answered |= {reader} if standing is not CursorState.CLOSED else set()
        for reader in answered - away.keys():
            self._outage.over(reader.pages)
        return max(away.values(), default=0.0)

    def _go_on(self, cursor: StreamCursor[Any], reader: BlockingReader, standing: CursorState) -> None:
        if standing is not CursorState.BEHIND:
            del self._behind[cursor]
        if standing is CursorState.LIVE:
            self._note_landmarks([cursor])
            reader.add(cursor)
            self._to_wake[reader] = _WAKES
        elif standing is CursorState.CLOSED:
            self._take_over(cursor)

    def _advanced(self, cursor: StreamCursor[Any]) -> CursorState:
        if cursor.is_over:
            return CursorState.CLOSED
        try:
            return self._store.retrying(cursor.advance)
        except Exception as error:
            if is_transient(error):
                raise
            if (failed := self._taken_amiss(error, "a tail failed")) is None:
                cursor.buffer.end()
            else:
                cursor.fail(failed)
            return CursorState.CLOSED

    def _reader(self, cursor: StreamCursor[Any]) -> BlockingReader:
        slot = cursor.partition if self._store.is_cluster else 0
        if slot not in self._readers:
            self._readers[slot] = BlockingReader(self._store, cursor.key, self._inbox.put, self._outage)
        return self._readers[slot]

    def _wake(self) -> None:
        for reader, tries in list(self._to_wake.items()):
            if reader.wake() or tries == 0:
                del self._to_wake[reader]
            else:
                self._to_wake[reader] = tries - 1

    def _check(self) -> None:
        """Look at the positions at which nothing has come for a while, and where others were a while ago.

        Those that may not stand are read from.
        """
        if time.monotonic() < self._next_check:
            return
        for cursor in [cursor for cursor in self._cursors if cursor.is_over]:
            self._take_over(cursor)
        live = {cursor: cursor.position for reader in self._readers.values() for cursor in reader.live}
        idle = [cursor for cursor, position in live.items() if self._seen.get(cursor) == position]
        try:
            for cursor in self._stale(idle) if idle else ():
                if cursor.position == live[cursor]:
                    self._take_over(cursor)
            for cursor, lost in self._replaced([cursor for cursor in live if cursor not in idle]):
                cursor.doubt(lost)
                self._take_over(cursor)
            self._note_landmarks(live)
        except Exception as error:
            if not is_transient(error):
                raise
            # A read that blocks may not notice.
            self._outage.met(error, self)
        self._leave_what_nobody_needs(live)
        self._seen = live
        self._next_check = time.monotonic() + _CHECK_EVERY

    def _leave_what_nobody_needs(self, live: Collection[StreamCursor[Any]]) -> None:
        """Where nothing is asked any more, nothing will tell that the server is back."""
        if not live:
            self._outage.leave(self)
        followed = set(map(self._reader, self._cursors))
        for reader in self._readers.values():
            if reader not in followed:
                self._outage.leave(reader.pages)

    def _stale(self, idle: Sequence[StreamCursor[Any]]) -> list[StreamCursor[Any]]:
        """Those that do not stand at the end of what is there, or of which it is not certain; one round trip."""
        probes = [(cursor, cursor.probe()) for cursor in idle]
        replies = iter(self._asked([command for _, asked in probes for command in asked]))
        answered = [(cursor, [next(replies) for _ in asked]) for cursor, asked in probes]
        return [cursor for cursor, found in answered if not _stands(cursor, found)]

    def _note_landmarks(self, cursors: Iterable[StreamCursor[Any]]) -> None:
        for cursor in cursors:
            if landmark := cursor.landmark:
                self._landmarks[cursor] = landmark
            else:
                self._landmarks.pop(cursor, None)

    def _replaced(self, moving: Sequence[StreamCursor[Any]]) -> list[tuple[StreamCursor[Any], RawEntry]]:
        """Those at which something comes all the time, and what they had read that is not there any more; one trip."""
        asked = [(cursor, self._landmarks[cursor]) for cursor in moving if cursor in self._landmarks]
        commands = [("XRANGE", cursor.key, landmark[0], landmark[0]) for cursor, landmark in asked]
        replies = self._asked(commands) if commands else ()
        return [one for one, found in zip(asked, replies, strict=True) if not _is_there(one[1], found)]

    def _asked(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        try:
            replies = self._store.pipeline(commands, is_lenient=True)
        except ServerRefusedError as error:
            if is_transient(error):
                raise
            # Each hears of it that is read from; it is no trouble of the others.
            return [error] * len(commands)
        self._outage.over(self)
        return replies


def _is_there(landmark: RawEntry, found: Any) -> bool:
    """An error is told when one reads on."""
    return isinstance(found, Exception) or bool(found and list(found[0][1]) == list(landmark[1]))


def _stands(cursor: StreamCursor[Any], replies: Sequence[Any]) -> bool:
    """What one finds there is no trouble of the others: it is told when that one is read from."""
    if any(isinstance(reply, Exception) for reply in replies):
        return False
    try:
        return cursor.is_current(replies)
    except ValueError:
        return False
