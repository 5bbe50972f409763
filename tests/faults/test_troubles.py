"""Trouble that time cures ends nobody who follows: it is waited for, told at once and rarely, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from strands import Agent

from strands_session_log import GroupStatus, SessionLog, SessionRecorder, Subscriber, events, instrumentation
from strands_session_log.instrumentation import Detail, ServerAwaited, ServerWaitOver
from strands_session_log.server import outage as outage_module
from strands_session_log.server.outage import Outage
from strands_session_log.testing.model import ScriptedModel
from subscription.helpers import Consumer, Told
from support import Cluster, troubles
from support.following import collecting, note
from support.processes import HOST
from support.servers import Server
from support.troubles import Trouble
from support.waiting import wait_until

pytestmark = pytest.mark.faults

REFUSES_WRITES: list[Trouble] = [
    troubles.too_few_replicas,
    troubles.a_full_disk,
    troubles.a_replica,
]
REFUSES_ALL: list[Trouble] = [
    troubles.a_busy_script,
    troubles.still_loading,
    troubles.a_replica_without_its_primary,
    troubles.gone,
]


class Heard(list[Detail]):
    """A hook that remembers who waited."""

    def __call__(self, detail: Detail, /) -> None:
        if isinstance(detail, (ServerAwaited, ServerWaitOver)):
            self.append(detail)

    def awaited(self, follower: str) -> list[ServerAwaited]:
        return [one for one in self if isinstance(one, ServerAwaited) and one.follower == follower]

    def over(self, follower: str) -> list[ServerWaitOver]:
        return [one for one in self if isinstance(one, ServerWaitOver) and one.follower == follower and one.is_back]


@pytest.fixture
def heard() -> Iterator[Heard]:
    hook = Heard()
    instrumentation.add_hook(hook)
    yield hook
    instrumentation.set_hooks([])


@pytest.fixture
def log(tcp_server: Server) -> Iterator[SessionLog]:
    """A log on a server of this test alone, which keeps what it has said."""
    tcp_server.execute("CONFIG", "SET", "appendfsync", "always")
    with SessionLog.connect(tcp_server.url, retry_for=0.5) as log:
        yield log


@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
@pytest.mark.parametrize("trouble", [*REFUSES_WRITES, *REFUSES_ALL, troubles.out_of_memory])
def test_a_subscriber_gets_what_came_before_and_after_a_trouble(
    log: SessionLog, tcp_server: Server, heard: Heard, trouble: Trouble, ordered: bool
) -> None:
    told = Told(log)
    told(range(20))
    with Consumer(log, ordered=ordered, claim_after=1.0) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        with trouble(tcp_server):
            if trouble is not troubles.out_of_memory:
                wait_until(lambda: heard.awaited("subscriber"), "it to wait")
            with Consumer(log, ordered=ordered) as late:
                time.sleep(0.05)
        told(range(20, 40))
        wait_until(lambda: {*consumer.handled, *late.handled} == told.all, "all of them")
        wait_until(lambda: not any(one.pending or one.lag for one in log.groups()), "all to be settled")
        if trouble is not troubles.out_of_memory:
            wait_until(lambda: heard.over("subscriber"), "the end of the trouble to be told")
    assert consumer.errors == late.errors == []
    assert list(log.parked("g")) == []


@pytest.mark.parametrize("trouble", REFUSES_ALL)
def test_tails_wait_for_a_server_that_does_not_answer(
    log: SessionLog, tcp_server: Server, heard: Heard, trouble: Trouble
) -> None:
    """Of a session, of all, and of what is being said: those that wait for news, and those that begin just then."""
    message = events.MessageAdded({"message": {"role": "user", "content": [{"text": "Hi"}]}, "message_id": 0})
    log.append("s", note(0))
    with ExitStack() as stack:
        following = [stack.enter_context(collecting(log.tail(session))) for session in ("s", None)]
        listening = stack.enter_context(collecting(stack.enter_context(log.live("s"))))
        wait_until(lambda: all(len(one) == 1 for one in following), "what there was")
        with trouble(tcp_server):
            wait_until(lambda: heard.awaited("tail"), "them to wait")
            following += [stack.enter_context(collecting(log.tail(session))) for session in ("s", None)]
            time.sleep(0.05)
        log.append("s", [note(1), message])
        wait_until(lambda: all(len(one) == 3 for one in following) and len(listening) == 1, "what came after it")
        wait_until(lambda: heard.over("tail"), "the end of the trouble to be told")
        assert [one.error for one in [*following, listening]] == [None] * 5


@pytest.fixture
def impatient(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SessionLog]:
    """A log that notices soon that its server stands still, and says so again and again."""
    monkeypatch.setattr(outage_module, "_AGAIN", 0.3)
    with SessionLog.connect(f"{tcp_server.url}?socket_timeout=0.5", retry_for=0.2) as log:
        yield log


@pytest.mark.parametrize("trouble", [troubles.standing_still, troubles.gone])
def test_nobody_takes_a_server_that_is_away_for_one_that_is_back(
    impatient: SessionLog, tcp_server: Server, heard: Heard, trouble: Trouble
) -> None:
    impatient.append("s", note(0))
    with ExitStack() as stack:
        following = [stack.enter_context(collecting(impatient.tail(session))) for session in ("s", "t", None)]
        consumers = [
            stack.enter_context(Consumer(impatient, name, ordered=name != "competing", start="feed", claim_after=1.0))
            for name in ("competing", "ordered", "ordered")
        ]
        wait_until(lambda: len(following[0]) == 1 and consumers[0].handled, "what there was")
        with trouble(tcp_server):
            wait_until(lambda: all(len(heard.awaited(one)) > 4 for one in ("tail", "subscriber")), "them to wait")
            assert [one for one in heard if isinstance(one, ServerWaitOver)] == []
        wait_until(lambda: len(heard.over("tail")) == 1 and len(heard.over("subscriber")) == 3, "all to hear of it")
        assert len([one for one in heard.awaited("tail") if not one.seconds]) == 1


@pytest.mark.parametrize("trouble", [*REFUSES_WRITES, *REFUSES_ALL, troubles.out_of_memory])
def test_a_recorder_writes_all_once_a_trouble_is_over(
    log: SessionLog, tcp_server: Server, heard: Heard, trouble: Trouble
) -> None:
    recorder = SessionRecorder(log, "s")
    agent = Agent(model=ScriptedModel(["One.", "Two."]), hooks=[recorder], callback_handler=None)
    agent("First")
    assert recorder.flush()
    with trouble(tcp_server):
        agent("Second")
        wait_until(lambda: heard.awaited("recorder"), "it to wait")
    assert recorder.close(timeout=20)
    assert len(heard.over("recorder")) == 1
    assert [record.message for record in log.state("s").agents[agent.agent_id].messages] == agent.messages
    assert recorder.stats.lost == 0


@pytest.mark.parametrize("trouble", [troubles.too_few_replicas, troubles.a_busy_script, troubles.gone])
def test_what_is_settled_in_a_trouble_counts_once_it_is_over(
    log: SessionLog, tcp_server: Server, heard: Heard, trouble: Trouble
) -> None:
    """An ack, one that somebody waits for, a failure, what is parked and what is given back; from feed and history."""
    told = Told(log)
    told(range(8), "only")
    for start in ("feed", "beginning"):
        with Subscriber(log, start, start=start, in_flight=8, claim_after=60, backoff=0.01) as deliveries:
            held = [next(deliveries) for _ in range(5)]
            with ThreadPoolExecutor() as pool, trouble(tcp_server):
                confirmed = pool.submit(held[0].ack, confirm=True)
                held[1].ack()
                held[2].fail("not yet")
                held[3].park("never")
                wait_until(lambda: heard.awaited("subscriber"), "it to wait")
            confirmed.result(20)
            held[4].ack()
            for _ in range(4):
                next(deliveries).ack()
            wait_until(lambda: not any(map(_is_busy, log.groups())), "all to be settled")
        assert [one.id for one in log.parked(start)] == [held[3].id]


def _is_busy(status: GroupStatus) -> bool:
    return bool(status.pending or status.lag or status.backfill)


@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
def test_a_slot_that_is_half_moved_is_waited_for(heard: Heard, ordered: bool) -> None:
    with Cluster() as cluster, SessionLog.connect(cluster.url, retry_for=0.5) as log, ExitStack() as stack:
        told = Told(log)
        told(range(21))
        tails = [stack.enter_context(collecting(log.tail(session))) for session in ("s-0", None)]
        consumer = stack.enter_context(Consumer(log, ordered=ordered, types="custom.*"))
        recorder = SessionRecorder(log, "s-0")
        agent = Agent(model=ScriptedModel(["One."]), hooks=[recorder], callback_handler=None)
        wait_until(lambda: consumer.handled and set(consumer.handled) == told.all, "the first events")
        with troubles.a_slot_half_moved(cluster, log._events.keyspace.session("s-0").events):
            agent("Hello")
            for follower in ("subscriber", "tail", "recorder"):
                wait_until(lambda: heard.awaited(follower), f"the {follower} to wait")  # noqa: B023
        assert recorder.close(timeout=20)
        told(range(21, 42))
        everything = sum(session.revision for session in log.sessions())
        wait_until(lambda: len(tails[1]) == everything, "the feed")
        wait_until(lambda: len(tails[0]) == log.state("s-0").revision, "the session")
        wait_until(lambda: not any(map(_is_busy, log.groups())), "all to be settled")
        for follower in ("subscriber", "tail"):
            wait_until(lambda: heard.over(follower), f"the {follower} to go on")  # noqa: B023
        assert consumer.errors == []
        assert [one.error for one in tails] == [None, None]


def test_a_recorder_that_is_refused_for_good_after_a_trouble_waits_no_more_and_says_why(
    tcp_server: Server, heard: Heard, caplog: Any
) -> None:
    tcp_server.execute("ACL", "SETUSER", "recorder", "on", ">secret", "~*", "+@all")
    with SessionLog.connect(f"valkey://recorder:secret@{HOST}:{tcp_server.port}", retry_for=0.1) as log:
        recorder = SessionRecorder(log, "s")
        agent = Agent(model=ScriptedModel(["One.", "Two."]), hooks=[recorder], callback_handler=None)
        agent("First")
        assert recorder.flush()
        with troubles.too_few_replicas(tcp_server):
            agent("Second")
            wait_until(lambda: heard.awaited("recorder"), "it to wait")
            tcp_server.execute("ACL", "SETUSER", "recorder", "-evalsha", "-eval", "-evalsha_ro", "-eval_ro")
            wait_until(lambda: heard.over("recorder"), "it to be over")
            wait_until(lambda: "'evalsha' command" in recorder.stats.last_error, "the refusal")
        wait_until(lambda: "'evalsha' command" in caplog.text, "the reason to be told")
        assert len(heard.awaited("recorder")) == len(heard.over("recorder")) == 1
        tcp_server.execute("ACL", "SETUSER", "recorder", "+@all")
        assert recorder.close(timeout=20)
        assert [record.message for record in log.state("s").agents[agent.agent_id].messages] == agent.messages


def test_an_outage_is_told_at_once_then_rarely_and_when_it_is_over(heard: Heard, caplog: Any) -> None:
    outage = Outage("tail", "strands")
    for number in range(200):
        outage.met(OSError("away"), number % 2)
    outage.over(0)
    assert heard.over("tail") == []
    outage.over(1)
    outage.over(1)
    (began,), (ended,) = heard.awaited("tail"), heard.over("tail")
    assert (began.error, began.reason, began.seconds) == ("OSError", "away", 0)
    assert ended.seconds > 0
    assert [line.rpartition("| ")[2] for line in caplog.messages] == ["waiting for the server", "the server is back"]


def test_a_part_that_need_not_go_on_does_not_tell_that_the_server_is_back(heard: Heard) -> None:
    outage = Outage("tail", "strands")
    outage.met(OSError("away"), "one")
    outage.leave("one", to="two")
    outage.over("one")
    outage.leave("two")
    outage.met(OSError("away"), "three")
    outage.leave("three")
    assert [type(one) for one in heard] == [ServerAwaited]
    outage.over("two")
    assert len(heard.over("tail")) == 1


@pytest.mark.parametrize("session", ["s", None])
def test_a_tail_that_is_closed_while_the_server_is_away_does_not_tell_that_it_is_back(
    log: SessionLog, tcp_server: Server, heard: Heard, session: str | None
) -> None:
    log.append("s", note(0))
    with collecting(log.tail(session)) as following:
        wait_until(lambda: following, "what there was")
        tcp_server.kill()
        wait_until(lambda: heard.awaited("tail"), "it to wait")
    wait_until(lambda: len(heard) == 2, "it to wait no more")
    assert heard.over("tail") == []
    tcp_server.restart()


def test_an_outage_that_lasts_is_told_again(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_module, "_AGAIN", 0.0)
    outage = Outage("tail", "strands")
    for _ in range(3):
        outage.met(OSError("away"))
    first, *others = heard.awaited("tail")
    assert first.seconds == 0
    assert [one.seconds > 0 for one in others] == [True, True]


def test_a_follower_that_is_closed_waits_no_more(heard: Heard) -> None:
    outage = Outage("tail", "strands")
    outage.met(OSError("away"))
    outage.close()
    outage.met(OSError("away"))
    assert [type(one) for one in heard] == [ServerAwaited, ServerWaitOver]
    assert heard.over("tail") == []
