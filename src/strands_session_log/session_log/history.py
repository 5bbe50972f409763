"""The part of a session log that is about the past: how a session stood, and going on from there."""

from __future__ import annotations

from functools import partial
from typing import Literal, overload

from ..errors import RevisionNotFoundError, SessionNotBegunError, SessionNotFoundError
from ..event_log import EventLog, Progress
from ..event_log.points import resolve
from ..events import Recorded
from ..ids import START, EventId, Point
from ..replay import Replay, rewind, unanswered
from ..state import SessionDiff, SessionState, diff
from .points import event_at


class History:
    """The past of sessions; `SessionLog` is one.

    Attributes:
        events: Their events.
        replay: Folds them.
    """

    events: EventLog
    replay: Replay

    def state(self, session_id: str, at: Point | None = None) -> SessionState:
        """The session as its events left it, now or at a point.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            LogForkedError: When it was deleted or replaced while it was read.
        """
        until = None if at is None else self.resolve(session_id, at)
        state = self.replay.state(session_id, until, check=True) if until != START else SessionState()
        if until and until.revision and state.position != until and self.events.head(session_id):
            raise RevisionNotFoundError(session_id, until.revision, until)
        if not state.exists:
            raise self._nothing_there(session_id, at)
        return state

    def _nothing_there(self, session_id: str, at: Point | None) -> SessionNotFoundError:
        """Why a session has no state at a point."""
        first = None if at is None else next(self.events.read(session_id), None)
        return (
            SessionNotFoundError(session_id) if first is None else SessionNotBegunError(session_id, at, first.id.time)
        )

    def head(self, session_id: str) -> EventId:
        """The last event of a session; its revision is how many there are. One round trip.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        found = self.events.head(session_id)
        if found is None:
            raise SessionNotFoundError(session_id)
        return found.id

    def event(self, session_id: str, point: Point) -> Recorded:
        """One event of a session.

        Args:
            session_id: The session.
            point: Its revision or id.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it does not have that event.
            InvalidPointError: When it is a time, not an event.
        """
        try:
            id_ = event_at(self.events, session_id, point)
        except RevisionNotFoundError:
            self.head(session_id)
            raise
        before = EventId(id_.ms, id_.revision - 1) if id_.revision > 1 else START
        found = next(self.events.read(session_id, before, id_), None)
        if found is None or found.id != id_:
            self.head(session_id)
            raise RevisionNotFoundError(session_id, id_.revision, id_)
        return found

    def diff(self, session_id: str, a: Point, b: Point | None = None) -> SessionDiff:
        """What differs between two points: messages, redactions, agent state, and what the agents hold.

        Args:
            session_id: The session.
            a: The one point.
            b: The other; now if left out. It may be the earlier one.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
        """
        return diff(self.state(session_id, a), self.state(session_id, b))

    @overload
    def rewind(
        self,
        session_id: str,
        to: Point,
        *,
        allow_unanswered: bool = False,
        by: str = "",
        dry_run: Literal[False] = False,
    ) -> EventId: ...

    @overload
    def rewind(
        self, session_id: str, to: Point, *, allow_unanswered: bool = False, by: str = "", dry_run: Literal[True]
    ) -> SessionDiff: ...

    def rewind(
        self, session_id: str, to: Point, *, allow_unanswered: bool = False, by: str = "", dry_run: bool = False
    ) -> EventId | SessionDiff:
        """Let the agents resume from an earlier point; the log keeps what was said since.

        An event records it, and from where, so that it can be undone by rewinding to there. Live agents of the session
        are refused from then on, with `ConcurrentWriteError`; those that resume hold what they held at that point.

        Args:
            session_id: The session.
            to: The point.
            allow_unanswered: Go there even if an agent waited for a tool then.
            by: Who rewinds, for the event that records it.
            dry_run: Write nothing, only tell what would change.

        Returns:
            The id of the `SessionRewound` event; in a dry run, what differs from now on.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            UnansweredToolCallsError: When an agent waited for a tool then.
            ContentionError: When others wrote during every attempt.
        """
        check = _accept if allow_unanswered else partial(unanswered.check, self.events, session_id)
        if dry_run:
            now, there = self.state(session_id, self.head(session_id)), self.state(session_id, to)
            check(there)
            return diff(now, there)
        there = self.state(session_id, to)
        return rewind(self.events, self.replay, session_id, there.position, check, by)

    def fork(
        self,
        session_id: str,
        at: Point | None,
        into: str,
        *,
        allow_unanswered: bool = False,
        progress: Progress = lambda done, total: None,
        by: str = "",
    ) -> EventId:
        """Begin a new session as a copy of another, up to a point; from there on, each goes its own way.

        The copy is complete: the other one may be deleted. What is erased in the other one is erased in its forks, too,
        as far as they have it; what is erased in a fork still stands in the session it was made of.

        Args:
            session_id: The session to copy.
            at: The last event to copy, or the time up to which; None for all there is.
            into: The id of the new session.
            allow_unanswered: Go on from there even if an agent waited for a tool then.
            progress: Called after each step with how many events are copied, and of how many.
            by: Who forks, for the event that records it.

        Returns:
            The id of the `SessionForked` event, the first that is the new session's own.

        Raises:
            SessionExistsError: When there is a session of that id already.
            SessionNotFoundError: When there is none to copy; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            UnansweredToolCallsError: When an agent waited for a tool then.
            ServerUnavailableError: When no answer came; if it was made all the same, forking again says that it exists.
        """
        there = self.state(session_id, at)
        if not allow_unanswered:
            unanswered.check(self.events, session_id, there)
        return self.events.fork(session_id, there.position, into, progress, by)

    def resolve(self, session_id: str, point: Point) -> EventId:
        """Find the event id a point stands for; revision 0 in it means a time between events.

        A relative time is relative to the server's clock, from which events have their time.

        Raises:
            InvalidPointError: When it is no point in time.
            RevisionNotFoundError: When the session does not have that revision.
        """
        return resolve(self.events, session_id, point)


def _accept(state: SessionState) -> None:
    """Any point will do."""
