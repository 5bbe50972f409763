"""What tests of subscriptions have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import FeedGapError
from strands_session_log.server.routing import connection_to
from strands_session_log.subscription import SyncDelivery

Handle = Callable[[SyncDelivery], object]


def raw(log: SessionLog, name: bytes, key: str, *arguments: Any) -> Any:
    """The reply to a command about a key, as the server lays it out."""
    with connection_to(log.client, key) as node:
        return node.execute_command(name, key, *arguments, NEVER_DECODE=True)


class Told:
    """Appends events that carry a number, and knows which."""

    def __init__(self, log: SessionLog) -> None:
        self.log, self.all = log, set[tuple[str, int]]()

    def __call__(self, numbers: Iterable[int], session: str = "s-{}") -> None:
        """Append them one by one; the sessions spread over the partitions."""
        for number in numbers:
            name = session.format(number % 7)
            self.log.append(name, [events.Custom("custom.number", {"number": number})])
            self.all.add((name, number))


def ends_of(gap: FeedGapError) -> tuple[int, int]:
    """The sequence of the last envelope before a gap, and of the first after it."""
    assert gap.after is not None
    assert gap.before is not None
    return gap.after.sequence, gap.before.sequence


def number_of(delivery: Any) -> tuple[str, int]:
    """Which one it is."""
    return delivery.session_id, delivery.event.data["number"]


class Consumer(threading.Thread):
    """Handles deliveries in a thread until it is told to stop; what was handled is in `handled`, in order."""

    def __init__(self, log: SessionLog, group: str = "g", handle: Handle | None = None, **settings: Any) -> None:
        super().__init__(daemon=True)
        settings = {"bodies": True, "claim_after": 1.0, "backoff": 0.05, **settings}
        self.subscriber = Subscriber(log, group, **settings)
        self.handled: list[tuple[str, int]] = []
        self.errors: list[Exception] = []
        self.deliveries: Any = None
        self._handle, self._ready = handle, threading.Event()
        self.start()
        self._ready.wait(10)

    def run(self) -> None:
        try:
            with self.subscriber as deliveries:
                self.deliveries = deliveries
                self._ready.set()
                for delivery in deliveries:
                    self._take(delivery)
        except Exception as error:
            self.errors.append(error)

    def _take(self, delivery: SyncDelivery) -> None:
        try:
            if self._handle:
                self._handle(delivery)
        except ValueError as error:
            delivery.fail(error)
        else:
            self.handled.append(number_of(delivery))
            delivery.ack()

    def stop(self) -> None:
        """Let it finish what it handles."""
        self.deliveries.stop()
        self.join(10)
        assert not self.is_alive()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
