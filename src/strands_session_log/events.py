"""What can happen in a session, as plain data.

Type names are explicit and dotted, never class paths, so that the log outlives this code. A type this version does
not know is kept as an `Event`, passed on to readers, and ignored by the fold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, NamedTuple

from .errors import EncodingError
from .ids import EventId, new_event_id

_CUSTOM_TYPE = re.compile(r"custom(\.[a-z0-9_]+)+")


def now() -> str:
    """The clock of this machine as RFC 3339 text in UTC."""
    return datetime.now(timezone.utc).isoformat()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        type: Dotted name, for example `message.added`.
        data: The content. Whatever `codec.values` can store when written; plain JSON values when read back.
        agent: The agent it is about; empty when it is about the session as a whole.
        event_id: UUIDv7 chosen by the writer; appending the same event twice stores it once.
        time: The writer's clock, RFC 3339.
        trace: W3C traceparent of the span it happened in, or empty.
        version: Schema version of `data` for this type.
    """

    type: str
    data: Mapping[str, Any]
    agent: str = ""
    event_id: str = field(default_factory=new_event_id, kw_only=True)
    time: str = field(default_factory=now, kw_only=True)
    trace: str = field(default="", kw_only=True)
    version: int = field(default=1, kw_only=True)

    known: ClassVar[dict[str, Callable[..., Event]]] = {}
    moves_agent: ClassVar[bool] = False
    """Whether it changes what the agent resumes with, so that a writer who did not know of it must not go on."""

    @property
    def message_index(self) -> int | None:
        """The message index this event creates; the log refuses to create one twice."""
        return None

    def facts(self) -> dict[str, Any]:
        """What consumers may know without reading content: roles, names, counts, durations. Never content."""
        return {}


class Known(Event):
    """An event whose type name this version understands; `TYPE` is given by the class."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "TYPE" in cls.__dict__:
            Event.known[cls.TYPE] = cls

    def __init__(self, data: Mapping[str, Any], agent: str = "", **envelope: Any) -> None:
        """Take the content, the agent, and any other envelope field of `Event` by name."""
        Event.__init__(self, self.TYPE, data, agent, **envelope)


class Custom(Event):
    """An event of the user's own; its type begins with `custom.`: lower case letters, digits, `_` and dots."""

    __slots__ = ()


class SessionCreated(Known):
    """A session began; the data is Strands' `Session` dict."""

    __slots__ = ()
    TYPE = "session.created"


class SessionAnnotated(Known):
    """Someone attached labels to the session; the data is a mapping of label to value."""

    __slots__ = ()
    TYPE = "session.annotated"


class _AgentMoved(Known):
    __slots__ = ()
    moves_agent = True


class AgentCreated(_AgentMoved):
    """An agent joined the session; the data is Strands' `SessionAgent` dict."""

    __slots__ = ()
    TYPE = "agent.created"


class AgentUpdated(_AgentMoved):
    """An agent's state changed; the data is Strands' `SessionAgent` dict."""

    __slots__ = ()
    TYPE = "agent.updated"


class MessageAdded(_AgentMoved):
    """A message was said; the data is Strands' `SessionMessage` dict."""

    __slots__ = ()
    TYPE = "message.added"

    @property
    def message_index(self) -> int | None:
        """The index this message has in its agent's transcript."""
        return int(self.data["message_id"])

    def facts(self) -> dict[str, Any]:
        """Index, role, names of the tools called, and token usage where the model reported it."""
        return _message_facts(self.data)


class MessageUpdated(Known):
    """A message was replaced; the data is the new `SessionMessage` dict."""

    __slots__ = ()
    TYPE = "message.updated"

    def facts(self) -> dict[str, Any]:
        """The same as for an added message."""
        return _message_facts(self.data)


class MessageRedacted(MessageUpdated):
    """A message was redacted; the data is a `SessionMessage` dict that keeps nothing of the original."""

    __slots__ = ()
    TYPE = "message.redacted"


class MultiAgentCreated(Known):
    """A graph or swarm joined the session; the data is its serialized state, the agent field its id."""

    __slots__ = ()
    TYPE = "multi_agent.created"


class MultiAgentUpdated(Known):
    """A graph or swarm moved on; the data is its serialized state, the agent field its id."""

    __slots__ = ()
    TYPE = "multi_agent.updated"


class WindowChanged(_AgentMoved):
    """What an agent holds changed in a way its messages and state do not tell: trimmed, summarized, edited, assigned.

    The data is `{"items": […], "removed": n, "next": n}`: what it holds, as `[first, last]` ranges of the transcript
    and `{"message": …}` for what stands nowhere in it; its conversation manager's removed count; and the index of its
    next message. Messages from that index on follow, and what the manager removes from then on is taken from the front.
    """

    __slots__ = ()
    TYPE = "window.changed"

    def facts(self) -> dict[str, Any]:
        """How many messages the agent holds that stand nowhere in the transcript, and how many were left out."""
        items = self.data.get("items") or ()
        return {"inline": sum(isinstance(item, Mapping) for item in items), "removed": self.data.get("removed")}


class Fact(Known):
    """Something that went on around the messages: names, counts, durations, never content."""

    __slots__ = ()

    def facts(self) -> dict[str, Any]:
        """All of it."""
        return dict(self.data)


class InvocationStarted(Fact):
    """An agent was called: `{"invocation"}`, an id that the end of the call repeats."""

    __slots__ = ()
    TYPE = "invocation.started"


class InvocationCompleted(Fact):
    """The call returned: `{"invocation", "stop_reason", "duration_ms", "usage"}`."""

    __slots__ = ()
    TYPE = "invocation.completed"


class InvocationFailed(Fact):
    """The call raised, or was cancelled: `{"invocation", "error", "cancelled", "duration_ms", "usage"}`."""

    __slots__ = ()
    TYPE = "invocation.failed"


class ModelCompleted(Fact):
    """The model answered: `{"stop_reason", "duration_ms", "attempt", "discarded", "usage", "latency_ms"}`."""

    __slots__ = ()
    TYPE = "model.completed"


class ModelFailed(Fact):
    """The model call raised: `{"error", "duration_ms", "attempt", "retried"}`."""

    __slots__ = ()
    TYPE = "model.failed"


class ToolStarted(Fact):
    """A tool is about to run: `{"name", "tool_use_id"}`."""

    __slots__ = ()
    TYPE = "tool.started"


class ToolCompleted(Fact):
    """A tool returned: `{"name", "tool_use_id", "status", "duration_ms"}`."""

    __slots__ = ()
    TYPE = "tool.completed"


class ToolFailed(Fact):
    """A tool raised, reported an error, or was cancelled: as completed, with `{"error", "cancelled"}`."""

    __slots__ = ()
    TYPE = "tool.failed"


class InterruptRaised(Fact):
    """An agent waits for a human: `{"id", "name"}`."""

    __slots__ = ()
    TYPE = "interrupt.raised"


class InterruptAnswered(Fact):
    """A human answered: `{"id", "name"}`."""

    __slots__ = ()
    TYPE = "interrupt.answered"


class NodeStarted(Fact):
    """A node of a graph or swarm began: `{"node"}`; the agent field is the graph's or swarm's id."""

    __slots__ = ()
    TYPE = "node.started"


class NodeCompleted(Fact):
    """A node of a graph or swarm ended: `{"node", "status", "duration_ms"}`."""

    __slots__ = ()
    TYPE = "node.completed"


class RecordingGap(Fact):
    """A recorder lost events it could not write in time: `{"lost", "since", "error"}`."""

    __slots__ = ()
    TYPE = "recording.gap"


def check_type(event: Event) -> None:
    """Let users write events of their own and of the types known here, but none that look like either.

    Raises:
        EncodingError: When the type is unknown and not `custom.something`.
    """
    if Event.known.get(event.type) is not type(event) and not _CUSTOM_TYPE.fullmatch(event.type):
        raise EncodingError(
            "type", f"{event.type!r} must look like custom.name: lower case letters, digits, _ and dots"
        )


class Recorded(NamedTuple):
    """An event as the log holds it.

    Attributes:
        id: Where it stands in its session.
        event: What happened.
        link: The session's hash chain up to and including this event, base64url.
    """

    id: EventId
    event: Event
    link: str


class SessionInfo(NamedTuple):
    """One line of the session directory.

    Attributes:
        session_id: The session.
        revision: How many events it has.
        created_at: Server time of its first event, UTC.
        last_event_at: Server time of its newest event, UTC.
    """

    session_id: str
    revision: int
    created_at: datetime
    last_event_at: datetime


def _message_facts(data: Mapping[str, Any]) -> dict[str, Any]:
    message = _mapping(data.get("redact_message") or data.get("message"))
    content = message.get("content")
    blocks = [_mapping(block) for block in content] if isinstance(content, (list, tuple)) else []
    tools = [_mapping(block["toolUse"]).get("name") for block in blocks if "toolUse" in block]
    usage = _mapping(_mapping(message.get("metadata")).get("usage"))
    facts = {"index": data.get("message_id"), "role": message.get("role"), "tools": tools, "usage": dict(usage)}
    return {name: value for name, value in facts.items() if value not in ([], {}, None)}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
