"""Checking while reading: for who shows a session, or resumes from it, and must be able to say whether it is intact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ..codec import RawEntry, fields_of, parse, recorded
from ..errors import LogForkedError
from ..event_log import EventLog
from ..event_log.chained_batch import Chained
from ..event_log.reader import end_at, fetch, start_after
from ..events import Recorded
from ..ids import START, EventId, check_id
from ..state import INTACT, Integrity
from .checker import Checker
from .lineage import Descent, Lineage


class IntegrityCheck:
    """Holds events against the hash chain as they are read: nothing of them is kept, and two microseconds go for each.

    What stands beside them, the head and the feed, is for `verify`.

    Args:
        log: Where the session is; asked for its root, once, if it is a fork.
        session_id: The session.
        after: The entry before the first that is read; the beginning of the session if left out.
        known: What is known of the events up to that one.
    """

    def __init__(
        self, log: EventLog, session_id: str, after: RawEntry | None = None, known: Integrity = INTACT
    ) -> None:
        lineage = Lineage(session_id, partial(Descent.read, log, session_id), is_whole=after is None)
        at = None if after is None else Chained.of(parse(after[0], fields_of(after[1])))
        self._checker, self._lineage, self._known = Checker(lineage, at), lineage, known

    @property
    def integrity(self) -> Integrity:
        """What is known of the events so far."""
        problems = self._checker.problems
        if self._known.is_broken or not problems:
            return self._known
        return Integrity(self._known.is_checked, problems.broken_at, problems.first)

    def add(self, entries: Sequence[RawEntry]) -> None:
        """Some more events."""
        self._checker.read(entries)

    def finish(self) -> Integrity:
        """There are no more events in the session: look at them as a whole."""
        self._checker.finish()
        if self._checker.count and (problem := self._lineage.name_problem()):
            self._checker.problems.add(problem)
        return self.integrity


class CheckedEvents:
    """The events of a session in order, each of them checked before it is given.

    Args:
        log: Where they are.
        session_id: The session.
        after: Begin after this one; its revision is 0 when only its time counts.
        until: The last to read; None for all.
    """

    def __init__(self, log: EventLog, session_id: str, after: EventId = START, until: EventId | None = None) -> None:
        self._log, self._after, self._until = log, after, until
        self._session_id = check_id("session_id", session_id)
        self._check: IntegrityCheck | None = None

    @property
    def integrity(self) -> Integrity:
        """What is known of those that were given."""
        return INTACT if self._check is None else self._check.integrity

    def __iter__(self) -> Iterator[Recorded]:
        """Read them, page by page.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read, or an event is missing.
        """
        before = self._before()
        check = self._check = IntegrityCheck(self._log, self._session_id, before)
        last = self._after
        for page in self._log.pages(self._session_id, start_after(self._after), end_at(self._until)):
            opened = self._log.cipher.opened(self._session_id, page, is_strict=False)
            for entry, readable in zip(page, opened, strict=True):
                found = recorded(readable)
                check.add([entry])
                if last.revision and found.id.revision != last.revision + 1:
                    raise LogForkedError(self._session_id, last)
                last = found.id
                yield found
        if self._until is None:
            check.finish()

    def _before(self) -> RawEntry | None:
        """The entry before the first: its link is what that one's follows from."""
        if self._after == START:
            return None
        key = self._log.keyspace.session(self._session_id).events
        found = fetch(self._log.store, key, end_at(self._after), "-", 1, b"XREVRANGE")
        return found[0] if found else None
