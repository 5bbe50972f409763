"""Every query of the dashboards and every rule, on a real Prometheus that scrapes a real exporter and real agents."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from strands_session_log import SessionLog, SnapshotSettings, Subscriber, events, instrumentation
from strands_session_log.errors import SessionLogError
from strands_session_log_consumers.forward.counting import ForwardMetrics
from strands_session_log_consumers.forward.receiver import Receiver
from strands_session_log_consumers.forward.service import Forwarder
from strands_session_log_consumers.forward.settings import ForwardSettings
from strands_session_log_consumers.forward.signing import WebhookSigner
from strands_session_log_consumers.search import Indexer, open_index
from strands_session_log_consumers.search.counting import IndexMetrics
from support import FaultProxy, ValkeyliteServer, talking
from support.exporting import ExporterProcess
from support.panels import RULES, Query, happenings, queries, variables
from support.processes import HOST
from support.prometheus import Prometheus
from support.receiving import WebhookReceiver
from support.waiting import wait_until

pytestmark = [pytest.mark.dashboards, pytest.mark.timeout(300)]

OFTEN = SnapshotSettings(threshold=4, segment=8, points=4, spacing=8)
PATIENCE = 60.0


def follow(log: SessionLog, stop: threading.Event) -> None:
    """A consumer group that cannot handle some events: they are tried again, and parked."""
    subscriber = Subscriber(log, group="audit", start="feed", max_attempts=2, backoff=0.1, claim_after=1.0)
    with subscriber as deliveries:
        for delivery in deliveries:
            if stop.is_set():
                return
            if delivery.envelope.type == "recording.gap":
                delivery.fail("nobody knows what was lost")
            else:
                delivery.ack()


def stumble(log: SessionLog, proxy: FaultProxy, session_id: str) -> None:
    """An agent whose server is away for a moment: what it could not write is made up for."""
    agent = talking.agent_of(log, session_id, ["One.", "Two.", "Three."])
    cast(talking.CachingModel, agent.model).name = "a model without a price"
    agent("Hello")
    proxy.refuse()
    proxy.cut()
    with suppress(Exception):
        agent("Are you there?")
    proxy.accept()
    # It is waited for 0.2 s only, so a busy machine may take longer; the next one makes up for it.
    with suppress(Exception):
        agent("And now?")


def work(log: SessionLog, behind: SessionLog, proxy: FaultProxy, stop: threading.Event) -> None:
    """Agents at work until they are stopped."""
    for number in count():
        if stop.is_set():
            return
        talking.everything(log, f"s-{number}")
        stumble(behind, proxy, f"p-{number}")
        for session in range(3):
            log.append("long", events.Custom("custom.note", {"number": number}))
            with suppress(SessionLogError):
                log.state(f"s-{number}-{session}")
        log.state("long")
        list(log.read("long"))


class Stack:
    """Prometheus, with agents at work for it to watch, and a consumer group that follows them.

    Args:
        prometheus: Prometheus.
        log: What they write to.
        behind: The same behind a faulty network.
        proxy: That network.
    """

    def __init__(self, prometheus: Prometheus, log: SessionLog, behind: SessionLog, proxy: FaultProxy) -> None:
        self.prometheus, self.log, self._stop = prometheus, log, threading.Event()
        self._working = threading.Thread(target=work, args=(log, behind, proxy, self._stop))
        self._following = threading.Thread(target=follow, args=(log, self._stop))

    def __enter__(self) -> Stack:
        self._working.start()
        self._following.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        # A follower looks up when something comes.
        self.log.append("long", events.Custom("custom.end", {}))
        self._following.join(30)

    def rest(self) -> None:
        """Let the agents come to rest."""
        self._stop.set()
        self._working.join(60)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory, registry = tmp_path_factory.mktemp("prometheus"), CollectorRegistry()
    with (
        ValkeyliteServer(maxmemory="1gb", appendonly="yes") as server,
        FaultProxy(HOST, server.port) as proxy,
        SessionLog.connect(server.url, snapshots=OFTEN) as log,
        SessionLog.connect(proxy.url, retry_for=0.2) as behind,
        ExporterProcess(server.url, "strands", directory) as exporter,
        instrumented(registry) as address,
        services(log, registry, directory),
        Prometheus(directory, {"session-log": [exporter.address], "agents": [address]}, RULES) as prometheus,
    ):
        exporter.wait_until_ready()
        with Stack(prometheus, log, behind, proxy) as stack:
            wait_until(lambda: len(prometheus.healthy_targets()) == 2, "both to be scraped", PATIENCE)
            yield stack


@contextmanager
def services(log: SessionLog, registry: CollectorRegistry, directory: Path) -> Iterator[None]:
    """A forwarder and an indexer at work, which are counted."""
    over = threading.Event()
    index = open_index(directory / "search.db", log.namespace, create=True)

    async def forward() -> None:
        end = asyncio.Event()
        async with Receiver(receiver.url, WebhookSigner(["whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG4="]), 5.0) as to:
            metrics = ForwardMetrics(registry)
            forwarding = asyncio.create_task(Forwarder(log, to, ForwardSettings(), metrics=metrics).run(end))
            await asyncio.to_thread(over.wait)
            end.set()
            await forwarding

    with WebhookReceiver() as receiver, Indexer(log, index, IndexMetrics(registry)) as indexer:
        at_work = [
            threading.Thread(target=asyncio.run, args=(forward(),)),
            threading.Thread(target=indexer.run, args=(over,)),
        ]
        for thread in at_work:
            thread.start()
        yield
        over.set()
        for thread in at_work:
            thread.join(30)


@contextmanager
def instrumented(registry: CollectorRegistry) -> Iterator[str]:
    """Show what the library does in this process; the address."""
    instrumentation.instrument_with_prometheus(registry)
    server, _ = start_http_server(0, HOST, registry)
    yield f"{HOST}:{server.server_port}"
    server.shutdown()
    instrumentation.set_hooks([])


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Prometheus:
    return stack.prometheus


@pytest.mark.parametrize("query", [*queries(), *happenings()], ids=lambda query: query.name)
def test_every_panel_has_something_to_show(prometheus: Prometheus, query: Query) -> None:
    found: Callable[[], Any] = lambda: prometheus.query(query.expression)  # noqa: E731
    wait_until(found, f"data of {query.expression}", PATIENCE, interval=0.5)
    if query.over_time:
        assert prometheus.query_range(query.expression)


@pytest.mark.parametrize("variable", list(variables()))
def test_every_variable_has_something_to_choose(prometheus: Prometheus, variable: str) -> None:
    metric, label = variable.split(", ")
    wait_until(lambda: prometheus.query(f"group by ({label}) ({metric})"), variable, PATIENCE, interval=0.5)


def recording() -> list[str]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]


@pytest.mark.parametrize("record", recording())
def test_every_recording_rule_records_something(prometheus: Prometheus, record: str) -> None:
    wait_until(lambda: prometheus.query(f'{{__name__="{record}"}}'), record, PATIENCE, interval=0.5)


def test_no_rule_fails(prometheus: Prometheus) -> None:
    wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), "all rules", PATIENCE, interval=0.5)


def test_parked_events_and_losses_raise_the_alarm_and_a_healthy_server_does_not(prometheus: Prometheus) -> None:
    expected = {"SessionLogEventsParked", "SessionLogRecordingLost"}

    def raised() -> set[str]:
        return {sample["metric"]["alertname"] for sample in prometheus.query("ALERTS")}

    wait_until(lambda: expected <= raised(), "the alarms", PATIENCE, interval=0.5)
    quiet = {"SessionLogDown", "SessionLogNotWatched", "SessionLogNoPersistence", "SessionLogMayBeEvicted"}
    assert not raised() & {*quiet, "SessionLogMemoryNearlyFull", "SessionLogSavesFail", "SessionLogGroupStalled"}


def test_when_the_agents_rest_prometheus_knows_of_every_event_there_was(stack: Stack) -> None:
    counted = "sum(strands_session_log_events_total)"
    wait_until(lambda: (stack.prometheus.value(counted) or 0) > 100, "some events", PATIENCE)
    stack.rest()
    expected = len(talking.feed_of(stack.log))
    wait_until(lambda: (stack.prometheus.value(counted) or 0) >= expected, "all to be counted", PATIENCE, interval=0.2)
    assert stack.prometheus.value(counted) == expected
