"""All that can be read of a session some of whose events are missing, or cannot be read.

Where one is damaged the library stops, as nobody should go on from there; who looks at it wants to see what is left,
and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from strands_session_log import START, EventId, Recorded, SessionLog
from strands_session_log.errors import CorruptEntryError, LogForkedError, RevisionNotFoundError
from strands_session_log.events import Event

DAMAGED: Final = "viewer.damaged"
"""The type of what stands in place of an event that cannot be shown; no event of a log has it."""


class SalvagedEvents:
    """The events between two revisions, with a note in place of each that is damaged.

    Args:
        log: Where they are.
        session_id: The session.
        after: Begin after this one: a revision, or the event that stands there, which then is to be there still.
        until: The last revision.
        is_checked: Whether each is held against the hash chain.

    Attributes:
        problem: Why those given so far are not what was written; empty if they are, as far as one can tell.
    """

    def __init__(
        self, log: SessionLog, session_id: str, after: EventId | int, until: int, *, is_checked: bool = False
    ) -> None:
        self._log, self._session_id, self._until, self._is_checked = log, session_id, until, is_checked
        self._at = after.revision if isinstance(after, EventId) else after
        self._last = after if isinstance(after, EventId) else START
        self._end, self.problem = until, ""

    def __iter__(self) -> Iterator[Recorded]:
        """Read them.

        Raises:
            LogForkedError: When the session was deleted or replaced.
        """
        while self._at < self._until:
            try:
                if self._at < self._end:
                    yield from self._readable()
                yield from self._missing(self._until)
            except RevisionNotFoundError:
                # What is to be the last is not there: up to the one before it, then.
                self._end -= 1
            except (LogForkedError, CorruptEntryError) as error:
                yield self._in_place_of_next(error)

    def _readable(self) -> Iterator[Recorded]:
        """What follows, up to where something is damaged."""
        after: EventId | int | None = self._last if self._last.revision == self._at else self._at
        checked = self._log.read_checked(self._session_id, after or None, self._end) if self._is_checked else None
        for recorded in self._log.read(self._session_id, after or None, self._end) if checked is None else checked:
            yield from self._missing(recorded.id.revision - 1)
            self._at, self._last = recorded.id.revision, recorded.id
            self.problem = self.problem or (checked.integrity.problem if checked else "")
            yield recorded

    def _missing(self, until: int) -> Iterator[Recorded]:
        while self._at < until:
            yield self._note("is missing")

    def _in_place_of_next(self, error: LogForkedError | CorruptEntryError) -> Recorded:
        """What to show instead, if it is the next event that is damaged, and not all of it another history."""
        if not self._is_same_history():
            raise error
        try:
            self._log.event(self._session_id, self._at + 1)
        except CorruptEntryError as corrupt:
            return self._note(f"cannot be read: {corrupt}")
        except RevisionNotFoundError:
            return self._note("is missing")
        raise error

    def _is_same_history(self) -> bool:
        """Whether what was read last is there still, and the session goes on behind it."""
        try:
            if self._last.revision:
                self._log.event(self._session_id, self._last)
            return self._log.head(self._session_id).revision > self._at
        except RevisionNotFoundError:
            return False

    def _note(self, what: str) -> Recorded:
        self._at += 1
        text = f"r{self._at:,} {what}"
        self.problem = self.problem or f"event {text}"
        return Recorded(EventId(self._last.ms, self._at), Event(DAMAGED, {"problem": text}), "")


def is_damaged(recorded: Recorded) -> bool:
    """Whether this stands in place of an event that cannot be shown."""
    return recorded.event.type == DAMAGED and not recorded.link
