"""Which events of a bundle have their content there; of all others it has commitments, so that the chain verifies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ..codec import RawEntry, fields_of, id_of
from ..event_log import EventLog
from ..events import selector
from ..ids import START, EventId, Instant, Point, parse_point


@dataclass(frozen=True, slots=True)
class Filters:
    """What a user wants in a bundle.

    Attributes:
        after: Only the content of what follows this point.
        until: Only up to and with this point.
        types: Only of these types.
        agent: Only this agent's.
        redact_bodies: No content at all.
    """

    after: Point | None = None
    until: Point | None = None
    types: str | Sequence[str] | None = None
    agent: str | None = None
    redact_bodies: bool = False

    def settled(self, now_ms: Callable[[], int]) -> Filters:
        """The same, with what relative times mean now by the server's clock.

        Raises:
            InvalidPointError: When a point is none.
        """
        after, until = (None if point is None else _settled(point, now_ms) for point in (self.after, self.until))
        return replace(self, after=after, until=until)

    @property
    def is_any(self) -> bool:
        """Whether anything is withheld."""
        return self != EVERYTHING

    def to_json(self) -> dict[str, Any] | None:
        """As a manifest has them; None where nothing is withheld."""
        if not self.is_any:
            return None
        return {
            "after": _point_text(self.after),
            "until": _point_text(self.until),
            "types": [self.types] if isinstance(self.types, str) else self.types and list(self.types),
            "agents": None if self.agent is None else [self.agent],
            "redact_bodies": self.redact_bodies,
        }


EVERYTHING = Filters()


class Selection:
    """Says of each event of a session whether its content is withheld.

    Args:
        filters: What is wanted.
        log: Where the session is: it knows the id of a revision.
        session_id: The session.

    Attributes:
        is_any: Whether anything is.

    Raises:
        RevisionNotFoundError: When the session has no such event.
    """

    def __init__(self, filters: Filters, log: EventLog, session_id: str) -> None:
        self.is_any, self._none = filters.is_any, filters.redact_bodies
        self._wanted = selector(filters.types, filters.agent)
        self._after = START if filters.after is None else log.resolve(session_id, filters.after)
        self._until = None if filters.until is None else log.resolve(session_id, filters.until)

    def withholds(self, entry: RawEntry) -> bool:
        """Whether the content of an event is to be left out."""
        if not self.is_any:
            return False
        if self._none or not self._is_between(id_of(entry[0])):
            return True
        fields = fields_of(entry[1])
        kind = (fields.get(name, b"").decode(errors="replace") for name in (b"type", b"agent"))
        return not self._wanted(*kind)

    def _is_between(self, id_: EventId) -> bool:
        after, until = self._after, self._until
        is_after = id_ > after if after.revision else id_.ms > after.ms or after == START
        if until is None:
            return is_after
        return is_after and (id_ <= until if until.revision else id_.ms <= until.ms)


def _settled(point: Point, now_ms: Callable[[], int]) -> Point:
    is_relative = isinstance(point, str) and point.strip().startswith("-")
    found = parse_point(point, now_ms=now_ms() if is_relative else None)
    return EventId(found.ms, 0).time if is_relative and isinstance(found, Instant) else point


def _point_text(point: Point | None) -> str | None:
    if isinstance(point, datetime):
        return point.astimezone(timezone.utc).isoformat()
    return None if point is None else str(point)
