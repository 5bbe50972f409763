"""A page of events, from either end of a session: bounded in what it holds, and in what is read for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from strands_session_log import SessionLog
from strands_session_log.events import selector

from .values import dumped, event_value

_LOOKED_AT: Final = 5_000
_READ_AT_ONCE: Final = 100
_MOST_BYTES: Final = 8 << 20


class EventPage:
    """Events of one session, as many as were asked for, or as there is room for.

    Args:
        log: Where they are.
        session_id: The session.
        limit: How many at most.
        wanted: Which of them, by type and agent.
    """

    def __init__(self, log: SessionLog, session_id: str, limit: int, wanted: Callable[[str, str], bool]) -> None:
        self._log, self._session_id, self._limit, self._wanted = log, session_id, limit, wanted
        self._taken, self._size, self._looked, self._last = list[bytes](), 0, 0, 0

    def read(self, first: int, last: int, newest: bool) -> None:
        """Fill it with revisions from `first` to `last`, the newest first if so."""
        while first <= last and not self._is_full:
            if newest:
                begin, end = max(first, last - _READ_AT_ONCE + 1), last
                last = begin - 1
            else:
                begin, end = first, min(last, first + _READ_AT_ONCE - 1)
                first = end + 1
            self._take(begin, end, newest)

    @property
    def _is_full(self) -> bool:
        return len(self._taken) >= self._limit or self._size >= _MOST_BYTES or self._looked >= _LOOKED_AT

    def _take(self, first: int, last: int, newest: bool) -> None:
        checked = self._log.read_checked(self._session_id, first - 1 or None, last)
        found = [(recorded, str(checked.integrity)) for recorded in checked]
        for recorded, integrity in reversed(found) if newest else found:
            if self._is_full:
                return
            self._looked, self._last = self._looked + 1, recorded.id.revision
            if self._wanted(recorded.event.type, recorded.event.agent):
                self._taken.append(dumped(event_value(recorded, integrity)))
                self._size += len(self._taken[-1])

    def to_json(self, head: int, first: int, last: int, newest: bool) -> bytes:
        """As it is sent: the events in the bytes they have each, where to go on, and how many there are."""
        is_over = not self._last or self._last == (first if newest else last)
        told = {"next": None if is_over else self._last, "head": head}
        return b'{"events":[' + b",".join(self._taken) + b"]," + dumped(told)[1:]


def events_page(log: SessionLog, session_id: str, asked: dict[str, Any]) -> bytes:
    """The page that a query asks for, as JSON.

    Args:
        log: Where the events are.
        session_id: The session.
        asked: What the query says: `order`, `after`, `before`, `type`, `agent`, `limit`.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    head = log.head(session_id).revision
    first, last = asked["after"] + 1, min(head, (asked["before"] or head + 1) - 1)
    newest = asked["order"] == "newest"
    page = EventPage(log, session_id, asked["limit"], selector(asked["type"] or None, asked["agent"]))
    page.read(first, last, newest)
    return page.to_json(head, first, last, newest)
