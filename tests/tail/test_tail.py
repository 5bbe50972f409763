"""Tails of one process: how many share what, who waits for whom, and how they end."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from valkey import BlockingConnectionPool, Valkey

from strands_session_log import SessionLog, events
from strands_session_log.tail import buffer
from support import wait_until
from support.following import SOON, collecting, note, notes, numbers, taken
from support.processes import HOST
from support.servers import Server

MANY = 200
TIMEOUT = 2.0
LONGEST_READ = 1.0


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("session-log-tail")]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    gc.collect()
    wait_until(lambda: not threads(), "the threads of tails to end")


def connected(server: Server) -> int:
    """How many connections there are beside that of the test."""
    return len([one for one in server.client().client_list() if one["cmd"] != "client|list"])


def test_two_hundred_tails_share_a_few_connections_and_get_everything(tcp_server: Server) -> None:
    log, writer = SessionLog(tcp_server.client()), SessionLog(tcp_server.client())
    for number in range(0, MANY, 2):
        writer.append(f"s-{number}", note(0))
    with ExitStack() as stack:
        tails = [stack.enter_context(log.tail(f"s-{number}")) for number in range(MANY)]
        for round_ in range(1, 4):
            for number in range(MANY):
                writer.append(f"s-{number}", note(round_))
        for number, tail in enumerate(tails):
            first = 0 if number % 2 == 0 else 1
            assert numbers(tail, 4 - first) == list(range(first, 4))
        of_writer = 1
        assert connected(tcp_server) - of_writer <= 3
        assert len(threads()) == 2


@pytest.mark.parametrize("decoding", [True, False])
def test_two_hundred_tails_in_a_cluster_share_a_connection_a_partition(
    make_client: Callable[..., Any], namespace: str, decoding: bool
) -> None:
    log = SessionLog(make_client(decode_responses=decoding), namespace)
    with ExitStack() as stack:
        tails = [stack.enter_context(log.tail(f"s-{number}")) for number in range(MANY)]
        for number in range(MANY):
            log.append(f"s-{number}", note(number))
        assert [numbers(tail, 1) for tail in tails] == [[number] for number in range(MANY)]
        assert len(threads()) <= 1 + log._events.keyspace.partitions


def test_a_client_that_speaks_resp3_can_follow(tcp_server: Server) -> None:
    for decoding in (True, False):
        log = SessionLog(tcp_server.client(protocol=3, decode_responses=decoding), f"t-{decoding}")
        with log.tail("s") as tail, log.tail() as feed:
            log.append("s", notes(0, 3))
            assert numbers(tail, 3) == [0, 1, 2]
            log.append("s", note(3))
            assert numbers(tail, 1) == [3]
            assert len(taken(feed, 4)) == 4


def test_a_pool_of_two_connections_is_enough(tcp_server: Server) -> None:
    pool = BlockingConnectionPool(host=HOST, port=tcp_server.port, max_connections=2, timeout=5)
    log = SessionLog(Valkey(connection_pool=pool))
    with log.tail("s") as tail, log.tail("t") as another:
        log.append("s", note(0))
        log.append("t", note(1))
        assert numbers(tail, 1) + numbers(another, 1) == [0, 1]
    log.close()
    pool.disconnect()


def test_what_a_slow_consumer_has_not_taken_stays_on_the_server(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds up nobody else, and loses nothing."""
    monkeypatch.setattr(buffer, "CAPACITY", 50)
    with session_log.tail("s") as slow, session_log.tail("s") as quick, collecting(quick) as found:
        for number in range(2000):
            session_log.append("s", note(number))
        wait_until(lambda: len(found) == 2000, "the quick one", SOON)
        # A page more than it may hold, where a page is at most 64 events for those who wait.
        assert len(slow._buffer._items) <= 50 + 64
        assert numbers(slow, 1) == [0]
        session_log.append("s", note(2000))
        assert numbers(slow, 2000) == list(range(1, 2001))


def test_few_bytes_of_large_events_are_held(session_log: SessionLog) -> None:
    for number in range(40):
        session_log.append("s", note(number, "x" * 300_000))
    with session_log.tail("s") as tail:
        wait_until(lambda: tail._buffer._blocked, "the buffer to be full")
        # The first page is asked for before anybody knows how large its events are.
        assert len(tail._buffer._items) <= 8
        assert numbers(tail, 40) == list(range(40))


def test_a_slow_consumer_of_the_feed_gets_everything(session_log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "CAPACITY", 20)
    with session_log.tail() as feed:
        for number in range(40):
            session_log.append(f"s-{number}", notes(0, 30))
        told = taken(feed, 1200)
    assert len({one.feed_id for one in told}) == 1200


def test_closing_from_another_thread_ends_a_loop(session_log: SessionLog) -> None:
    tail = session_log.tail("s")
    with collecting(tail) as found:
        session_log.append("s", note(0))
        wait_until(lambda: found, "the event")
    assert (len(found), found.error) == (1, None)
    assert list(tail) == []


def test_closing_the_log_ends_all_its_tails(server_url: str, namespace: str) -> None:
    took = 0.0
    for number in range(5):
        log = SessionLog.connect(server_url, namespace)
        with collecting(log.tail("s")) as found, collecting(log.tail()) as told:
            log.append("s", note(number))
            wait_until(lambda: found and told, "the event")
            began = time.monotonic()
            log.close()
            took += time.monotonic() - began
            wait_until(lambda: not threads(), "the threads to end")
        assert (found.error, told.error) == (None, None)
    assert took < 5 * LONGEST_READ * 0.7


def test_a_cancelled_wait_loses_nothing(session_log: SessionLog) -> None:
    async def follow() -> list[int]:
        found: list[int] = []
        async with session_log.tail("s") as tail:
            for number in range(50):
                wait = asyncio.ensure_future(anext(tail))
                await asyncio.sleep(0)
                await asyncio.to_thread(session_log.append, "s", note(number))
                wait.cancel()
                (result,) = await asyncio.gather(wait, return_exceptions=True)
                found += [] if isinstance(result, BaseException) else [result.event.data["number"]]
            while len(found) < 50:
                found.append((await asyncio.wait_for(anext(tail), SOON)).event.data["number"])
        return found

    assert asyncio.run(follow()) == list(range(50))


def test_a_cancelled_task_ends_its_tail(session_log: SessionLog) -> None:
    async def follow(tail: Any) -> None:
        async with tail:
            async for _ in tail:
                pass

    async def begin_and_cancel() -> None:
        tail = session_log.tail("s")
        task = asyncio.ensure_future(follow(tail))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(StopAsyncIteration):
            await anext(tail)

    asyncio.run(begin_and_cancel())


def test_an_event_loop_is_never_held_up(tcp_server: Server) -> None:
    """Not even by a server that does not answer."""
    log = SessionLog(tcp_server.client(socket_timeout=TIMEOUT))

    async def follow() -> float:
        tcp_server.pause()
        longest, last = 0.0, time.perf_counter()
        wait = asyncio.ensure_future(anext(log.tail("s", after="now")))
        for _ in range(50):
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        wait.cancel()
        tcp_server.resume()
        return longest

    assert asyncio.run(follow()) < TIMEOUT * 0.8


def test_a_tail_nobody_holds_any_more_ends(session_log: SessionLog) -> None:
    session_log.append("s", notes(0, 3))
    for recorded in session_log.tail("s"):
        assert recorded.id.revision == 1
        break
    del recorded
    gc.collect()
    wait_until(lambda: not threads(), "the threads to end")


def test_a_tail_can_follow_another(session_log: SessionLog) -> None:
    """The threads that end with the last tail are there again with the next."""
    log = SessionLog(session_log.client, session_log.namespace)
    for number in range(30):
        with log.tail("s", after="now") as tail:
            log.append("s", note(number))
            assert numbers(tail, 1) == [number]
    log.close()
    with log.tail("s") as tail:
        assert numbers(tail, 30) == list(range(30))


def test_an_event_that_comes_while_others_are_read_is_there_at_once(session_log: SessionLog) -> None:
    """A new tail does not wait for the read that is under way."""
    with session_log.tail("s", after="now"):
        wait_until(lambda: len(threads()) == 2, "the lane")
        began = time.monotonic()
        for number in range(20):
            with session_log.tail(f"t-{number}", after="now") as tail:
                session_log.append(f"t-{number}", note(number))
                assert numbers(tail, 1) == [number]
        assert time.monotonic() - began < 20 * LONGEST_READ * 0.4


def test_types_that_never_come_cost_no_memory(session_log: SessionLog) -> None:
    with session_log.tail("s", types="custom.never") as tail:
        session_log.append("s", notes(0, 500))
        session_log.append("s", events.Custom("custom.never", {}))
        assert taken(tail, 1)[0].id.revision == 501
        assert not tail._buffer._items


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is ignored in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to a thread here")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("session", ["s", None], ids=["of a session", "of all"])
def test_a_signal_that_another_thread_takes_ends_a_tail_that_waits(
    session_log: SessionLog, session: str | None
) -> None:
    """As on a busy machine, where it comes right before the wait: nothing wakes the main thread then."""

    def interrupt() -> None:
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    with session_log.tail(session) if session else session_log.tail() as tail:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            next(tail)
