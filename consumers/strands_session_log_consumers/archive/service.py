"""The archiver as a service: one sweep after the other, and what came of them as metrics and log lines."""

from __future__ import annotations

import logging
import time
from collections import Counter as Counts
from collections.abc import Callable
from threading import Event

from prometheus_client import CollectorRegistry, Counter, Gauge

from strands_session_log import SessionLog
from strands_session_log.errors import SessionLogError

from .archiver import TROUBLE, Archived, Outcome
from .session_archive import SessionArchive
from .settings import ArchiveSettings
from .sweep import Sweep

logger = logging.getLogger(__name__)

PREFIX = "strands_session_log_archive"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class ArchiveMetrics:
    """What an archiver has done.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        about = "Sessions whose turn came, by what became of them."
        self._sessions = Counter(f"{PREFIX}_sessions", about, ["outcome"], registry=registry)
        self._bytes = Counter(f"{PREFIX}_bytes", "Bytes of bundles that were written.", registry=registry)
        self._removed = Counter(f"{PREFIX}_removed", "Bundles that were removed.", registry=registry)
        self._failed = Counter(f"{PREFIX}_failed_sweeps", "Sweeps that came to no end.", registry=registry)
        about = "When the last sweep came to its end."
        self._swept_at = Gauge(f"{PREFIX}_last_sweep_timestamp_seconds", about, registry=registry)
        about = "Sessions that the last whole sweep could not archive, or not as they are."
        self._troubled = Gauge(f"{PREFIX}_troubled_sessions", about, registry=registry)
        for outcome in Outcome:
            self._sessions.labels(outcome.value)

    def add(self, archived: Archived) -> None:
        """Count a session."""
        self._sessions.labels(archived.outcome.value).inc()
        self._removed.inc(archived.removed)
        if archived.session is not None and archived.outcome is not Outcome.THERE:
            self._bytes.inc(archived.session.size)

    def swept(self, counts: Counts[Outcome]) -> None:
        """Count a sweep that came to its end."""
        self._swept_at.set(time.time())
        self._troubled.set(sum(counts[outcome] for outcome in TROUBLE))

    def failed(self) -> None:
        """Count one that did not."""
        self._failed.inc()


class ArchiveService:
    """Archives what is due, and does so again.

    Args:
        log: The log.
        archive: Where to.
        settings: What is archived, and what is dropped.
        registry: Of its metrics.
        tell: Told what became of each session.
        stopping: Set to end it after the session that is being archived.
    """

    def __init__(
        self,
        log: SessionLog,
        archive: SessionArchive,
        settings: ArchiveSettings,
        registry: CollectorRegistry | None = None,
        tell: Callable[[Archived], object] = lambda archived: None,
        stopping: Event | None = None,
    ) -> None:
        self._log, self._archive, self._settings, self._tell = log, archive, settings, tell
        self._metrics = ArchiveMetrics(registry or CollectorRegistry())
        self.stopping = stopping or Event()

    def stop(self) -> None:
        """End after the session that is being archived."""
        self.stopping.set()

    def sweep(self, dry_run: bool = False) -> Counts[Outcome]:
        """One sweep, to its end or until it is stopped: how many sessions became what.

        Raises:
            ArchiveUnavailableError: When the archive cannot be reached; and what the log raises.
        """
        counts = Counts[Outcome]()
        for archived in Sweep(self._log, self._archive, self._settings, self.stopping.is_set).run(dry_run):
            counts[archived.outcome] += 1
            if not dry_run:
                self._metrics.add(archived)
                _log_line(archived)
            self._tell(archived)
        if not self.stopping.is_set() and not dry_run:
            self._metrics.swept(counts)
        return counts

    def run(self, every: float) -> None:
        """Sweep every so many seconds until stopped; what fails is tried again sooner, with growing pauses."""
        pause = _FIRST_PAUSE
        while not self.stopping.is_set():
            try:
                self.sweep()
            except (SessionLogError, OSError) as error:
                # Among the latter, no room for the file that a bundle is written to first.
                self._metrics.failed()
                logger.warning("error=<%s>, again_in=<%.0f s> | the sweep ended", error, min(pause, every))
                self.stopping.wait(min(pause, every))
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self.stopping.wait(every)


def _log_line(archived: Archived) -> None:
    level = logging.ERROR if archived.outcome in TROUBLE else logging.INFO
    told = archived.session_id, archived.outcome.value, archived.why
    logger.log(level, "session_id=<%s>, outcome=<%s>, why=<%s> | archiver", *told)
