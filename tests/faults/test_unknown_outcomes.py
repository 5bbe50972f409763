"""What was appended is told apart from what only looks like it, over lost replies, other primaries and deletions."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

import orjson
import pytest
from valkey.exceptions import ConnectionError

from strands_session_log import AgentAt, Durability, SessionLog, errors, events
from strands_session_log.codec import encode
from strands_session_log.event_log import ANY
from strands_session_log.event_log.chained_batch import Position, chain_batch
from strands_session_log.ids import START, EventId
from strands_session_log.scripts import APPEND, ONCE
from support import FaultProxy, wait_until
from support.processes import HOST
from support.servers import Server, ValkeyliteServer

pytestmark = pytest.mark.faults

REPLICATED = Durability.replicated(1, timeout_ms=200)


def order(number: int) -> events.Event:
    return events.Custom("custom.order", {"number": number})


def orders(log: SessionLog) -> list[Any]:
    return [one.event.data.get("number") for one in log.read("s")]


def said(index: int, text: str) -> events.Event:
    message = {"role": "user", "content": [{"text": text}]}
    return events.MessageAdded({"message": message, "message_id": index}, "default")


class Stale:
    """A process that still believes the session to stand where it did."""

    def __init__(self, log: SessionLog, session_id: str = "s") -> None:
        self.log = SessionLog(log.client, log.namespace, allow_eviction=True)
        head = log._events.head(session_id) or Position()
        self.log._events.remember(session_id, head)


def test_a_batch_that_begins_like_one_that_landed_is_not_taken_for_it(session_log: SessionLog) -> None:
    first, second = order(1), order(2)
    stale = Stale(session_log).log
    session_log.append("s", first)
    last = session_log.append("s", events.Custom("custom.note", {}))
    stale._events.remember("s", Position())
    appended = stale.append("s", [first, second])
    assert appended.revision == last.revision + 2
    assert orders(session_log) == [1, None, 1, 2]


def test_a_false_fence_is_refused_though_the_batch_begins_like_one_that_landed(session_log: SessionLog) -> None:
    first, second = said(0, "one"), said(1, "two")
    session_log.append("s", first)
    stale = SessionLog(session_log.client, session_log.namespace, allow_eviction=True)
    stale._events.remember("s", Position())
    with pytest.raises(errors.ConcurrentWriteError):
        stale.append("s", [first, second], expected=AgentAt("default", revision=0, next_message=0))
    assert session_log.state("s").revision == 1


@pytest.fixture
def primaries() -> Iterator[tuple[Server, Server, FaultProxy]]:
    """Two servers that have each been the primary, and what leads to the one that is."""
    with ValkeyliteServer() as a, ValkeyliteServer() as b, FaultProxy(HOST, a.port) as proxy:
        yield a, b, proxy


def lead_to(proxy: FaultProxy, server: Server) -> None:
    proxy.lead_to(HOST, server.port)
    proxy.cut()


def copy_all(source: Server, target: Server) -> None:
    """As replication would have."""
    here, there = source.client(), target.client()
    for key in here.scan_iter():
        there.restore(key, 0, here.dump(key), replace=True)


def unknown(append: Callable[[], object], proxy: FaultProxy) -> None:
    proxy.swallow_replies(1, of=b"EVALSHA")
    with pytest.raises(errors.UnknownOutcomeError):
        append()


@pytest.fixture
def lose_replies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """While it lasts, what a client sends with this in it is carried out, and the reply is lost."""

    @contextmanager
    def lose(log: SessionLog, of: str) -> Iterator[None]:
        execute = log.client.execute_command

        def lossy(*command: Any, **options: Any) -> Any:
            reply = execute(*command, **options)
            if of.encode() in command:
                raise ConnectionError("reset after it was carried out")
            return reply

        with monkeypatch.context() as patched:
            patched.setattr(log.client, "execute_command", lossy)
            yield

    return lose


@pytest.mark.parametrize("fenced", [False, True])
def test_two_changes_of_primary_with_lost_replies_store_nothing_twice(
    primaries: tuple[Server, Server, FaultProxy], lose_replies: Callable[..., Any], fenced: bool
) -> None:
    a, b, proxy = primaries
    log, there = SessionLog.connect(proxy.url, retry_for=0), SessionLog.connect(b.url)
    log.append("s", said(0, "zero"))
    copy_all(a, b)
    there.append("s", events.Custom("custom.note", {}))
    message = said(1, "one")
    expected = AgentAt("default", revision=1, next_message=1) if fenced else ANY

    def append() -> EventId:
        return log.append("s", message, expected=expected)

    with lose_replies(log, of=message.event_id):
        with pytest.raises(errors.UnknownOutcomeError):
            append()
        lead_to(proxy, b)
        while there.state("s").revision < 3:  # the connection is gone, and then the reply
            with pytest.raises(errors.UnknownOutcomeError):
                append()
    lead_to(proxy, a)
    landed, here = None, SessionLog.connect(a.url)
    while landed is None:
        with contextlib.suppress(errors.UnknownOutcomeError):  # the connection is gone
            landed = append()
    assert [one.event.data["message_id"] for one in here.read("s", types="message.added")] == [0, 1]
    assert landed == list(here.read("s"))[-1].id
    assert here.verify("s").ok


def test_two_changes_of_primary_during_one_append_store_nothing_twice(
    primaries: tuple[Server, Server, FaultProxy], lose_replies: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, proxy = primaries
    log, there = SessionLog.connect(proxy.url), SessionLog.connect(b.url)
    log.append("s", order(0))
    copy_all(a, b)
    there.append("s", events.Custom("custom.note", {}))
    event, execute = order(1), log.client.execute_command
    changes = iter((lambda: lead_to(proxy, b), lambda: lead_to(proxy, a)))

    def carried_out_twice_without_a_reply(*command: Any, **options: Any) -> Any:
        reply = execute(*command, **options)
        landed = event.event_id.encode() in command and isinstance(reply, bytes)
        if landed and (change := next(changes, None)):
            change()
            raise ConnectionError("reset after it was carried out")
        return reply

    monkeypatch.setattr(log.client, "execute_command", carried_out_twice_without_a_reply)
    landed = log.append("s", event)
    assert orders(SessionLog.connect(b.url)) == [0, None, 1]
    assert orders(SessionLog.connect(a.url)) == [0, 1]
    assert landed.revision == 2


def test_what_landed_on_another_primary_at_another_time_breaks_no_chain(
    primaries: tuple[Server, Server, FaultProxy],
) -> None:
    """Both have an event of the same revision and link, but each gave it a time of its own."""
    a, b, _ = primaries
    logs = [SessionLog.connect(server.url) for server in (a, b)]
    call = chain_batch("s", [encode(order(1))], ANY, Position())
    began = EventId.parse(
        APPEND(logs[0].client, logs[0]._events.keyspace.session("s").begin, call.arguments).split()[2]
    )
    wait_until(lambda: logs[1]._events.now_ms("s") > began.ms, "another millisecond")
    APPEND(logs[1].client, logs[1]._events.keyspace.session("s").begin, call.arguments)
    last = logs[0].append("s", order(2))
    heads = [log._events.head("s") for log in logs]
    assert heads[0] is not None
    assert heads[1] is not None
    follows = Position(next(logs[0].read("s")).id, call.link)
    repeated = chain_batch("s", [encode(order(2))], ANY, follows)
    reply = APPEND(logs[1].client, logs[1]._events.keyspace.session("s").append, repeated.arguments)
    assert reply[0] == b"moved"
    logs[1]._events.remember("s", follows)
    assert logs[1].append("s", order(3)).revision == last.revision
    assert all(log.verify("s").ok for log in logs)


def test_no_unknown_outcome_is_forgotten_however_many_there_are(
    tcp_server: Server, lose_replies: Callable[..., Any]
) -> None:
    log = SessionLog(tcp_server.client(), retry_for=0, snapshots=None)
    log.append("s", order(-1))
    written = [order(number) for number in range(1500)]
    with lose_replies(log, of="s"):
        for event in written:
            log._events.remember("s", log._events.head("s") or Position())
            with pytest.raises(errors.UnknownOutcomeError):
                log.append("s", event)
    for event in written:
        log.append("s", event)
    assert orders(log) == list(range(-1, 1500))


@pytest.fixture
def replicated() -> Iterator[tuple[Server, Server, FaultProxy]]:
    at_once = {"repl_diskless_sync_delay": "0"}
    with (
        ValkeyliteServer(**at_once) as primary,
        ValkeyliteServer() as replica,
        FaultProxy(HOST, primary.port) as proxy,
    ):
        replica.execute("REPLICAOF", HOST, primary.port)
        while primary.execute("WAIT", 1, 100) < 1:
            primary.execute("SET", "anything", 1)
        yield primary, replica, proxy


def test_an_append_whose_reply_was_lost_is_not_done_before_its_replica_has_it(
    replicated: tuple[Server, Server, FaultProxy],
) -> None:
    _, replica, proxy = replicated
    log = SessionLog.connect(proxy.url, durability=REPLICATED)
    SessionLog.connect(proxy.url).append("s", order(0))
    event = order(1)
    replica.pause()
    try:
        proxy.swallow_replies(1, of=b"EVALSHA")
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.append("s", event)
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.append("s", event)
    finally:
        replica.resume()
    assert orders(log) == [0, 1]


@pytest.mark.parametrize("once", [False, True])
def test_a_first_append_whose_reply_was_lost_waits_like_any_other(
    replicated: tuple[Server, Server, FaultProxy], once: bool
) -> None:
    _, replica, proxy = replicated
    log = SessionLog.connect(proxy.url, durability=REPLICATED)
    SessionLog.connect(proxy.url).append("other", order(0))
    replica.pause()
    try:
        proxy.swallow_replies(1, of=b"EVALSHA")
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.append("s", order(1), once=once)
    finally:
        replica.resume()


def test_an_erasure_and_a_fork_whose_replies_were_lost_wait_like_any_other(
    replicated: tuple[Server, Server, FaultProxy],
) -> None:
    _, replica, proxy = replicated
    log = SessionLog.connect(proxy.url, durability=REPLICATED)
    SessionLog.connect(proxy.url).append("s", [order(0), order(1)])
    replica.pause()
    try:
        calls: list[Callable[[], object]] = [
            lambda: log.erase("s", 1, reason="why"),
            lambda: log.fork("s", None, "fork"),
        ]
        for call in calls:
            # Of all it sends, the last is what is waited for.
            proxy.swallow_replies(1, of=b"WAIT")
            with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
                call()
        # Nothing is left to erase; whether that is safe is as unknown as before.
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.erase("s", 1, reason="why")
    finally:
        replica.resume()


def test_a_deletion_waits_for_its_replica_also_where_its_reply_was_lost(
    replicated: tuple[Server, Server, FaultProxy],
) -> None:
    _, replica, proxy = replicated
    log = SessionLog.connect(proxy.url, durability=REPLICATED)
    for name in ("s", "other"):
        SessionLog.connect(proxy.url).append(name, order(0))
    replica.pause()
    try:
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.delete("s")
        proxy.swallow_replies(1, of=b"WAIT")
        with pytest.raises(errors.UnknownOutcomeError, match="WAIT reported"):
            log.delete("other")
    finally:
        replica.resume()


def packed(log: SessionLog, session_id: str, *batch: events.Event) -> bytes:
    """The first append of a session as it goes over the wire, by who knows what was deleted before."""
    lives = log.client.execute_command(
        "HGET", log._events.keyspace.session(session_id).tombstones, sha1(session_id.encode()).hexdigest()
    )
    known = Position(START, orjson.loads(lives)[-1]["token"] if lives else "")
    call = chain_batch(session_id, [encode(event) for event in batch], ANY, known)
    keys = log._events.keyspace.session(session_id).begin
    parts = [b"EVAL", APPEND.source, b"%d" % len(keys), *(key.encode() for key in keys), *call.arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def send(server: Server, packet: bytes) -> bytes:
    with socket.create_connection((HOST, server.port), timeout=5) as connection:
        connection.sendall(packet)
        return connection.recv(4096)


def test_a_late_packet_of_its_first_append_does_not_bring_a_deleted_session_back(tcp_server: Server) -> None:
    log = SessionLog.connect(tcp_server.url)
    packet = packed(log, "s", order(1), order(2))
    assert b"begun" in send(tcp_server, packet)
    assert log.delete("s", reason="on request", by="ada") == 2
    assert b"deleted" in send(tcp_server, packet)
    with pytest.raises(errors.SessionNotFoundError):
        log.state("s")
    (tombstone,) = log.tombstones("s")
    assert (tombstone.session_id, tombstone.revision, tombstone.by, tombstone.reason) == ("s", 2, "ada", "on request")


def test_after_several_lives_no_late_packet_of_any_brings_the_session_back(tcp_server: Server) -> None:
    log = SessionLog.connect(tcp_server.url)
    packets = []
    for number in range(3):
        packets.append(packed(log, "s", order(number)))
        assert b"landed" in send(tcp_server, packets[-1]) or number == 0
        log.delete("s")
    assert all(b"deleted" in send(tcp_server, packet) for packet in packets)
    assert log.append("s", order(0)).revision == 1  # the same content may be said again
    assert len(list(log.tombstones("s"))) == 3


@pytest.mark.parametrize("once", [False, True])
def test_a_late_packet_of_what_landed_behind_others_does_not_bring_a_deleted_session_back(
    session_log: SessionLog, once: bool
) -> None:
    late = order(1)
    sealed = chain_batch("s", [encode(late)], ANY, Position())
    session_log.append("s", order(0))
    session_log.append("s", late, once=once)  # as its writer does who hears that the session has begun meanwhile
    session_log.delete("s")
    keys = session_log._events.keyspace.session("s")
    if once:
        reply = ONCE(session_log.client, keys.once, [*sealed.arguments, 1000])
    else:
        reply = APPEND(session_log.client, keys.begin, sealed.arguments)
    assert reply[0] == b"moved"
    assert orders(session_log) == []
    assert session_log.append("s", late, once=once).revision == 1  # whoever appends now has heard of the deletion


def test_a_delete_whose_reply_was_lost_says_how_many_events_there_were(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url)
    log.append("s", [order(1), order(2)])
    proxy.swallow_replies(1, of=b"EVALSHA")
    assert log.delete("s") == 2
    assert len(list(log.tombstones("s"))) == 1
    with pytest.raises(errors.SessionNotFoundError):
        log.delete("s")


def test_once_settles_a_lost_reply_from_another_machine(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url, retry_for=0)
    batch = [order(1), order(2)]
    log.append("s", order(0))
    unknown(lambda: log.append("s", batch, once=True), proxy)
    elsewhere = SessionLog.connect(tcp_server.url)
    assert elsewhere.append("s", batch, once=True).revision == 3
    assert log.append("s", batch, once=True).revision == 3
    assert orders(log) == [0, 1, 2]


@pytest.mark.parametrize("landed", [False, True])
def test_what_is_appended_once_takes_no_unknown_batch_for_its_own_or_for_settled(
    tcp_server: Server, proxy: FaultProxy, landed: bool
) -> None:
    log = SessionLog.connect(proxy.url, retry_for=0)
    batch = [order(1), order(2), order(3)]
    log.append("s", order(0), once=True)
    log.append("t", order(0))  # the server knows both scripts now, so that the reply to lose is that of one
    if landed:
        unknown(lambda: log.append("s", batch), proxy)
        assert log.append("s", batch[0], once=True).revision == 2
    else:
        proxy.cut()
        proxy.refuse()
        with pytest.raises(errors.UnknownOutcomeError):
            log.append("s", batch)
        proxy.accept()
        unknown(lambda: log.append("s", batch[0], once=True), proxy)
    log.append("s", batch)
    assert orders(log) == ([0, 1, 2, 3] if landed else [0, 1, 1, 2, 3])


def test_once_forgets_what_it_has_settled_also_where_the_batch_had_begun(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url, retry_for=0)
    batch = [order(1), order(2), order(3)]
    log.append("s", batch[0], once=True)
    unknown(lambda: log.append("s", batch[1:], once=True), proxy)
    assert log.append("s", batch, once=True).revision == 3
    assert log.append("s", batch[1]).revision == 4


def test_several_threads_repeat_what_is_unknown_while_others_write(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url)

    def write(writer: int) -> None:
        for number in range(20):
            if number % 5 == 0:
                proxy.swallow_replies(1, of=b"EVALSHA")
            log.append("s", events.Custom("custom.order", {"number": writer * 100 + number}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert sorted(orders(log)) == sorted(writer * 100 + number for writer in range(4) for number in range(20))
    assert log.verify("s").ok
