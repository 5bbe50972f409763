"""Events of a session, in order, as spans: a trace for each call of an agent, graph or swarm that nothing else made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind

from strands_session_log import Recorded, SessionLog, __version__, events
from strands_session_log.errors import KeyMissingError

from . import attributes as names
from .open_spans import OpenSpan, OpenSpans, SpanIds, milliseconds, nanoseconds, where

_SCOPE: Final = InstrumentationScope("strands-session-log", __version__)
_OVER: Final = ("completed", "failed", "interrupted")
"""How a graph or swarm stands that does not run any more."""
Message = Mapping[str, Any]


def session_spans(
    log: SessionLog, session_id: str, *, content: bool = False, resource: Resource | None = None
) -> Iterator[ReadableSpan]:
    """The spans of a session, as far as it has come, each once it has ended; made from the log as it is read.

    Trace and span ids follow from namespace, session and event: they are the same each time.

    Args:
        log: The log.
        session_id: The session.
        content: Tell what was said, and what errors say, too; else names, counts and durations only.
        resource: What the spans are said to come from.

    Raises:
        SessionNotFoundError: When there is no such session.
        KeyMissingError: When content is encrypted, and the log was not given the key.
    """
    fold = _SpanFold(SpanIds(log.namespace, session_id), log.namespace, session_id, content, resource)
    for recorded in log.read(session_id, until=log.head(session_id)):
        if recorded.event.is_sealed:
            raise KeyMissingError(session_id, str(recorded.id))
        yield from fold.take(recorded)
    yield from fold.rest()


@dataclass
class _Call:
    """What a call of an agent has come to, beside its span.

    Attributes:
        chat: A model call that has ended, and whose answer is about to come.
        asked: What was said to the model since its last call.
        prompts: What the call began with.
        answer: What the model said last.
        answered_at: When it did, in nanoseconds.
        arguments: What each tool was given.
        returned: Tools that have ended, and whose results are about to come.
    """

    chat: tuple[OpenSpan, str | None] | None = None
    asked: list[Message] = field(default_factory=list)
    prompts: list[Message] | None = None
    answer: Message | None = None
    answered_at: int = 0
    arguments: dict[str, str] = field(default_factory=dict)
    returned: dict[str, OpenSpan] = field(default_factory=dict)


class _SpanFold:
    def __init__(self, ids: SpanIds, namespace: str, session_id: str, content: bool, resource: Resource | None) -> None:
        self._ids, self._tells_content = ids, content
        self._everywhere = {
            names.CONVERSATION: names.written(session_id),
            names.NAMESPACE: names.written(namespace),
            names.PROVIDER: names.STRANDS,
        }
        self._resource = resource or Resource.create()
        self._open, self._calls = OpenSpans(), dict[str, _Call]()
        self._takes: dict[str, Callable[[Recorded, Mapping[str, Any]], Iterator[ReadableSpan]]] = {
            "invocation.started": self._invocation_started,
            "invocation.completed": self._invocation_ended,
            "invocation.failed": self._invocation_ended,
            "model.completed": self._model_ended,
            "model.failed": self._model_ended,
            "tool.started": self._tool_started,
            "tool.completed": self._tool_ended,
            "tool.failed": self._tool_ended,
            "interrupt.raised": self._interrupt,
            "interrupt.answered": self._interrupt,
            "node.started": self._node_started,
            "node.completed": self._node_ended,
            "multi_agent.updated": self._multi_agent_updated,
            "message.added": self._message_added,
        }

    def take(self, recorded: Recorded) -> Iterator[ReadableSpan]:
        """The spans that an event ends."""
        event = recorded.event
        if take := self._takes.get(event.type):
            yield from take(recorded, event.facts())
        at = nanoseconds(recorded)
        for span in self._open:
            if event.agent == span.agent or event.agent.startswith(f"{span.agent}:"):
                span.end = max(span.end, at)

    def rest(self) -> Iterator[ReadableSpan]:
        """Those that nothing ends."""
        for agent in list(self._calls):
            yield from self._settled(agent)
        for key in self._open.of():
            yield from self._left(key)

    def _begun(self, recorded: Recorded, what: str, name: str, within: OpenSpan | None, **more: Any) -> OpenSpan:
        parent = within.context if within else None
        said = {**self._everywhere, **where(recorded), **more.pop("attributes")}
        agent = recorded.event.agent
        context = self._ids.context(recorded, what, parent)
        span = OpenSpan(names.written(name), agent, context, parent, nanoseconds(recorded), said, **more)
        span.recorded_as(recorded.event.trace)
        return span

    def _ended(self, span: OpenSpan) -> ReadableSpan:
        return span.ended(_SCOPE, self._resource)

    def _left(self, key: tuple[str, ...]) -> Iterator[ReadableSpan]:
        """One that is over, though nothing says so."""
        if span := self._open.end(*key):
            span.unfinished()
            yield self._ended(span)

    def _within(self, agent: str) -> OpenSpan | None:
        """What has called an agent, graph or swarm: the node it is, or the only tool that runs meanwhile."""
        return self._open.node_of(agent) or self._open.only_call_of_others(agent)

    def _error_text(self, recorded: Recorded) -> str | None:
        text = _mapping(recorded.event.data).get("error_text") if self._tells_content else None
        return text if isinstance(text, str) else None

    def _invocation_started(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        agent = recorded.event.agent
        yield from self._given_up(agent)
        about = {names.OPERATION: "invoke_agent", **self._agent(agent)}
        span = self._begun(recorded, "agent", f"invoke_agent {agent}", self._within(agent), attributes=about)
        self._open.begin(("agent", agent), span)
        self._calls[agent] = _Call()

    def _given_up(self, agent: str) -> Iterator[ReadableSpan]:
        """A call that never ended, as its process did: another one begins."""
        yield from self._settled(agent)
        for key in (*self._open.of("tool", agent), *self._open.of("agent", agent)):
            yield from self._left(key)

    def _invocation_ended(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        agent, call = recorded.event.agent, self._calls.get(recorded.event.agent, _Call())
        span = self._open.get("agent", agent)
        if only := events.model_call(facts):
            chat = self._chat(recorded, only, call.answered_at or nanoseconds(recorded))
            yield self._answered(chat, only.get("stop_reason"), call)
        yield from self._settled(agent)
        for key in self._open.of("tool", agent):
            yield from self._left(key)
        self._open.end("agent", agent)
        if span is None:
            # Its beginning was lost: a recorder says so in a gap.
            about = {names.OPERATION: "invoke_agent", **self._agent(agent)}
            span = self._begun(recorded, "agent", f"invoke_agent {agent}", self._within(agent), attributes=about)
            span.start -= milliseconds(facts)
        span.end = nanoseconds(recorded)
        span.attributes.update(names.usage_of(facts), **self._finish_reason(facts))
        if self._tells_content:
            span.attributes[names.INPUT] = names.messages(call.prompts or call.asked)
            if call.answer is not None:
                span.attributes[names.OUTPUT] = names.messages([call.answer], facts.get("stop_reason") or "error")
        if recorded.event.type == events.InvocationFailed.TYPE:
            span.failed(facts.get("error"), self._error_text(recorded))
        yield self._ended(span)

    def _settled(self, agent: str) -> Iterator[ReadableSpan]:
        """What waited for a message that did not come."""
        if call := self._calls.pop(agent, None):
            if call.chat:
                yield self._ended(call.chat[0])
            yield from map(self._ended, call.returned.values())

    def _agent(self, agent: str) -> dict[str, Any]:
        return {names.AGENT_NAME: names.written(agent), names.AGENT_ID: names.written(agent)}

    def _finish_reason(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        reason = facts.get("stop_reason")
        return {names.FINISH_REASONS: [names.written(reason)]} if reason else {}

    def _chat(self, recorded: Recorded, facts: Mapping[str, Any], end: int) -> OpenSpan:
        """A model call that ended then."""
        agent, model = recorded.event.agent, facts.get("model_id")
        about = {names.OPERATION: "chat", **self._agent(agent)}
        if model:
            about[names.MODEL] = names.written(model)
        about.update(names.usage_of(facts), **self._finish_reason(facts))
        within = self._open.get("agent", agent)
        name = f"chat {model}" if model else "chat"
        span = self._begun(recorded, "chat", name, within, attributes=about, kind=SpanKind.CLIENT)
        span.start, span.end = end - milliseconds(facts), end
        return span

    def _model_ended(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        span = self._chat(recorded, facts, nanoseconds(recorded))
        call = self._calls.get(recorded.event.agent, _Call())
        yield from self._unanswered(call)
        if recorded.event.type == events.ModelFailed.TYPE:
            span.failed(facts.get("error"), self._error_text(recorded))
            yield self._ended(span)
        elif facts.get("discarded") or recorded.event.agent not in self._calls:
            yield self._ended(span)
        else:
            call.chat = (span, facts.get("stop_reason"))

    def _unanswered(self, call: _Call) -> Iterator[ReadableSpan]:
        if call.chat:
            yield self._ended(call.chat[0])
            call.chat = None

    def _answered(self, span: OpenSpan, reason: str | None, call: _Call) -> ReadableSpan:
        if call.prompts is None:
            call.prompts = call.asked
        if self._tells_content:
            span.attributes[names.INPUT] = names.messages(call.asked)
            if call.answer is not None:
                span.attributes[names.OUTPUT] = names.messages([call.answer], reason or "")
        call.asked = []
        return self._ended(span)

    def _message_added(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        call = self._calls.get(recorded.event.agent)
        if call is None:
            return
        data = _mapping(recorded.event.data) if self._tells_content and recorded.event.has_content else {}
        said = _mapping(data.get("redact_message") or data.get("message"))
        if facts.get("role") == "assistant":
            call.answer, call.answered_at = said, nanoseconds(recorded)
            call.arguments.update(names.tool_calls(said))
            if call.chat:
                (span, reason), call.chat = call.chat, None
                yield self._answered(span, reason, call)
            return
        call.asked.append(said)
        results = names.tool_results(said)
        for tool_use_id, span in call.returned.items():
            if tool_use_id in results:
                span.attributes[names.TOOL_RESULT] = results[tool_use_id]
            yield self._ended(span)
        call.returned = {}

    def _tool_started(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        agent, tool_use_id = recorded.event.agent, str(facts.get("tool_use_id"))
        call = self._calls.get(agent, _Call())
        yield from self._unanswered(call)
        yield from self._left(("tool", agent, tool_use_id))
        self._open.begin(("tool", agent, tool_use_id), self._tool(recorded, facts, call))

    def _tool(self, recorded: Recorded, facts: Mapping[str, Any], call: _Call) -> OpenSpan:
        agent, tool_use_id = recorded.event.agent, str(facts.get("tool_use_id"))
        about = {
            names.OPERATION: "execute_tool",
            names.TOOL_NAME: names.written(facts.get("name")),
            names.TOOL_CALL: names.written(tool_use_id),
            names.TOOL_TYPE: "function",
            **self._agent(agent),
        }
        if self._tells_content and tool_use_id in call.arguments:
            about[names.TOOL_ARGUMENTS] = call.arguments[tool_use_id]
        within = self._open.get("agent", agent)
        return self._begun(recorded, "tool", f"execute_tool {facts.get('name')}", within, attributes=about)

    def _tool_ended(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        agent, tool_use_id = recorded.event.agent, str(facts.get("tool_use_id"))
        span = self._open.end("tool", agent, tool_use_id)
        if span is None:
            span = self._tool(recorded, facts, self._calls.get(agent, _Call()))
            span.start -= milliseconds(facts)
        span.end = nanoseconds(recorded)
        if recorded.event.type == events.ToolFailed.TYPE:
            span.failed(facts.get("error"), self._error_text(recorded))
        if call := self._calls.get(agent):
            call.returned[tool_use_id] = span
        else:
            yield self._ended(span)

    def _interrupt(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        agent = recorded.event.agent
        if span := self._open.get("agent", agent) or self._open.get("workflow", agent):
            told = {f"interrupt.{name}": names.written(facts.get(name)) for name in ("id", "name")}
            span.events.append(SpanEvent(recorded.event.type, told, nanoseconds(recorded)))
        yield from ()

    def _node_started(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        graph, node = recorded.event.agent, str(facts.get("node"))
        workflow = self._open.get("workflow", graph)
        if workflow is None:
            about = {names.OPERATION: "invoke_workflow", names.WORKFLOW: names.written(graph)}
            within = self._within(graph)
            workflow = self._begun(recorded, "workflow", f"invoke_workflow {graph}", within, attributes=about)
            self._open.begin(("workflow", graph), workflow)
        yield from self._left(("node", graph, node))
        about = {names.WORKFLOW: names.written(graph), names.NODE: names.written(node)}
        span = self._begun(recorded, "node", f"node {node}", workflow, attributes=about)
        self._open.begin(("node", graph, node), span)

    def _node_ended(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        if span := self._open.end("node", recorded.event.agent, str(facts.get("node"))):
            span.end = nanoseconds(recorded)
            if facts.get("error") or facts.get("status") == "failed":
                span.failed(facts.get("error"), self._error_text(recorded))
            yield self._ended(span)

    def _multi_agent_updated(self, recorded: Recorded, facts: Mapping[str, Any]) -> Iterator[ReadableSpan]:
        graph, status = recorded.event.agent, _mapping(recorded.event.data).get("status")
        if status not in _OVER:
            return
        for key in self._open.of("node", graph):
            yield from self._left(key)
        if span := self._open.end("workflow", graph):
            span.end = nanoseconds(recorded)
            if status == "failed":
                span.failed(None)
            yield self._ended(span)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
