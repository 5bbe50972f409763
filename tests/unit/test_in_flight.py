"""Acks take no lock, and those who wait for them are woken all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from strands_session_log.encryption import Cipher
from strands_session_log.subscription.delivery import SyncDelivery
from strands_session_log.subscription.in_flight import InFlight
from strands_session_log.subscription.settings import SubscriptionSettings

FIELDS = [b"session", b"s", b"id", b"1-1", b"type", b"message.added", b"agent", b"", b"link", b"abc", b"facts", b"{}"]
_SOON, _NEVER = 20.0, 600.0
"""Who is not woken waits for the second."""


@pytest.fixture(params=[False, True], ids=["beside each other", "ordered"])
def in_flight(request: pytest.FixtureRequest) -> InFlight:
    cipher = Cipher(None, lambda session_id: (session_id, False))
    return InFlight(SubscriptionSettings(group="g", batch=10, ordered=request.param), lambda _: None, cipher)


def _given(in_flight: InFlight, count: int) -> list[SyncDelivery]:
    expires = time.monotonic() + _NEVER
    made = [SyncDelivery(0, (b"1-%d" % number, 1, FIELDS), in_flight, expires) for number in range(count)]
    in_flight.add(made)
    return made


def _in_a_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_who_waits_for_room_has_it_with_the_ack_that_makes_it(in_flight: InFlight) -> None:
    most, least = 100, 10
    made = _given(in_flight, most)
    waiting = _in_a_thread(lambda: in_flight.wait_for_room(_NEVER))
    for delivery in made[: least - 1]:
        delivery.ack()
    # Told of some of them, and with nothing new to tell, nobody else would wake it.
    told = in_flight.next_batches(time.monotonic() + _NEVER)
    in_flight.sent()
    assert told
    assert waiting.is_alive()
    made[least - 1].ack()
    waiting.join(_SOON)
    assert not waiting.is_alive()


def test_what_is_promised_to_one_is_no_room_for_another_until_it_is_given_back(in_flight: InFlight) -> None:
    with in_flight.reserve(1000) as all_of_it:
        assert all_of_it == 100
        waiting = _in_a_thread(lambda: in_flight.wait_for_room(_NEVER))
        waiting.join(0.05)
        assert waiting.is_alive()
        with in_flight.reserve(1) as nothing:
            assert not nothing
    waiting.join(_SOON)
    assert not waiting.is_alive()


def test_no_ack_of_many_threads_waits_for_another_one(in_flight: InFlight) -> None:
    threads, each, told = 4, 3_000, list[bytes]()
    made = _given(in_flight, threads * each)

    def tell() -> None:
        while len(told) < len(made):
            batches = in_flight.next_batches(time.monotonic() + _NEVER) or []
            told.extend(one.key for batch in batches for one in batch.deliveries)
            in_flight.sent()

    def ack(share: list[SyncDelivery]) -> None:
        for number, delivery in enumerate(share):
            delivery.ack()
            if number % 50 == 0:
                # Until all is told now and then, so that the next ack finds it waiting.
                time.sleep(0)

    telling = _in_a_thread(tell)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(ack, made[at::threads]) for at in range(threads)]:
            done.result()
    telling.join(_SOON)
    assert not telling.is_alive()
    assert sorted(told) == sorted(one.key for one in made)


def test_what_a_fetcher_took_along_and_was_not_answered_is_told_again(in_flight: InFlight) -> None:
    made = _given(in_flight, 3)
    for delivery in made:
        delivery.ack()
    (taken,) = in_flight.carry()
    assert in_flight.unwritten() == {0: {one.key for one in made}}
    in_flight.carried(is_known=False)
    assert in_flight.next_batches(time.monotonic() + _NEVER) == [taken]
    in_flight.sent()
    assert not in_flight.unwritten()


def test_acks_wait_for_the_fetcher_that_is_about_to_take_them_along(in_flight: InFlight) -> None:
    first, second = _given(in_flight, 2)
    first.ack()
    in_flight.carry()
    told = list[object]()
    telling = _in_a_thread(lambda: told.extend(in_flight.next_batches(time.monotonic() + _NEVER) or []))
    second.ack()
    telling.join(0.1)
    assert telling.is_alive()
    in_flight.carried(is_known=True)
    telling.join(_SOON)
    assert [one.key for batch in told for one in batch.deliveries] == [second.key]  # type: ignore[attr-defined]


def test_a_delivery_that_comes_again_takes_the_place_of_the_one_before(in_flight: InFlight) -> None:
    (before,) = _given(in_flight, 1)
    in_flight.add([SyncDelivery(0, (before.key, 2, FIELDS), in_flight, before.expires)])
    assert in_flight.count == 1
