"""Writes what a recorder saw, in order, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from .. import events, replay
from ..errors import ConcurrentWriteError, EncodingError, SessionLogError
from ..event_log import EventLog
from ..lifecycle import Journal
from ..state import AgentState, initial

logger = logging.getLogger(__name__)

Step: TypeAlias = Callable[[Journal], None]
"""Something that happened, to be put in line once it is known where the agent's transcript stands."""

_BATCH = 256
_PAUSE = 1.0
_MAX_CONFLICTS = 10


class RecorderStats(NamedTuple):
    """What became of the things a recorder saw.

    Attributes:
        recorded: In the log.
        waiting: Not written yet.
        lost: Given up: the buffer was full, or a value could not be stored.
        last_error: Why something was not written, the last time; empty when everything was.
    """

    recorded: int
    waiting: int
    lost: int
    last_error: str


class Worker:
    """The writing half of a recorder, for one agent.

    Args:
        log: Where to.
        session_id: The session.
        agent_id: The agent.
        buffer: How many steps may wait; more are lost, and the gap is told once there is room again.
    """

    def __init__(self, log: EventLog, session_id: str, agent_id: str, buffer: int) -> None:
        self._log, self._session_id, self._agent_id, self._buffer = log, session_id, agent_id, buffer
        self._steps: deque[Step] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._state = initial()
        self._closing = self._busy = False
        self._recorded = self._lost = self._untold = 0
        self._since = self._gap_reason = self._last_error = ""

    @property
    def stats(self) -> RecorderStats:
        """What became of what was seen so far."""
        with self._changed:
            return RecorderStats(self._recorded, len(self._steps), self._lost, self._last_error)

    def put(self, step: Step) -> None:
        """Take a step, or count it as lost when the buffer is full. Never waits for the network."""
        with self._changed:
            if len(self._steps) >= self._buffer:
                self._count_lost("the buffer is full")
                return
            if self._untold:
                self._steps.append(self._gap())
            self._steps.append(step)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="session-recorder", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def lose(self, error: Exception) -> None:
        """Count something that could not even be taken."""
        with self._changed:
            self._count_lost(f"{type(error).__name__}: {error}")

    def flush(self, timeout: float) -> bool:
        """Wait until everything seen so far is written; returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._steps and not self._busy, timeout)

    def close(self) -> None:
        """Stop trying; what waits is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> list[Step]:
        """The next steps; they stay in the buffer until they are written. Empty when it is time to go."""
        with self._changed:
            self._changed.wait_for(lambda: self._steps or self._closing)
            self._busy = bool(self._steps) and not self._closing
            return [] if self._closing else list(self._steps)[:_BATCH]

    def _write(self, batch: list[Step]) -> None:
        conflicts = 0
        journal: Journal | None = None
        while not self._closing:
            try:
                journal = journal or self._prepared(batch)
                journal.flush()
                return self._done(batch)
            except ConcurrentWriteError as error:
                # Someone else wrote this agent's messages: ours come after them, whatever they are.
                journal, conflicts = None, conflicts + 1
                if conflicts > _MAX_CONFLICTS:
                    return self._give_up(batch, error)
            except SessionLogError as error:
                self._wait_after(error)
        return None

    def _prepared(self, batch: list[Step]) -> Journal:
        self._state = replay.catch_up(self._log, self._session_id, self._state)
        known = self._state.agents.get(self._agent_id) or AgentState(self._agent_id)
        journal = Journal(self._log, self._session_id, known, fenced=False, remembers=True)
        for step in batch:
            try:
                step(journal)
            except EncodingError as error:
                self.lose(error)
        journal.queue()
        return journal

    def _done(self, batch: list[Step]) -> None:
        with self._changed:
            for _ in batch:
                self._steps.popleft()
            self._recorded += len(batch)
            self._last_error = ""
            if self._untold:
                self._steps.append(self._gap())

    def _give_up(self, batch: list[Step], error: Exception) -> None:
        with self._changed:
            for _ in batch:
                self._steps.popleft()
                self._count_lost(str(error))

    def _wait_after(self, error: SessionLogError) -> None:
        with self._changed:
            self._tell(str(error))
            self._changed.wait_for(lambda: self._closing, _PAUSE)

    def _count_lost(self, reason: str) -> None:
        self._lost, self._untold = self._lost + 1, self._untold + 1
        self._since, self._gap_reason = self._since or events.now(), self._gap_reason or reason
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        """Log the first of a row of failures; the rest is counted."""
        if not self._last_error:
            logger.warning("session_id=<%s>, reason=<%s> | recording is behind", self._session_id, reason)
        self._last_error = reason

    def _gap(self) -> Step:
        data = {"lost": self._untold, "since": self._since, "error": self._gap_reason}
        self._untold, self._since, self._gap_reason = 0, "", ""
        gap = events.RecordingGap(data, self._agent_id)
        return lambda journal: journal.queue([gap])
