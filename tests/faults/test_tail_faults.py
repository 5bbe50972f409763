"""Whatever happens to the server and the network, a tail gets every event once and in order, or says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from valkey.exceptions import TimeoutError

from strands_session_log import FeedPosition, SessionLog, errors
from strands_session_log.ids import EventId
from support import Cluster, FaultProxy, wait_until
from support.clients import client_of
from support.following import SOON, collecting, note, notes, numbers, taken
from support.servers import Server

pytestmark = pytest.mark.faults

FLOOD = 400
PADDING = "x" * 50_000


@pytest.fixture
def log(proxy: FaultProxy) -> Iterator[SessionLog]:
    """A log behind a faulty network."""
    with SessionLog.connect(proxy.url) as log:
        yield log


@pytest.fixture
def direct(tcp_server: Server) -> SessionLog:
    """The same log, by a network without faults."""
    return SessionLog(tcp_server.client())


def test_a_server_that_restarts_is_waited_for(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 3))
    with log.tail("s") as tail, log.tail() as feed:
        assert numbers(tail, 3) == [0, 1, 2]
        for number in range(3, 6):
            tcp_server.restart()
            log.append("s", note(number))
            assert numbers(tail, 1) == [number]
        assert [one.id.revision for one in taken(feed, 6)] == [1, 2, 3, 4, 5, 6]


def test_a_tail_made_while_the_server_is_away_begins_when_it_is_back(tcp_server: Server) -> None:
    # Otherwise a write may still wait for the disk when its reply is sent (Valkey's aof.c, everysec).
    tcp_server.execute("CONFIG", "SET", "appendfsync", "always")
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 3))
    tcp_server.kill()
    tail = log.tail("s", after=1)
    tcp_server.restart()
    assert numbers(tail, 2) == [1, 2]


def test_a_network_cut_again_and_again_loses_and_repeats_nothing(
    log: SessionLog, direct: SessionLog, proxy: FaultProxy
) -> None:
    """Large events, so that it is cut in the middle of replies: while it catches up, and while it waits."""
    for number in range(FLOOD):
        direct.append("s", note(number, PADDING))
    with collecting(log.tail("s")) as found:
        for number in range(FLOOD, 2 * FLOOD):
            if number % 20 == 0:
                proxy.cut()
            direct.append("s", note(number, PADDING))
        wait_until(lambda: len(found) == 2 * FLOOD or found.error, "all events", SOON)
    assert found.error is None
    assert [one.event.data["number"] for one in found] == list(range(2 * FLOOD))


@pytest.mark.parametrize("command", [b"XREAD", b"XRANGE", b"HMGET"])
def test_a_reply_that_is_lost_is_asked_for_again(
    log: SessionLog, direct: SessionLog, proxy: FaultProxy, command: bytes
) -> None:
    with collecting(log.tail("s")) as found, collecting(log.tail()) as told:
        for number in range(100):
            if number % 10 == 0:
                proxy.swallow_replies(2, of=command)
            direct.append("s", note(number))
        wait_until(lambda: len(found) == len(told) == 100, "all events", SOON)
    assert [one.event.data["number"] for one in found] == list(range(100))
    assert [one.id.revision for one in told] == list(range(1, 101))


def test_a_server_that_stalls_longer_than_the_timeout_is_waited_for(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(socket_timeout=0.2))
    with collecting(log.tail("s")) as found:
        log.append("s", note(0))
        tcp_server.pause()
        with pytest.raises(TimeoutError):
            client_of(log).ping()
        tcp_server.resume()
        SessionLog(tcp_server.client()).append("s", note(1))
        wait_until(lambda: len(found) == 2, "what came after it")


@pytest.mark.parametrize("refill", [0, 2, 9])
def test_a_server_that_was_emptied_ends_the_tail_of_a_session(tcp_server: Server, refill: int) -> None:
    """However far a new session of that name has got by then."""
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 5))
    with log.tail("s") as tail:
        numbers(tail, 5)
        tcp_server.execute("FLUSHALL")
        if refill:
            log.append("s", notes(0, refill))
        with pytest.raises(errors.LogForkedError) as raised:
            taken(tail, 1)
    assert isinstance(raised.value, errors.SessionDeletedError) == (refill == 0)
    assert revision_of(raised.value) == 5


def test_a_stream_that_is_deleted_alone_is_noticed(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 5))
    with log.tail("s") as tail, log.tail("s", after="now") as waiting:
        numbers(tail, 5)
        tcp_server.execute("DEL", log._events.keyspace.session("s").events)
        log.append("other", note(0))
        tcp_server.execute("HSET", log._events.keyspace.session("s").head, "link", "a" * 43)
        for one in (tail, waiting):
            with pytest.raises(errors.LogForkedError):
                taken(one, 1)


def test_a_new_session_whose_ids_are_lower_is_noticed(tcp_server: Server) -> None:
    """As after a failover to a server whose clock is behind: a read that waits behind them would wait for ever."""
    log, keys = SessionLog(tcp_server.client()), SessionLog(tcp_server.client())._events.keyspace.session("s")
    log.append("s", notes(0, 3))
    tcp_server.execute("RENAME", keys.events, "old-events")
    tcp_server.execute("RENAME", keys.head, "old-head")
    SessionLog(tcp_server.client()).append("s", notes(0, 5))
    with log.tail("s") as tail:
        numbers(tail, 5)
        for key in keys.events, keys.head:
            tcp_server.execute("DEL", key)
        tcp_server.execute("RENAME", "old-events", keys.events)
        tcp_server.execute("RENAME", "old-head", keys.head)
        with pytest.raises(errors.LogForkedError):
            taken(tail, 1)


def test_an_event_that_was_changed_is_not_passed_on(tcp_server: Server) -> None:
    """What precedes it is."""
    log = SessionLog(tcp_server.client())
    ids = [log.append("s", note(number)) for number in range(3)]
    key = log._events.keyspace.session("s").events
    ((_, last),) = tcp_server.execute("XRANGE", key, str(ids[2]), str(ids[2]))
    tcp_server.execute("XDEL", key, str(ids[2]))
    flat = [part for name, value in last.items() for part in (name, value.replace('"number":2', '"number":7'))]
    changed = f"{ids[2].ms + 1}-3"
    tcp_server.execute("XADD", key, changed, *flat)
    with log.tail("s") as tail:
        assert numbers(tail, 2) == [0, 1]
        with pytest.raises(errors.LogForkedError):
            taken(tail, 1)


def test_a_feed_that_was_emptied_is_told_once_and_followed_on(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 5))
    with log.tail() as feed:
        taken(feed, 5)
        tcp_server.execute("FLUSHALL")
        with pytest.raises(errors.LogForkedError) as raised:
            taken(feed, 1)
        assert (raised.value.session_id, revision_of(raised.value)) == ("s", 5)
        log.append("s", notes(0, 3))
        assert [one.id.revision for one in taken(feed, 3)] == [1, 2, 3]


def test_a_tail_that_does_not_know_yet_where_it_begins_names_no_position(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 3))
    position = next(iter(log.tail())).feed_id
    tcp_server.kill()
    for begin in ("now", "-5m"):
        with pytest.raises(errors.PositionUnknownError, match="with tail"):
            assert log.tail(after=begin).position
    known = log.tail(after=FeedPosition((position,)))
    assert known.position == FeedPosition((position,))
    assert log.tail().position == FeedPosition()
    tcp_server.restart()


def put_back(log: SessionLog, dumps: dict[str, bytes]) -> None:
    """As after a failover to a replica that lacks what came since."""
    client_of(log).flushall()
    for key, dump in dumps.items():
        client_of(log).restore(key, 0, dump)


@pytest.mark.parametrize("others", [2, 5, 9])
def test_a_feed_that_goes_on_with_another_history_is_told_as_that(tcp_server: Server, others: int) -> None:
    """However far it has got: its numbers are used again."""
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 5))
    dumps = {key: client_of(log).dump(key) for key in client_of(log).keys("*")}
    with log.tail() as feed:
        log.append("s", notes(5, 8))
        lost = taken(feed, 8)[-1]
        put_back(log, dumps)
        SessionLog(tcp_server.client()).append("s", notes(100, 100 + others))
        with pytest.raises(errors.LogForkedError) as raised:
            taken(feed, 1)
        assert (raised.value.session_id, raised.value.position) == ("s", lost.id)
        assert [one.id.revision for one in taken(feed, others)] == list(range(6, 6 + others))


def replace_by_a_server_whose_clock_is_behind(log: SessionLog, feed_key: str) -> None:
    """The same numbers at an earlier time, and one more: nothing but the link of what was read last tells."""
    ((last, fields),) = client_of(log).xrevrange(feed_key, "+", "-", 1)
    number, ms = int(last.partition(b"-")[2]), int(last.partition(b"-")[0])
    client_of(log).delete(feed_key)
    for before in range(1, number + 1):
        client_of(log).xadd(feed_key, {**fields, b"link": b"x" * 43}, id=f"{ms - 1000}-{before}")
    client_of(log).xadd(feed_key, {**fields, b"link": b"y" * 43}, id=f"{ms + 9000}-{number + 1}")


def test_another_history_that_goes_on_with_the_very_number_is_told(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 3))
    with log.tail() as feed:
        taken(feed, 3)
    replace_by_a_server_whose_clock_is_behind(log, log._events.keyspace.session("s").feed)
    with log.tail(after=feed.position) as feed:
        with pytest.raises(errors.LogForkedError, match="the feed was replaced") as raised:
            taken(feed, 1)
        assert (raised.value.session_id, str(raised.value.position)) == ("", str(feed.position))
        assert taken(feed, 1)[0].link == "y" * 43


def test_another_history_is_told_though_no_connection_was_lost_and_something_comes_all_the_time(
    tcp_server: Server,
) -> None:
    direct = SessionLog(tcp_server.client())
    direct.append("s", notes(0, 3))
    feed_key = direct._events.keyspace.session("s").feed
    with SessionLog(tcp_server.client()) as log, collecting(log.tail()) as found:
        wait_until(lambda: len(found) == 3, "what there is")
        lost = found[-1]
        replace_by_a_server_whose_clock_is_behind(direct, feed_key)
        ((last, fields),) = client_of(direct).xrevrange(feed_key, "+", "-", 1)
        ms, number = map(int, last.split(b"-"))

        def is_told() -> bool:
            nonlocal number
            number += 1
            client_of(direct).xadd(feed_key, fields, id=f"{ms}-{number}")
            return found.error is not None

        wait_until(is_told, "the error", SOON)
    assert isinstance(found.error, errors.LogForkedError)
    assert found.error.position in {one.id for one in found}
    assert lost.session_id == found.error.session_id


def test_a_trimmed_or_deleted_envelope_is_no_other_history(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    feed_key = log._events.keyspace.session("s").feed
    log.append("s", notes(0, 5))
    with log.tail() as feed:
        last = taken(feed, 5)[-1]
        tcp_server.execute("XDEL", feed_key, last.feed_id.stream_id)
        with log.tail(after=feed.position) as another:
            log.append("s", note(5))
            assert [one.id.revision for one in taken(feed, 1) + taken(another, 1)] == [6, 6]
            tcp_server.execute("XTRIM", feed_key, "MAXLEN", 0)
            with log.tail(after=feed.position) as third:
                log.append("s", note(6))
                assert [one.id.revision for one in taken(feed, 1) + taken(another, 1) + taken(third, 1)] == [7, 7, 7]


def test_envelopes_that_are_gone_are_told_and_those_behind_them_come(tcp_server: Server) -> None:
    """Trimmed while nobody read; a reader that begins at the beginning misses nothing it was promised."""
    log = SessionLog(tcp_server.client())
    log.append("s", notes(0, 5))
    feed_key = log._events.keyspace.session("s").feed
    with log.tail() as feed:
        taken(feed, 2)
        position = feed.position
    log.append("s", notes(5, 10))
    tcp_server.execute("XTRIM", feed_key, "MAXLEN", 3)
    with log.tail(after=position) as feed:
        with pytest.raises(errors.FeedGapError) as raised:
            taken(feed, 1)
        assert raised.value.count == 5
        assert [one.id.revision for one in taken(feed, 3)] == [8, 9, 10]
    with log.tail() as feed:
        assert [one.id.revision for one in taken(feed, 3)] == [8, 9, 10]
    tcp_server.execute("DEL", feed_key)
    with log.tail(after=feed.position) as feed:
        log.append("s", note(10))
        assert [one.id.revision for one in taken(feed, 1)] == [11]


def test_a_user_who_may_not_unblock_others_waits_a_little_longer(tcp_server: Server) -> None:
    tcp_server.execute("ACL SETUSER", "guest", "on", ">secret", "~*", "+@all", "-client|unblock", "-client|id")
    log = SessionLog(tcp_server.client(username="guest", password="secret"))
    with log.tail("s") as tail, log.tail("t") as another:
        log.append("s", note(0))
        log.append("t", note(1))
        assert numbers(tail, 1) + numbers(another, 1) == [0, 1]


def test_a_server_that_refuses_ends_all_tails(tcp_server: Server) -> None:
    tcp_server.execute("ACL SETUSER", "guest", "on", ">secret", "~*", "+@all", "-xread")
    log = SessionLog(tcp_server.client(username="guest", password="secret"))
    for tail in (log.tail("s"), log.tail(after="now")):
        with pytest.raises(errors.ServerRefusedError):
            taken(tail, 1)


def test_a_failover_to_a_replica_that_lacks_what_was_read_is_noticed() -> None:
    with Cluster(replicas=1, cluster_node_timeout="500") as cluster:
        log = SessionLog(cluster.client(socket_timeout=1.0))
        log.append("s", notes(0, 3))
        key = log._events.keyspace.session("s").events
        primary = cluster.node_for(key)
        (replica,) = [node for node in cluster.nodes if replicates(node, primary)]
        with log.tail("s") as tail, log.tail("s") as another, log.tail(after="now") as feed:
            wait_until(lambda: replica.execute("INFO", "replication")["slave_repl_offset"] > 0, "the replica")
            numbers(tail, 3)
            client_of(log).wait(1, 1000, target_nodes=[client_of(log).get_node_from_key(key)])
            replica.pause()
            primary.execute("CLIENT", "KILL", "TYPE", "replica")
            log.append("s", notes(3, 5))
            assert numbers(tail, 2) == [3, 4]
            assert [one.id.revision for one in taken(feed, 2)] == [4, 5]
            assert numbers(another, 5) == [0, 1, 2, 3, 4]
            primary.kill()
            replica.resume()
            wait_until(lambda: replica.execute("INFO", "replication")["role"] == "master", "the failover", SOON)
            with pytest.raises(errors.LogForkedError):
                taken(tail, 1)
            log.append("s", notes(3, 9))
            with pytest.raises(errors.LogForkedError):
                taken(another, 1)
            with pytest.raises(errors.LogForkedError) as raised:
                taken(feed, 1)
            assert (raised.value.session_id, revision_of(raised.value)) == ("s", 5)
            assert taken(feed, 1)[0].session_id == "s"
            assert numbers(log.tail("s"), 9) == list(range(9))


def revision_of(error: errors.LogForkedError) -> int:
    assert isinstance(error.position, EventId)
    return error.position.revision


def replicates(node: Server, primary: Server) -> bool:
    found = node.execute("INFO", "replication")
    return (found["role"], found.get("master_port")) == ("slave", primary.port)


def test_a_failover_in_which_nothing_was_lost_goes_unnoticed() -> None:
    with Cluster(replicas=1, cluster_node_timeout="500") as cluster:
        log = SessionLog(cluster.client(socket_timeout=1.0), durability="replicated:1")
        with log.tail("s") as tail, log.tail() as feed:
            log.append("s", notes(0, 3))
            assert numbers(tail, 3) == [0, 1, 2]
            cluster.node_for(log._events.keyspace.session("s").events).kill()
            SessionLog(cluster.client(socket_timeout=1.0), retry_for=30).append("s", notes(3, 6))
            assert numbers(tail, 3) == [3, 4, 5]
            assert [one.id.revision for one in taken(feed, 6)] == [1, 2, 3, 4, 5, 6]
