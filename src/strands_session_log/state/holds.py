"""Which events hold a session, from the events that do, and end it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import SessionForked, SessionHeld, SessionReleased
from ..ids import EventId


class Holds:
    """Takes the events of a session in order, those of other types among them; its text is that of a head's `held`.

    A fork is not held because the session is that it was made of.
    """

    READS = frozenset((SessionHeld.TYPE, SessionReleased.TYPE, SessionForked.TYPE))
    """The types it looks at; what is retained of their data is enough."""

    def __init__(self) -> None:
        self._holds = list[EventId]()

    def add(self, id_: EventId, type_: str, data: Mapping[str, Any]) -> None:
        """One more event."""
        if type_ == SessionHeld.TYPE:
            self._holds.append(id_)
        elif type_ == SessionForked.TYPE:
            self._holds.clear()
        elif type_ == SessionReleased.TYPE:
            ended = SessionReleased(data).holds
            self._holds = [one for one in self._holds if one not in ended]

    def __str__(self) -> str:
        return " ".join(map(str, self._holds))
