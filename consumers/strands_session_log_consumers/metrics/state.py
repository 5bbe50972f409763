"""What the server answered last, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from strands_session_log import GroupStatus

from .counting import PREFIX
from .looking import Look

Samples: TypeAlias = "Iterable[tuple[Sequence[str], float | None]]"
"""Label values, and the value; None where nobody knows it."""

_GROUP = ("group", "partition")
_NODE = ("node",)


class State(Collector):
    """Shows the last look at the log; all but `up` is missing while the server cannot be asked.

    Args:
        latest: The last look; None when there is none that still counts.
    """

    def __init__(self, latest: Callable[[], Look | None]) -> None:
        self._latest = latest

    def describe(self) -> Iterable[Metric]:
        """All there can be."""
        return _metrics(Look(0.0, (), (), 0))

    def collect(self) -> Iterator[Metric]:
        """All there is."""
        look = self._latest()
        yield _gauge("up", "Whether the server answered lately.", (), [((), float(look is not None))])
        if look is not None:
            yield from _metrics(look)


def _metrics(look: Look) -> Iterator[Metric]:
    help_ = "Sessions that had an event in the last five minutes."
    yield _gauge("active_sessions", help_, (), [((), look.active_sessions)])
    yield from _of_groups(look.groups)
    yield from _of_servers(look)


def _of_groups(groups: Sequence[GroupStatus]) -> Iterator[Metric]:
    def of(name: str) -> Samples:
        # Of what is broken nobody knows how much there is.
        return [((one.group, str(one.partition)), getattr(one, name)) for one in groups if not one.problem]

    yield _gauge("group_lag_events", "Events of the feed that a group has not been given yet.", _GROUP, of("lag"))
    yield _gauge(
        "group_lag_seconds", "Age of the oldest event that a group has not handled yet.", _GROUP, of("lag_seconds")
    )
    yield _gauge("group_pending_events", "Events given to a consumer and not settled.", _GROUP, of("pending"))
    yield _gauge("group_parked_events", "Events that failed too often and were put aside.", _GROUP, of("parked"))
    yield _gauge("group_consumers", "Consumers that a group knows.", _GROUP, of("consumers"))
    yield _gauge("group_abandoned", "Whether the feed is not kept for a group any more.", _GROUP, of("abandoned"))
    help_ = "Whether a key of a group holds something else than it should, so that it is not read."
    broken: Samples = [((one.group, str(one.partition)), float(bool(one.problem))) for one in groups]
    yield _gauge("group_broken", help_, _GROUP, broken)
    help_ = "Events that a group was given more than once."
    yield _filled(CounterMetricFamily(f"{PREFIX}_group_redeliveries", help_, labels=_GROUP), of("redeliveries"))


def _of_servers(look: Look) -> Iterator[Metric]:
    def of(name: str) -> Samples:
        return [((server.node,), getattr(server, name)) for server in look.servers]

    yield _gauge("server_used_memory_bytes", "Memory that the server uses.", _NODE, of("used_memory"))
    yield _gauge("server_max_memory_bytes", "Its maxmemory; 0 is no limit.", _NODE, of("maxmemory"))
    yield _gauge("server_persistent", "Whether anything survives its restart.", _NODE, of("is_persistent"))
    yield _gauge("server_append_only_file", "Whether it writes an append-only file.", _NODE, of("aof_enabled"))
    yield _gauge("server_last_save_ok", "Whether it could write to its disk the last time.", _NODE, of("last_save_ok"))
    yield _gauge("server_evicts_sessions", "Whether it may delete sessions by itself.", _NODE, of("evicts_anything"))
    yield _gauge("server_replicas", "Replicas that are connected.", _NODE, of("replicas"))


def _gauge(name: str, help_: str, labels: Sequence[str], samples: Samples) -> Metric:
    return _filled(GaugeMetricFamily(f"{PREFIX}_{name}", help_, labels=labels), samples)


def _filled(family: Any, samples: Samples) -> Metric:
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, float(value))
    metric: Metric = family
    return metric
