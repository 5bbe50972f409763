"""Trouble that time cures ends nobody who follows: it is waited for, told at once and rarely, and when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from strands import Agent

from strands_session_log import FeedRetention, SessionLog, SessionRecorder, Subscriber, events, instrumentation
from strands_session_log.instrumentation import Detail, ServerAwaited, ServerWaitOver
from strands_session_log.testing.model import ScriptedModel
from subscription.helpers import Consumer, Told
from support import Cluster, troubles
from support.following import collecting, note
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
