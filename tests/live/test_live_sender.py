"""What many agents of a process say at once: sent by one thread, together, and none in another's way."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import valkey

from strands_session_log import SessionLog, events
from strands_session_log.codec.delta import Line
from strands_session_log.live import publisher, sender
from strands_session_log.live.publisher import Publisher
from strands_session_log.live.sender import LiveSource, Sender, sender_for
from support import FaultProxy, wait_until
from support.cluster import Cluster
from support.servers import Server
from support.waiting import wait_until_collected

SOON = 20.0
NAMES = [f"s-{number}" for number in range(12)]


def begun(log: SessionLog, names: Iterable[str] = NAMES) -> list[Publisher]:
    """Publishers of sessions that are there."""
    for name in names:
        log.append(name, events.Custom("custom.note", {}))
    return [Publisher(log._events, name, interval=0.01) for name in names]


def say(of: Publisher, text: str = "word ") -> None:
    of.publish(Line("text", "default", "m", 0, 0, "", text))


def pieces(log: SessionLog, name: str) -> int:
    return int(log.client.execute_command("XLEN", log._events.keyspace.session(name).live))


def sender_of(log: SessionLog) -> Sender:
    return sender_for(log._events.store, log._events.keyspace.session("s").live)


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "session-log-live"]


class CountedSender(Sender):
    """Sends as soon as it is told to, on a clock that goes on by itself only while there is something to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.pauses = 100.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def schedule(self, source: LiveSource, at: float) -> None:
        self.pauses.append(max(0.0, round(at - self.now, 3)))
        self.now = max(self.now, at)
        sender._send([source])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> CountedSender:
    counted = CountedSender()
    monkeypatch.setattr(publisher, "time", counted)
    monkeypatch.setattr(publisher, "sender_for", lambda *_: counted)
    return counted


def test_what_is_said_slowly_waits_for_nothing_and_what_is_said_fast_for_a_batch(
    session_log: SessionLog, clock: CountedSender
) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    ours = Publisher(session_log._events, "s", interval=4.0)
    for since in (0.0, 3.0, 9.0):
        clock.now += since
        say(ours)
    assert clock.pauses == [4.0, 1.0, 0.0]
    assert ours.stats.published == 3


def test_a_server_that_did_not_answer_is_left_alone_for_a_second(
    session_log: SessionLog, clock: CountedSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    ours = Publisher(session_log._events, "s", interval=0.5)
    say(ours)
    with monkeypatch.context() as patched:
        patched.setattr(ours.store.client, "execute_command", _refuse)
        say(ours)
    say(ours)
    assert clock.pauses == [0.5, 0.5, 1.0]
    assert (ours.stats.published, ours.stats.dropped) == (2, 1)


def _refuse(*_: Any, **__: Any) -> Any:
    raise ConnectionError("refused")


def test_many_agents_are_published_by_one_thread_for_each_node(session_log: SessionLog) -> None:
    known = threads()
    publishers = begun(session_log)
    for one in publishers:
        say(one)
    assert all(one.flush(SOON) for one in publishers)
    assert [pieces(session_log, name) for name in NAMES] == [1] * len(NAMES)
    assert len([one for one in threads() if one not in known]) == len({_node(session_log, name) for name in NAMES})


@pytest.mark.faults
def test_what_is_due_at_once_is_sent_at_once(tcp_server: Server, proxy: FaultProxy) -> None:
    with SessionLog.connect(proxy.url) as log:
        first, *others = begun(log)
        for one in (first, *others):
            say(one)
            assert one.flush(SOON)
        proxy.hold_replies()
        say(first)
        proxy.wait_until_held()
        for one in others:
            say(one)
        trips = proxy.round_trips
        proxy.release_replies()
        assert all(one.flush(SOON) for one in others)
        assert proxy.round_trips - trips <= 2


def _as_text(log: SessionLog, name: str) -> None:
    log.client.execute_command("SET", log._events.keyspace.session(name).live, "no stream")


def _as_junk(log: SessionLog, name: str) -> None:
    log.client.execute_command("SET", log._events.keyspace.session(name).head, "no head")


def _delete(log: SessionLog, name: str) -> None:
    log.delete(name)


@pytest.mark.parametrize("spoil", [_as_text, _as_junk, _delete])
def test_a_session_that_takes_nothing_is_in_no_others_way(
    session_log: SessionLog, spoil: Callable[[SessionLog, str], None]
) -> None:
    publishers = begun(session_log)
    spoil(session_log, NAMES[0])
    for one in publishers:
        say(one)
    assert all(one.flush(SOON) for one in publishers)
    assert [one.stats.published for one in publishers] == [0, *([1] * (len(NAMES) - 1))]
    assert publishers[0].stats.last_error


def test_one_that_fails_where_it_must_not_is_in_no_others_way_and_goes_on(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, *others = begun(session_log)
    with monkeypatch.context() as patched:
        # As a handler of the application's for logs may.
        patched.setattr(ours, "_publishing", _raising)
        patched.setattr(ours, "_give_up", _refuse)
        for one in (ours, *others):
            say(one)
        assert all(one.flush(SOON) for one in (ours, *others))
    assert [one.stats.published for one in others] == [1] * len(others)
    say(ours)
    assert ours.flush(SOON)
    assert ours.stats.published == 1


def _raising(*_: Any) -> Any:
    raise ConnectionError("refused")
    yield


@pytest.mark.faults
def test_a_node_of_a_cluster_that_is_away_is_in_no_way_of_what_is_said_on_the_others() -> None:
    with Cluster(cluster_require_full_coverage="no") as cluster, SessionLog(cluster.client(socket_timeout=10)) as log:
        publishers = dict(zip(NAMES, begun(log), strict=True))
        away = cluster.node_for(log._events.keyspace.session(NAMES[0]).live)
        others = [one for name, one in publishers.items() if not _node(log, name).endswith(f":{away.port}")]
        assert 0 < len(others) < len(NAMES)
        away.kill()
        for one in publishers.values():
            say(one)
        assert all(one.flush(SOON) for one in publishers.values())
        assert [one.stats.published for one in others] == [1] * len(others)
        assert publishers[NAMES[0]].stats.dropped == 1


def _node(log: SessionLog, name: str) -> str:
    return log._events.store.node_of(log._events.keyspace.session(name).live)


def test_more_than_is_sent_at_once_is_sent_nevertheless(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_MOST_CHARACTERS", 1)
    publishers = begun(session_log)
    for one in publishers:
        say(one)
    assert all(one.flush(SOON) for one in publishers)
    assert [one.stats.published for one in publishers] == [1] * len(NAMES)


def test_its_thread_is_there_only_while_there_is_something_to_send(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_IDLE", 0.01)
    (ours,) = begun(session_log, ["s"])
    for _ in range(2):
        say(ours)
        assert ours.flush(SOON)
        wait_until(lambda: not sender_of(session_log)._thread.is_alive, "the thread to end")
    assert ours.stats.published == 2


def test_what_waits_longer_than_the_thread_idles_is_sent(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_IDLE", 0.01)
    session_log.append("s", events.Custom("custom.note", {}))
    ours = Publisher(session_log._events, "s", interval=0.2)
    say(ours)
    assert ours.flush(SOON)
    assert ours.stats.published == 1


def test_what_is_due_sooner_does_not_wait_for_what_is_due_later(session_log: SessionLog) -> None:
    session_log.append("slow", events.Custom("custom.note", {}))
    slow = Publisher(session_log._events, "slow", interval=60.0)
    say(slow)
    (fast,) = begun(session_log, ["fast"])
    say(fast)
    assert fast.flush(SOON)
    assert (fast.stats.published, slow.stats.waiting) == (1, 1)
    sender_of(session_log)._due.clear()


def test_a_client_that_nobody_needs_any_more_is_not_kept(tcp_server: Server, namespace: str) -> None:
    client = valkey.from_url(tcp_server.url, socket_timeout=10)
    (ours,) = begun(SessionLog(client, namespace), ["s"])
    say(ours)
    assert ours.flush(SOON)
    reference = weakref.ref(client)
    client.close()
    del ours, client
    wait_until_collected(reference)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_sends_by_itself(session_log: SessionLog) -> None:
    (ours,) = begun(session_log, ["s"])
    say(ours)
    assert ours.flush(SOON)
    child = os.fork()
    if child == 0:
        try:
            say(ours)
            os._exit(0 if ours.flush(SOON) and ours.stats.published == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pieces(session_log, "s") == 2
