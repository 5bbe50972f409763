"""A line of the session directory: what is known of a session without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeAlias

from ..errors import InvalidIdError
from ..ids import EventId, check_id, milliseconds
from .event import Recorded

ActivityStatus: TypeAlias = Literal["answer", "failed", "tool", "running", "idle"]
"""What an agent does: wait for a person's answer, or for a tool; run; nothing; or its last call failed."""
SILENT_AFTER = timedelta(minutes=10)
"""An agent that runs and was not heard of for so long is silent: its process may have been killed."""
_MS_DIGITS = 16
_MOST_TELLING: tuple[ActivityStatus, ...] = ("answer", "failed", "tool", "running", "idle")


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """What an agent, graph or swarm of a session does, as far as the log was told.

    Attributes:
        agent: Its id.
        status: `answer`, when it waits for a person; `failed`, when its last call did; `tool`, `running`, or `idle`.
        since: The event since which it is so; None if it is idle.
        name: Of the tool or interrupt it waits for; empty if it has none.
        messages: How many messages its transcript has.
        moved: The event with which it moved last; None if it never did.
    """

    agent: str
    status: ActivityStatus = "idle"
    since: EventId | None = None
    name: str = ""
    messages: int = 0
    moved: EventId | None = None

    @property
    def last_sign(self) -> datetime | None:
        """When it was last heard of, server time: nobody tells the log of a process that is killed."""
        known = [id_ for id_ in (self.since, self.moved) if id_]
        return max(known).time if known else None

    @property
    def is_silent(self) -> bool:
        """Whether it should be at work, and was not heard of for ten minutes: its process may have been killed."""
        sign = self.last_sign
        at_work = self.status in ("running", "tool")
        return at_work and sign is not None and datetime.now(timezone.utc) - sign > SILENT_AFTER

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log sessions --json` has it."""
        return {
            "agent": self.agent,
            "status": self.status,
            "silent": self.is_silent,
            "name": self.name or None,
            "since": str(self.since) if self.since else None,
            "last_sign_at": self.last_sign and _utc(self.last_sign),
            "messages": self.messages,
        }


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One line of the session directory.

    Attributes:
        session_id: The session.
        revision: How many events it has.
        created_at: Server time of its first event, UTC.
        last_event_at: Server time of its newest event, UTC.
        agents: What its agents, graphs and swarms do.
        errors: How many model calls, tools and calls of agents failed; None in a session that nobody has summed up, see
            `SessionLog.recount`.
        input_tokens: Tokens its models were given, as far as they told; likewise.
        output_tokens: Tokens its models gave; likewise.
        labels: What people have attached to it.
        last_message: The event with what was said last, where that was asked for.
        held: Whether it is held, so that nothing of it goes.
        ttl: After how long without an event it may be deleted; None where it has no time to live of its own.
    """

    session_id: str
    revision: int
    created_at: datetime
    last_event_at: datetime
    agents: tuple[AgentActivity, ...] = ()
    errors: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    last_message: Recorded | None = None
    held: bool = False
    ttl: timedelta | None = None

    @property
    def messages(self) -> int:
        """How many messages its transcripts have."""
        return sum(one.messages for one in self.agents)

    @property
    def tokens(self) -> int | None:
        """All tokens its models were given and gave."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    @property
    def activity(self) -> AgentActivity | None:
        """Of the agents the one that says most of the session: who waits for a person, who failed, who runs."""
        return min(self.agents, key=lambda one: _MOST_TELLING.index(one.status), default=None)

    @property
    def status(self) -> ActivityStatus | Literal["unknown"]:
        """What that one does; `unknown` in a session that nobody has summed up."""
        if self.errors is None:
            return "unknown"
        return self.activity.status if self.activity else "idle"

    @property
    def cursor(self) -> str:
        """As text, where the next page of `SessionLog.sessions` goes on."""
        return f"{milliseconds(self.last_event_at)}/{self.session_id}"

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log sessions --json` has it."""
        last = self.last_message
        return {
            "session_id": self.session_id,
            "status": self.status,
            "agents": [one.to_json() for one in self.agents],
            "messages": self.messages,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "errors": self.errors,
            "labels": dict(self.labels),
            "last_message": last
            and {"id": str(last.id), "agent": last.event.agent, "type": last.event.type, "data": last.event.data},
            "held": self.held,
            "ttl_seconds": self.ttl and self.ttl.total_seconds(),
            "revision": self.revision,
            "created_at": _utc(self.created_at),
            "last_event_at": _utc(self.last_event_at),
            "cursor": self.cursor,
        }

    @classmethod
    def at_cursor(cls, text: str) -> SessionInfo | None:
        """The line a cursor stands for, as far as it tells; None where the text is none."""
        ms, slash, session_id = text.partition("/")
        if not (slash and ms.isascii() and ms.isdigit() and len(ms) <= _MS_DIGITS):
            return None
        try:
            check_id("session_id", session_id)
        except InvalidIdError:
            return None
        last = EventId(int(ms), 0).time
        return cls(session_id, 0, last, last)


def _utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat()
