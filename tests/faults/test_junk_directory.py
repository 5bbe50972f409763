"""Foreign members in a directory, a config that nobody wrote, keys that were left behind: each hurts only itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import orjson
import pytest

from strands_session_log import SessionLog, Subscriber, ValkeyStorage, errors
from strands_session_log.event_log.deleter import Deleter
from strands_session_log.ids import EventId
from strands_session_log.keys import config_key
from strands_session_log.server import Store
from strands_session_log.server.routing import connection_to
from support import wait_until
from support.clients import Client
from support.command_line import runner
from support.erasing import fill, note
from support.following import taken

NAMES = [f"s{number:02}" for number in range(12)]


@pytest.fixture
def log(client: Client, namespace: str) -> SessionLog:
    return SessionLog(client, namespace, partitions=2, retry_for=1.0)


@pytest.fixture
def sessions(log: SessionLog) -> SessionLog:
    """The log with a session for each name, the last one the newest."""
    for name in NAMES:
        log.append(name, note(1))
    return log


def paged(log: SessionLog, size: int) -> list[str]:
    found: list[str] = []
    before = None
    while page := log.sessions(size, before):
        found += [info.session_id for info in page]
        before = page[-1]
    return found


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "1e15", "-5", "0", "1.5"])
def test_sessions_are_listed_once_and_in_order_whatever_else_stands_in_the_directory(
    sessions: SessionLog, client: Client, score: str
) -> None:
    for partition in range(2):
        key = sessions._events.keyspace.sessions(partition)
        foreign = [b"\xff%d" % number for number in range(400)] + [b"", b"a\nb", b"x" * 300, b"nobody"]
        client.zadd(key, dict.fromkeys(foreign, score))
    assert [info.session_id for info in sessions.sessions(limit=5)] == NAMES[:-6:-1]
    for size in (1, 5, 100):
        assert paged(sessions, size) == NAMES[::-1]
    assert [name for name in sessions.session_ids() if name in NAMES] == NAMES[::-1]


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "-5"])
def test_sessions_whose_scores_are_no_times_are_still_listed_once(
    sessions: SessionLog, client: Client, score: str
) -> None:
    for name in NAMES[3:9]:
        client.zadd(sessions._events.keyspace.session(name).sessions, {name: score})
    for size in (1, 2, 5, 100):
        assert sorted(paged(sessions, size)) == NAMES
    assert [name for name in paged(sessions, 4) if name not in NAMES[3:9]] == [*NAMES[:8:-1], *NAMES[2::-1]]


def test_a_session_with_a_damaged_head_is_not_listed_and_is_verified_all_the_same(
    sessions: SessionLog, client: Client, server_url: str
) -> None:
    client.hset(sessions._events.keyspace.session("s03").head, "revision", "junk")
    client.delete(sessions._events.keyspace.session("s05").head)
    client.set(sessions._events.keyspace.session("s05").head, b"\xff")
    whole = [name for name in reversed(NAMES) if name not in ("s03", "s05")]
    assert [info.session_id for info in sessions.sessions()] == whole
    told = runner(server_url, sessions.namespace)(
        "verify", "--all", "--verbose", "--json", exit_code=1
    ).stdout.splitlines()[:-1]
    found = {line["session_id"]: line for line in map(json.loads, told)}
    assert [name for name in NAMES if found[name]["ok"]] == sorted(whole)
    assert "'revision' holds b'junk'" in found["s03"]["problems"][0]
    assert "it is no hash" in found["s05"]["problems"][0]


def test_what_cannot_be_read_of_a_session_can_be_deleted(sessions: SessionLog, client: Client) -> None:
    for name, key in zip(NAMES, sessions._events.keyspace.session("x")._fields, strict=False):
        if key not in ("feed", "sessions", "position", "tombstones", "texts", "due", "holds", "subjects"):
            client.set(getattr(sessions._events.keyspace.session(name), key), b"\xff")
            sessions.delete(name)
    assert sorted(paged(sessions, 100)) == NAMES[6:]


def test_nothing_is_deleted_where_no_tombstone_can_be_left(sessions: SessionLog, client: Client) -> None:
    key = sessions._events.keyspace.session(NAMES[0]).tombstones
    client.set(key, "junk")
    with pytest.raises(errors.CorruptKeyError, match=r"a string, not a hash; .* or delete the key") as caught:
        sessions.delete(NAMES[0])
    assert caught.value.key == key
    assert NAMES[0] in paged(sessions, 100)


def test_tombstones_that_are_none_are_named_by_whoever_asks_for_them(sessions: SessionLog, client: Client) -> None:
    key = sessions._events.keyspace.session(NAMES[0]).tombstones
    client.set(key, "junk")
    calls: list[Callable[[], object]] = [
        lambda: list(sessions.tombstones(NAMES[0])),
        lambda: list(sessions.tombstones()),
        lambda: sessions.reduce_tombstone(NAMES[0]),
    ]
    for call in calls:
        with pytest.raises(errors.WrongTypeError, match="a string, not a hash") as caught:
            call()
        assert caught.value.key == key


def test_a_tombstone_that_others_change_all_the_time_is_not_said_to_be_gone(log: SessionLog, client: Client) -> None:
    log.append("s", note(1))
    log.delete("s")
    with pytest.raises(errors.ContentionError):
        Deleter(Store(_Changing(client), log._events.keyspace, 1.0)).reduce("s")


class _Changing:
    """A client after each of whose looks at a tombstone another one changes it."""

    def __init__(self, client: Client) -> None:
        self._client, self.changes = client, 0

    def execute_command(self, name: str, *args: Any, **options: Any) -> Any:
        reply = self._client.execute_command(name, *args, **options)
        if name == "HGET":
            self.changes += 1
            self._client.hset(args[0], args[1], orjson.dumps([{"changed": self.changes}]))
        return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_feed_or_a_group_that_is_none_is_named_by_whoever_asks_for_it(sessions: SessionLog, client: Client) -> None:
    keyspace = sessions._events.keyspace
    of_group = keyspace.group(0, "g")
    calls: dict[str, Callable[[], object]] = {
        keyspace.feed(0): lambda: sessions._events.trim_feed(0),
        of_group.group: lambda: sessions.settle_gaps("g", "skip"),
        of_group.parked: lambda: list(sessions.parked("g")),
    }
    with Subscriber(sessions, "g"):
        pass
    for key, call in calls.items():
        client.set(key, "junk")
        with pytest.raises(errors.WrongTypeError, match="a string, not a") as caught:
            call()
        assert caught.value.key == key
        client.delete(key)


def test_a_directory_that_is_none_is_named_with_a_cure(sessions: SessionLog, client: Client) -> None:
    key = sessions._events.keyspace.sessions(1)
    client.set(key, "junk")
    for call in (sessions.sessions, lambda: sessions.count_sessions(datetime(2020, 1, 1, tzinfo=timezone.utc))):
        with pytest.raises(errors.CorruptKeyError, match=r"a string, not a zset; restore it from a backup") as caught:
            call()
        assert caught.value.key == key


@pytest.mark.parametrize("partitions", [1, 5, 1024])
def test_a_lost_or_changed_config_hides_no_session_whatever_the_number_of_partitions(
    make_client: Callable[[], Client], namespace: str, partitions: int
) -> None:
    SessionLog(make_client(), namespace, partitions=partitions).append("s", note(1))
    client = make_client()
    client.delete(config_key(namespace))
    assert len(SessionLog(client, namespace).sessions()) == 1
    client.hset(config_key(namespace), "partitions", 8)
    with pytest.raises(errors.ConfigChangedError, match=f"HSET {config_key(namespace)} partitions {partitions}$"):
        SessionLog(make_client(), namespace)


def test_who_finds_the_namespace_laid_out_anew_makes_no_session_that_nobody_finds(
    make_client: Callable[[], Client], namespace: str
) -> None:
    client = make_client()
    log = SessionLog(client, namespace)
    log.append("s", note(1))
    for key in client.scan_iter(f"{namespace}:*"):
        client.delete(key)
    SessionLog(make_client(), namespace, partitions=8)
    log.append("s", note(1))
    calls: list[Callable[[], object]] = [lambda: log.append("s", note(2)), lambda: log.fork("s", 1, "f")]
    for make in calls:
        with pytest.raises(errors.NamespaceMismatchError):
            make()
    assert client.exists(log._events.keyspace.session("f").head) == 0


@pytest.mark.parametrize("field", ["partitions", "format"])
@pytest.mark.parametrize("value", ["-4", "1000000000", "1025", "0", "junk", "", "1.5", "9" * 5000, b"\xff"])
def test_a_config_that_cannot_be_is_refused_at_once_with_its_key_value_and_cure(
    client: Client, namespace: str, make_client: Any, field: str, value: Any
) -> None:
    SessionLog(client, namespace)
    client.hset(config_key(namespace), field, value)
    for decode in (False, True):
        kinds = (errors.CorruptKeyError, errors.NamespaceMismatchError)
        with pytest.raises(kinds) as caught:
            SessionLog(make_client(decode_responses=decode), namespace, retry_for=1.0)
        if isinstance(caught.value, errors.CorruptKeyError):
            assert caught.value.key == config_key(namespace)
            assert f"its field {field!r} holds" in caught.value.reason
            assert "HSET <key> format" in caught.value.cure


def test_a_config_that_is_no_hash_is_named(client: Client, namespace: str) -> None:
    client.set(config_key(namespace), "junk")
    with pytest.raises(errors.CorruptKeyError, match="it is a string, not a hash"):
        SessionLog(client, namespace, retry_for=1.0)


def test_ranges_of_a_trillion_erased_events_take_no_longer_than_those_of_one(log: SessionLog, client: Client) -> None:
    ids = fill(log, 5)
    client.hset(log._events.keyspace.session("s").head, "erased", "1-999999999999")
    assert log.erase("s", ids[1], "asked for") is not None
    assert log.fork("s", None, "fork") is not None
    head = log._events.keyspace.session("fork").head
    assert client.hget(head, "erased") == b"1-6"


@pytest.mark.parametrize("seconds", [None, 365 * 86_400])
def test_an_erasure_does_not_wait_for_a_rewrite_that_no_erasure_has_begun(
    log: SessionLog, client: Client, seconds: int | None
) -> None:
    ids = fill(log, 5)
    key = log._events.keyspace.session("s").rewrite
    client.xadd(key, {"foreign": "entry"})
    if seconds:
        client.expire(key, seconds)
    with pytest.raises(errors.CorruptKeyError, match="delete the key") as caught:
        log.erase("s", ids[1], "asked for")
    assert caught.value.key == key
    client.delete(key)
    assert log.erase("s", ids[1], "asked for") is not None


def test_an_erasure_says_when_it_cannot_know_the_forks(log: SessionLog, client: Client) -> None:
    ids = fill(log, 5)
    client.hset(log._events.keyspace.session("s").head, "forks", "junk")
    with pytest.raises(errors.CorruptKeyError, match="'forks' holds b'junk'"):
        log.erase("s", ids[1], "asked for")


@pytest.mark.parametrize("counter", ["-5", "junk", str(10**15), "9223372036854775807"])
def test_an_append_heals_a_feed_position_that_is_none(log: SessionLog, client: Client, counter: str) -> None:
    """With an empty feed, too, of which nothing tells where it goes on."""
    keys = log._events.keyspace.session("s")
    for feed_is_gone in (False, True):
        client.set(keys.position, counter)
        if feed_is_gone:
            client.delete(keys.feed)
        log.append("s", [note(1), note(2)])
        assert log.verify("s").ok
        assert int(client.get(keys.position) or 0) == client.xlen(keys.feed) == 2


@pytest.mark.parametrize("last", ["18446744073709551615-7", f"{10**15}-1"])
def test_what_nothing_can_follow_is_refused_before_anything_is_written(
    log: SessionLog, client: Client, last: str
) -> None:
    ids = fill(log, 5)
    keys = log._events.keyspace.session("s")
    fork = next(name for name in NAMES if log._events.keyspace.session(name).feed == keys.feed)
    client.execute_command("XADD", keys.feed, last, "foreign", "entry")
    calls: list[Callable[[], object]] = [
        lambda: log.append("s", note(6)),
        lambda: log.erase("s", ids[1], "asked for"),
        lambda: log.fork("s", 3, fork),
    ]
    for call in calls:
        with pytest.raises(errors.CorruptKeyError, match=f"ends with the entry {last}"):
            call()
    assert log.verify("s").revision == 5
    assert log.verify("s").ok
    assert not any(one.event.is_erased for one in log.read("s"))


def test_a_search_for_a_revision_ends_where_the_events_end_beyond_all_clocks(log: SessionLog, client: Client) -> None:
    fill(log, 5)
    key = log._events.keyspace.session("s").events
    client.execute_command("XADD", key, "18446744073709551615-6", "foreign", "entry")
    with pytest.raises(errors.CorruptKeyError, match="ends with the entry 18446744073709551615-6") as caught:
        log._events.locate("s", 3)
    assert caught.value.key == key


def test_a_tail_of_a_damaged_session_does_not_end_those_of_others(log: SessionLog, client: Client) -> None:
    fill(log, 2)
    log.append("other", note(1))
    with log.tail("s", after="now") as damaged, log.tail("other", after="now") as other:
        client.hset(log._events.keyspace.session("s").head, "link", b"\xff")
        key = log._events.keyspace.session("s").head
        looks = _looks(client, key)
        wait_until(lambda: _looks(client, key) > looks + 1, "two looks at the heads")
        log.append("other", note(2))
        assert taken(other, 1)[0].id.revision == 2
        damaged.close()


def test_foreign_pieces_do_not_end_a_live_tail(log: SessionLog, client: Client) -> None:
    fill(log, 2)
    live = log._events.keyspace.session("s").live
    client.xadd(live, {"foreign": "piece"})
    piece = {"kind": "text", "agent": "a", "message": "m", "sequence": 1, "block": 0, "tool_use_id": "", "text": "Hi"}
    client.xadd(live, {**piece, "revision": 2})
    with log.live("s") as tail:
        assert taken(tail, 1)[0].line.text == "Hi"


def test_a_listing_is_whole_whatever_else_stands_in_it(log: SessionLog, client: Client) -> None:
    storage = ValkeyStorage(log)
    for key in ("a/1", "a/2", "b/1"):
        asyncio.run(storage.write(key, b""))
    client.zadd(log._events.keyspace.stored("a/1").listing, {b"zzz": -1, b"aaa": 7, b"\xff": 0})
    assert asyncio.run(storage.list("a/")) == ["a/1", "a/2"]
    assert asyncio.run(storage.list()) == ["a/1", "a/2", "aaa", "b/1", "zzz"]


def test_a_point_before_a_session_began_says_when_it_did(log: SessionLog) -> None:
    first = EventId(fill(log, 5)[0].ms, 1)
    early = (0, "1970-01-02", datetime(2020, 1, 1, tzinfo=timezone.utc), "-10w", EventId(first.ms - 1, 0))
    for at in early:
        for call in (
            lambda at=at: log.state("s", at=at),
            lambda at=at: log.diff("s", at),
            lambda at=at: log.diff("s", 5, at),
            lambda at=at: log.rewind("s", at),
            lambda at=at: log.fork("s", at, "fork"),
        ):
            with pytest.raises(errors.SessionNotBegunError, match="session 's' had not begun by") as caught:
                call()
            assert (caught.value.session_id, caught.value.at, caught.value.began) == ("s", at, first.time)
    with pytest.raises(errors.SessionNotFoundError) as missing:
        log.state("nobody", at="1970-01-02")
    assert not isinstance(missing.value, errors.SessionNotBegunError)


def _looks(client: Client, key: str) -> int:
    """How often heads were looked at on the server of a key."""
    with connection_to(client, key) as node:
        return int(node.execute_command("INFO", "commandstats").get("cmdstat_hmget", {}).get("calls", 0))
