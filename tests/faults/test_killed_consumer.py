"""Consumers that are killed, stopped and left hanging: every event is handled at least once all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import DeliveryLostError
from subscription.helpers import Consumer, Told, number_of
from support.processes import forks
from support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.faults

EVENTS = 30
FATAL, LOST = 11, -1
SETTINGS: dict[str, Any] = {"bodies": True, "claim_after": 0.4, "backoff": 0.05, "max_attempts": 4}


def consume(url: str, namespace: str, effects: str, dies: str, settings: dict[str, Any]) -> None:
    """Handle events by noting their numbers; die at one of them."""
    log = SessionLog.connect(url, namespace)
    with Subscriber(log, "g", **settings) as deliveries:
        for delivery in deliveries:
            number = number_in(log, delivery)
            is_fatal = number == FATAL and dies != "never"
            if is_fatal and dies == "before the effect":
                os.kill(os.getpid(), signal.SIGKILL)
            if is_fatal and dies == "by exiting":
                os._exit(3)
            log.client.execute_command("RPUSH", effects, number)
            if is_fatal and dies == "by standing still":
                os.kill(os.getpid(), signal.SIGSTOP)
                try:
                    delivery.ack()
                except DeliveryLostError:
                    log.client.execute_command("RPUSH", effects, LOST)
                continue
            if is_fatal and dies == "between effect and ack":
                os.kill(os.getpid(), signal.SIGKILL)
            with suppress(DeliveryLostError):
                # Stopped for long, it goes on with what is its own.
                delivery.ack(confirm=is_fatal)
            if is_fatal and dies == "after the ack":
                os.kill(os.getpid(), signal.SIGKILL)


def number_in(log: SessionLog, delivery: Any) -> int:
    """Which one it is, also where it came without its content."""
    if delivery.event is not None:
        return number_of(delivery)[1]
    (found,) = log.read(delivery.session_id, after=delivery.id.revision - 1, until=delivery.id.revision)
    number: int = found.event.data["number"]
    return number


class Processes:
    """Starts consumers in processes of their own."""

    def __init__(self, url: str, log: SessionLog) -> None:
        self._context = forks()
        self._url, self._log, self._started = url, log, list[Any]()
        self.effects = f"{log.namespace}:effects"

    def start(self, dies: str = "never", **settings: Any) -> Any:
        """One more consumer; `is_over` tells whether it died, or the group has parked something."""
        arguments = (self._url, self._log.namespace, self.effects, dies, {**SETTINGS, **settings})
        process: Any = self._context.Process(target=consume, args=arguments, daemon=True)
        process.start()
        process.is_over = lambda: not process.is_alive() or list(self._log.parked("g"))
        self._started.append(process)
        return process

    def noted(self) -> list[int]:
        """What was handled, in order."""
        return [int(number) for number in self._log.client.execute_command("LRANGE", self.effects, 0, -1)]

    def end(self) -> None:
        """Kill those that are left."""
        for process in self._started:
            if process.is_alive():
                process.kill()
            process.join()


@pytest.fixture
def processes(server_url: str, session_log: SessionLog) -> Iterator[Processes]:
    processes = Processes(server_url, session_log)
    yield processes
    processes.end()


@pytest.fixture
def told(session_log: SessionLog) -> Told:
    return Told(session_log)


@pytest.mark.parametrize("dies", ["before the effect", "between effect and ack", "after the ack"])
def test_every_event_is_handled_at_least_once_when_a_consumer_is_killed(
    dies: str, processes: Processes, told: Told
) -> None:
    told(range(EVENTS))
    victim = processes.start(dies)
    victim.join(20)
    assert victim.exitcode == -signal.SIGKILL
    processes.start()
    wait_until(lambda: set(processes.noted()) == set(range(EVENTS)), "all events", timeout=20)


def test_an_event_that_kills_its_consumers_is_parked_and_the_rest_is_handled(
    processes: Processes, told: Told, session_log: SessionLog
) -> None:
    told(range(EVENTS))
    while not list(session_log.parked("g")):
        wait_until(processes.start("by exiting").is_over, "a death, or the event to be parked", timeout=20)
    wait_until(lambda: len(set(processes.noted())) == EVENTS - 1, "the rest", timeout=20)
    (parked,) = session_log.parked("g")
    assert next(session_log.read(parked.session_id, after=parked.id.revision - 1)).event.data == {"number": FATAL}
    assert parked.error == "its consumers went away while they handled it"


def test_the_late_ack_of_a_consumer_that_stood_still_is_refused(
    processes: Processes, told: Told, session_log: SessionLog
) -> None:
    """SIGSTOP for longer than the claim time, then SIGCONT."""
    told([FATAL])
    process = processes.start("by standing still")
    wait_until(lambda: processes.noted() == [FATAL], "it to stop", timeout=20)
    with Consumer(session_log, **SETTINGS) as other:
        wait_until(lambda: len(other.handled) == 1, "the takeover")
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: processes.noted() == [FATAL, LOST], "its ack to be refused")
    assert not any(one.pending for one in session_log.groups())


def test_a_stopped_process_goes_on_beside_those_that_replaced_it(
    processes: Processes, told: Told, session_log: SessionLog
) -> None:
    told(range(EVENTS))
    process = processes.start(batch=5, in_flight=5)
    wait_until(processes.noted, "it to begin", timeout=20)
    os.kill(process.pid, signal.SIGSTOP)

    def handled() -> set[int]:
        return {*processes.noted(), *(number for _, number in other.handled)}

    with Consumer(session_log, **SETTINGS) as other:
        wait_until(lambda: handled() == set(range(EVENTS)), "the rest")
        os.kill(process.pid, signal.SIGCONT)
        told(range(EVENTS, EVENTS + 20))
        wait_until(lambda: handled() == set(range(EVENTS + 20)), "both")
        wait_until(lambda: not any(one.pending for one in session_log.groups()), "all settled")


@pytest.mark.parametrize("bodies", [False, True], ids=["envelopes", "bodies"])
def test_a_busy_process_that_is_stopped_again_and_again_loses_nothing(
    bodies: bool, processes: Processes, session_log: SessionLog
) -> None:
    """It settles, reads on and fetches content all at once, so it stands still in the middle of that, too."""

    def handled() -> set[int]:
        return {*processes.noted(), *(number for _, number in other.handled)}

    process, may_go_on = processes.start(batch=20, in_flight=80, bodies=bodies), threading.Event()
    settings: dict[str, Any] = {**SETTINGS, "batch": 5, "in_flight": 5}
    with Consumer(session_log, handle=lambda _: may_go_on.wait(PATIENCE), **settings) as other:
        for count in range(200, 800, 200):
            before = len(processes.noted())
            may_go_on.clear()
            for number in range(count - 200, count, 20):
                added = [events.Custom("custom.number", {"number": one}) for one in range(number, number + 20)]
                session_log.append(f"s-{number // 20 % 7}", added)
            wait_until(lambda: len(processes.noted()) > before, "it to go on", timeout=20)  # noqa: B023
            os.kill(process.pid, signal.SIGSTOP)
            may_go_on.set()
            wait_until(lambda: handled() == set(range(count)), "the takeover", timeout=20)  # noqa: B023
            os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: not any(one.pending or one.lag for one in session_log.groups()), "all settled")
    assert handled() == set(range(600))


def test_a_slow_handler_keeps_its_delivery(told: Told, session_log: SessionLog) -> None:
    told([1])
    with Subscriber(session_log, "g", **SETTINGS) as deliveries:
        mine = next(deliveries)
        taken = mine.expires
        with Consumer(session_log, **SETTINGS) as other:
            wait_until(lambda: mine.expires > taken + 3 * SETTINGS["claim_after"], "several signs of life")
            mine.ack(confirm=True)
            assert not other.handled


def test_order_holds_when_consumers_are_killed(processes: Processes, told: Told, session_log: SessionLog) -> None:
    settings: dict[str, Any] = {"ordered": True, "batch": 5}
    victims = [processes.start(**settings)]
    for at in range(0, 140, 28):
        victims.append(processes.start(**settings))
        before = len(processes.noted())
        told(range(at, at + 28))
        wait_until(lambda: len(processes.noted()) > before, "something to be handled", timeout=20)  # noqa: B023
        os.kill(victims.pop(0).pid, signal.SIGKILL)
    wait_until(lambda: set(processes.noted()) == set(range(140)), "all events", timeout=20)
    numbers = list(dict.fromkeys(processes.noted()))
    for session in range(7):
        of_session = [number for number in numbers if number % 7 == session]
        assert of_session == sorted(of_session)


def test_history_goes_on_when_a_consumer_is_killed_in_the_middle_of_it(processes: Processes, told: Told) -> None:
    told(range(200))
    settings: dict[str, Any] = {"start": "beginning", "batch": 5, "in_flight": 5}
    victim, _ = processes.start(**settings), processes.start(**settings)
    wait_until(lambda: len(processes.noted()) > 20, "history", timeout=20)
    victim.kill()
    told(range(200, 220))
    wait_until(lambda: set(processes.noted()) == set(range(220)), "all events", timeout=20)
