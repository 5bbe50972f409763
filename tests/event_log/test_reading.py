"""Reading long sessions in pages, whatever else happens to them meanwhile; and the points reading is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import valkey

from strands_session_log import SessionLog, errors, events, ids
from strands_session_log.codec import fields_of
from support.servers import Server
from support.waiting import wait_until

MEGABYTE = 1024 * 1024


def note(number: int = 0, size: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number, "text": "x" * size})


def numbers(read: Iterator[Any]) -> list[int]:
    return [one.event.data["number"] for one in read]


class Watched(valkey.Valkey):
    """A client that notes the pages it reads, and may do something before each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pages: list[list[Any]] = []
        self.before_page: Callable[[int], object] = lambda number: None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        is_page = args[0] in ("XRANGE", b"XRANGE")
        if is_page:
            self.before_page(len(self.pages))
        reply = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if is_page:
            self.pages.append(reply)
        return reply

    @property
    def sizes(self) -> list[int]:
        return [len(page) for page in self.pages]


@pytest.fixture
def client(tcp_server: Server) -> Iterator[Watched]:
    with Watched(port=tcp_server.port) as client:
        yield client


@pytest.fixture
def log(client: Watched) -> Iterator[SessionLog]:
    with SessionLog(client, snapshots=None) as log:
        yield log


@pytest.mark.parametrize("count", [1, 7])
def test_a_session_that_fits_the_first_page_is_read_in_one_round_trip(
    log: SessionLog, client: Watched, count: int
) -> None:
    log.append("s", [note() for _ in range(count)])
    assert len(list(log.read("s"))) == count
    assert client.sizes == [count]


def test_pages_grow_to_a_thousand_and_repeat_one_entry_each(log: SessionLog, client: Watched) -> None:
    for start in range(0, 4000, 500):
        log.append("s", [note(number) for number in range(start, start + 500)])
    assert numbers(log.read("s")) == list(range(4000))
    assert client.sizes == [32, *(count + 1 for count in (64, 128, 256, 512, 1000, 1000, 1000, 8))]


def test_no_page_is_much_larger_than_those_before_let_expect(log: SessionLog, client: Watched) -> None:
    for number in range(20):
        log.append("s", note(number, MEGABYTE))
    for number in range(20, 60):
        log.append("s", note(number))
    assert numbers(log.read("s")) == list(range(60))
    assert client.sizes[:2] == [32, 3 + 1]
    for page, following in pairwise(client.pages):
        largest = max(len(fields_of(fields)[b"body"]) for _, fields in page)
        assert len(following) <= max(2 * len(page), 2) + 1
        assert largest < MEGABYTE or len(following) <= 3 + 1


def test_what_ends_with_a_given_event_is_not_read_beyond(log: SessionLog, client: Watched) -> None:
    log.append("s", [note(number) for number in range(100)])
    until = log.resolve("s", 32)
    assert numbers(log.read("s", until=until)) == list(range(32))
    assert client.sizes == [32]


def test_half_of_a_session_that_is_deleted_meanwhile_is_never_its_state(log: SessionLog, client: Watched) -> None:
    log.append("s", [note(number) for number in range(100)])
    client.before_page = lambda number: number == 1 and log.delete("s")
    with pytest.raises(errors.LogForkedError):
        log.state("s")


def test_a_session_deleted_while_it_is_read_does_not_look_like_a_shorter_one(session_log: SessionLog) -> None:
    for afterwards in ([], [note(number) for number in range(100)]):
        session_log.append("s", [note(number) for number in range(100)])
        reading = session_log.read("s")
        next(reading)
        session_log.delete("s")
        if afterwards:
            session_log.append("s", afterwards)
        with pytest.raises(errors.LogForkedError, match="'s' was replaced"):
            list(reading)


def test_what_is_appended_or_erased_meanwhile_disturbs_no_reader(log: SessionLog, client: Watched) -> None:
    log.append("s", [note(number) for number in range(32)])

    def disturb(page: int) -> None:
        if page == 1:
            client.before_page = lambda number: None
            log.append("s", note(32))
            log.erase("s", 32, "a password")

    client.before_page = disturb
    assert [one.id.revision for one in log.read("s")] == list(range(1, 35))


@pytest.mark.parametrize("hours", [-2, 2])
def test_relative_times_go_by_the_clock_of_the_server(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    last = log.append("s", note())
    wrong = SimpleNamespace(time_ns=lambda: (last.ms + hours * 3_600_000) * 1_000_000)
    monkeypatch.setattr(ids, "time", wrong)
    assert len(list(log.read("s", after="-1h"))) == 1
    assert list(log.read("s", until=" -1h ")) == []


def test_a_client_that_was_passed_in_stays_open(tcp_server: Server) -> None:
    with valkey.Valkey(port=tcp_server.port) as client, client.pubsub() as subscription:
        subscription.subscribe("news")
        connected = len(client.client_list())
        with SessionLog(client) as log:
            log.append("s", note())
        assert len(client.client_list()) == connected


def test_a_client_made_by_connect_is_closed(tcp_server: Server) -> None:
    mine = tcp_server.client()
    before = len(mine.client_list())
    with SessionLog.connect(tcp_server.url) as log:
        assert len(mine.client_list()) == before + 1
        assert log.sessions() == []
    wait_until(lambda: len(mine.client_list()) == before, "the server to hear of it")


def test_accepting_eviction_once_does_not_accept_it_for_others(tcp_server: Server) -> None:
    client = tcp_server.client()
    tcp_server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    SessionLog(client, allow_eviction=True)
    with pytest.raises(errors.EvictionPolicyError):
        SessionLog(client)
    SessionLog(client, allow_eviction=True)
    tcp_server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    SessionLog(client)


def test_waiting_for_a_server_prints_nothing_where_logging_is_not_set_up(
    tcp_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = SessionLog(tcp_server.client(socket_timeout=5), retry_for=0.2)
    tcp_server.kill()
    with caplog.at_level("INFO"), pytest.raises(errors.ServerUnavailableError):
        list(log.read("s"))
    assert {(one.name, one.levelname) for one in caplog.records} == {("strands_session_log.server.errors", "INFO")}
    assert "waiting for the server" in caplog.text


def test_events_of_other_types_and_agents_are_not_looked_into(log: SessionLog) -> None:
    log.append("s", [note(1), events.Custom("custom.other", {}, "a"), note(2)])
    key, head = log._events.keyspace.session("s").events, log.head("s")
    (entry,) = log._events.entries("s", str(head), str(head))
    flat = [part for pair in {**entry[1], b"body": b"{", b"type": b"custom.other"}.items() for part in pair]
    log.client.execute_command("XADD", key, f"{head.ms + 1}-4", *flat)

    assert numbers(log.read("s", types="custom.note")) == [1, 2]
    assert numbers(log.read("s", types="custom.n*")) == []
    assert [one.id.revision for one in log.read("s", until=3, agent="a")] == [2]
    with pytest.raises(errors.CorruptEntryError):
        list(log.read("s", types="custom.other"))
    log.client.execute_command("XDEL", key, str(log.resolve("s", 2)))
    with pytest.raises(errors.LogForkedError):
        list(log.read("s", types="custom.note"))
