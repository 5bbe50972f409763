"""What a forwarder has sent, as Prometheus metrics; how far behind it is, the exporter tells of its group."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .receiver import Answer, Verdict

PREFIX = "strands_session_log_forward"
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)


class ForwardMetrics:
    """The metrics of one forwarder.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        about = "Answers of the receiver, and requests without one, by what they mean."
        self._answers = Counter(f"{PREFIX}_answers", about, ["verdict"], registry=registry)
        about = "Events whose attempt was settled, by what became of them."
        self._events = Counter(f"{PREFIX}_events", about, ["outcome"], registry=registry)
        about = "Time the receiver took to answer."
        self._seconds = Histogram(f"{PREFIX}_answer_seconds", about, registry=registry, buckets=_BUCKETS)
        about = "Whether the receiver takes nothing for now."
        self._away = Gauge(f"{PREFIX}_receiver_away", about, registry=registry)
        about = "When the receiver last took an event."
        self._newest = Gauge(f"{PREFIX}_last_success_timestamp_seconds", about, registry=registry)
        for verdict in Verdict:
            self._answers.labels(verdict.value)
        for outcome in ("delivered", "failed", "parked"):
            self._events.labels(outcome)

    def answered(self, answer: Answer, seconds: float) -> None:
        """The receiver has answered, or has not.

        Args:
            answer: What.
            seconds: How long that took.
        """
        self._answers.labels(answer.verdict.value).inc()
        self._seconds.observe(seconds)
        self._away.set(answer.verdict is Verdict.AWAY)
        if answer.verdict is Verdict.TAKEN:
            self._newest.set_to_current_time()

    def settled(self, outcome: str) -> None:
        """An attempt was settled."""
        self._events.labels(outcome).inc()
