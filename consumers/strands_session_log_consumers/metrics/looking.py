"""Asking the server how things are, from time to time, in a thread: a server that hangs must not hang a scrape."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from threading import Event, Thread

from strands_session_log import GroupStatus, ServerReport, SessionLog, errors

logger = logging.getLogger(__name__)

ACTIVE = "-5m"
"""A session is active as long as its last event is no older, by the server's clock."""

_LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
_IMPATIENT = 0.5
_STALE_AFTER = 3
"""Looks that may fail or hang before what was seen last does not count any more."""
_SILENT_AFTER = 2.0
"""Seconds without an answer after which the server is away."""


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

    Whether the server answers at all is asked twice a second, by another thread: a look may take its time.

    Args:
        log: The log.
        group: The group.
        every: Seconds between two looks.
    """

    def __init__(self, log: SessionLog, group: str, every: float = 5.0) -> None:
        self._log, self._group, self._every = log, group, every
        self._last: Look | None = None
        self._answered_at = time.monotonic()
        self._stopped = Event()
        threads = {"session-log-lookout": self._run, "session-log-ping": self._ping}
        self._threads = [Thread(target=run, name=name, daemon=True) for name, run in threads.items()]

    @property
    def latest(self) -> Look | None:
        """What was seen last; None when that is too long ago to be true, or the server does not answer."""
        last, now = self._last, time.monotonic()
        if last is None or now - last.at > _STALE_AFTER * self._every or now - self._answered_at > _SILENT_AFTER:
            return None
        return last

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more; one that hangs is not waited for."""
        self._stopped.set()

    def _ping(self) -> None:
        while not self._stopped.is_set():
            with suppress(errors.SessionLogError):
                # Of a cluster it asks all nodes that serve a partition.
                self._log.count_sessions(_LONG_AGO)
                self._answered_at = time.monotonic()
            self._stopped.wait(_IMPATIENT)

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
            look = Look(time.monotonic(), self._log.groups(), self._log.servers(), active)
        except errors.SessionLogError as error:
            if was_well:
                logger.warning("error=<%s> | the server cannot be asked how it is", error)
            return None
        if not was_well:
            logger.warning("the server tells how it is again")
        return look
