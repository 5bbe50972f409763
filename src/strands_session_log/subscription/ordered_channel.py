"""A channel in which the events of a session wait for each other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from ..concurrency import Channel
from .delivery import BaseDelivery


class Blocked(NamedTuple):
    """A session whose next event waits until one that was handed out is settled.

    Attributes:
        delivery: One that was handed out and is not settled.
        waiting: How many deliveries of the session wait for it.
    """

    delivery: BaseDelivery
    waiting: int


class OrderedChannel(Channel[BaseDelivery]):
    """Hands out no delivery of a session before those handed out earlier are settled, whoever takes them, and how.

    What is taken at once of one session counts as one: its next delivery waits until all of it is settled. Sessions do
    not wait for each other. An error does not wait for deliveries that do.
    """

    def __init__(self) -> None:
        super().__init__()
        # A session stands in here from when one of its deliveries is ready until none is ready or in hand.
        self._later: dict[str, deque[BaseDelivery]] = {}
        self._in_hand: dict[BaseDelivery, str] = {}
        self._taken: dict[str, int] = {}

    def release(self, item: BaseDelivery) -> None:
        """Let the session's next delivery be handed out, once all that was taken with this one is settled, too."""
        with self._changed:
            session_id = self._in_hand.pop(item, None)
            if session_id is None:
                return
            self._taken[session_id] -= 1
            if not self._taken[session_id]:
                del self._taken[session_id]
                self._go_on(session_id)

    def blocked(self, seconds: float) -> Blocked | None:
        """What has been waited for longest.

        Args:
            seconds: For how long at least.

        Returns:
            None when it is not as long, when there is something else to hand out, or when nobody asks for it.
        """
        with self._changed:
            if self._items or not (self._asking or self._waiting):
                return None
            found = [
                Blocked(delivery, len(self._later[session_id]))
                for delivery, session_id in self._in_hand.items()
                if self._later[session_id] and delivery.started
            ]
        oldest = min(found, key=lambda one: one.delivery.started, default=None)
        return oldest if oldest and time.monotonic() - oldest.delivery.started >= seconds else None

    def _add(self, items: Iterable[BaseDelivery | Exception]) -> None:
        for item in items:
            if isinstance(item, Exception):
                self._items.append(item)
            elif (later := self._later.get(item.session_id)) is not None:
                later.append(item)
            else:
                self._later[item.session_id] = deque()
                self._items.append(item)

    def _pop(self, most: int) -> list[BaseDelivery]:
        found: list[BaseDelivery] = []
        while len(found) < most and self._items and not isinstance(self._items[0], Exception):
            first: BaseDelivery = self._items.popleft()  # type: ignore[assignment]
            later = self._later[first.session_id]
            taken = [first, *(later.popleft() for _ in range(min(len(later), most - len(found) - 1)))]
            self._in_hand.update(dict.fromkeys(taken, first.session_id))
            self._taken[first.session_id] = len(taken)
            found += taken
        return found

    def _end(self) -> list[BaseDelivery]:
        """What waits for others is not handed out any more: they may be settled late, or never."""
        left = [one for later in self._later.values() for one in later]
        for later in self._later.values():
            later.clear()
        return left

    def _go_on(self, session_id: str) -> None:
        if later := self._later[session_id]:
            self._items.append(later.popleft())
            self._wake()
        else:
            del self._later[session_id]
