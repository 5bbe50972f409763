"""Conversations worth looking at: a bit of everything that a page can show of one."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from typing import Any

from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel

TRIP, REFUND, FAILED, PICTURE, LONG = "trip-oslo", "refund-17", "nightly-report", "holiday-photo", "a-long-talk"
EVIL = "evil-words"
ALL = (TRIP, REFUND, FAILED, PICTURE, LONG, EVIL)
TURNS = 60
"""Of the long one."""


@tool
def search(to: str, day: str = "Friday") -> dict[str, Any]:
    """Search flights."""
    flights = [{"no": "SK1234", "price": 120, "to": to}, {"no": "DY77", "price": 95, "to": to}]
    return {"status": "success", "content": [{"json": {"day": day, "flights": flights}}]}


@tool
def book(no: str) -> str:
    """Book a flight."""
    raise RuntimeError(f"timed out after 30 s: no answer about {no}")


@tool
def refund(order: str, eur: int) -> str:
    """Give money back."""
    return f"{eur} EUR for order {order}"


def write(log: SessionLog) -> None:
    """Write all of them."""
    write_short_ones(log)
    _picture(log)
    _hostile(log)
    _long(log)


def agent_of(log: SessionLog, session_id: str, *script: Any, name: str = "default", **options: Any) -> Agent:
    """An agent that says what it is told to."""
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=ScriptedModel(*script), session_manager=manager, agent_id=name, callback_handler=None, **options)


def _call(name: str, id_: str, **arguments: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": id_, "name": name, "input": arguments}}


_FLIGHTS = """There are **two** flights on Friday:

| no | price |
|---|---|
| SK1234 | 120 EUR |
| DY77 | 95 EUR |

`DY77` is the cheaper one; see [the airline](https://www.example.com/dy77). Here is how I compared them:

```python
def cheapest(flights: list[dict]) -> dict:
    # what it costs, all told
    return min(flights, key=lambda one: one["price"])
```
"""


def write_short_ones(log: SessionLog) -> None:
    """Write one in which a tool failed, one that waits for a person, and one that failed."""
    _trip(log)
    _refund(log)
    _failure(log)


def _trip(log: SessionLog) -> None:
    thought = {"reasoningText": {"text": "They want a flight, so I should search first.", "signature": "c2ln"}}
    agent = agent_of(
        log,
        TRIP,
        [{"reasoningContent": thought}, {"text": "Let me look."}, _call("search", "call-search", to="OSL")],
        _FLIGHTS,
        [{"text": "I will book it."}, _call("book", "call-book", no="DY77")],
        "That *failed*: the airline did not answer. Shall I try again?",
        "שלום! הטיסה הבאה ביום שישי. 日本語でも大丈夫です。",
        tools=[search, book],
        system_prompt="You book flights.",
    )
    agent("Find me a flight to Oslo on Friday.")
    agent.state.set("trip", {"city": "Oslo", "travellers": 2})
    agent("Take the cheaper one, please.")
    agent("And now in Hebrew and Japanese?")
    log.append(TRIP, events.SessionAnnotated({"team": "travel", "priority": 1}))


def clerk(log: SessionLog, session_id: str, *script: Any) -> Agent:
    """An agent that asks a person before it refunds; without a script, that is what it does first."""

    def ask(event: Any) -> None:
        answer = event.interrupt("approve-refund", reason={"text": "More than 100 EUR: may I?", "order": "A-17"})
        if answer != "yes":
            event.cancel_tool = "refused"

    call = _call("refund", "call-refund", order="A-17", eur=310)
    agent = agent_of(log, session_id, *(script or ([call],)), name="clerk", tools=[refund])
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), ask)
    return agent


def _refund(log: SessionLog) -> None:
    clerk(log, REFUND, "I am sorry. I will see to it.")("My order A-17 came broken.")
    clerk(log, REFUND)("Please give me my money back.")


def _failure(log: SessionLog) -> None:
    agent = agent_of(log, FAILED, [RuntimeError("ThrottlingException: too many requests")], name="reporter")
    with suppress(RuntimeError):
        agent("Sum up what happened today.")


def _picture(log: SessionLog) -> None:
    image = {"image": {"format": "png", "source": {"bytes": gradient()}}}
    numbers = {
        "document": {"format": "csv", "name": "numbers", "source": {"bytes": b"day,steps\nMon,9120\nTue,4210\n"}}
    }
    agent = agent_of(log, PICTURE, "A gradient from green to blue, and two days of steps.", name="painter")
    content: Any = [{"text": "What is this?"}, image, numbers]
    agent(content)


def _hostile(log: SessionLog) -> None:
    said = (
        "<script>alert(1)</script> ![pixel](http://127.0.0.1:9/pixel.png) [click](javascript:alert(1)) "
        "[bank.example](https://evil.example) a\u202eb <img src=x onerror=alert(1)>"
    )
    agent_of(log, EVIL, said)("Say something <b>evil</b>.")


def _long(log: SessionLog) -> None:
    agent = agent_of(
        log, LONG, [f"Answer {number}, with **some** text. " + "And more. " * 9 for number in range(TURNS)]
    )
    for number in range(TURNS):
        agent(f"Question {number}: how is that?")


def gradient(width: int = 96, height: int = 64) -> bytes:
    """A PNG image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + b"".join(bytes((20, 2 * x, 3 * y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
