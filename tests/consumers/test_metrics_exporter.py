"""`session-log serve-metrics` as a real process on a real server: every event once, whatever happens to whom."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from strands.hooks import HookRegistry

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.instrumentation import set_hooks
from strands_session_log.server.routing import connection_to
from strands_session_log_consumers.metrics.service import Exporter
from strands_session_log_consumers.metrics.settings import Settings
from support import ValkeyliteServer, talking, troubles
from support.exporting import ExporterProcess
from support.programs import COMMAND_LINE, Program, run
from support.sampling import sampled
from support.troubles import Trouble
from support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


@pytest.fixture
def exporter(server_url: str, session_log: SessionLog, tmp_path: Path) -> Callable[..., ExporterProcess]:
    """Makes exporters of the test's log."""

    def make(*options: str) -> ExporterProcess:
        return ExporterProcess(server_url, session_log.namespace, tmp_path, *options)

    return make


def notes(log: SessionLog, count: int) -> None:
    for number in range(count):
        log.append(f"s-{number % 20}", events.Custom("custom.note", {"number": number}))


def lag(log: SessionLog, group: str = "metrics") -> int:
    return sum(status.lag + status.pending for status in log.groups() if status.group == group)


def test_what_real_agents_do_is_counted_once_the_exporter_is_ready(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    with exporter() as running:
        running.wait_until_ready()
        talking.everything(session_log)
        wait_until(lambda: running.total("events_total") == len(talking.feed_of(session_log)), "all to be counted")
        assert running.total("messages_total", role="user") > 5
        assert running.total("tokens_total", kind="cache_read") > 0
        assert running.total("tool_calls_total", tool="book", status="error") == 1
        assert running.total("redactions_total") == 1
        wait_until(lambda: running.total("active_sessions") == 5, "another look")
        assert running.total("group_lag_events", group="metrics") == 0
        assert running.get("/healthz") == (200, "alive\n")


def test_what_happens_while_no_exporter_runs_is_counted_by_the_next(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    with exporter() as running:
        running.wait_until_ready()
    notes(session_log, 50)
    with exporter() as running:
        wait_until(lambda: running.total("events_total") == 50, "all to be counted")


def test_a_connection_that_speaks_resp3_counts_as_any_other(
    server_url: str, session_log: SessionLog, tmp_path: Path
) -> None:
    with ExporterProcess(f"{server_url}?protocol=3", session_log.namespace, tmp_path) as running:
        running.wait_until_ready()
        notes(session_log, 50)
        wait_until(lambda: running.total("events_total") == 50, "all to be counted")
        wait_until(lambda: lag(session_log) == 0, "all to be acknowledged")


def test_it_is_ready_once_its_group_has_begun_in_every_partition(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    with exporter() as running:
        running.wait_until_ready()
        begun = {status.partition for status in session_log.groups() if status.group == "metrics"}
    assert begun == set(range(session_log.partitions))


def test_a_new_group_counts_from_now_on_or_from_where_it_is_told_to(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    notes(session_log, 30)
    with exporter() as now, exporter("--group", "other", "--start", "feed") as feed:
        now.wait_until_ready()
        wait_until(lambda: feed.total("events_total") == 30, "all to be counted")
        assert now.total("events_total") == 0


def test_several_exporters_share_the_work_and_none_counts_what_another_has(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    with exporter() as one, exporter() as two:
        one.wait_until_ready()
        two.wait_until_ready()
        # One that has taken everything there was leaves nothing to share.
        written = 0
        while not (one.total("events_total") and two.total("events_total")):
            notes(session_log, 50)
            written += 50
            wait_until(lambda: lag(session_log) == 0, "all to be delivered")
        wait_until(lambda: one.total("events_total") + two.total("events_total") >= written, "all to be counted")
        assert one.total("events_total") + two.total("events_total") == written


def test_an_event_that_another_consumer_had_before_is_counted_once(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    notes(session_log, 20)
    with Subscriber(session_log, group="metrics", start="feed") as deliveries:
        held = 0
        for batch in deliveries.batches():
            held += len(batch)
            if held == 20:
                break
    with exporter("--claim-after", "1") as running:
        wait_until(lambda: lag(session_log) == 0, "all to be taken over")
        wait_until(lambda: running.total("events_total") >= 20, "all to be counted")
        assert running.total("events_total") == 20


@pytest.mark.faults
def test_an_exporter_that_hung_does_not_count_what_another_took_over(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess], server_url: str
) -> None:
    with exporter("--claim-after", "1") as hung, exporter("--claim-after", "1") as other:
        hung.wait_until_ready()
        other.wait_until_ready()

        def counted() -> float:
            return hung.total("events_total") + other.total("events_total")

        written = 0
        while not sum(status.redeliveries for status in session_log.groups()):
            written += 100
            # It may hang anywhere: before it is given something, or between that and its ack.
            with appending(server_url, session_log.namespace, 100) as done:
                wait_until(lambda: lag(session_log) > 0 or done(), "the first of them")
                os.kill(hung.process.pid, signal.SIGSTOP)
                wait_until(done, "all of them", timeout=30)
            wait_until(lambda: lag(session_log) == 0, "the other to take over", timeout=30)
            os.kill(hung.process.pid, signal.SIGCONT)
            wait_until(partial(reached, counted, written), "the rest to be counted")
            assert counted() == written


def reached(counted: Callable[[], float], number: int) -> bool:
    return counted() >= number


@contextmanager
def appending(url: str, namespace: str, count: int) -> Iterator[Callable[[], bool]]:
    """Another process appends so many events; tells whether it is done."""
    with Program(["-c", _APPEND, url, namespace, str(count)]) as process:
        yield lambda: process.poll() is not None
        assert process.wait(30) == 0


_APPEND = """
import sys
from strands_session_log import SessionLog, events
with SessionLog.connect(sys.argv[1], sys.argv[2]) as log:
    for number in range(int(sys.argv[3])):
        log.append(f"s-{number % 20}", events.Custom("custom.note", {}))
"""


@pytest.mark.faults
def test_it_is_not_ready_while_the_server_is_away_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with (
        ValkeyliteServer(appendonly="yes", appendfsync="always") as server,
        SessionLog.connect(server.url) as log,
        ExporterProcess(server.url, "strands", tmp_path) as running,
    ):
        running.wait_until_ready()
        notes(log, 10)
        wait_until(lambda: running.total("events_total") == 10, "all to be counted")
        server.pause()
        wait_until(lambda: running.get("/readyz")[0] == 503, "the exporter to notice", timeout=5)
        assert running.total("up") == 0
        assert running.get("/healthz")[0] == 200
        server.resume()
        running.wait_until_ready()
        server.restart()
        notes(log, 10)
        wait_until(lambda: running.total("events_total") == 20, "all to be counted", timeout=40)


@pytest.mark.faults
@pytest.mark.parametrize("trouble", [troubles.gone, troubles.too_few_replicas, troubles.a_busy_script])
def test_it_says_within_two_seconds_that_it_is_not_ready_and_why(tmp_path: Path, trouble: Trouble) -> None:
    with ValkeyliteServer() as server, ExporterProcess(server.url, "strands", tmp_path) as running:
        running.wait_until_ready()
        with trouble(server):
            # Half a second is for a busy machine.
            wait_until(lambda: running.get("/readyz")[0] == 503, "the exporter to notice", timeout=2.5)
            assert re.match("the server (cannot be reached|refuses for now|does not answer)", running.get("/readyz")[1])
            # The pulse may have noticed before the subscription had anything to ask.
            waits = partial(running.total, "server_waits_total", follower="subscriber")
            wait_until(lambda: waits() >= 1, "the subscription to wait")
        running.wait_until_ready()
        wait_until(lambda: running.total("followers_waiting") == 0, "nobody to wait")


@pytest.mark.faults
def test_what_goes_wrong_is_in_its_log(tmp_path: Path) -> None:
    with ValkeyliteServer() as server, ExporterProcess(server.url, "strands", tmp_path) as running:
        running.wait_until_ready()
        server.kill()
        wait_until(lambda: "waiting for the server" in running.output, "the exporter to say so")
        assert "Traceback" not in running.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_peace_when_it_is_told_to_and_leaves_nothing_to_claim(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess], number: signal.Signals
) -> None:
    with exporter() as running:
        running.wait_until_ready()
        notes(session_log, 10)
        running.process.send_signal(number)
        assert running.process.wait(20) == 0
        assert "Traceback" not in running.output
    with exporter() as running:
        wait_until(lambda: lag(session_log) == 0, "nothing to be left", timeout=20)


@pytest.mark.faults
def test_it_ends_even_if_the_server_hangs(tmp_path: Path) -> None:
    with (
        ValkeyliteServer() as server,
        ExporterProcess(f"{server.url}?socket_timeout=2", "strands", tmp_path) as running,
    ):
        running.wait_until_ready()
        server.pause()
        running.process.terminate()
        assert running.process.wait(30) == 0
        server.resume()


def test_an_exporter_that_is_cancelled_leaves_nothing_running(session_log: SessionLog) -> None:
    async def cancelled() -> None:
        begun = asyncio.Event()
        settings = Settings(host="127.0.0.1", port=0)
        running = asyncio.create_task(Exporter(session_log, settings).run(asyncio.Event(), lambda url: begun.set()))
        await begun.wait()
        running.cancel()
        await asyncio.wait((running,))
        assert running.cancelled()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            assert not (await asyncio.wait(left, timeout=20))[1]

    try:
        asyncio.run(cancelled())
    finally:
        set_hooks([])


def test_a_port_that_is_taken_is_told_in_one_line(server_url: str, session_log: SessionLog) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        serve = ("serve-metrics", "--port", port, "--url", server_url, "--namespace", session_log.namespace)
        ended = run([*COMMAND_LINE, *serve])
    assert ended.returncode == 2
    assert ended.stderr == f"session-log: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize("module", sampled(["prometheus_client", "waitress"], 2))
def test_without_its_extra_it_says_what_to_install(
    server_url: str, session_log: SessionLog, tmp_path: Path, module: str
) -> None:
    missing = f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')"
    (tmp_path / f"{module}.py").write_text(missing)
    serve = ("serve-metrics", "--url", server_url, "--namespace", session_log.namespace)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, *COMMAND_LINE, *serve]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "session-log: serving metrics needs an extra: pip install 'strands-session-log[metrics]'\n"


def test_what_is_no_envelope_or_has_odd_facts_holds_up_no_counting(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    with exporter() as running:
        running.wait_until_ready()
        notes(session_log, 5)
        keys = session_log._events.keyspace.session("s-0")
        for fields in (
            ("field", b"\xff"),
            ("session", "s-0", "id", "1-1", "type", "x", "agent", "", "link", "", "facts", "{"),
        ):
            with connection_to(session_log.client, keys.feed) as node:
                newest = node.execute_command(b"XREVRANGE", keys.feed, "+", "-", "COUNT", 1, NEVER_DECODE=True)
            ms, _, sequence = newest[0][0].decode().partition("-")
            session_log.client.execute_command("XADD", keys.feed, f"{ms}-{int(sequence) + 1}", *fields)
        notes(session_log, 40)
        wait_until(lambda: running.total("events_total") == 45, "all that are events to be counted")
    assert len(list(session_log.parked("metrics"))) == 2


def test_what_somebody_else_writes_to_the_feed_is_counted_apart_and_no_event_beside_it_is_missed(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    notes(session_log, 1)
    keys, partition = session_log._events.keyspace.session("s-0"), session_log._events.keyspace.partition("s-0")
    with connection_to(session_log.client, keys.feed) as node:
        known = node.execute_command("XRANGE", keys.feed, "-", "+")[0][1]
    junk = [
        {b"session": b"\xff\xfe"},
        {b"id": b"nodash"},
        {b"facts": b"[]"},
        {b"facts": b'{"usage":{"inputTokens":1e300}}'},
    ]
    with exporter("--start", "feed") as running:
        running.wait_until_ready()
        for number, changed in enumerate(junk, 2):
            flat = [part for pair in {**known, **changed}.items() for part in pair]
            ms = session_log._events.clock(keys.feed)
            session_log.client.execute_command("XADD", keys.feed, f"{ms}-{2 * number - 2}", *flat)
            session_log.client.execute_command("INCRBY", keys.position, 1)
            session_log.append("s-0", events.Custom("custom.note", {"number": number}))
        # One of the four looks like an event of a type that holds no facts.
        wait_until(lambda: running.total("events_total") == 6, "all to be counted")
        wait_until(lambda: running.total("rejected_entries_total", group="metrics") == 3, "the others to be told of")
        wait_until(
            lambda: running.total("group_parked_events", group="metrics", partition=str(partition)) == 3, "a look"
        )
        assert running.get("/readyz")[0] == 200


def test_a_number_that_nothing_can_be_spoils_no_sum(
    session_log: SessionLog, exporter: Callable[..., ExporterProcess]
) -> None:
    used = [{"usage": {"inputTokens": tokens, "outputTokens": 5}, "latency_ms": tokens} for tokens in (1e300, 3)]
    with exporter() as running:
        running.wait_until_ready()
        session_log.append("s", [events.ModelCompleted(data, "a") for data in used])
        wait_until(lambda: running.total("model_calls_total", agent="a") == 2, "both to be counted")
        assert running.total("tokens_total", kind="input") == 3
        assert running.total("tokens_total", kind="output") == 10
