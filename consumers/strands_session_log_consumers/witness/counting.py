"""What a witness has done and found, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from .watching import Standing

PREFIX = "strands_session_log_witness"


class WitnessMetrics:
    """The metrics of one witness.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", help_, registry=registry)

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", help_, labels, registry=registry)

        self._broken = gauge("broken_sessions", "Sessions whose sealed history does not hold any more.")
        self._damaged = gauge("seals_damaged", "Whether the seals themselves are not what was sealed.")
        self._records = gauge("records", "Records that the log of seals has.")
        self._skipped = gauge("skipped_sessions", "Sessions that were not sealed: their head cannot be read.")
        self._newest = gauge("last_success_timestamp_seconds", "When a round was last carried out to its end.")
        self._unstamped = gauge("unstamped", "Whether the newest checkpoint has no time stamp, and is to have one.")
        self._rounds = counter("rounds", "Rounds, by how they ended.", "outcome")
        self._sealed = counter("sealed", "What was sealed: sessions that changed, and deletions.", "kind")
        self._checked = counter("checked_records", "Sealed records that were held against the sessions.")
        self._passes = gauge("passes", "How often all sealed records were held against the sessions.")
        for outcome in ("ok", "error"):
            self._rounds.labels(outcome)
        for kind in ("session", "deletion"):
            self._sealed.labels(kind)

    def count(self, standing: Standing) -> None:
        """A round that was carried out."""
        summary = standing.summary
        self._rounds.labels("ok").inc()
        self._newest.set_to_current_time()
        self._sealed.labels("session").inc(summary.sessions)
        self._sealed.labels("deletion").inc(summary.deletions)
        self._skipped.set(len(summary.skipped))
        self._records.set(summary.checkpoint.size if summary.checkpoint else 0)
        self._checked.inc(standing.checked)
        self._passes.set(standing.passes)
        self._broken.set(len(standing.broken))
        self._damaged.set(bool(standing.problems))
        self._unstamped.set(bool(standing.unstamped))

    def fail(self, is_damaged: bool) -> None:
        """A round that ended with an error.

        Args:
            is_damaged: Whether that is that the seals are not what was sealed.
        """
        self._rounds.labels("error").inc()
        if is_damaged:
            self._damaged.set(1)
