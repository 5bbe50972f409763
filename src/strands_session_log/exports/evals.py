"""`session-log export --to evals`: a session as `strands-agents-evals` reads it, to be evaluated or diagnosed.

An invocation becomes a trace: a span for the agent, one for each answer of its model, one for each tool. An agent that
was called while another was at work is in that one's trace. What is in memory is one trace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from ..event_log import Progress
from ..events import Event, MessageAdded, MessageRedacted, MessageUpdated, Recorded
from ..ids import EventId
from ..session_log import SessionLog
from ..state import IN_FORCE
from .messages import blocks_of, instant, message_of

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_MEDIA = ("image", "document", "video")
_TOLD = ("stop_reason", "error", "cancelled", "usage", "duration_ms")
"""What the end of an invocation tells, as metadata of its span."""
_ENDS = ("invocation.completed", "invocation.failed")
_TOOLS = {"tool.started": 0, "tool.completed": 1, "tool.failed": 1}


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The JSON of a `Session` of `strands_evals.types.trace`, trace by trace.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    last = log.head(session_id)
    changes = log.read(session_id, until=last, types=(MessageUpdated.TYPE, MessageRedacted.TYPE))
    tracing = _Tracing(session_id, {(one.event.agent, _index(one.event)): one for one in changes})
    yield b'{"session_id":' + orjson.dumps(session_id) + b',"traces":['
    separator = b""
    for one in log.read(session_id, until=last):
        tracing.add(one)
        progress(one.id.revision, last.revision)
        for trace in tracing.finished(one.id, is_over=one.id == last):
            yield separator + orjson.dumps(trace)
            separator = b","
    yield b"]}\n"


@dataclass(slots=True)
class _Invocation:
    """One call of an agent.

    Attributes:
        agent: Whose.
        began: The event it begins with.
        trace_id: Its trace.
        parent: The span of the invocation that called it; None for none.
        tools: The names of the tools that the agent had, as far as they are known.
        system_prompt: What it was told, where that was recorded.
        messages: What was said, as it counts now.
        times: By id of a tool call, when it began and ended.
        ended: The event it ends with; None while it goes on.
        told: What that says.
        is_implied: Whether nothing tells of it but its messages.
    """

    agent: str
    began: EventId
    trace_id: str
    parent: str | None
    tools: Sequence[str] = ()
    system_prompt: str | None = None
    messages: list[Recorded] = field(default_factory=list)
    times: dict[str, list[EventId | None]] = field(default_factory=dict)
    ended: EventId | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    is_implied: bool = False

    @property
    def span_id(self) -> str:
        """Of the agent's span; the same each time."""
        return _span_id(self.trace_id, self.agent, self.began)

    @property
    def has_tool_at_work(self) -> bool:
        """Whether one began that has not ended."""
        return any(end is None for _, end in self.times.values())


class _Tracing:
    """Makes traces of events as they come.

    Args:
        session_id: The session.
        newest: What messages say now that were changed later, by agent and index.
    """

    def __init__(self, session_id: str, newest: Mapping[tuple[str, int | None], Recorded]) -> None:
        self._session_id, self._newest = session_id, newest
        self._open: list[_Invocation] = []
        self._in_force: dict[str, Mapping[str, Any]] = {}

    def add(self, one: Recorded) -> None:
        """One more."""
        event = one.event
        data = event.data if isinstance(event.data, Mapping) else {}
        running = next((run for run in reversed(self._open) if run.agent == event.agent and not run.ended), None)
        if event.type == "invocation.started":
            if running:
                # It was killed.
                running.ended = one.id
            self._begin(one)
        elif event.type == MessageAdded.TYPE:
            self._said(one, running)
        elif running and event.type in _TOOLS and isinstance(name := data.get("tool_use_id"), str):
            running.times.setdefault(name, [None, None])[_TOOLS[event.type]] = one.id
        elif running and event.type in _ENDS:
            running.ended, running.told = one.id, {name: data[name] for name in _TOLD if data.get(name)}
        elif isinstance(data.get(IN_FORCE), Mapping):
            self._in_force[event.agent] = data[IN_FORCE]

    def _begin(self, one: Recorded, is_implied: bool = False) -> _Invocation:
        caller = next((run for run in reversed(self._open) if run.has_tool_at_work and not run.ended), None)
        beside = next((run for run in self._open if not run.ended), None)
        known = _TRACEPARENT.fullmatch(one.event.trace)
        trace_id = known[1] if known else _hash(self._session_id, one.id)[:32]
        run = _Invocation(
            one.event.agent,
            one.id,
            beside.trace_id if beside else trace_id,
            caller.span_id if caller else None,
            *_told_of(self._in_force.get(one.event.agent, {})),
            is_implied=is_implied,
        )
        self._open.append(run)
        return run

    def _said(self, one: Recorded, running: _Invocation | None) -> None:
        now = self._newest.get((one.event.agent, _index(one.event)), one)
        blocks = blocks_of(message_of(now))
        is_prompt = _role(one, now) == "user" and not any("toolResult" in block for block in blocks)
        if running is None or (running.is_implied and is_prompt and _has_answered(running)):
            if running:
                running.ended = one.id
            running = self._begin(one, is_implied=True)
        running.messages.append(one._replace(event=now.event))

    def finished(self, at: EventId, is_over: bool) -> Iterator[dict[str, Any]]:
        """The traces in which nothing goes on any more; at the end of the session, all."""
        going_on = {run.trace_id for run in self._open if not (run.ended or is_over)}
        over = [run for run in self._open if run.trace_id not in going_on]
        self._open = [run for run in self._open if run.trace_id in going_on]
        for trace_id in dict.fromkeys(run.trace_id for run in over):
            runs = [run for run in over if run.trace_id == trace_id]
            spans = [span for run in runs for span in _Spans(self._session_id, run, at).all()]
            yield {"trace_id": trace_id, "session_id": self._session_id, "spans": spans}


class _Spans:
    """The spans of an invocation.

    Args:
        session_id: The session.
        run: The invocation.
        at: Where the session stood when it was over, or is.
    """

    def __init__(self, session_id: str, run: _Invocation, at: EventId) -> None:
        self._session_id, self._run, self._end = session_id, run, run.ended or at

    def all(self) -> Iterator[dict[str, Any]]:
        """That of the agent first, then the others as they began."""
        yield self._of_agent()
        heard, last = list[dict[str, Any]](), self._run.began
        calls: dict[str, tuple[EventId, Mapping[str, Any]]] = {}
        for one in self._run.messages:
            blocks, role = blocks_of(message_of(one)), _role(one, one)
            if role == "assistant":
                calls |= {
                    str(block["toolUse"].get("toolUseId")): (one.id, block["toolUse"]) for block in _calls(blocks)
                }
                said = {"role": "assistant", "content": [_content(block) for block in blocks] or _nothing(one.event)}
                yield self._span("inference", one.id, last, one.id, self._run.span_id, messages=[*heard, said])
                heard = []
            else:
                content = [_content(block) for block in blocks] or _nothing(one.event)
                heard.append({"role": "user", "content": content})
                yield from self._of_tools(one, blocks, calls)
            last = one.id

    def _of_agent(self) -> dict[str, Any]:
        run = self._run
        prompts = [one for one in run.messages if _role(one, one) == "user" and not _results(one)]
        answers = [one for one in run.messages if _role(one, one) == "assistant"]
        tools = dict.fromkeys((*run.tools, *(call["name"] for one in answers for call in _named(one))))
        return self._span(
            "invoke_agent",
            run.began,
            run.began,
            self._end,
            run.parent,
            user_prompt="\n".join(map(_text, prompts)),
            agent_response="\n".join(map(_text, answers[-1:])),
            available_tools=[{"name": name} for name in tools],
            system_prompt=run.system_prompt,
            metadata={"agent": run.agent, "revision": run.began.revision, **run.told},
        )

    def _of_tools(
        self, one: Recorded, blocks: Sequence[Mapping[str, Any]], calls: Mapping[str, tuple[EventId, Mapping[str, Any]]]
    ) -> Iterator[dict[str, Any]]:
        for result in (block["toolResult"] for block in blocks if isinstance(block.get("toolResult"), Mapping)):
            name = str(result.get("toolUseId"))
            asked_at, call = calls.get(name, (one.id, {}))
            began, ended = self._run.times.get(name, [None, None])
            yield self._span(
                "execute_tool",
                one.id,
                began or asked_at,
                ended or one.id,
                self._run.span_id,
                salt=name,
                tool_call={**_call(call), "tool_call_id": name},
                tool_result=_result(result),
            )

    def _span(
        self, kind: str, at: EventId, began: EventId, ended: EventId, parent: str | None, *, salt: str = "", **more: Any
    ) -> dict[str, Any]:
        run = self._run
        span_id = run.span_id if kind == "invoke_agent" else _span_id(run.trace_id, f"{kind} {salt}", at)
        info = {"trace_id": run.trace_id, "span_id": span_id, "session_id": self._session_id}
        times = {"start_time": instant(began), "end_time": instant(max(began, ended))}
        of_span = {"span_info": {**info, "parent_span_id": parent, **times}, "span_type": kind}
        return {**of_span, "metadata": {"revision": at.revision}, **more}


def _index(event: Event) -> int | None:
    index = event.data.get("message_id") if isinstance(event.data, Mapping) else None
    return index if type(index) is int else None


def _role(said: Recorded, now: Recorded) -> str:
    data = said.event.data if isinstance(said.event.data, Mapping) else {}
    return str(message_of(now).get("role") or data.get("role") or "user")


def _has_answered(run: _Invocation) -> bool:
    return any(_role(one, one) == "assistant" for one in run.messages)


def _told_of(in_force: Mapping[str, Any]) -> tuple[Sequence[str], str | None]:
    """The names of the tools, and the system prompt, where it was recorded."""
    names, content = (_member(in_force, *place) for place in (("tools", "names"), ("system_prompt", "content")))
    said = content if isinstance(content, str) or content is None else _joined(content)
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else [], said


def _member(told: Mapping[str, Any], name: str, member: str) -> Any:
    """What stands there; anybody may have written something else in its place."""
    found = told.get(name)
    return found.get(member) if isinstance(found, Mapping) else None


def _calls(blocks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [block for block in blocks if isinstance(block.get("toolUse"), Mapping)]


def _named(one: Recorded) -> list[Mapping[str, Any]]:
    return [block["toolUse"] for block in _calls(blocks_of(message_of(one))) if "name" in block["toolUse"]]


def _results(one: Recorded) -> bool:
    return any("toolResult" in block for block in blocks_of(message_of(one)))


def _text(one: Recorded) -> str:
    blocks = blocks_of(message_of(one))
    return "\n".join(str(block["text"]) for block in blocks if "text" in block) or ("" if blocks else _gone(one.event))


def _gone(event: Event) -> str:
    return "[encrypted]" if event.is_sealed else "[erased]"


def _nothing(event: Event) -> list[dict[str, Any]]:
    return [{"content_type": "text", "text": "" if event.has_content else _gone(event)}]


def _content(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of a message; of what evaluators have no kind for, which kind it is."""
    match block:
        case {"text": text}:
            return {"content_type": "text", "text": str(text)}
        case {"toolUse": Mapping() as call}:
            return {"content_type": "tool_use", **_call(call)}
        case {"toolResult": Mapping() as result}:
            return {"content_type": "tool_result", **_result(result)}
    return {"content_type": "text", "text": f"[{next(iter(block), 'nothing')}]"}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    given = call.get("input")
    arguments = dict(given) if isinstance(given, Mapping) else {"input": given}
    return {"name": str(call.get("name", "")), "arguments": arguments, "tool_call_id": str(call.get("toolUseId"))}


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    content = _joined(result.get("content"))
    error = (content or "error") if result.get("status") == "error" else None
    return {"content": content, "error": error, "tool_call_id": str(result.get("toolUseId"))}


def _joined(content: Any) -> str:
    """The parts of a result, a line each."""
    parts = content if isinstance(content, (list, tuple)) else [content]
    return "\n".join(_part(part) for part in parts if part is not None)


def _part(part: Any) -> str:
    match part:
        case {"text": text}:
            return str(text)
        case {"json": value}:
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
        case Mapping():
            return f"[{next((kind for kind in _MEDIA if kind in part), next(iter(part), 'nothing'))}]"
    return str(part)


def _hash(*parts: object) -> str:
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _span_id(trace_id: str, what: str, at: EventId) -> str:
    return _hash(trace_id, what, at)[:16]
