"""What is to be written of one agent, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from .. import codec, events
from ..codec import Encoded
from ..event_log import FEW_EVENTS, first_batch


class Backlog:
    """Events that wait: facts for something that must not wait, messages for a model call, the rest for the network.

    Whoever calls holds the lock of its outbox.

    Attributes:
        sent: What was tried, and may have landed or not: it goes before all else, as it was.
    """

    def __init__(self) -> None:
        self.sent: list[Encoded] = []
        self._facts: list[Encoded] = []
        self._waiting: list[Encoded] = []
        self._held: dict[object, list[Encoded]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to write now."""
        return bool(self._waiting or self.sent)

    def note(self, facts: Iterable[Encoded]) -> None:
        """Keep facts until something comes that is written."""
        self._facts += facts

    def put(self, encoded: Sequence[Encoded], hold_for: object = None) -> None:
        """Put events, and the facts before them, in line; or hold them back until that is released."""
        line = self._waiting if hold_for is None else self._held.setdefault(hold_for, [])
        line += [*self._facts, *encoded]
        self._facts = []

    def release(self, what: object) -> None:
        """Put what was held back for it in line, before the facts that were noted since."""
        self._waiting += self._held.pop(what, [])

    def place_of_held(self, index: int) -> tuple[list[Encoded], int] | None:
        """Where an event about the message of an index is held back."""
        places = ((line, at) for line in self._held.values() for at in range(len(line)))
        return next(((line, at) for line, at in places if is_about(line[at], index)), None)

    def next_batch(self) -> list[Encoded]:
        """What was tried before, alone; else what is in line, or as much of it as may land at once."""
        if not self.sent:
            count = first_batch(self._waiting, FEW_EVENTS)
            self.sent, self._waiting = self._waiting[:count], self._waiting[count:]
        return self.sent

    def drop(self, hopeless: Sequence[Encoded]) -> None:
        """Give up some of what was refused, and all that is about messages among it."""
        added = {one.message_index for one in hopeless if one.message_index is not None}

        def left_of(line: Iterable[Encoded]) -> list[Encoded]:
            left = [one for one in line if not any(one is other for other in hopeless)]
            return [one for one in left if not any(is_about(one, index) for index in added)]

        # Under other ids: what may have become of the batch as it was is not what becomes of this one.
        left = [codec.reissued(one) for one in left_of(self.sent)]
        self.sent, self._waiting = [], [*left, *left_of(self._waiting)]

    @property
    def indices(self) -> Collection[int]:
        """Those that messages which wait are to have."""
        return {one.message_index for line in self._lines for one in line if one.message_index is not None}

    def renumber(self, moved: Callable[[int], int]) -> None:
        """Give messages other indices, and what refers to them."""
        for line in self._lines:
            line[:] = [_renumbered(encoded, moved) for encoded in line]

    @property
    def _lines(self) -> list[list[Encoded]]:
        return [self.sent, self._waiting, *self._held.values()]


def is_about(encoded: Encoded, index: int) -> bool:
    """Whether an event is about the message of an index."""
    return isinstance(encoded.event, (events.MessageAdded, events.MessageUpdated)) and (
        encoded.event.data.get("message_id") == index
    )


def _renumbered(encoded: Encoded, moved: Callable[[int], int]) -> Encoded:
    index = encoded.event.data.get("message_id")
    if not isinstance(index, int) or moved(index) == index:
        return encoded
    return codec.renumbered(encoded, moved(index))
