"""What cannot be gone on from, or said in another way, when a session is forked or rewound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .base import SessionLogError

if TYPE_CHECKING:
    from ..ids import EventId


class UnansweredToolCallsError(SessionLogError, ValueError):
    """At this point an agent waits for a tool, and no model takes a call without its result.

    Attributes:
        session_id: The session.
        at: The event.
        calls: The names of the tools that were called, by agent.
        nearest: The nearest events at which no agent waits, before and after, as far as there are any.
    """

    def __init__(
        self, session_id: str, at: EventId, calls: Mapping[str, Sequence[str]], nearest: Sequence[EventId]
    ) -> None:
        self.session_id, self.at, self.calls = session_id, at, calls
        self.nearest: tuple[EventId, ...] = tuple(nearest)
        waiting = "; ".join(f"{agent!r} waits for {', '.join(tools)}" for agent, tools in calls.items())
        others = f"take {' or '.join(str(id_.revision) for id_ in nearest)} instead, or " if nearest else ""
        super().__init__(
            f"at revision {at.revision} of session {session_id!r} tool calls are unanswered: {waiting}; {others}"
            "set allow_unanswered=True"
        )


class MessageNotEditableError(SessionLogError, ValueError):
    """A message is to say something else in a fork, and cannot; nothing was made.

    Attributes:
        session_id: The session.
        point: What was given as the message.
        reason: Why it cannot.
    """

    def __init__(self, session_id: str, point: object, reason: str) -> None:
        self.session_id, self.point, self.reason = session_id, point, reason
        super().__init__(f"{point} of session {session_id!r} cannot be edited: {reason}")
