"""What a fetcher was given and has not handed over: looked at, completed, and handed over in its order.

Asked for again it would count as delivered once more, and be parked in the end. So it waits here for as long as
something about it cannot be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..scripts.group_protocol import FeedEntry
from .bodies import Content, MissingContent
from .delivery import BaseDelivery
from .in_flight import InFlight
from .partition import PartitionState

if TYPE_CHECKING:
    from .consumer import Consumer


class Arrivals:
    """Has four stages: given; made into deliveries; looked at, and perhaps without content; complete.

    Args:
        consumer: Where they go.
        in_flight: What the consumer has.
        is_in_order: Whether what a partition gave may be handed over, as it is of this history.
    """

    def __init__(self, consumer: Consumer, in_flight: InFlight, is_in_order: Callable[[PartitionState], bool]) -> None:
        self._consumer, self._in_flight, self._is_in_order = consumer, in_flight, is_in_order
        self._given: list[tuple[PartitionState, Sequence[FeedEntry], float]] = []
        self._made: list[tuple[PartitionState, Sequence[BaseDelivery]]] = []
        self._bare: list[BaseDelivery] = []
        self._asked_for: list[BaseDelivery] = []
        self._complete: list[BaseDelivery] = []

    def add(self, state: PartitionState, given: Sequence[FeedEntry], asked_at: float) -> None:
        """Take note of what a partition gave, which is this consumer's now."""
        self._in_flight.expect(len(given))
        self._given.append((state, given, asked_at))

    @property
    def are_certain(self) -> bool:
        """Whether looking at what was given asks the server nothing."""
        states = [*(state for state, _, _ in self._given), *(state for state, _ in self._made)]
        return not any(state.doubts_history or state.unseen for state in states)

    def make(self) -> None:
        """Make deliveries of what was given: from then on it is given back at the end."""
        for state, given, asked_at in self._given:
            self._made.append((state, self._consumer.receive(state.partition, given, asked_at)))
        self._given.clear()

    @property
    def has_complete(self) -> bool:
        """Whether something is complete, and waits."""
        return bool(self._complete)

    def look(self) -> None:
        """Look at what was given: in most cases that asks the server nothing."""
        self.make()
        if not self._made:
            return
        found: list[BaseDelivery] = []
        for state, deliveries in self._made:
            if self._is_in_order(state):
                found += deliveries
            else:
                self._consumer.release(deliveries)
        wanted = self._consumer.sift(found)
        self._made.clear()
        if self._consumer.bodies:
            self._bare += wanted
        else:
            self._complete += wanted

    def wanted(self) -> MissingContent | None:
        """What content is missing; None for none, or where it is too much to be fetched with anything else."""
        bodies = self._consumer.bodies
        wanted = bodies.wanted(self._bare) if bodies and self._bare else None
        if wanted:
            self._asked_for, self._bare = self._bare, []
        return wanted

    def fetched(self, wanted: MissingContent, replies: Sequence[Content] | None) -> None:
        """Take the content; without replies it is still missing."""
        missing, self._asked_for = self._asked_for, []
        try:
            if replies is not None and self._consumer.bodies:
                self._consumer.reject(self._consumer.bodies.hand_out(wanted, replies))
                self._complete += missing
                missing = []
        finally:
            self._bare = missing + self._bare

    def go_on(self) -> None:
        """Hand over what is complete, and look at what was given, where that asks the server nothing."""
        self.put()
        if self.are_certain:
            self.look()
            if not self._consumer.bodies:
                self.put()

    def put(self) -> None:
        """Hand over what is complete; that asks the server nothing."""
        if self._complete:
            complete, self._complete = self._complete, []
            self._consumer.put(complete)

    def hand_over(self) -> None:
        """Hand over everything, and ask the server for what is missing. What several partitions gave goes at once."""
        self.look()
        if self._bare:
            # What is complete came before.
            self.put()
            self._consumer.hand_over(self._bare)
            self._bare.clear()
        self.put()
