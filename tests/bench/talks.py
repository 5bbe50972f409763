"""Conversations to look at, event for event as an agent with a tool and a window writes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any

from strands_session_log import events

from .sessions import AGENT, WINDOW, created, record
from .text import BYTES, said

MESSAGES_A_TURN = 4
EVENTS_A_TURN = 10
"""Without what says that the window has dropped something."""
_CODE = """\
```python
def cheapest(flights: list[dict]) -> dict:
    # what it costs, all told
    return min(flights, key=lambda one: one["price"])
```"""


def talk(session_id: str, length: int | None = None) -> Iterator[events.Event]:
    """The first so many events of a session, or ever more of them.

    Of four messages of a turn one calls a tool, and one answers in Markdown, now and then with code; a message is a
    kilobyte. Every fiftieth call fails.
    """
    return islice(chain(created(session_id), chain.from_iterable(map(turn, count()))), length)


def talk_of(session_id: str, messages: int) -> Iterator[events.Event]:
    """A session of so many messages, to the end of its last turn."""
    turns = map(turn, range(messages // MESSAGES_A_TURN))
    return chain(created(session_id), chain.from_iterable(turns))


def turn(number: int) -> list[events.Event]:
    """One call of an agent: a question, a call, what it gave, an answer."""
    use, first = f"call-{number}", MESSAGES_A_TURN * number
    removed = first + MESSAGES_A_TURN - WINDOW
    found = [
        events.InvocationStarted({"invocation": f"i{number}"}, AGENT),
        _message(first, "user", {"text": said(first)}),
        _model("tool_use"),
        _message(first + 1, "assistant", {"text": "Let me look."}, _call(use, first)),
        events.ToolStarted({"name": "search", "tool_use_id": use}, AGENT),
        _ended(number, use),
        _message(first + 2, "user", _result(use, said(first + 2))),
        _model("end_turn"),
        _message(first + 3, "assistant", {"text": _markdown(first + 3)}),
        events.InvocationCompleted({"invocation": f"i{number}", "duration_ms": 65.5, "stop_reason": "end_turn"}, AGENT),
    ]
    return [*found, record(removed)] if removed > 0 else found


def _message(index: int, role: str, *content: Any) -> events.Event:
    now = events.now()
    message = {"role": role, "content": list(content)}
    stored = {"message": message, "message_id": index, "redact_message": None, "created_at": now, "updated_at": now}
    return events.MessageAdded(stored, AGENT, time=now)


def _model(reason: str) -> events.Event:
    usage = {"inputTokens": 960, "outputTokens": 60}
    return events.ModelCompleted(
        {"duration_ms": 2_100.0, "model_id": "scripted", "stop_reason": reason, "usage": usage}, AGENT
    )


def _call(use: str, index: int) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": use, "name": "search", "input": {"query": said(index)[:60], "limit": 5}}}


def _ended(number: int, use: str) -> events.Event:
    done = {"name": "search", "tool_use_id": use, "duration_ms": 120.5}
    if number % 50 == 49:
        return events.ToolFailed({**done, "status": "error", "error": "TimeoutError"}, AGENT)
    return events.ToolCompleted({**done, "status": "success"}, AGENT)


def _result(use: str, text: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": use, "status": "success", "content": [{"text": text}]}}


def _markdown(index: int) -> str:
    """About a kilobyte of Markdown: a list, emphasis, and in one of three a piece of code."""
    text = said(index)
    part = BYTES // 4
    shown = [f"There are **two** ways:\n\n- {text[:part]}\n- {text[part : 2 * part]}\n\n{text[2 * part : 3 * part]}"]
    return "\n\n".join([*shown, _CODE] if index % 3 == 0 else [*shown, text[3 * part :]])
