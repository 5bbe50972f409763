"""What handlers say of what they could not handle may quote it: it goes where the content goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.subscription import ParkedEvent, SyncDelivery
from support import wait_until
from support.clients import client_of
from support.servers import Server

from .helpers import raw

SECRET = "correct-horse-battery-staple"
Fail = Callable[[SyncDelivery], object]


def failing(delivery: Any) -> None:
    """As handlers do: the error quotes what it is about, and so does its cause."""
    try:
        int(delivery.event.data["text"])
    except ValueError as error:
        raise RuntimeError(f"cannot handle {delivery.event.data}") from error


def refuse(delivery: SyncDelivery) -> None:
    """Fail with the exception."""
    try:
        failing(delivery)
    except RuntimeError as error:
        delivery.fail(error)


def give_up(delivery: SyncDelivery) -> None:
    delivery.park(f"no way to handle {delivery.event and delivery.event.data}")


@pytest.fixture
def log(tcp_server: Server) -> SessionLog:
    tcp_server.execute("CONFIG", "SET", "rdbcompression", "no")
    return SessionLog(tcp_server.client())


def tell(log: SessionLog, session: str = "s", text: str = SECRET) -> None:
    log.append(session, [events.Custom("custom.note", {"text": text})])


def park(log: SessionLog, fail: Fail, group: str = "g", **settings: Any) -> None:
    """Let a handler fail until all that is there is parked."""
    settings = {"bodies": True, "max_attempts": 1, "claim_after": 5.0, "backoff": 0.01, **settings}
    before = len(list(log.parked(group)))
    with Subscriber(log, group, **settings) as deliveries:
        for delivery in deliveries:
            fail(delivery)
            if delivery.attempts == settings["max_attempts"]:
                wait_until(lambda: len(list(log.parked(group))) > before, "it to be parked")
                deliveries.stop()


def only(log: SessionLog, group: str = "g") -> ParkedEvent:
    (parked,) = log.parked(group)
    return parked


def holders(log: SessionLog, secret: str = SECRET) -> set[str]:
    """The keys of the whole server in which it stands."""
    found = (key for key in client_of(log).scan_iter() if secret.encode() in client_of(log).dump(key))
    return {key.decode().rpartition("}:")[2] for key in found}


def is_on_disk(server: Server) -> bool:
    files = (server.directory / "appendonlydir").glob("*.aof")
    return any(SECRET.encode() in file.read_bytes() for file in files)


def rewrite_the_disk(server: Server) -> None:
    server.execute("BGREWRITEAOF")

    def is_over() -> bool:
        told = server.execute("INFO", "persistence")
        return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]

    wait_until(is_over, "the rewrite")
    wait_until(
        lambda: len(list((server.directory / "appendonlydir").glob("*.base.*"))) == 1, "the old files to be gone"
    )


def test_of_an_exception_the_type_and_the_place_are_kept_and_no_text(log: SessionLog, tcp_server: Server) -> None:
    tell(log)
    park(log, refuse, max_attempts=2)
    assert only(log).error.startswith("RuntimeError at subscription/test_texts_of_errors.py:")
    assert holders(log) == {"session:s:events"}
    log.erase("s", 1, "asked to")
    assert holders(log) == set()
    rewrite_the_disk(tcp_server)
    assert not is_on_disk(tcp_server)


def test_between_two_attempts_no_text_is_kept_either(log: SessionLog) -> None:
    tell(log)
    key = log._events.keyspace.group(log._events.keyspace.partition("s"), "g").group

    def errors() -> list[bytes]:
        flat = raw(log, b"HGETALL", key)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return [value for name, value in pairs if name.startswith(b"error:")]

    with Subscriber(log, "g", bodies=True, keep_errors="full", backoff=60, claim_after=60) as deliveries:
        refuse(next(deliveries))
        wait_until(errors, "it to be noted")
        assert errors()[0].startswith(b"1 RuntimeError at ")
        assert holders(log) == {"session:s:events"}


def test_an_error_that_leaves_the_block_is_kept_without_its_text(log: SessionLog) -> None:
    tell(log)
    with pytest.raises(RuntimeError), Subscriber(log, "g", bodies=True, max_attempts=1) as deliveries:
        failing(next(deliveries))
    assert only(log).error.startswith("RuntimeError at subscription/test_texts_of_errors.py:")
    assert holders(log) == {"session:s:events"}


def test_a_function_that_fails_is_logged_without_the_text(log: SessionLog, caplog: pytest.LogCaptureFixture) -> None:
    tell(log)

    async def main() -> None:
        subscriber = Subscriber(log, "g", bodies=True, max_attempts=1)
        running = asyncio.create_task(subscriber.run(failing, stop_on_signals=False))
        while not await asyncio.to_thread(lambda: list(log.parked("g"))):
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(asyncio.wait_for(main(), 20))
    assert "RuntimeError at subscription/test_texts_of_errors.py:" in caplog.text
    assert SECRET not in caplog.text
    assert holders(log) == {"session:s:events"}


@pytest.mark.parametrize(
    ("fail", "settings"), [(refuse, {"keep_errors": "full"}), (give_up, {})], ids=["text", "reason"]
)
@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
@pytest.mark.parametrize("start", ["feed", "beginning"])
@pytest.mark.parametrize("how", ["erase", "delete"])
def test_a_text_that_is_kept_goes_with_the_content(
    log: SessionLog, tcp_server: Server, fail: Fail, settings: dict[str, Any], ordered: bool, start: Any, how: str
) -> None:
    tell(log)
    tell(log, "neighbour", "nothing to hide")
    park(log, fail, ordered=ordered, start=start, types="custom.*", **settings)
    while len(list(log.parked("g"))) < 2:
        park(log, fail, ordered=ordered, **settings)
    assert holders(log) == {"session:s:events", "error_texts"}
    assert {SECRET in one.error for one in log.parked("g")} == {True, False}
    assert is_on_disk(tcp_server)
    log.erase("s", 1, "asked to") if how == "erase" else log.delete("s")
    assert holders(log) == set()
    rewrite_the_disk(tcp_server)
    assert not is_on_disk(tcp_server)
    errors = {one.session_id: one.error for one in log.parked("g")}
    assert "test_texts_of_errors.py:" in errors["s"]
    assert "nothing to hide" in errors["neighbour"]


def test_what_is_erased_is_erased_from_what_was_said_of_forks_too(log: SessionLog) -> None:
    tell(log)
    log.fork("s", 1, "fork")
    tell(log, "fork")
    park(log, give_up, types="custom.*")
    while len(list(log.parked("g"))) < 2:
        park(log, give_up, types="custom.*")
    log.erase("fork", next(log.read("fork", types="custom.*", after=2)).id, "asked to")
    log.erase("s", 1, "asked to")
    assert holders(log) == set()


@pytest.mark.parametrize("how", ["erase", "delete", "delete and begin anew"])
def test_a_failure_that_comes_after_the_erasure_keeps_no_text(log: SessionLog, how: str) -> None:
    tell(log)
    with Subscriber(log, "g", bodies=True) as deliveries:
        delivery = next(deliveries)
        log.erase("s", 1, "asked to") if how == "erase" else log.delete("s")
        if "anew" in how:
            tell(log, text="something else")
        give_up(delivery)
        wait_until(lambda: list(log.parked("g")), "it to be parked")
    assert holders(log) == set()
    assert only(log).error.startswith("at subscription/test_texts_of_errors.py:")


def drop(log: SessionLog) -> None:
    log.parked("g").drop([only(log).parked_id])


def replay(log: SessionLog) -> None:
    log.parked("g").replay([only(log).parked_id])
    with Subscriber(log, "g") as deliveries:
        next(deliveries).ack(confirm=True)
        wait_until(lambda: not list(log.parked("g")), "it to be over")


def end_the_group(log: SessionLog) -> None:
    log.delete_group("g")


@pytest.mark.parametrize("settle", [drop, replay, end_the_group])
def test_what_was_said_goes_with_what_was_parked(log: SessionLog, settle: Callable[[SessionLog], None]) -> None:
    tell(log)
    for group in ("g", "other"):
        park(log, give_up, group)
    settle(log)
    assert SECRET in only(log, "other").error
    (left,) = texts(log)
    assert left.startswith(b"other ")


def texts(log: SessionLog) -> list[bytes]:
    found: list[bytes] = raw(log, b"HKEYS", log._events.keyspace.session("s").texts)
    return found


def test_what_fails_again_keeps_what_was_said_last(log: SessionLog) -> None:
    tell(log)
    park(log, give_up)
    log.parked("g").replay([only(log).parked_id])
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("worse")
        wait_until(lambda: [one.error for one in log.parked("g")] == ["worse"], "it to be parked again")
    assert len(texts(log)) == 1


def test_texts_are_bounded_in_length_and_in_number(log: SessionLog) -> None:
    key = log._events.keyspace.session("s").texts
    tell(log)
    for number in range(1000):
        log.client.execute_command("HSET", key, f"g 1-{number} s", "said before")
    park(log, lambda delivery: delivery.park("x" * 5000))
    assert only(log).error == "x" * 1000
    assert len(texts(log)) == 1000
    log.client.execute_command("HSET", key, "somebody", "else's", "and", "more")
    log.delete("s")
    assert not log.client.execute_command("EXISTS", key)


@pytest.mark.parametrize("value", ["\ud800 \x00", b"\xff", None, ValueError(), KeyError(SECRET)], ids=repr)
def test_whatever_is_given_as_a_reason_is_no_trouble(log: SessionLog, value: object) -> None:
    tell(log, text="")
    park(log, lambda delivery: delivery.park(value), keep_errors="full")
    assert only(log).error


def test_a_hash_of_texts_that_is_none_is_no_obstacle(log: SessionLog) -> None:
    tell(log)
    key = log._events.keyspace.session("s").texts
    log.client.execute_command("SET", key, "text")
    park(log, give_up)
    assert only(log).error.startswith("at ")
    log.erase("s", 1, "asked to")
    log.parked("g").drop([only(log).parked_id])
    log.delete_group("g")
    log.delete("s")
    assert holders(log) == set()


def test_what_cannot_be_read_is_told_of_without_quoting_it(log: SessionLog, caplog: pytest.LogCaptureFixture) -> None:
    tell(log)
    keys = log._events.keyspace.session("s")
    ((id_, flat),) = raw(log, b"XRANGE", keys.events, "-", "+")
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    fields[b"v"] = SECRET.encode()
    log.client.execute_command("DEL", keys.events)
    log.client.execute_command("XADD", keys.events, id_, *(part for pair in fields.items() for part in pair))
    with caplog.at_level(logging.DEBUG), Subscriber(log, "g", bodies=True):
        wait_until(lambda: list(log.parked("g")), "it to be parked")
    assert only(log).error.startswith("CorruptEntryError: entry ")
    assert SECRET not in caplog.text
    assert holders(log) == {"session:s:events"}


def test_the_feed_is_told_no_text_of_an_error_whoever_appends_it(log: SessionLog) -> None:
    log.append(
        "s",
        [
            events.ToolFailed(
                {"name": "add", "error": f"ValueError: {SECRET}", "input": SECRET, "status": ["x", SECRET]}
            ),
            events.InvocationFailed({"error": "ValueError", "usage": {"inputTokens": 1, "text": SECRET}}),
            events.ModelFailed({"error": "botocore.exceptions.ClientError at app/agent.py:12", "attempt": 1}),
            events.NodeCompleted({"node": SECRET * 20, "status": "completed"}),
        ],
    )
    assert holders(log) == {"session:s:events"}
    with log.tail(after="-1m") as tail:
        told = [next(tail).facts for _ in range(4)]
    assert told == [
        {"name": "add"},
        {"error": "ValueError", "usage": {"inputTokens": 1}},
        {"error": "botocore.exceptions.ClientError at app/agent.py:12", "attempt": 1},
        {"status": "completed"},
    ]
    with Subscriber(log, "g", bodies=True) as deliveries:
        assert [next(deliveries).envelope.facts for _ in range(4)] == told


@pytest.mark.parametrize("name", [f"no way to handle {SECRET}", "x" * 10_000, f"{SECRET}\n"])
def test_an_exception_that_is_called_what_was_said_is_named_after_what_it_was_made_from(
    log: SessionLog, name: str
) -> None:
    def refuse_by_name(delivery: SyncDelivery) -> None:
        delivery.fail(type(name, (LookupError,), {})("why"))

    tell(log)
    park(log, refuse_by_name)
    assert only(log).error == "LookupError"
    assert holders(log) == {"session:s:events"}
