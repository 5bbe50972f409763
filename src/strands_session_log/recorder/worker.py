"""Writes what a recorder saw, in order, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count, islice, takewhile
from math import inf
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakSet

from ..concurrency import WorkerThread
from ..errors import ConcurrentWriteError, ServerRefusedError, SessionLogError, SessionLostError, UnknownOutcomeError
from ..errors.quoting import described
from ..event_log import EventLog, Life
from ..event_log.expected import follows
from ..instrumentation import RecordingBegunAnew
from ..instrumentation.hooks import hooks
from ..lifecycle import AgentOutbox
from ..lifecycle.facts import current_traceparent
from ..lifecycle.withheld import Withheld
from ..server import Outage, is_transient
from ..session_log import SessionLog
from ..state import AgentState, initial
from .losses import Losses, LossReport, RecorderStats

logger = logging.getLogger(__name__)

After: TypeAlias = Callable[[EventLog], None]
"""What has to be done once a step is written; it may have to be done again."""

Step: TypeAlias = "Callable[[AgentOutbox], After | None]"
"""Something that happened, to be put in line once it is known where the agent's transcript stands."""


class Seen(NamedTuple):
    """A step that waits.

    Attributes:
        step: The step.
        at: When it was taken, on the monotonic clock.
        begins: Whether a session may begin with it; else it belongs to what went before.
        span: The span it happened in.
    """

    step: Step
    at: float
    begins: bool = True
    span: str = ""


_BATCH = 256
_LEAST_BATCH = 8
_LONG = 2.5
"""Seconds: a batch that took longer is followed by a smaller one, so that one sees whether it goes on."""
_LOOKS, _LOOKING = 5, 0.1
"""How often at least, and for how many seconds, it is looked when a session was deleted."""
_TICK, _QUICK = 0.001, 0.003
"""Seconds: how exact a tombstone is, which says the millisecond that had begun, and how exact that need be."""
_IDLE = 5.0
"""Seconds without a step after which the thread ends; the next step starts another one."""
_PAUSE = 1.0
_SHORT_PAUSE = 0.05
_MAX_CONFLICTS = 10
_MAX_FAULTS = 3


class Attempt:
    """A batch of steps, prepared to be written.

    Attributes:
        outbox: Where they put in line what they have to tell.
        lost: Why steps could not be taken, one reason each.
        started: When it was carried out, or tried to be, the last time.
    """

    def __init__(self, outbox: AgentOutbox, batch: Sequence[Seen]) -> None:
        self.outbox, self._after, self.lost = outbox, list[After](), list[Exception]()
        self.started = 0.0
        for seen in batch:
            try:
                outbox.span_then = seen.span
                after = seen.step(outbox)
                self._after += [after] if after else []
            except Exception as error:
                self.lost.append(error)
        outbox.queue()

    def carry_out(self, log: EventLog) -> None:
        """Write; after an error, what is left."""
        self.started = time.monotonic()
        self.outbox.flush()
        while self._after:
            self._after[0](log)
            self._after.pop(0)

    def skip(self, error: Exception) -> bool:
        """Once the batch is written, give up only what it could not get done afterwards.

        Returns:
            Whether the batch is written.
        """
        if self.outbox.has_waiting or not self._after:
            return False
        self._after.pop(0)
        self.lost.append(error)
        return True


workers: WeakSet[Worker] = WeakSet()
"""Those of this process, also of recorders that nobody has any more: their threads hold them while something waits."""


class Worker:
    """The writing half of a recorder, for one agent.

    The thread outlives whatever goes wrong: what the log refuses for now is tried again, what nobody expects a few
    times, at the end step by step; then it is lost, which is counted and told. `leave` is the end: what cannot be
    written any more is told of first. Where its session was deleted, it begins a new one with what was seen since.

    Args:
        log: Where to; called in the thread, as it may have to connect.
        session_id: The session.
        agent_id: The agent.
        buffer: How many steps may wait; more are lost, and the gap is told once there is room again.

    Attributes:
        progress: How many steps are done with, written or lost: as long as it grows, it goes on.
    """

    def __init__(self, log: Callable[[], SessionLog], session_id: str, agent_id: str, buffer: int) -> None:
        self._log, self._session_id, self._agent_id, self._buffer = log, session_id, agent_id, buffer
        self._state = initial()
        self._life, self._is_lost = "", True
        self._content: Mapping[str, Any] = {}
        self._withheld: Withheld | None = None
        self.begin()
        workers.add(self)

    def begin(self) -> None:
        """Have nothing yet; also in a process that was forked, where what waits is the business of the one before."""
        self._steps: deque[Seen] = deque()
        self._written_at = 0.0
        self._losses = Losses(self._agent_id)
        self._changed = threading.Condition()
        self._thread = WorkerThread("session-recorder")
        self._closing = self._busy = self._tries_once = False
        self._leaving = ""
        self._batch = _BATCH
        self._recorded, self._trouble = 0, ""
        self.progress = self._left = 0
        self._outage = Outage("recorder", self._session_id)

    @property
    def stats(self) -> RecorderStats:
        """What became of what was seen so far."""
        with self._changed:
            last_error = self._trouble or self._losses.last_reason
            return RecorderStats(self._recorded, len(self._steps), self._losses.total, last_error)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is written any more, whatever waits."""
        return self._closing

    @property
    def has_given_up(self) -> bool:
        """Whether there was something that could not be written."""
        return bool(self._left)

    @property
    def is_done(self) -> bool:
        """Whether all that was seen is written, and told if it was lost."""
        with self._changed:
            return self._is_done()

    @property
    def goal(self) -> int:
        """Where `progress` will be once all that waits now is done with."""
        with self._changed:
            return self.progress + len(self._steps)

    @property
    def unwritten(self) -> int:
        """How many steps wait, or did when there was no more time for them."""
        with self._changed:
            return self._left + sum(not isinstance(seen.step, LossReport) for seen in self._steps)

    def put(self, step: Step, begins: bool = False) -> None:
        """Take a step, or count it as lost when the buffer is full. Never waits for the network."""
        with self._changed:
            if self._closing:
                self._lose("the recorder is closed")
            elif self._leaving and self._left:
                # Too late to be told: the gap is the last word.
                self._losses.drop(1, self._leaving)
                self._left += 1
            elif self._leaving:
                # The first: had all that waited been under way, nothing else would tell that there was more.
                self._lose(self._leaving)
                self._left += 1
            elif len(self._steps) >= self._buffer:
                self._lose("the buffer is full")
            else:
                self._queue_gap(again=True)
                self._steps.append(Seen(step, time.monotonic(), begins, current_traceparent()))
                self._wake()

    def lose(self, error: Exception) -> None:
        """Count something that could not even be taken."""
        with self._changed:
            self._lose(error)

    def flush(self, timeout: float) -> bool:
        """Wait until everything seen so far is written, and told if it was lost; returns whether it is."""
        with self._changed:
            self._queue_gap(again=True)
            self._wake()
            self._changed.wait_for(lambda: self._closing or not (self._steps or self._busy), timeout)
            return self._is_done()

    def leave(self, reason: str) -> None:
        """Give up what waits, and write that it is lost before anything else; nothing more is taken."""
        with self._changed:
            self._leaving = self._leaving or reason
            self._changed.notify_all()

    def write_here(self) -> None:
        """Write in the caller's thread until something fails, where no other can be started; then tell what is lost."""
        self._tries_once = True
        while batch := self._take(waits=False):
            self._write_and_tell(batch)

    def close(self) -> None:
        """Stop trying; what waits is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._outage.close()

    def _is_done(self) -> bool:
        return not (self._steps or self._busy or self._losses.untold)

    def _lose(self, reason: Exception | str) -> None:
        self._warn(reason)
        self._losses.count(reason)
        self._queue_gap(again=True)
        self._wake()

    def _queue_gap(self, again: bool = False) -> None:
        """Put what was lost in line to be told, if there is room."""
        if len(self._steps) < self._buffer and not self._closing and (gap := self._losses.gap(again)):
            self._steps.append(Seen(gap, time.monotonic()))

    def has_thread(self) -> bool:
        """Whether someone works on what waits; never an error: at exit there may be no more threads."""
        with self._changed:
            self._queue_gap(again=True)
            return self._wake()

    def _wake(self) -> bool:
        self._changed.notify_all()
        if not self._steps or self._closing or self._thread.is_alive:
            return True
        try:
            self._busy = False
            self._thread.start(self._run)
        except RuntimeError as error:
            self._warn(error)
            self._trouble = _text(error)
        return self._thread.is_alive

    def _run(self) -> None:
        while batch := self._take():
            started = time.monotonic()
            self._write_and_tell(batch)
            took_long = time.monotonic() - started > _LONG
            self._batch = max(_LEAST_BATCH, self._batch // 2) if took_long else min(_BATCH, self._batch * 2)

    def _take(self, waits: bool = True) -> list[Seen]:
        """The next steps; they stay in the buffer until they are written. Empty when it is time to go."""
        with self._changed:
            self._queue_gap()
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._steps or self._closing, _IDLE if waits else 0)
            if self._leaving and any(not isinstance(seen.step, LossReport) for seen in self._steps):
                self._lose_what_waits()
            self._busy = bool(self._steps) and not self._closing
            if not self._busy:
                self._thread.rest()
            return list(islice(self._steps, self._batch)) if self._busy else []

    def _lose_what_waits(self) -> None:
        """Only that it is lost is left to be written."""
        waiting, told = list(self._steps), [seen.step for seen in self._steps if isinstance(seen.step, LossReport)]
        self._forget(waiting)
        for gap in told:
            self._losses.put_back(gap)
        for _ in range(len(waiting) - len(told)):
            self._losses.count(self._leaving)
        self._left += len(waiting) - len(told)
        self._queue_gap(again=True)

    def _write_and_tell(self, batch: list[Seen]) -> None:
        """Write, and tell what is waited for meanwhile; given up or not, nothing is when that is over."""
        with self._outage.told_by(self):
            self._write(batch)
        self._outage.leave(self)

    def _write(self, batch: list[Seen]) -> None:
        attempt: Attempt | None = None
        conflicts = faults = 0
        while batch and self._has_time_for(batch):
            try:
                log = self._log()
                batch = batch if attempt else self._of_this_life(log, batch)
                if not batch:
                    return self._outage.leave(self)
                attempt = attempt or Attempt(self._outbox(log), batch)
                attempt.carry_out(log._events)
                return self._done(batch, attempt)
            except ConcurrentWriteError as error:
                # Someone else wrote this agent's messages: ours come after them, whatever they are.
                attempt, conflicts, self._is_lost = None, conflicts + 1, isinstance(error, SessionLostError)
                if conflicts > _MAX_CONFLICTS:
                    return self._give_up(batch, error)
            except SessionLogError as error:
                batch = self._left_after(error, batch)
            except Exception as error:
                faults += 1
                if self._is_hopeless(error, attempt, faults):
                    return self._give_up(batch, error)
        return None

    def _left_after(self, error: SessionLogError, batch: list[Seen]) -> list[Seen]:
        """What is to be tried again, once time may have cured it; nothing of what the server never takes."""
        if isinstance(error, ServerRefusedError) and error.is_too_large:
            self._give_up(batch, error)
            return []
        self._wait_after(error, self._pause_after(error))
        return batch

    def _is_hopeless(self, error: Exception, attempt: Attempt | None, faults: int) -> bool:
        """Whether an unexpected error stays; until then it is waited a moment for, and what can be left out is."""
        if faults < _MAX_FAULTS:
            self._wait_after(error, _SHORT_PAUSE)
            return False
        return attempt is None or not attempt.skip(error)

    def _pause_after(self, error: SessionLogError) -> float:
        away = error.__cause__ if isinstance(error, UnknownOutcomeError) else error
        if isinstance(away, Exception) and is_transient(away):
            return self._outage.met(away, self)
        if isinstance(error, ServerRefusedError) and self._outage.over(self):
            # It is not away any more, and why it refuses for good has not been told.
            with self._changed:
                self._trouble = ""
        return _PAUSE

    def _has_time_for(self, batch: Sequence[Seen]) -> bool:
        return not self._closing and (not self._leaving or isinstance(batch[0].step, LossReport))

    def _outbox(self, log: SessionLog) -> AgentOutbox:
        self._state = log._replay.catch_up(self._session_id, self._state)
        known = self._state.agents.get(self._agent_id) or AgentState(self._agent_id)
        outbox = partial(AgentOutbox, log._events, self._session_id, known, fenced="", remembers=True, keeps_all=True)
        return outbox(life=self._life, withheld=self._withheld)

    def _of_this_life(self, log: SessionLog, batch: list[Seen]) -> list[Seen]:
        """What of a batch is to be written to the session there is: not what was seen before it was deleted."""
        if self._is_lost:
            self._look(log)
        if self._withheld is not None and self._life.startswith(" "):
            # It has not begun anew, which nothing but somebody's words, or a call, should bring about.
            with self._changed:
                self._drop(list(takewhile(lambda seen: not seen.begins, self._steps)))
        with self._changed:
            waiting = set(map(id, self._steps))
            return [seen for seen in batch if id(seen) in waiting]

    def _look(self, log: SessionLog) -> None:
        """Find out which session there is, and give up what belongs to one that was deleted."""
        found, deleted_at = _life(log, self._session_id)
        self._outage.over(self)
        before, self._life, self._is_lost = self._life, found.name, False
        is_another = bool(before) and before != found.name and not follows(found.name, before)
        if is_another:
            deleted_at = max(deleted_at, self._written_at)
        with self._changed:
            old = [seen for seen in self._steps if seen.at < deleted_at]
            if is_another or (old and not before):
                self._begin_anew(old)

    def _begin_anew(self, old: Sequence[Seen]) -> None:
        self._withheld = Withheld(self._content, self._withheld)
        self._state = initial()
        self._drop(old)
        logger.warning(
            "session_id=<%s>, agent_id=<%s>, dropped=<%d> | the session was deleted or lost, recording begins anew",
            self._session_id,
            self._agent_id,
            len(old),
        )
        hooks.tell(RecordingBegunAnew(len(old)))

    def _drop(self, seen: Sequence[Seen]) -> None:
        """Lose steps without a word in the log: a session that was deleted has no gaps."""
        gone = set(map(id, seen))
        self._steps = deque(one for one in self._steps if id(one) not in gone)
        self._losses.drop(sum(not isinstance(one.step, LossReport) for one in seen), "the session was deleted")
        self.progress += len(seen)

    def _done(self, batch: Sequence[Seen], attempt: Attempt) -> None:
        self._outage.over(self)
        with self._changed:
            self._forget(batch)
            self._trouble, self._written_at = "", attempt.started
            self._life, self._content = attempt.outbox.life or self._life, attempt.outbox.content
            self._recorded += len(batch) - len(attempt.lost)
            for error in attempt.lost:
                self._warn(error)
                self._losses.count(error)

    def _give_up(self, batch: list[Seen], error: Exception) -> None:
        """One step may be to blame for the whole batch."""
        if len(batch) > 1:
            for seen in batch:
                if self._steps and self._steps[0] is seen:
                    self._write([seen])
            return
        with self._changed:
            self._warn(error)
            self._forget(batch)
            self._trouble = ""
            if isinstance(gap := batch[0].step, LossReport):
                self._losses.put_back(gap)
            else:
                self._losses.count(error)

    def _forget(self, batch: Sequence[Seen]) -> None:
        for _ in batch:
            self._steps.popleft()
        self.progress += len(batch)

    def _wait_after(self, error: Exception, seconds: float) -> None:
        with self._changed:
            self._warn(error)
            self._trouble = _text(error)
            if self._tries_once:
                self._closing, self._leaving = bool(self._leaving), self._leaving or _text(error)
            last_word = isinstance(self._steps[0].step, LossReport)
            self._changed.wait_for(lambda: self._closing or (self._leaving and not last_word), seconds)

    def _warn(self, reason: Exception | str) -> None:
        """Log the first of a row of failures; the rest is counted."""
        if not self._trouble and not self._losses.untold and not self._leaving:
            why = described(reason) if isinstance(reason, Exception) else reason
            logger.warning("session_id=<%s>, reason=<%s> | recording is behind", self._session_id, why)


def _life(log: SessionLog, session_id: str) -> tuple[Life, float]:
    """Which session there is, and when the last of its id was deleted, on the monotonic clock; 0 if none was.

    The server says how long ago that was as of some moment between question and answer, so each answer narrows it down;
    a first one may have waited for a connection. Where that gets as exact as a deletion's milliseconds the earliest
    moment counts; else the latest: rather what was said since is lost, and counted, than what was deleted comes back.
    """
    earliest, latest, until = -inf, inf, time.monotonic() + _LOOKING
    for look in count(1):
        asked, found, answered = time.monotonic(), log._events.life(session_id), time.monotonic()
        if found.deleted_ago is None:
            return found, 0.0
        earliest = max(earliest, asked - found.deleted_ago)
        latest = min(latest, answered - found.deleted_ago + _TICK)
        if latest - earliest < _QUICK:
            return found, earliest
        if look >= _LOOKS and answered > until:
            break
    return found, latest


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
