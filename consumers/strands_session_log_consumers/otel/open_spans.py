"""What has begun in a session and not ended yet, and the spans that come of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from strands_session_log import Recorded

from .attributes import ERROR, EVENT, UNFINISHED, written

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_LIMIT: Final = 1 << 63
_MILLISECOND: Final = 1_000_000


def nanoseconds(recorded: Recorded) -> int:
    """When it happened, by its writer's clock; by the server's where that says nothing sensible."""
    try:
        at = datetime.fromisoformat(recorded.event.time.replace("Z", "+00:00"))
        found = (at - _EPOCH) // timedelta(microseconds=1) * 1_000
    except (ValueError, TypeError):
        return recorded.id.ms * _MILLISECOND
    return found if 0 <= found < _LIMIT else recorded.id.ms * _MILLISECOND


def milliseconds(facts: Mapping[str, Any], name: str = "duration_ms") -> int:
    """A duration that is told in milliseconds, in nanoseconds."""
    value = facts.get(name)
    return int(value * _MILLISECOND) if isinstance(value, (int, float)) and 0 <= value < 10**12 else 0


class SpanIds:
    """Ids of the spans of one session: the same each time they are made.

    Args:
        namespace: The log's namespace.
        session_id: The session.
    """

    def __init__(self, namespace: str, session_id: str) -> None:
        self._of = f"{namespace}\0{session_id}\0".encode("utf-8", "surrogatepass")

    def context(self, recorded: Recorded, what: str, within: SpanContext | None) -> SpanContext:
        """The identity of a span; in the trace of the one it is within, else in one of its own.

        Args:
            recorded: The event that tells of it.
            what: Which of the spans that this event tells of.
            within: The span it is part of.
        """
        named = self._of + f"{recorded.id}\0{what}".encode()
        trace_id = within.trace_id if within else _number(b"trace\0" + named, 16)
        return SpanContext(trace_id, _number(b"span\0" + named, 8), is_remote=False, trace_flags=_SAMPLED)


def _number(named: bytes, length: int) -> int:
    # Nought is no id.
    return int.from_bytes(hashlib.sha256(named).digest()[:length], "big") or 1


@dataclass
class OpenSpan:
    """A span that has begun.

    Attributes:
        name: Its name.
        agent: Whose it is.
        context: Its identity.
        parent: The one it is within.
        start: When it began, in nanoseconds.
        attributes: What is said of it so far.
        kind: Whether it calls something elsewhere.
        end: When it ended; of one that has not, when it was last heard of.
        status: How it ended.
        links: Spans that were recorded of the same.
        events: What happened meanwhile.
    """

    name: str
    agent: str
    context: SpanContext
    parent: SpanContext | None
    start: int
    attributes: dict[str, Any]
    kind: SpanKind = SpanKind.INTERNAL
    end: int = 0
    status: Status = field(default_factory=Status)
    links: list[Link] = field(default_factory=list)
    events: list[SpanEvent] = field(default_factory=list)

    def recorded_as(self, traceparent: str) -> None:
        """Lead to the span that was recorded when it happened, if one was."""
        if found := _TRACEPARENT.fullmatch(traceparent):
            trace_id, span_id, flags = (int(one, 16) for one in found.groups())
            context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
            if context.is_valid:
                self.links.append(Link(context))

    def failed(self, error: object, text: str | None = None) -> None:
        """Note that it failed.

        Args:
            error: The name of the error.
            text: What it said; None where that is not to be told.
        """
        self.attributes[ERROR] = written(error) if error else "_OTHER"
        self.status = Status(StatusCode.ERROR, None if text is None else written(text))

    def unfinished(self) -> None:
        """Note that nothing says how it ended."""
        self.attributes[UNFINISHED] = True

    def ended(self, scope: InstrumentationScope, resource: Resource) -> ReadableSpan:
        """It as it is exported."""
        return ReadableSpan(
            name=self.name,
            context=self.context,
            parent=self.parent,
            resource=resource,
            attributes=self.attributes,
            events=self.events,
            links=self.links,
            kind=self.kind,
            status=self.status,
            start_time=self.start,
            end_time=max(self.start, self.end),
            instrumentation_scope=scope,
        )


class OpenSpans:
    """Those of a session, in the order in which they began, each by what it is."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], OpenSpan] = {}

    def begin(self, key: tuple[str, ...], span: OpenSpan) -> OpenSpan:
        """Note one that has begun."""
        self._open[key] = span
        return span

    def get(self, *key: str) -> OpenSpan | None:
        """One that is open, if it is."""
        return self._open.get(key)

    def end(self, *key: str) -> OpenSpan | None:
        """One that ends now."""
        return self._open.pop(key, None)

    def of(self, *key: str) -> list[tuple[str, ...]]:
        """The keys of those that begin so, the last to begin first: they end in this order."""
        return [one for one in reversed(self._open) if one[: len(key)] == key]

    def node_of(self, agent: str) -> OpenSpan | None:
        """The node of a graph or swarm that an agent is, by the name it has in the session."""
        return next((one for key, one in self._open.items() if key[0] == "node" and ":".join(key[1:]) == agent), None)

    def only_call_of_others(self, agent: str) -> OpenSpan | None:
        """The one call of a tool that is open of other agents; None if there are several, as it may be any of them."""
        calls = [one for key, one in self._open.items() if key[0] == "tool" and key[1] != agent]
        return calls[0] if len(calls) == 1 else None

    def __iter__(self) -> Iterator[OpenSpan]:
        return iter(self._open.values())


def where(recorded: Recorded) -> dict[str, Any]:
    """What leads back to the event."""
    return {EVENT: str(recorded.id)}
