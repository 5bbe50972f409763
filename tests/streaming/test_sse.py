"""A session as server-sent events of one's own application."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager, events
from strands_session_log_consumers.streaming import feed_sse, sse
from support.following import SOON, note, notes
from support.processes import HOST
from support.served_app import ServedApp
from support.speaking import SpeakingModel, speaking
from support.waiting import wait_until


class Told(NamedTuple):
    """One message of a stream."""

    kind: str
    id: str
    data: Any


class EventSource:
    """A stream as a browser reads it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self._response = response.status, response

    def next(self, kind: str = "message") -> Told:
        """The next message of a kind; others are passed over."""
        while (told := self._message()).kind != kind:
            pass
        return told

    def numbers(self, count: int) -> list[int]:
        return [self.next().data["data"]["number"] for _ in range(count)]

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more; waits for that."""
        return self._response.read() == b""

    def _message(self) -> Told:
        fields = dict[str, str]()
        while line := self._response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                data = json.loads(fields["data"] or "null")
                return Told(fields.get("event", "message"), fields.get("id", ""), data)
        raise AssertionError("the stream has ended")


@contextmanager
def following(served: ServedApp, query: str = "", last: str = "", session: str = "s-1") -> Iterator[EventSource]:
    connection = http.client.HTTPConnection(HOST, served.port, timeout=SOON)
    connection.request("GET", f"/{quote(session)}?{query}", headers={"Last-Event-ID": last} if last else {})
    try:
        yield EventSource(connection.getresponse())
    finally:
        connection.close()


def application(log: SessionLog, **options: Any) -> Starlette:
    async def events_of(request: Request) -> Response:
        after = request.query_params.get("after")
        return await sse(log, request.path_params["session"], after, request=request, **options)

    return Starlette(routes=[Route("/{session:path}", events_of)])


@pytest.fixture
def served(log: SessionLog) -> Iterator[ServedApp]:
    with ServedApp(application(log)) as served:
        yield served


@pytest.fixture
def serve(log: SessionLog) -> Iterator[Callable[..., ServedApp]]:
    """Serves an application with other options."""
    with suppress(IndexError):
        made = list[ServedApp]()

        def make(**options: Any) -> ServedApp:
            made.append(ServedApp(application(log, **options)).__enter__())
            return made[-1]

        yield make
        made[0].__exit__()


def test_who_lost_the_connection_goes_on_behind_the_last_id_and_gets_nothing_twice(
    log: SessionLog, served: ServedApp
) -> None:
    log.append("s-1", notes(0, 3))
    with following(served) as stream:
        assert stream.numbers(2) == [0, 1]
        last = stream.next()
        log.append("s-1", note(3))
        assert stream.numbers(1) == [3]
    log.append("s-1", note(4))
    assert last.id == str(log.event("s-1", 3).id)
    with following(served, "after=1", last.id) as stream:
        assert stream.numbers(2) == [3, 4]


def test_an_event_is_told_as_the_command_line_tells_it(log: SessionLog, served: ServedApp) -> None:
    log.append("s-1", note(1))
    with following(served) as stream:
        assert stream.next().data == next(iter(log.read("s-1"))).to_json()


@pytest.mark.parametrize(
    ("query", "last", "session", "status"),
    [
        ("after=banana", "", "s-1", 400),
        ("", "banana", "s-1", 400),
        ("", "1-2.3-4", "s-1", 400),
        ("", "", "s" * 300, 400),
        ("after=99", "", "s-1", 410),
        ("", "1700000000000-2", "s-1", 410),
        ("", "", "s-2", 404),
    ],
)
def test_what_cannot_be_followed_is_told_by_the_status(
    log: SessionLog, served: ServedApp, query: str, last: str, session: str, status: int
) -> None:
    log.append("s-1", notes(0, 3))
    with following(served, query, last, session) as stream:
        assert stream.status == status


def test_a_session_that_is_not_there_yet_may_be_waited_for(log: SessionLog, serve: Callable[..., ServedApp]) -> None:
    with following(serve(wait=True)) as stream:
        log.append("s-1", note(1))
        assert stream.numbers(1) == [1]


def test_of_a_session_that_was_deleted_it_is_told_that_nothing_more_comes(log: SessionLog, served: ServedApp) -> None:
    log.append("s-1", note(1))
    with following(served) as stream:
        stream.next()
        log.delete("s-1")
        assert stream.next("gone").data == {"reason": "deleted"}
        assert stream.is_over


def test_what_is_told_of_an_event_may_be_chosen(log: SessionLog, serve: Callable[..., ServedApp]) -> None:
    log.append("s-1", notes(0, 4))

    def odd(recorded: Any) -> Any:
        number = recorded.event.data["number"]
        return {"data": {"number": number}} if number % 2 else None

    with following(serve(encode=odd)) as stream:
        assert stream.numbers(2) == [1, 3]


def test_a_connection_on_which_nothing_happens_is_kept_alive(log: SessionLog, serve: Callable[..., ServedApp]) -> None:
    log.append("s-1", note(1))
    with following(serve(heartbeat=0.1), "after=now") as stream:
        assert stream.next("ping") == stream.next("ping") == Told("ping", "", None)


def test_who_takes_nothing_is_let_go_and_so_is_who_leaves(log: SessionLog, serve: Callable[..., ServedApp]) -> None:
    served = serve(send_timeout=0.3)
    log.append("s-1", notes(0, 1))
    with following(served, "after=now"):
        wait_until(lambda: served.open == 1, "somebody to follow")
    wait_until(lambda: served.open == 0, "who left to be let go")
    for _ in range(40):
        log.append("s-1", note(1, "x" * 500_000))
    with following(served) as stream:
        assert stream.status == 200
        wait_until(lambda: served.open == 0, "who takes nothing to be let go")


def test_many_followers_take_few_connections(log: SessionLog, served: ServedApp, client: Any) -> None:
    log.append("s-1", note(0))
    before = len(client.client_list())
    streams = [following(served) for _ in range(40)]
    opened = [stream.__enter__() for stream in streams]
    log.append("s-1", note(1))
    assert [one.numbers(2) for one in opened] == [[0, 1]] * 40
    assert len(client.client_list()) - before < 10
    for stream in streams:
        stream.__exit__(None, None, None)


def test_words_come_as_they_are_said_and_then_the_message_also_after_a_break(
    log: SessionLog, serve: Callable[..., ServedApp]
) -> None:
    from strands import Agent

    served, model = serve(words=True, wait=True), SpeakingModel(["one two three four"], chunk=4)
    manager, words = ValkeySessionManager("s-1", log=log), LiveTokens(log, "s-1", interval=0.01)
    agent = Agent(model=model, session_manager=manager, hooks=[words], callback_handler=None)
    with following(served) as stream, speaking(agent):
        model.say(1)
        begun = stream.next("words")
        assert begun.data["text"] == "one "
        with following(served, last=begun.id) as again:
            model.say(2)
            heard = ""
            while len(heard) < len("two thre"):
                heard += again.next("words").data["text"]
            model.say(10)
            while (said := again.next().data["data"]["message"])["role"] == "user":
                pass
    assert heard == "two thre"
    assert said["content"] == [{"text": "one two three four"}]


@pytest.fixture
def served_feed(log: SessionLog) -> Iterator[ServedApp]:
    async def events_of(request: Request) -> Response:
        after, types = request.query_params.get("after"), request.query_params.getlist("type")
        return await feed_sse(log, after, request=request, types=types or None)

    with ServedApp(Starlette(routes=[Route("/{any:path}", events_of)])) as served:
        yield served


def test_all_sessions_are_followed_without_content_and_who_comes_back_gets_the_rest(
    log: SessionLog, served_feed: ServedApp
) -> None:
    log.append("s-1", notes(0, 2))
    log.append("s-2", note(0))
    with following(served_feed) as stream:
        told = [stream.next() for _ in range(3)]
        log.append("s-2", note(1))
        last = stream.next()
    assert sorted(one.data["session_id"] for one in told) == ["s-1", "s-1", "s-2"]
    assert {one.data["type"] for one in told} == {"custom.note"}
    assert last.data["id"] == str(log.head("s-2"))
    assert "number" not in json.dumps([one.data for one in told])
    log.append("s-1", note(2))
    log.append("s-3", note(0))
    with following(served_feed, "after=now", last.id) as stream:
        assert {stream.next().data["session_id"] for _ in range(2)} == {"s-1", "s-3"}
    with following(served_feed, "type=session.*", last.id) as stream:
        log.append("s-3", events.SessionAnnotated({"status": "open"}))
        assert stream.next().data["type"] == "session.annotated"


@pytest.mark.parametrize("last", ["banana", "12", "1700000000000-2", "9999:1-1"])
def test_what_is_no_place_in_the_feed_is_told_by_the_status(served_feed: ServedApp, last: str) -> None:
    with following(served_feed, last=last) as stream:
        assert stream.status == 400


def test_that_envelopes_are_gone_is_told_and_what_follows_comes(log: SessionLog, served_feed: ServedApp) -> None:
    log.append("s-1", notes(0, 3))
    with following(served_feed) as stream:
        first = stream.next()
    keyspace = log._events.keyspace
    stream_key = keyspace.feed(int(first.id.split(":")[0]))
    log.client.execute_command("XTRIM", stream_key, "MAXLEN", "0")
    log.append("s-1", note(3))
    with following(served_feed, last=first.id) as stream:
        assert stream.next("gap").data == {"missing": 2}
        assert stream.next().data["id"] == str(log.head("s-1"))
