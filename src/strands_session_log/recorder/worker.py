"""Writes what a recorder saw, in order, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeAlias

from ..errors import ConcurrentWriteError, SessionLogError
from ..errors.quoting import described
from ..event_log import EventLog
from ..lifecycle import Journal
from ..session_log import SessionLog
from ..state import AgentState, initial
from .losses import Gap, Losses, RecorderStats

logger = logging.getLogger(__name__)

After: TypeAlias = Callable[[EventLog], None]
"""What has to be done once a step is written; it may have to be done again."""

Step: TypeAlias = "Callable[[Journal], After | None]"
"""Something that happened, to be put in line once it is known where the agent's transcript stands."""

_BATCH = 256
_PAUSE = 1.0
_SHORT_PAUSE = 0.05
_MAX_CONFLICTS = 10
_MAX_FAULTS = 3


class Attempt:
    """A batch of steps, prepared to be written.

    Args:
        journal: Where they put in line what they have to tell.
        batch: The steps.

    Attributes:
        lost: Why steps could not be taken, one reason each.
    """

    def __init__(self, journal: Journal, batch: Sequence[Step]) -> None:
        self._journal, self._after, self.lost = journal, list[After](), list[Exception]()
        for step in batch:
            try:
                after = step(journal)
                self._after += [after] if after else []
            except Exception as error:
                self.lost.append(error)
        journal.queue()

    def carry_out(self, log: EventLog) -> None:
        """Write; after an error, what is left."""
        self._journal.flush()
        while self._after:
            self._after[0](log)
            self._after.pop(0)

    def skip(self, error: Exception) -> bool:
        """Once the batch is written, give up only what it could not get done afterwards.

        Returns:
            Whether the batch is written.
        """
        if self._journal.has_waiting or not self._after:
            return False
        self._after.pop(0)
        self.lost.append(error)
        return True


class Worker:
    """The writing half of a recorder, for one agent.

    The thread outlives whatever goes wrong: what the log refuses for now is tried again, what nobody expects a few
    times, at the end step by step; then it is lost, which is counted and told.

    Args:
        log: Where to; called in the thread, as it may have to connect.
        session_id: The session.
        agent_id: The agent.
        buffer: How many steps may wait; more are lost, and the gap is told once there is room again.
    """

    def __init__(self, log: Callable[[], SessionLog], session_id: str, agent_id: str, buffer: int) -> None:
        self._log, self._session_id, self._agent_id, self._buffer = log, session_id, agent_id, buffer
        self._steps: deque[Step] = deque()
        self._losses = Losses(agent_id)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._state = initial()
        self._closing = self._busy = False
        self._recorded, self._trouble = 0, ""

    @property
    def stats(self) -> RecorderStats:
        """What became of what was seen so far."""
        with self._changed:
            last_error = self._trouble or self._losses.last_reason
            return RecorderStats(self._recorded, len(self._steps), self._losses.total, last_error)

    def put(self, step: Step) -> None:
        """Take a step, or count it as lost when the buffer is full. Never waits for the network."""
        with self._changed:
            if self._closing:
                self._lose("the recorder is closed")
            elif len(self._steps) >= self._buffer:
                self._lose("the buffer is full")
            else:
                self._queue_gap(again=True)
                self._steps.append(step)
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
            return not (self._steps or self._busy or self._losses.untold)

    def close(self) -> None:
        """Stop trying; what waits is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _lose(self, reason: Exception | str) -> None:
        self._warn(reason)
        self._losses.count(reason)
        self._queue_gap(again=True)
        self._wake()

    def _queue_gap(self, again: bool = False) -> None:
        """Put what was lost in line to be told, if there is room."""
        if len(self._steps) < self._buffer and not self._closing and (gap := self._losses.gap(again)):
            self._steps.append(gap)

    def _wake(self) -> None:
        """See to it that someone works; never an error, as at exit there may be no more threads."""
        try:
            if self._steps and not self._closing and not (self._thread and self._thread.is_alive()):
                self._busy = False
                self._thread = threading.Thread(target=self._run, name="session-recorder", daemon=True)
                self._thread.start()
        except RuntimeError as error:
            self._warn(error)
            self._trouble = _text(error)
        self._changed.notify_all()

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)
            with self._changed:
                self._queue_gap()
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> list[Step]:
        """The next steps; they stay in the buffer until they are written. Empty when it is time to go."""
        with self._changed:
            self._changed.wait_for(lambda: self._steps or self._closing)
            self._busy = bool(self._steps) and not self._closing
            return [] if self._closing else list(islice(self._steps, _BATCH))

    def _write(self, batch: list[Step]) -> None:
        attempt: Attempt | None = None
        conflicts = faults = 0
        while not self._closing:
            try:
                log = self._log()
                attempt = attempt or Attempt(self._journal(log), batch)
                attempt.carry_out(log.events)
                return self._done(batch, attempt.lost)
            except ConcurrentWriteError as error:
                # Someone else wrote this agent's messages: ours come after them, whatever they are.
                attempt, conflicts = None, conflicts + 1
                if conflicts > _MAX_CONFLICTS:
                    return self._give_up(batch, error)
            except SessionLogError as error:
                self._wait_after(error, _PAUSE)
            except Exception as error:
                faults += 1
                if faults < _MAX_FAULTS:
                    self._wait_after(error, _SHORT_PAUSE)
                elif attempt is None or not attempt.skip(error):
                    return self._give_up(batch, error)
        return None

    def _journal(self, log: SessionLog) -> Journal:
        self._state = log.replay.catch_up(self._session_id, self._state)
        known = self._state.agents.get(self._agent_id) or AgentState(self._agent_id)
        return Journal(log.events, self._session_id, known, fenced=False, remembers=True)

    def _done(self, batch: Sequence[Step], lost: Sequence[Exception]) -> None:
        with self._changed:
            self._forget(batch)
            self._trouble = ""
            self._recorded += len(batch) - len(lost)
            for error in lost:
                self._warn(error)
                self._losses.count(error)

    def _give_up(self, batch: list[Step], error: Exception) -> None:
        """One step may be to blame for the whole batch."""
        if len(batch) > 1:
            for step in batch:
                self._write([step])
            return
        with self._changed:
            self._warn(error)
            self._forget(batch)
            self._trouble = ""
            if isinstance(batch[0], Gap):
                self._losses.put_back(batch[0])
            else:
                self._losses.count(error)

    def _forget(self, batch: Sequence[Step]) -> None:
        for _ in batch:
            self._steps.popleft()

    def _wait_after(self, error: Exception, seconds: float) -> None:
        with self._changed:
            self._warn(error)
            self._trouble = _text(error)
            self._changed.wait_for(lambda: self._closing, seconds)

    def _warn(self, reason: Exception | str) -> None:
        """Log the first of a row of failures; the rest is counted."""
        if not self._trouble and not self._losses.untold:
            why = described(reason) if isinstance(reason, Exception) else reason
            logger.warning("session_id=<%s>, reason=<%s> | recording is behind", self._session_id, why)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
