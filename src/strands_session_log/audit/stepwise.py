"""Checking a session step by step: for who shows one that goes on, and must say all the while whether it is intact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ..codec import RawEntry, id_of
from ..errors import LogForkedError, SessionNotFoundError, check_whole
from ..event_log import EventLog
from ..event_log.reader import place
from ..ids import EventId, check_id
from ..scripts import session
from ..server import text
from .anchors import Expect, Expectations
from .checker import Checker, is_erased
from .head import SessionStanding
from .lineage import Descent, Lineage

_PAGE = 256


class SessionChecker:
    """Recomputes the hash chain of a session in steps, and goes on where it stood when there are more events.

    It holds events against the chain, their erasures, links that were noted, and the session's head. What else stands
    on the server, feed, directory and snapshot, is for `SessionLog.verify`. Not for several threads at once.

    Args:
        log: Where the session is.
        session_id: The session.
        expect: Links that were noted elsewhere.

    Raises:
        InvalidAnchorError: When something expected is no revision with a link.
    """

    def __init__(self, log: EventLog, session_id: str, expect: Iterable[Expect] = ()) -> None:
        self._log, self._session_id = log, check_id("session_id", session_id)
        self._lineage = Lineage(session_id, partial(Descent.read, log, session_id))
        self._checker, self._expectations = Checker(self._lineage), Expectations(expect)
        self._last: tuple[Any, Any] = (b"", b"")
        self._at_end, self._is_complete = tuple[str, ...](), False

    @property
    def revision(self) -> int:
        """The event checked last; 0 before the first."""
        return self._checker.at.id.revision

    @property
    def link(self) -> str:
        """The hash chain there, base64url; empty before the first."""
        return self._checker.link

    @property
    def is_complete(self) -> bool:
        """Whether the last step came to the end of the session."""
        return self._is_complete

    @property
    def problems(self) -> tuple[str, ...]:
        """What was found so far, a line each; what is wrong with the session as a whole once it is complete."""
        return (*self._checker.problems.lines, *self._at_end)

    @property
    def broken_at(self) -> EventId | None:
        """The event that the first problem is about; None where it is about none, or there is none."""
        return self._checker.problems.broken_at

    def advance(self, most: int = 1000) -> bool:
        """Check the next events.

        Args:
            most: How many at most; some more where the session ends.

        Returns:
            Whether all there are were checked.

        Raises:
            SessionNotFoundError: When there is no such session.
            LogForkedError: When it was deleted or replaced since the step before: what was checked is not there.
        """
        check_whole("most", most, 1)
        self._is_complete = False
        self._is_complete = self._read(most) and self._conclude()
        return self._is_complete

    def _read(self, most: int) -> bool:
        """Whether there were fewer events than that."""
        for page in self._following():
            self._check(page[:most])
            most -= len(page)
            if most <= 0:
                return False
        return True

    def _following(self) -> Iterator[Sequence[RawEntry]]:
        pages = self._log.pages(self._session_id, text(self._checker.last) if self._checker.count else "-")
        yield self._after_last(next(pages))
        yield from pages

    def _after_last(self, entries: Sequence[RawEntry]) -> Sequence[RawEntry]:
        """What follows the entry checked last, which must still be there."""
        if not self._checker.count:
            return entries
        if not entries or place(entries[0]) != self._last:
            raise LogForkedError(self._session_id, id_of(self._checker.last))
        return entries[1:]

    def _check(self, entries: Sequence[RawEntry]) -> None:
        checker, problems = self._checker, self._checker.problems
        for entry in entries:
            checker.read([entry])
            if problem := self._expectations.check(checker.at.id, checker.link):
                problems.add(problem, checker.at.id)
            self._last = place(entry)
        self._look_again()

    def _look_again(self) -> None:
        """At content that was read before an event said that it was erased: since then, or it was put back."""
        for id_, told_by in self._checker.resurrected.items():
            for page in self._log.pages(self._session_id, str(id_), str(id_)):
                if not all(map(is_erased, page)):
                    problem = f"event {id_} has content, which event {told_by} says was erased"
                    self._checker.problems.add(problem, id_)
        self._checker.resurrected.clear()

    def _conclude(self) -> bool:
        """Look at the head as of the moment when the last event was checked; whether that was the last."""
        start = text(self._checker.last) if self._checker.count else "-"
        head, entries, scores = session.standing(self._log.store, self._session_id, start, _PAGE)
        self._check(self._after_last(entries))
        if len(entries) >= _PAGE:
            return False
        if not self._checker.count and not head:
            raise SessionNotFoundError(self._session_id)
        problem = "the session's head cannot be read: it is no hash" if head is None else ""
        standing = SessionStanding(head or {}, scores, problem)
        self._at_end = tuple(filter(None, self._problems_of_all(standing)))
        return True

    def _problems_of_all(self, standing: SessionStanding) -> Iterator[str]:
        yield from (line for _, line in self._checker.unexplained_problems())
        yield self._checker.compare(standing.position)
        yield self._lineage.name_problem() if self._checker.count else ""
        yield from self._expectations.left(self._checker.at.id, ())
