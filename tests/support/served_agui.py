"""Agents behind AG-UI, served over HTTP, and a client that reads what one would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import httpx
import uvicorn
from starlette.middleware.cors import CORSMiddleware
from strands import Agent, tool

from strands_session_log import SessionLog
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui import AguiRun, AguiSettings, app
from support.following import SOON
from support.processes import HOST, free_port

FOR_ALL: Any = {"allow_origins": ["*"], "allow_headers": ["*"], "allow_methods": ["*"]}
"""What lets pages of every origin ask."""
SCRIPT: Any = (
    [
        {"reasoningContent": {"reasoningText": {"text": "They want a sum."}}},
        {"text": "I shall add these. "},
        {"toolUse": {"name": "plus", "input": {"a": 1, "b": 2}}},
    ],
    "The sum is three, which is a prime, and the first odd one at that.",
)


@tool
def plus(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def make_adder(run: AguiRun, pause: float = 0.005) -> Agent:
    """Makes an agent that thinks, has two numbers added, and tells what it knows of the sum."""
    # A provider never gives two calls one id.
    call = {"toolUse": {**SCRIPT[0][2]["toolUse"], "toolUseId": f"call-{run.input.run_id}"}}

    def respond(messages: Sequence[Any]) -> Any:
        has_sum = any("toolResult" in block for block in messages[-1]["content"])
        return SCRIPT[1] if has_sum else [*SCRIPT[0][:2], call]

    return Agent(
        model=ScriptedModel(respond, chunk=4, pause=pause),
        tools=[plus],
        session_manager=run.session_manager,
        hooks=[run.live_tokens],
        state={"asked": run.input.run_id},
        callback_handler=None,
    )


class AguiServer(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def served_agui(
    log: SessionLog, make_agent: Any, settings: AguiSettings | None = None, **options: Any
) -> Iterator[str]:
    """The URL of agents that are served until the block ends, to pages of every origin."""
    served = app(log, make_agent, settings=settings or AguiSettings(lease=2.0, grace=SOON), **options)
    served.add_middleware(CORSMiddleware, **FOR_ALL)
    port = free_port()
    server = AguiServer(
        uvicorn.Config(served, HOST, port, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listens.wait(SOON)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join(SOON)
        assert not thread.is_alive()


def asked(text: str, run: str = "run-1", thread: str = "s", **more: Any) -> dict[str, Any]:
    """What a front end posts."""
    messages = [{"id": f"user-{run}", "role": "user", "content": text}] if text else []
    return {"threadId": thread, "runId": run, "messages": messages, "tools": [], "context": [], **more}


class FrontEnd:
    """What a client knows of a thread, as AG-UI's events tell it.

    Attributes:
        messages: By id, in order.
        state: The state.
        types: Of all events that came.
        events: All events that came.
        last_id: Of the last frame.
        last: The last event.
    """

    def __init__(self) -> None:
        self.messages = dict[str, dict[str, Any]]()
        self.state: Any = None
        self.types, self.events, self._lines = list[str](), list[dict[str, Any]](), dict[int, Iterator[str]]()
        self.last_id, self.last = "", dict[str, Any]()

    def take(self, id_: str, event: dict[str, Any]) -> None:
        self.types.append(event["type"])
        self.events.append(event)
        self.last_id, self.last = id_, event
        match event:
            case {"type": "MESSAGES_SNAPSHOT", "messages": messages}:
                # As the official client does: where a snapshot has no thoughts, those that are known stay.
                new = {one["id"]: one for one in messages}
                keeps = all(one["role"] != "reasoning" for one in messages)
                old = [one for one in self.messages.values() if keeps and one["role"] == "reasoning"]
                known = {id_: new.get(id_, one) for id_, one in self.messages.items() if id_ in new or one in old}
                self.messages = known | new
            case {"type": "STATE_SNAPSHOT", "snapshot": state}:
                self.state = state
            case {"type": "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START", "messageId": id_, "role": role}:
                self.messages.setdefault(id_, {"id": id_, "role": role, "content": ""})
            case {"type": "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT", "messageId": id_, "delta": text}:
                self.messages[id_]["content"] += text
            case {"type": "TOOL_CALL_START", "toolCallId": id_, "toolCallName": name, "parentMessageId": parent}:
                said = self.messages.setdefault(parent, {"id": parent, "role": "assistant"})
                call = {"id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
                calls = said.setdefault("toolCalls", [])
                # As the official client does: what is begun again is not there twice.
                calls += [call] if all(one["id"] != id_ for one in calls) else []
            case {"type": "TOOL_CALL_ARGS", "toolCallId": id_, "delta": text}:
                calls = [call for one in self.messages.values() for call in one.get("toolCalls", ())]
                next(call for call in calls if call["id"] == id_)["function"]["arguments"] += text
            case {"type": "TOOL_CALL_RESULT", "messageId": id_, "toolCallId": call_id, "content": content}:
                self.messages[id_] = {"id": id_, "role": "tool", "content": content, "toolCallId": call_id}

    @property
    def said(self) -> list[tuple[str, Any]]:
        """Roles, and what was said; arguments of tools as JSON values."""
        return [(one["role"], one.get("content") or _calls(one)) for one in self.messages.values()]

    def follow(self, response: httpx.Response, frames: int | None = None, until: str = "") -> FrontEnd:
        """Take what comes; only so many frames, or until an event of a type, if that is said."""
        assert response.status_code == 200, response.read()
        id_ = ""
        for line in self._lines.setdefault(id(response), response.iter_lines()):
            name, _, value = line.partition(": ")
            id_ = value if name == "id" else id_
            if name == "data":
                self.take(id_, json.loads(value))
                if (frames is not None and (frames := frames - 1) <= 0) or self.types[-1] == until:
                    return self
        return self


def _calls(message: dict[str, Any]) -> list[Any]:
    calls = message.get("toolCalls") or ()
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def post(url: str, body: dict[str, Any], frames: int | None = None) -> FrontEnd:
    """Begin a run and follow it."""
    with httpx.stream("POST", url, json=body, timeout=SOON) as response:
        return FrontEnd().follow(response, frames)


def frames_of(sent: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ids and events of what was sent."""
    for frame in sent.decode().split("\n\n"):
        if frame.startswith("id: "):
            id_, _, data = frame.removeprefix("id: ").partition("\ndata: ")
            yield id_, json.loads(data)


def get(url: str, thread: str = "s", after: str = "") -> FrontEnd:
    """Follow a thread."""
    headers = {"Last-Event-ID": after} if after else {}
    with httpx.stream("GET", f"{url}/threads/{thread}", headers=headers, timeout=SOON) as response:
        return FrontEnd().follow(response)


__all__ = [
    "FOR_ALL",
    "SCRIPT",
    "AguiRun",
    "AguiServer",
    "AguiSettings",
    "FrontEnd",
    "asked",
    "frames_of",
    "get",
    "make_adder",
    "plus",
    "post",
    "served_agui",
]
