"""Hooks are told what the library does, on a real server; nobody is told, and nothing is imported, unless asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any, TypeVar

import pytest
from prometheus_client import CollectorRegistry

from strands_session_log import (
    FeedRetention,
    SessionLog,
    SnapshotSettings,
    Subscriber,
    ValkeySessionManager,
    errors,
    events,
    instrumentation,
)
from strands_session_log.instrumentation import (
    AppendDone,
    ConflictSeen,
    Detail,
    ReadDone,
    Rechained,
    Repaired,
    Resumed,
    Retried,
    SnapshotSaved,
    instrument_with_prometheus,
)
from support import FaultProxy
from support.strands_agents import make_agent
from support.waiting import wait_until

D = TypeVar("D", bound=Detail)
SMALL = SnapshotSettings(threshold=8, segment=8, points=4, spacing=8)


class Told(list[Detail]):
    """A hook that remembers."""

    def __call__(self, detail: Detail, /) -> None:
        self.append(detail)

    def of(self, kind: type[D]) -> list[D]:
        return [one for one in self if isinstance(one, kind)]


@pytest.fixture(autouse=True)
def no_hooks_afterwards() -> Iterator[None]:
    yield
    instrumentation.set_hooks([])


@pytest.fixture
def told() -> Told:
    hook = Told()
    instrumentation.add_hook(hook)
    return hook


def note(number: int = 0, text: str = "") -> events.Event:
    return events.Custom("custom.note", {"number": number, "text": text})


def test_an_append_tells_how_long_it_took_and_how_much_it_was(session_log: SessionLog, told: Told) -> None:
    session_log.append("s", [note(1, "x" * 1000), note(2)])
    (done,) = told.of(AppendDone)
    assert (done.outcome, done.events) == ("ok", 2)
    assert 1000 < done.bytes < 2000
    assert 0 < done.seconds < 10


def test_a_value_that_cannot_be_stored_is_an_invalid_append(session_log: SessionLog, told: Told) -> None:
    with pytest.raises(errors.EncodingError):
        session_log.append("s", [note(1), events.Custom("custom.note", {"value": object()})])
    assert [(done.outcome, done.events) for done in told.of(AppendDone)] == [("invalid", 2)]


def test_a_conflict_is_told_as_one(session_log: SessionLog, told: Told) -> None:
    first, second = make_agent(session_log), make_agent(session_log)
    first("Hi")
    with pytest.raises(Exception, match="written by someone else"):
        second("Hi")
    assert told.of(ConflictSeen)
    assert "conflict" in {done.outcome for done in told.of(AppendDone)}


def test_an_append_that_follows_another_process_tells_of_its_extra_round_trip(
    session_log: SessionLog, make_client: Callable[..., Any], told: Told
) -> None:
    other = SessionLog(make_client(), session_log.namespace)
    other.append("s", note(1))
    session_log.append("s", note(2))
    assert told.of(Rechained) == [Rechained()]


def test_a_read_tells_of_every_page(session_log: SessionLog, told: Told) -> None:
    session_log.append("s", [note(number) for number in range(100)])
    list(session_log.read("s"))
    pages = told.of(ReadDone)
    assert sum(page.events for page in pages) >= 100
    assert len(pages) > 1
    assert all(page.outcome == "ok" and page.bytes > 100 * page.events for page in pages)


def test_resuming_tells_what_became_of_the_snapshot(
    make_client: Callable[..., Any], namespace: str, told: Told
) -> None:
    with SessionLog(make_client(), namespace, snapshots=SMALL) as log:
        log.append("s", [events.AgentCreated({"agent_id": "a"}, "a"), *(note(number) for number in range(20))])
        log.state("s")
        log._replay.settle()
        log.state("s")
        key = log._events.keyspace.session("s").snapshot
        point = log.client.execute_command("HGET", key, "points").split()[-1]
        log.client.execute_command("HSET", key, b"point:" + point, "spoilt")
        log.state("s")
    assert [resumed.snapshot for resumed in told.of(Resumed)] == ["miss", "hit", "dropped"]
    assert [resumed.events for resumed in told.of(Resumed)] == [21, 0, 21]
    assert all(resumed.bytes > 0 for resumed in told.of(Resumed))


def test_resuming_without_snapshots_and_a_session_that_is_not_there(
    make_client: Callable[..., Any], namespace: str, told: Told
) -> None:
    log = SessionLog(make_client(), namespace, snapshots=None)
    with pytest.raises(errors.SessionNotFoundError):
        log.state("s")
    log.append("s", note())
    log.state("s")
    assert [(resumed.snapshot, resumed.events) for resumed in told.of(Resumed)] == [("off", 1)]


def test_a_snapshot_that_is_saved_tells_its_size(make_client: Callable[..., Any], namespace: str, told: Told) -> None:
    with SessionLog(make_client(), namespace, snapshots=SMALL) as log:
        log.append("s", [events.AgentCreated({"agent_id": "a"}, "a"), *(note(number) for number in range(20))])
        log.state("s")
        log._replay.settle()
        assert [saved.bytes for saved in told.of(SnapshotSaved)] == [log._replay.saved_bytes]


@pytest.mark.faults
def test_a_server_that_is_away_for_a_moment_is_told_of_as_retries(proxy: FaultProxy, told: Told) -> None:
    with SessionLog.connect(proxy.url) as log:
        proxy.refuse()
        proxy.cut()
        appending = Thread(target=log.append, args=("s", note()))
        appending.start()
        wait_until(lambda: len(told.of(Retried)) > 1, "a second retry")
        proxy.accept()
        appending.join()
    assert {retried.error for retried in told.of(Retried)} == {"ConnectionError"}
    assert [done.outcome for done in told.of(AppendDone)] == ["ok"]


@pytest.mark.faults
def test_a_server_that_stays_away_is_told_of_as_an_unknown_append_and_an_unavailable_read(
    proxy: FaultProxy, told: Told
) -> None:
    with SessionLog.connect(proxy.url, retry_for=0.1) as log:
        proxy.refuse()
        proxy.cut()
        with pytest.raises(errors.UnknownOutcomeError):
            log.append("s", note())
        with pytest.raises(errors.ServerUnavailableError):
            list(log.read("s"))
    assert [done.outcome for done in told.of(AppendDone)] == ["unknown"]
    assert [(done.outcome, done.events) for done in told.of(ReadDone)] == [("unavailable", 0)]


@pytest.mark.faults
def test_what_could_not_be_written_and_is_made_up_for_is_a_repair(proxy: FaultProxy, told: Told) -> None:
    with SessionLog.connect(proxy.url, retry_for=0.1) as log:
        manager = ValkeySessionManager("s", log=log)
        agent = make_agent(log, ["Hello.", "Again."])
        proxy.refuse()
        proxy.cut()
        with pytest.raises(Exception, match="cannot be reached"):
            agent("Hi")
        assert not told.of(Repaired)
        proxy.accept()
        agent("And now?")
        assert [repaired.events > 0 for repaired in told.of(Repaired)] == [True]
        assert [record.message for record in manager.list_messages("s", "default")] == agent.messages


def test_a_hook_that_raises_disturbs_nobody_and_is_logged_once(
    session_log: SessionLog, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(detail: Detail, /) -> None:
        raise RuntimeError("broken")

    instrumentation.set_hooks([broken, told])
    session_log.append("s", note(1))
    session_log.append("s", note(2))
    assert [done.outcome for done in told.of(AppendDone)] == ["ok", "ok"]
    assert [record.message.count("a hook raised") for record in caplog.records] == [1]


class AsyncHook:
    async def __call__(self, detail: Detail, /) -> None:
        raise AssertionError(detail)


def test_a_hook_that_would_have_to_be_awaited_is_refused(
    session_log: SessionLog, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    hook: Any = AsyncHook()
    for function in (hook, hook.__call__):
        with pytest.raises(TypeError, match="the library does not await"):
            instrumentation.add_hook(function)
        with pytest.raises(TypeError, match="the library does not await"):
            instrumentation.set_hooks([function])
    instrumentation.add_hook(lambda detail: hook(detail))
    session_log.append("s", note(1))
    session_log.append("s", note(2))
    assert len(told.of(AppendDone)) == 2
    (record,) = [record for record in caplog.records if "a hook raised" in record.message]
    assert "the library does not await" in str(record.exc_info)


def test_a_hook_is_told_once_however_often_it_is_added(session_log: SessionLog, told: Told) -> None:
    instrumentation.add_hook(told)
    session_log.append("s", note())
    assert len(told.of(AppendDone)) == 1
    assert instrumentation.get_hooks() == (told,)


def test_prometheus_counts_what_the_library_does(session_log: SessionLog) -> None:
    registry = CollectorRegistry()
    instrument_with_prometheus(registry)
    session_log.append("s", [note(1), note(2)])
    list(session_log.read("s"))
    session_log.state("s")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"strands_session_log_{name}", labels)

    assert value("append_duration_seconds_count", outcome="ok") == 1
    assert value("appended_events_total") == 2
    assert value("append_conflicts_total") == 0
    assert value("read_events_total") == 2
    assert value("resume_duration_seconds_count", snapshot="miss") == 1


@pytest.mark.parametrize("kind", instrumentation.OfGroup.__subclasses__())
def test_prometheus_counts_what_a_subscription_does_by_group(kind: type[instrumentation.OfGroup]) -> None:
    registry = CollectorRegistry()
    hook = instrument_with_prometheus(registry)
    hook(kind("audit", 3))
    values = {
        sample.name: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels == {"group": "audit"}
    }
    assert len(values) == len(instrumentation.OfGroup.__subclasses__())
    (counted,) = filter(None, values.values())
    assert counted == (1 if kind in (instrumentation.GapFound, instrumentation.GroupAbandoned) else 3)


def test_a_subscription_tells_what_becomes_of_its_deliveries(session_log: SessionLog, told: Told) -> None:
    session_log.append("s", [note(1), note(2)])
    with Subscriber(session_log, group="audit", start="feed", max_attempts=2, backoff=0.01) as deliveries:
        for delivery in deliveries:
            if delivery.id.revision == 2:
                delivery.ack()
            else:
                delivery.fail("no")
            if told.of(instrumentation.Parked):
                break
            if delivery.attempts == 2:
                wait_until(lambda: told.of(instrumentation.Parked), "it to be parked")
                break
    of_group = {kind: sum(one.events for one in told.of(kind)) for kind in instrumentation.OfGroup.__subclasses__()}
    assert {kind.__name__: events for kind, events in of_group.items() if events} == {
        "Delivered": 3,
        "Redelivered": 1,
        "Acked": 1,
        "Failed": 2,
        "Parked": 1,
    }
    assert {one.group for one in told.of(instrumentation.OfGroup)} == {"audit"}


def test_trimming_the_feed_is_told(session_log: SessionLog, told: Told) -> None:
    session_log.append("s", [note(number) for number in range(10)])
    log = session_log._events
    log.retention = FeedRetention(keep=0, max_length=4)
    log.trim_feed(log.keyspace.partition("s"), exactly=True)
    assert sum(trimmed.events for trimmed in told.of(instrumentation.FeedTrimmed)) >= 6


def test_instrumenting_the_same_registry_again_changes_nothing(session_log: SessionLog) -> None:
    registry = CollectorRegistry()
    assert instrument_with_prometheus(registry) is instrument_with_prometheus(registry)
    session_log.append("s", note())
    assert registry.get_sample_value("strands_session_log_appended_events_total") == 1


def test_prometheus_is_imported_only_when_asked_for() -> None:
    code = "import strands_session_log.session_manager, sys; assert 'prometheus_client' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
