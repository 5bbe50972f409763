"""What a fetcher was given and has not handed over: looked at, completed, and handed over in its order.

Asked for again it would count as delivered once more, and be parked in the end. So it waits here for as long as
something about it cannot be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..codec import RawEntry
from ..errors import ServerRefusedError
from .bodies import MissingContent
from .delivery import BaseDelivery
from .partition import PartitionState

if TYPE_CHECKING:
    from .consumer import Consumer


class Arrivals:
    """Has three stages: given; looked at, and perhaps without content; complete.

    Args:
        consumer: Where they go.
        is_in_order: Whether what a partition gave may be handed over, as it is of this history.
    """

    def __init__(self, consumer: Consumer, is_in_order: Callable[[PartitionState], bool]) -> None:
        self._consumer, self._is_in_order = consumer, is_in_order
        self._given: list[tuple[PartitionState, Sequence[BaseDelivery]]] = []
        self._bare: list[BaseDelivery] = []
        self._complete: list[BaseDelivery] = []

    def add(self, state: PartitionState, deliveries: Sequence[BaseDelivery]) -> None:
        """Take note of what a partition gave."""
        self._given.append((state, deliveries))

    @property
    def has_complete(self) -> bool:
        """Whether something is complete, and waits."""
        return bool(self._complete)

    def look(self) -> None:
        """Look at what was given: in most cases that asks the server nothing."""
        if not self._given:
            return
        found: list[BaseDelivery] = []
        for state, deliveries in self._given:
            if self._is_in_order(state):
                found += deliveries
            else:
                self._consumer.release(deliveries)
        wanted = self._consumer.sift(found)
        self._given.clear()
        if self._consumer.bodies:
            self._bare += wanted
        else:
            self._complete += wanted

    def wanted(self) -> MissingContent | None:
        """What content is missing; None for none, or where it is too much to be fetched with anything else."""
        return self._consumer.bodies.wanted(self._bare) if self._consumer.bodies and self._bare else None

    def complete(self, wanted: MissingContent, replies: Sequence[Sequence[RawEntry] | ServerRefusedError]) -> None:
        """Take what was fetched."""
        assert self._consumer.bodies
        self._consumer.reject(self._consumer.bodies.hand_out(wanted, replies))
        self._complete += self._bare
        self._bare.clear()

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
