"""What happens is sent to a receiver, signed, at least once, however that one fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest
from standardwebhooks import Webhook

from strands_session_log import SessionLog, events
from strands_session_log_consumers.forward.receiver import Receiver
from strands_session_log_consumers.forward.service import Forwarded, Forwarder, ReceiverGoneError
from strands_session_log_consumers.forward.settings import ForwardSettings
from strands_session_log_consumers.forward.signing import WebhookSigner
from support.following import SOON, note, notes
from support.processes import HOST, free_port
from support.receiving import WAYS, Handling, Received, WebhookReceiver, failing
from support.waiting import wait_until

OLD, NEW = "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG8=", "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG4="
QUICK = ForwardSettings(content=True, backoff=0.01, longest_pause=0.05, max_attempts=4)
HANGING = {"it says nothing", "it never comes to an end"}


class Running(list[Forwarded]):
    """A forwarder in a thread, and what it has told.

    Attributes:
        error: What ended it, if it was an error.
    """

    error: BaseException | None = None

    def __init__(self, log: SessionLog, url: str, settings: ForwardSettings, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._log, self._url, self._settings, self._secrets = log, url, settings, secrets
        self._stop, self._loop = asyncio.Event(), asyncio.new_event_loop()
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._forward())
        except BaseException as error:
            self.error = error
        finally:
            self._loop.close()

    async def _forward(self) -> None:
        async with Receiver(self._url, WebhookSigner(self._secrets), self._settings.timeout) as receiver:
            await Forwarder(self._log, receiver, self._settings, self.append).run(self._stop)

    def stop(self) -> None:
        if self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self.thread.join(SOON)
        assert not self.thread.is_alive()


@contextmanager
def forwarding(
    log: SessionLog, url: str, settings: ForwardSettings = QUICK, secrets: tuple[str, ...] = (NEW,)
) -> Iterator[Running]:
    running = Running(log, url, settings, secrets)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


def test_an_event_comes_as_a_cloud_event_that_receivers_know_by_either_secret(
    log: SessionLog, receiver: WebhookReceiver
) -> None:
    log.append("s-1", note(1))
    with forwarding(log, receiver.url, secrets=(NEW, OLD)):
        wait_until(lambda: receiver.taken, "the event")
    (received,) = receiver.taken
    assert received.headers["content-type"].startswith("application/cloudevents+json")
    assert received.event["type"] == "strands-session-log.custom.note"
    assert received.event["data"]["number"] == 1
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(received.body, dict(received.headers)) == received.event


def test_what_was_said_is_sent_only_on_demand(log: SessionLog, receiver: WebhookReceiver) -> None:
    log.append("s-1", events.Custom("custom.note", {"text": "a secret"}))
    with forwarding(log, receiver.url, replace(QUICK, content=False)):
        wait_until(lambda: receiver.taken, "the event")
    assert b"a secret" not in receiver.taken[0].body


def test_a_request_that_its_sender_gave_up_on_the_way_is_none_to_the_receiver(receiver: WebhookReceiver) -> None:
    with socket.create_connection((HOST, receiver.port)) as sender:
        sender.sendall(b"POST /hook HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhalf")
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    assert receiver.asked == receiver.taken == []


@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_receiver_does_it_gets_everything_once_it_is_itself_again(
    log: SessionLog, receiver: WebhookReceiver, way: str
) -> None:
    receiver.way = failing(2, WAYS[way])
    log.append("s-1", notes(0, 20))
    # Where a busy machine is late, too, that counts against events.
    settings = replace(QUICK, timeout=0.5, max_attempts=1_000) if way in HANGING else QUICK
    with forwarding(log, receiver.url, settings):
        wait_until(lambda: {one.number for one in receiver.taken} == set(range(20)), "all events")
    assert not list(log.parked("forward"))
    ids = {(one.event["source"], one.event["id"], one.id) for one in receiver.asked}
    assert len(ids) == 20, "an attempt has the id of the one before it"


def test_what_it_never_takes_is_parked_and_the_rest_goes_on(log: SessionLog, receiver: WebhookReceiver) -> None:
    receiver.way = lambda handling, received: received.number == 3 and handling.answer(422)
    log.append("s-1", notes(0, 10))
    with forwarding(log, receiver.url) as running:
        wait_until(lambda: any(one.outcome == "parked" for one in running), "the event to be parked")
        wait_until(lambda: len(receiver.taken) == 9, "the others")
    (parked,) = log.parked("forward")
    assert (parked.id.revision, parked.attempts) == (4, QUICK.max_attempts)
    assert "HTTP status 422" in parked.error


def test_an_event_that_breaks_the_receiver_is_parked_as_the_others_show_that_it_is_there(
    log: SessionLog, receiver: WebhookReceiver
) -> None:
    receiver.way = lambda handling, received: received.number == 3 and handling.answer(500)
    log.append("s-1", notes(0, 10))
    with forwarding(log, receiver.url) as running:
        for number in range(10, 200):
            log.append("s-1", note(number))
            wait_until(lambda count=number: len(receiver.taken) >= count, "what came last")  # type: ignore[misc]
            if any(one.outcome == "parked" for one in running):
                break
    assert [one.id.revision for one in log.parked("forward")] == [4]


def test_a_receiver_that_is_not_there_is_waited_for_and_nothing_is_parked(log: SessionLog) -> None:
    port = free_port()
    log.append("s-1", notes(0, 5))
    with forwarding(log, f"http://{HOST}:{port}/hook", replace(QUICK, max_attempts=1)) as running:
        wait_until(lambda: sum(one.pending for one in log.groups()) == 5, "all to be in hand")
        assert not running
        with WebhookReceiver(port=port) as receiver:
            wait_until(lambda: len(receiver.taken) == 5, "all events")
    assert not list(log.parked("forward"))


def test_one_that_wants_nothing_any_more_ends_it(log: SessionLog, receiver: WebhookReceiver) -> None:
    receiver.way = lambda handling, _: handling.answer(410)
    log.append("s-1", note(1))
    with forwarding(log, receiver.url) as running:
        running.thread.join(SOON)
    assert isinstance(running.error, ReceiverGoneError)
    assert len(receiver.asked) == 1


def test_in_order_an_event_waits_for_the_one_before_it(log: SessionLog, receiver: WebhookReceiver) -> None:
    refused = list[int]()

    def once_each(handling: Handling, received: Received) -> bool:
        is_first = received.number not in refused
        refused.append(received.number)
        return is_first and handling.answer(400)

    receiver.way = once_each
    log.append("s-1", notes(0, 6))
    with forwarding(log, receiver.url, replace(QUICK, ordered=True)):
        wait_until(lambda: len(receiver.taken) == 6, "all events")
    assert [one.number for one in receiver.taken] == list(range(6))


def test_what_is_erased_or_of_another_type_is_not_sent(log: SessionLog, receiver: WebhookReceiver) -> None:
    log.append("s-1", [note(1), note(2)])
    log.append("s-1", events.Custom("custom.other", {"number": 3}))
    log.erase("s-1", 1, "asked for")
    with forwarding(log, receiver.url, replace(QUICK, types=("custom.note",))):
        wait_until(lambda: len(receiver.taken) == 2, "both notes")
    by_revision = {one.event["sequence"]: one.event for one in receiver.taken}
    assert by_revision["1"]["erased"] is True
    assert by_revision["2"]["data"]["number"] == 2
