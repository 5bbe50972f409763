"""Every query of the dashboards and every rule, on a real Prometheus that scrapes a real exporter and real agents."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from strands_session_log import SessionLog, SnapshotSettings, Subscriber, events, instrumentation
from strands_session_log.errors import SessionLogError
from support import FaultProxy, ValkeyliteServer, talking
from support.exporting import ExporterProcess
from support.processes import HOST
from support.prometheus import Prometheus
from support.waiting import wait_until

pytestmark = [pytest.mark.dashboards, pytest.mark.timeout(300)]

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
RULES = sorted((DASHBOARDS / "prometheus" / "rules").glob("*.yml"))
OFTEN = SnapshotSettings(threshold=4, segment=8, points=4, spacing=8)
PATIENCE = 60.0
GRAFANA = {"$__rate_interval": "15s", "$__range": "1m", "$agent": ".*", "$group": ".*"}


class Query(NamedTuple):
    """What a panel asks, and what it is called."""

    name: str
    expression: str
    over_time: bool


def queries() -> Iterator[Query]:
    """What the panels ask, with what Grafana would put in."""
    for path in sorted((DASHBOARDS / "grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                for name, value in GRAFANA.items():
                    expression = expression.replace(name, value)
                yield Query(f"{path.stem}: {panel['title']} {target['refId']}", expression, target["range"])


def variables() -> Iterator[str]:
    """The metric and the label of every choice at the top of a dashboard."""
    for path in sorted((DASHBOARDS / "grafana").glob("*.json")):
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["query"]["query"].removeprefix("label_values(").removesuffix(")")


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
    agent("Hello")
    proxy.refuse()
    proxy.cut()
    with suppress(Exception):
        agent("Are you there?")
    proxy.accept()
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


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, with agents at work for it to watch."""
    directory, stop = tmp_path_factory.mktemp("prometheus"), threading.Event()
    registry = CollectorRegistry()
    with (
        ValkeyliteServer(maxmemory="1gb", appendonly="yes") as server,
        FaultProxy(HOST, server.port) as proxy,
        SessionLog.connect(server.url, snapshots=OFTEN) as log,
        SessionLog.connect(proxy.url, retry_for=0.2) as behind,
        ExporterProcess(server.url, "strands", directory) as exporter,
    ):
        exporter.wait_until_ready()
        instrumentation.instrument_with_prometheus(registry)
        endpoint, _ = start_http_server(0, HOST, registry)
        jobs = {"session-log": [exporter.address], "agents": [f"{HOST}:{endpoint.server_port}"]}
        threads = [
            threading.Thread(target=work, args=(log, behind, proxy, stop)),
            threading.Thread(target=follow, args=(log, stop)),
        ]
        for thread in threads:
            thread.start()
        try:
            with Prometheus(directory, jobs, RULES) as prometheus:
                wait_until(lambda: prometheus.healthy_targets() == set(jobs), "both to be scraped", PATIENCE)
                yield prometheus
        finally:
            stop.set()
            log.append("long", events.Custom("custom.end", {}))
            for thread in threads:
                thread.join(30)
            instrumentation.set_hooks([])
            endpoint.shutdown()


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: query.name)
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
    groups = yaml.safe_load((DASHBOARDS / "prometheus" / "rules" / "recording.yml").read_text())["groups"]
    return [rule["record"] for group in groups for rule in group["rules"]]


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


def test_the_exporter_and_the_agents_agree_on_how_many_events_there_were(prometheus: Prometheus) -> None:
    counted = "sum(strands_session_log_events_total)"
    appended = "sum(strands_session_log_appended_events_total)"
    wait_until(lambda: (prometheus.value(counted) or 0) > 100, "some events", PATIENCE)
    # What is under way between the two, and what erasures append beside the library's appends, is little.
    assert prometheus.value(f"abs({counted} - {appended}) / {appended} < 0.1") is not None
