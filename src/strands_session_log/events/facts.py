"""What goes on around the messages: names, counts, durations. Never content."""

from __future__ import annotations

from typing import Any

from .event import Known


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
