"""Asking the server how things are, from time to time, in a thread: a server that hangs must not hang a scrape."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread

from strands_session_log import GroupStatus, ServerReport, SessionLog, errors

logger = logging.getLogger(__name__)

ACTIVE = "-5m"
"""A session is active as long as its last event is no older, by the server's clock."""

_IMPATIENT = 0.5
_STALE_AFTER = 3
"""Looks that may fail or hang before what was seen last does not count any more."""


@dataclass(frozen=True, slots=True)
class Look:
    """How things were.

    Attributes:
        at: When, on this process's monotonic clock, in seconds.
        groups: Where the consumer groups stand, one entry for each and each partition.
        servers: What the servers said about themselves.
        active_sessions: How many sessions had an event in the last five minutes.
    """

    at: float
    groups: Sequence[GroupStatus]
    servers: Sequence[ServerReport]
    active_sessions: int

    def has(self, group: str, partitions: int) -> bool:
        """Whether it tells where a group stands, in all of so many partitions: a group begins in each on its own."""
        return sum(status.group == group for status in self.groups) == partitions


class Lookout:
    """Looks at a log every few seconds; more often as long as there is no answer, or a group is missing in it.

    Args:
        log: The log.
        group: The group.
        every: Seconds between two looks.
    """

    def __init__(self, log: SessionLog, group: str, every: float = 5.0) -> None:
        self._log, self._group, self._every = log, group, every
        self._last: Look | None = None
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="session-log-lookout", daemon=True)

    @property
    def latest(self) -> Look | None:
        """What was seen last; None when that is too long ago to be true."""
        last = self._last
        if last is None or time.monotonic() - last.at > _STALE_AFTER * self._every:
            return None
        return last

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; one that hangs is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        was_well = True
        while not self._stopped.is_set():
            look = self._look(was_well)
            was_well, self._last = look is not None, look or self._last
            is_whole = look is not None and look.has(self._group, self._log.partitions)
            self._stopped.wait(self._every if is_whole else min(self._every, _IMPATIENT))

    def _look(self, was_well: bool) -> Look | None:
        try:
            active = self._log.count_sessions(ACTIVE)
            return Look(time.monotonic(), self._log.groups(), self._log.servers(), active)
        except errors.SessionLogError as error:
            if was_well:
                logger.warning("error=<%s> | the server cannot be asked how it is", error)
            return None
