"""Why a session does not go on, as people read it: what failed, what is waited for, and how to go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ... import AgentActivity, Recorded, SessionInfo
from ..terminal import age, hanging, heading, local, one_line, put
from ..typed import typed
from .messages import absence, compact
from .sessions import activity_text, last_message, status_text

CALL_BEGINS = "invocation.started"
FAILURES = ("invocation.failed", "model.failed", "tool.failed")
_LABEL = 9
_LONG = 2_000
_AGAIN, _LONGEST_ID = "-again", 256
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")


class Question(NamedTuple):
    """What a person is asked.

    Attributes:
        interrupt_id: By which it is answered.
        name: Of the interrupt.
        reason: Why, as it was told.
        raised: The event that told of it, if there is one that has not been erased.
    """

    interrupt_id: Any
    name: Any
    reason: Any
    raised: Recorded | None = None

    @classmethod
    def told(cls, raised: Recorded) -> Question:
        """By an event."""
        data = raised.event.data
        return cls(data.get("id"), data.get("name"), data.get("reason"), raised)

    @classmethod
    def recorded(cls, interrupt_id: str, interrupt: Any) -> Question:
        """By the record of who asks."""
        data = interrupt if isinstance(interrupt, Mapping) else {}
        return cls(interrupt_id, data.get("name"), data.get("reason"))


class Trouble(NamedTuple):
    """What there is to say of an agent that does not rest.

    Attributes:
        activity: What it does.
        began: Where its last call began.
        failed: What failed in that call, in order.
        questions: The interrupts that nobody has answered.
        is_answerable: Whether it can be called with the answers: not before its call has ended.
    """

    activity: AgentActivity
    began: Recorded | None
    failed: tuple[Recorded, ...]
    questions: tuple[Question, ...] = ()
    is_answerable: bool = True


def print_troubles(
    terminal: Console, info: SessionInfo, troubles: Sequence[Trouble], last: Recorded | None, target: str
) -> None:
    """Print what is the matter with each agent; that nothing is, if so."""
    facts = Text(", ").join([status_text(info), Text(f"last event {age(info.last_event_at)}", "dim")])
    heading(terminal, info.session_id, facts)
    if not troubles:
        put(terminal, "\nNothing failed, and nothing is waited for." if last is None else _overcome(last))
    for one in troubles:
        put(terminal)
        for label, text in _lines(one, info):
            put(terminal, hanging(terminal, Text(f"{label:<{_LABEL}}", "dim"), text))
    commands = list(dict.fromkeys(_commands(info, troubles, target)))
    if commands:
        put(terminal)
    for number, line in enumerate(commands):
        label = "" if number else "go on"
        put(terminal, Text(f"{label:<{_LABEL}}", "dim") + Text(line))


def troubles_json(info: SessionInfo, troubles: Sequence[Trouble], last: Recorded | None, target: str) -> dict[str, Any]:
    """All of it."""
    shown = info.to_json()
    by_agent = {one["agent"]: one for one in shown["agents"]}
    return {
        "session_id": info.session_id,
        "status": info.status,
        "troubles": [{**by_agent[one.activity.agent], **_trouble_json(one)} for one in troubles],
        "last_error": last and _failure_json(last),
        "last_message": shown["last_message"],
        "commands": list(dict.fromkeys(_commands(info, troubles, target))),
    }


def _trouble_json(trouble: Trouble) -> dict[str, Any]:
    failed = _failure(trouble)
    return {
        "began": trouble.began and str(trouble.began.id),
        **({"error": None, "error_text": None} if failed is None else _failure_json(failed)),
        "errors": [_failure_json(one) for one in trouble.failed],
        "interrupts": [_question_json(one) for one in trouble.questions],
    }


def _question_json(one: Question) -> dict[str, Any]:
    at = one.raised.id if one.raised else None
    where = {"id": at and str(at), "at": at and at.time}
    return {**where, "name": one.name, "reason": one.reason, "interrupt_id": one.interrupt_id}


def _failure_json(one: Recorded) -> dict[str, Any]:
    data = one.event.data
    told = {"name": data.get("name") or data.get("node"), **{name: data.get(name) for name in ("error", "error_text")}}
    return {"id": str(one.id), "type": one.event.type, "agent": one.event.agent, "at": one.id.time, **told}


def _failure(trouble: Trouble) -> Recorded | None:
    """What made the call fail; while it goes on, nothing has."""
    return trouble.failed[-1] if trouble.failed and trouble.activity.status == "failed" else None


def _lines(trouble: Trouble, info: SessionInfo) -> Iterator[tuple[str, Text]]:
    activity = trouble.activity
    yield "agent", Text(one_line(activity.agent), "bold") + Text("  ") + activity_text(activity)
    failed = _failure(trouble)
    if failed is not None:
        yield "where", Text(f"{failed.event.type}{_of(failed)}, event {failed.id}, {local(failed.id.time, '%H:%M:%S')}")
        yield "error", Text(error_of(failed), "red")
    for one in trouble.failed[:-1] if failed is not None else trouble.failed:
        yield "before", Text(f"{one.id.revision} {one.event.type}{_of(one)}: {error_of(one)}")
    for asked in trouble.questions:
        yield "asked", Text(f"{one_line(asked.name or '')}: {_reason(asked)}", "yellow")
    if activity.is_silent and activity.last_sign:
        since = f"since {local(activity.last_sign, '%H:%M:%S')}, {age(activity.last_sign)}"
        yield "silent", Text(f"{since}: its process may have been killed")
    if info.last_message is not None and info.last_message.event.agent == activity.agent:
        yield "said", Text(last_message(info), "dim")


def _of(one: Recorded) -> str:
    name = one.event.data.get("name") or one.event.data.get("node")
    return f" {one_line(name)}" if name else ""


def error_of(one: Recorded) -> str:
    """What an error was, and said, on one line."""
    if not one.event.has_content:
        return absence(one.event)
    data = one.event.data
    said = ": ".join(str(data[name]) for name in ("error", "error_text") if data.get(name))
    return one_line(said or data.get("status") or "no error was told", _LONG)


def _reason(one: Question) -> str:
    if one.raised and not one.raised.event.has_content:
        return absence(one.raised.event)
    if isinstance(one.reason, str):
        return one_line(one.reason, _LONG)
    return "(no reason was given)" if one.reason is None else compact(one.reason, _LONG)


def _overcome(last: Recorded) -> Text:
    told = f"{last.event.type}{_of(last)} at {last.id.revision}, {local(last.id.time)}: {error_of(last)}"
    return Text(f"\nNothing is the matter now. What failed last was got over: {told}")


def _commands(info: SessionInfo, troubles: Iterable[Trouble], target: str) -> Iterator[str]:
    """What to type next: to see it, and to go on."""
    session_id = info.session_id
    for trouble in troubles:
        activity, at = trouble.activity, trouble.began.id.revision if trouble.began else 1
        answers = [_answer(one) for one in trouble.questions if isinstance(one.interrupt_id, str)]
        if activity.status == "answer" and trouble.is_answerable:
            yield typed("show", session_id, options=target)
            if answers:
                yield f"agent([{', '.join(answers)}])"
            continue
        if activity.status != "failed" and not replace(activity, status="running").is_silent:
            yield typed("tail", session_id, options=target)
            continue
        yield typed("replay", session_id, options=f" --from {at}{target}")
        if at > 1:
            into = f"{session_id[: _LONGEST_ID - len(_AGAIN)]}{_AGAIN}"
            yield typed("fork", session_id, into, options=f" --at {at - 1}{target}")
            yield typed("rewind", session_id, str(at - 1), options=target)


def _answer(one: Question) -> str:
    """As Python reads it, whose escapes are not those of JSON."""
    told = json.dumps({"interruptResponse": {"interruptId": one.interrupt_id, "response": "yes"}}, ensure_ascii=False)
    return _NOT_ASCII.sub(lambda found: ascii(found[0])[1:-1], told)
