"""What an indexer has done, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from .indexer import IndexSummary

PREFIX = "strands_session_log_index"


class IndexMetrics:
    """The metrics of one indexer.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", help_, registry=registry)

        self._messages = counter("messages", "Messages that were added to the index.")
        self._sessions = counter("sessions", "Times that a session was read for the index.")
        self._removed = counter("removed_sessions", "Sessions that were removed from the index.")
        self._seconds = counter("busy_seconds", "Time that indexing took.")
        self._troubles = counter("troubles", "Times that indexing stopped, to be tried again.")
        about = "Sessions that could not be read wholly, when something was last indexed."
        self._unreadable = Gauge(f"{PREFIX}_unreadable_sessions", about, registry=registry)
        about = "Whether something that was removed still has to go from where the index is kept."
        self._unscrubbed = Gauge(f"{PREFIX}_unscrubbed", about, registry=registry)
        about = "When the index was last known to be in step with the log."
        self._newest = Gauge(f"{PREFIX}_last_success_timestamp_seconds", about, registry=registry)

    def count(self, summary: IndexSummary) -> None:
        """What was indexed, or that there was nothing to be."""
        self._newest.set_to_current_time()
        self._unscrubbed.set(not summary.is_scrubbed)
        if summary.sessions:
            self._messages.inc(summary.messages)
            self._sessions.inc(summary.sessions)
            self._removed.inc(summary.removed)
            self._seconds.inc(summary.seconds)
            self._unreadable.set(summary.unreadable)

    def fail(self) -> None:
        """Indexing stopped, and is tried again."""
        self._troubles.inc()
