"""Why a session does not go on, as people read it: what failed, what is waited for, and how to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ... import AgentActivity, Recorded, SessionInfo
from ..terminal import age, hanging, heading, local, one_line, plain, put
from .messages import compact
from .sessions import activity_text, is_silent, last_message, session_json, status_text

CALL_BEGINS = "invocation.started"
FAILURES = ("invocation.failed", "model.failed", "tool.failed")
_LABEL = 9
_LONG = 2_000


class Trouble(NamedTuple):
    """What there is to say of an agent that does not rest.

    Attributes:
        activity: What it does.
        began: Where its last call began.
        failed: What failed in that call, in order.
        raised: The interrupts that nobody has answered.
    """

    activity: AgentActivity
    began: Recorded | None
    failed: tuple[Recorded, ...]
    raised: tuple[Recorded, ...]


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
    commands = list(dict.fromkeys(_commands(info, troubles)))
    if commands:
        put(terminal)
    for number, line in enumerate(commands):
        label = "" if number else "go on"
        same_target = target if line.startswith("session-log ") else ""
        put(terminal, Text(f"{label:<{_LABEL}}", "dim") + Text(line + same_target))


def troubles_json(info: SessionInfo, troubles: Sequence[Trouble], last: Recorded | None) -> dict[str, Any]:
    """All of it."""
    shown = session_json(info)
    by_agent = {one["agent"]: one for one in shown["agents"]}
    return {
        "session_id": info.session_id,
        "status": info.status,
        "troubles": [{**by_agent[one.activity.agent], **_trouble_json(one)} for one in troubles],
        "last_error": last and _failure_json(last),
        "last_message": shown["last_message"],
        "commands": list(dict.fromkeys(_commands(info, troubles))),
    }


def _trouble_json(trouble: Trouble) -> dict[str, Any]:
    failed = _failure(trouble)
    return {
        "began": trouble.began and str(trouble.began.id),
        **({"error": None, "error_text": None} if failed is None else _failure_json(failed)),
        "errors": [_failure_json(one) for one in trouble.failed],
        "interrupts": [
            {"id": str(one.id), "at": one.id.time, **{name: one.event.data.get(name) for name in ("name", "reason")}}
            | {"interrupt_id": one.event.data.get("id")}
            for one in trouble.raised
        ],
    }


def _failure_json(one: Recorded) -> dict[str, Any]:
    data = one.event.data
    told = {name: data.get(name) for name in ("name", "error", "error_text")}
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
    for one in trouble.raised:
        yield "asked", Text(f"{one_line(one.event.data.get('name') or '')}: {_reason(one)}", "yellow")
    if is_silent(activity) and activity.last_sign:
        since = f"since {local(activity.last_sign, '%H:%M:%S')}, {age(activity.last_sign)}"
        yield "silent", Text(f"{since}: its process may have been killed")
    if info.last_message is not None and info.last_message.event.agent == activity.agent:
        yield "said", Text(last_message(info), "dim")


def _of(one: Recorded) -> str:
    name = one.event.data.get("name")
    return f" {one_line(name)}" if name else ""


def error_of(one: Recorded) -> str:
    """What an error was, and said, on one line."""
    if one.event.is_erased:
        return "(erased)"
    data = one.event.data
    said = ": ".join(str(data[name]) for name in ("error", "error_text") if data.get(name))
    return one_line(said or data.get("status") or "no error was told", _LONG)


def _reason(one: Recorded) -> str:
    if one.event.is_erased:
        return "(erased)"
    reason = one.event.data.get("reason")
    if isinstance(reason, str):
        return one_line(reason, _LONG)
    return "(no reason was given)" if reason is None else compact(reason, _LONG)


def _overcome(last: Recorded) -> Text:
    told = f"{last.event.type}{_of(last)} at {last.id.revision}, {local(last.id.time)}: {error_of(last)}"
    return Text(f"\nNothing is the matter now. What failed last was got over: {told}")


def _commands(info: SessionInfo, troubles: Iterable[Trouble]) -> Iterator[str]:
    """What to type next: to see it, and to go on."""
    session_id = shlex.quote(plain(info.session_id))
    for trouble in troubles:
        activity, at = trouble.activity, trouble.began.id.revision if trouble.began else 1
        if activity.status == "answer":
            yield f"session-log show {session_id}"
            yield from (f"agent([{_answer(one)}])" for one in trouble.raised)
            continue
        if activity.status != "failed" and not is_silent(activity):
            yield f"session-log tail {session_id}"
            continue
        yield f"session-log replay {session_id} --from {at}"
        if at > 1:
            yield f"session-log fork {session_id} {shlex.quote(plain(info.session_id) + '-again')} --at {at - 1}"
            yield f"session-log rewind {session_id} {at - 1}"


def _answer(one: Recorded) -> str:
    answer = {"interruptId": one.event.data.get("id"), "response": "yes"}
    return json.dumps({"interruptResponse": answer}, ensure_ascii=True)
