"""Which metrics there are, taken from the code that registers them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from strands_session_log.instrumentation.prometheus import prometheus_hook
from strands_session_log_consumers.forward.counting import ForwardMetrics
from strands_session_log_consumers.metrics.counting import Conversations
from strands_session_log_consumers.metrics.state import State
from strands_session_log_consumers.search.counting import IndexMetrics
from strands_session_log_consumers.witness.counting import WitnessMetrics

_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


class MetricInfo(NamedTuple):
    """A metric as it is registered."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def shown_name(self) -> str:
        """What one calls it: as its series are called, or their common beginning."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def series(self) -> set[str]:
        """The names of its series."""
        return {self.name + suffix for suffix in _SUFFIXES[self.kind]}

    @property
    def row(self) -> str:
        """Its line in docs/metrics.md."""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.shown_name}` | {self.kind} | {labels} | {self.help} |"


def of_library() -> list[MetricInfo]:
    """Those of `instrument_with_prometheus`."""
    registry = CollectorRegistry()
    prometheus_hook(registry)
    return sorted(_registered(registry))


def of_exporter() -> list[MetricInfo]:
    """Those that `session-log serve-metrics` has of its own."""
    registry = CollectorRegistry()
    Conversations(registry)
    state = State(lambda: None)
    families = {_info(family) for family in [*state.describe(), *state.collect()]}
    return sorted([*_registered(registry), *families])


def of_witness() -> list[MetricInfo]:
    """Those that `session-log witness` has of its own."""
    registry = CollectorRegistry()
    WitnessMetrics(registry)
    return sorted(_registered(registry))


def of_forwarder() -> list[MetricInfo]:
    """Those that `session-log forward` has of its own."""
    registry = CollectorRegistry()
    ForwardMetrics(registry)
    return sorted(_registered(registry))


def of_indexer() -> list[MetricInfo]:
    """Those that `session-log index` has of its own."""
    registry = CollectorRegistry()
    IndexMetrics(registry)
    return sorted(_registered(registry))


def _registered(registry: CollectorRegistry) -> Iterator[MetricInfo]:
    for collector in registry._collector_to_names:
        yield _info(next(iter(collector.collect())), collector._labelnames)  # type: ignore[attr-defined]


def _info(family: Any, labels: tuple[str, ...] | None = None) -> MetricInfo:
    labels = tuple(family._labelnames if labels is None else labels)
    return MetricInfo(family.name, family.type, labels, family.documentation)
