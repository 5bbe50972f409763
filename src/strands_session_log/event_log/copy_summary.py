"""What the events a fork begins with come to: what its head says of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import RawEntry, rows
from ..events import Event, MessageAdded, PayloadErased
from ..ids import START, EventId, Ranges, to_ranges
from .chained_batch import Position


class CopySummary:
    """Events that were copied, told page by page.

    Attributes:
        count: How many.
        position: Where they end.
        unexplained: Those whose content was erased, and none of the others says why.
    """

    def __init__(self) -> None:
        self.count, self.position, self.unexplained = 0, Position(), set[EventId]()
        self._created, self._moved, self._messages = START, dict[str, EventId](), dict[str, set[int]]()

    def add(self, entries: Sequence[RawEntry]) -> None:
        """A page more.

        Raises:
            CorruptEntryError: When an entry cannot be read.
        """
        for id_, type_, agent, data, link, is_erased in rows(entries, _matters):
            self._created = id_ if self._created == START else self._created
            data = data if type(data) is dict else {}
            self.count, self.position = self.count + 1, Position(id_, link)
            if type_ == MessageAdded.TYPE and type(data) is dict and type(index := data.get("message_id")) is int:
                self._messages.setdefault(agent, set()).add(index)
            if moves := getattr(Event.known.get(type_), "moves", ""):
                self._moved[f"{moves}:{agent}:moved"] = id_
            if type_ == PayloadErased.TYPE:
                self.unexplained.difference_update(PayloadErased(data).erased)
            if is_erased:
                self.unexplained.add(id_)

    def head(self, erased: str) -> dict[str, str]:
        """The fields of a head that stands where they end.

        Args:
            erased: The ranges of what was erased in the session they come from.
        """
        id_, link = self.position
        fields = {"revision": str(id_.revision), "link": link, "ms": str(id_.ms), "created": str(self._created.ms)}
        fields |= {f"agent:{agent}:messages": to_ranges(indices) for agent, indices in self._messages.items()}
        fields |= {field: str(moved) for field, moved in self._moved.items()}
        ours = str(Ranges.parse(erased).up_to(id_.revision))
        return fields | ({"erased": ours} if ours else {})


def _matters(type_: str) -> bool:
    return type_ in (MessageAdded.TYPE, PayloadErased.TYPE)
