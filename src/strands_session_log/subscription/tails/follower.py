"""The thread that brings watches to the end of their streams, and looks after those that wait there."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from valkey import ValkeyCluster

from ...codec import RawEntry
from ...errors import SessionLogError
from ...errors.quoting import frames_of
from ...server.border import ANSWERED_WITHIN, Client, insist, is_transient
from ...server.outage import Outage
from .lane import Lane
from .watch import CursorState, Watch

logger = logging.getLogger(__name__)

_CHECK_EVERY = 1.0
"""Seconds after which a position at which nothing has come is looked at."""
_WAKE_EVERY = 0.002
_WAKES = 50
"""How often a lane is woken in vain, because its read has not reached the server yet, before it is left to wake up."""


class Follower:
    """See `hub`; begins with the first watch and ends for good once there are none.

    Args:
        client: The client.
        name: What is followed, for the log.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._outage = client, Outage("tail", name)
        # Consumers and the garbage collector put watches into it, in whatever they are interrupted: it takes no lock.
        self._inbox: SimpleQueue[Watch[Any] | None] = SimpleQueue()
        self._lock, self._closing, self._has_ended = Lock(), Event(), False
        self._watches: dict[Watch[Any], None] = {}
        self._behind: dict[Watch[Any], None] = {}
        self._lanes: dict[int, Lane] = {}
        self._drowsy: dict[Lane, int] = {}
        self._seen: dict[Watch[Any], tuple[int, int]] = {}
        self._landmarks: dict[Watch[Any], RawEntry] = {}
        self._next_check = time.monotonic() + _CHECK_EVERY
        self._is_cluster = isinstance(client, ValkeyCluster)
        self._thread = Thread(target=self._run, name="session-log-tails", daemon=True)

    def welcome(self, watches: Iterable[Watch[Any]]) -> bool:
        """Take care of these, too; False if the thread has ended, or stayed in the process this one was forked from."""
        with self._lock:
            if self._has_ended or (self._thread.ident is not None and not self._thread.is_alive()):
                return False
            for watch in watches:
                watch.followed_by(self._inbox.put)
                watch.come_again()
            if self._thread.ident is None:
                self._thread.start()
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
            self._has_ended = self._closing.is_set() or not (self._watches or self._inbox.qsize())
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
        for watch in self._watches:
            watch.buffer.end(error)
        for lane in self._lanes.values():
            lane.stop()
        deadline = time.monotonic() + _CHECK_EVERY
        for lane in self._lanes.values():
            while not lane.join(_WAKE_EVERY) and time.monotonic() < deadline:
                lane.wake()
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
        return _WAKE_EVERY if self._drowsy else max(0.0, self._next_check - time.monotonic())

    def _collect(self, timeout: float) -> None:
        """Take over all who want to be read for; let go all who do not any more."""
        with suppress(Empty):
            watch = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            while True:
                if watch is not None:
                    self._take_over(watch)
                watch = self._inbox.get_nowait()

    def _take_over(self, watch: Watch[Any]) -> None:
        self._lane(watch).remove(watch)
        if watch.is_over:
            for where in (self._watches, self._behind, self._seen, self._landmarks):
                where.pop(watch, None)
        else:
            self._watches[watch] = self._behind[watch] = None

    def _read(self) -> float:
        """A page for everybody who is behind; for how many seconds to wait for servers that are away."""
        away: dict[Lane, float] = {}
        answered: set[Lane] = set()
        for watch in list(self._behind):
            lane = self._lane(watch)
            if lane not in away:
                try:
                    standing = self._advanced(watch)
                except Exception as error:
                    if not is_transient(error):
                        raise
                    away[lane] = self._outage.met(error, lane.pages)
                else:
                    self._go_on(watch, lane, standing)
                    answered |= {lane} if standing is not CursorState.OVER else set()
        for lane in answered - away.keys():
            self._outage.over(lane.pages)
        return max(away.values(), default=0.0)

    def _go_on(self, watch: Watch[Any], lane: Lane, standing: CursorState) -> None:
        if standing is not CursorState.BEHIND:
            del self._behind[watch]
        if standing is CursorState.LIVE:
            self._note_landmarks([watch])
            lane.add(watch)
            self._drowsy[lane] = _WAKES
        elif standing is CursorState.OVER:
            self._take_over(watch)

    def _advanced(self, watch: Watch[Any]) -> CursorState:
        if watch.is_over:
            return CursorState.OVER
        try:
            return insist(watch.advance, 0, within=ANSWERED_WITHIN)
        except Exception as error:
            if is_transient(error):
                raise
            if (failed := self._taken_amiss(error, "a tail failed")) is None:
                watch.buffer.end()
            else:
                watch.fail(failed)
            return CursorState.OVER

    def _lane(self, watch: Watch[Any]) -> Lane:
        slot = watch.partition if self._is_cluster else 0
        if slot not in self._lanes:
            self._lanes[slot] = Lane(self._client, watch.key, self._inbox.put, self._outage)
        return self._lanes[slot]

    def _wake(self) -> None:
        for lane, tries in list(self._drowsy.items()):
            if lane.wake() or tries == 0:
                del self._drowsy[lane]
            else:
                self._drowsy[lane] = tries - 1

    def _check(self) -> None:
        """Look at the positions at which nothing has come for a while, and where others were a while ago.

        Those that may not stand are read from.
        """
        if time.monotonic() < self._next_check:
            return
        for watch in [watch for watch in self._watches if watch.is_over]:
            self._take_over(watch)
        live = {watch: watch.position for lane in self._lanes.values() for watch in lane.live}
        idle = [watch for watch, position in live.items() if self._seen.get(watch) == position]
        try:
            for watch in self._fallen(idle) if idle else ():
                if watch.position == live[watch]:
                    self._take_over(watch)
            for watch, lost in self._replaced([watch for watch in live if watch not in idle]):
                watch.doubt(lost)
                self._take_over(watch)
            self._note_landmarks(live)
        except Exception as error:
            if not is_transient(error):
                raise
            # A read that blocks may not notice.
            self._outage.met(error, self)
        self._leave_what_nobody_needs(live)
        self._seen = live
        self._next_check = time.monotonic() + _CHECK_EVERY

    def _leave_what_nobody_needs(self, live: Collection[Watch[Any]]) -> None:
        """Where nothing is asked any more, nothing will tell that the server is back."""
        if not live:
            self._outage.leave(self)
        followed = set(map(self._lane, self._watches))
        for lane in self._lanes.values():
            if lane not in followed:
                self._outage.leave(lane.pages)

    def _fallen(self, idle: Sequence[Watch[Any]]) -> list[Watch[Any]]:
        """Those that do not stand at the end of what is there, or of which it is not certain; one round trip."""
        probes = [(watch, watch.probe()) for watch in idle]
        replies = iter(self._asked([command for _, asked in probes for command in asked]))
        answered = [(watch, [next(replies) for _ in asked]) for watch, asked in probes]
        return [watch for watch, found in answered if not _stands(watch, found)]

    def _note_landmarks(self, watches: Iterable[Watch[Any]]) -> None:
        for watch in watches:
            if landmark := watch.landmark:
                self._landmarks[watch] = landmark
            else:
                self._landmarks.pop(watch, None)

    def _replaced(self, moving: Sequence[Watch[Any]]) -> list[tuple[Watch[Any], RawEntry]]:
        """Those at which something comes all the time, and what they had read that is not there any more; one trip."""
        asked = [(watch, self._landmarks[watch]) for watch in moving if watch in self._landmarks]
        commands = [("XRANGE", watch.key, landmark[0], landmark[0]) for watch, landmark in asked]
        replies = self._asked(commands) if commands else ()
        return [one for one, found in zip(asked, replies, strict=True) if not _is_there(one[1], found)]

    def _asked(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        return insist(partial(self._ask, commands), 0, within=ANSWERED_WITHIN)

    def _ask(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            # What others have written may be any bytes, and is no trouble of whoever else is asked about.
            pipeline.execute_command(*command, NEVER_DECODE=True)
        replies = list(pipeline.execute(raise_on_error=False))
        self._outage.over(self)
        return replies


def _is_there(landmark: RawEntry, found: Any) -> bool:
    """An error is told when one reads on."""
    return isinstance(found, Exception) or bool(found and list(found[0][1]) == list(landmark[1]))


def _stands(watch: Watch[Any], replies: Sequence[Any]) -> bool:
    """What one finds there is no trouble of the others: it is told when that one is read from."""
    if any(isinstance(reply, Exception) for reply in replies):
        return False
    try:
        return watch.stands(replies)
    except ValueError:
        return False
