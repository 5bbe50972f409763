"""The demo from its parent's side: what happens, one step at a time, and whether it is as promised."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from inspect import Parameter, signature
from secrets import token_hex
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from strands import Agent

from ..audit import Verification
from ..errors import SessionLogError
from ..events import MessageAdded, Recorded
from ..server import connect, inspect, release
from ..session_log import SessionLog
from ..snapshot.keys import keys_for
from ..state import AgentState, SessionState
from .child import Child
from .conversation import ADVICE, CONFIRMATION, FOLLOW_UP, QUESTION
from .process import GO_ON, PAUSE

TEMPORARY = "embedded:"
_WRITTEN_BEFORE_THE_KILL = 3
_PATIENCE = 2.0


class Began(NamedTuple):
    """A server was found or started.

    Attributes:
        session_id: The session of the conversation to come.
        server: Name and version.
    """

    session_id: str
    server: str


class Killed(NamedTuple):
    """The first process is dead.

    Attributes:
        pid: What it was.
        code: How it ended: the negative signal number.
        events: What it left behind.
    """

    pid: int
    code: int
    events: Sequence[Recorded]


class AgentResumed(NamedTuple):
    """The second process has gone on to the end.

    Attributes:
        pid: What it was.
        restored: How many messages it began with.
    """

    pid: int
    restored: int


class Promise(NamedTuple):
    """Something that must hold after the demo."""

    text: str
    kept: bool


class StoryEnded(NamedTuple):
    """What is in the log at the end.

    Attributes:
        events: All of them.
        state: The session they fold into.
        verification: Of the chain.
        promises: What was to be shown, and whether it was.
    """

    events: Sequence[Recorded]
    state: SessionState
    verification: Verification
    promises: Sequence[Promise]


Step: TypeAlias = "Began | Killed | AgentResumed | StoryEnded"


def play(url: str, namespace: str) -> Iterator[Step]:
    """Let a conversation be interrupted by kill -9 and finished by another process.

    Args:
        url: Where; `embedded:` starts a server that goes with the demo.
        namespace: First part of every key.

    Raises:
        DemoError: When one of the processes fails.
        SessionLogError: When Strands is too old for it.
    """
    if signature(Agent.__call__).parameters["prompt"].default is Parameter.empty:
        raise SessionLogError("the demo needs strands-agents 1.7 or later: older agents cannot go on without a prompt")
    client = connect(url)
    try:
        log = SessionLog(client, namespace, retry_for=_PATIENCE, snapshot_key=keys_for(url))
        began = Began(f"demo-{token_hex(4)}", inspect(client).name)
        yield began
        arguments = (_url_for_others(client, url), namespace, began.session_id)
        yield (killed := _first_process(log, arguments))
        yield (resumed := _second_process(arguments))
        yield _ending(log, began.session_id, killed, resumed)
    finally:
        release(client)


def _first_process(log: SessionLog, arguments: tuple[str, str, str]) -> Killed:
    with Child(*arguments, PAUSE) as child:
        child.hear("waiting")
        code = child.kill()
        return Killed(child.pid, code, list(log.read(arguments[-1])))


def _second_process(arguments: tuple[str, str, str]) -> AgentResumed:
    with Child(*arguments, GO_ON) as child:
        restored = child.hear("restored")
        child.hear("done")
        child.wait()
        return AgentResumed(child.pid, restored)


def _ending(log: SessionLog, session_id: str, killed: Killed, resumed: AgentResumed) -> StoryEnded:
    events, state, verification = list(log.read(session_id)), log.state(session_id), log.verify(session_id)
    agent = state.agents.get("default") or AgentState("default")
    said = _said(agent)
    written = sum(recorded.event.type == MessageAdded.TYPE for recorded in killed.events)
    promises = (
        Promise("the first process was killed before the model could answer", killed.code == -signal.SIGKILL),
        Promise("everything it had written is still there, unchanged", events[: len(killed.events)] == killed.events),
        Promise(
            "the second process found all of it, and went on from there",
            resumed.restored == written == _WRITTEN_BEFORE_THE_KILL,
        ),
        Promise("the conversation is whole: nothing lost, nothing twice", said == _EXPECTED),
        Promise("the agent's memory is restored with it", agent.state == _EXPECTED_STATE),
        Promise("the hash chain of all events verifies", verification.ok and verification.revision == len(events)),
    )
    return StoryEnded(events, state, verification, promises)


_EXPECTED = [
    ("user", QUESTION),
    ("assistant", "Let me look at the forecast.", "forecast"),
    ("user", "call-forecast"),
    ("assistant", ADVICE),
    ("user", FOLLOW_UP),
    ("assistant", "remember"),
    ("user", "call-remember"),
    ("assistant", CONFIRMATION),
]
_EXPECTED_STATE = {"note": "hand luggage only"}


def _said(agent: AgentState) -> list[tuple[str, ...]]:
    """Every message as its role and what its blocks are about."""
    messages = [record.message for record in agent.messages]
    return [(message["role"], *map(_gist, message["content"])) for message in messages]


def _gist(block: Any) -> str:
    match block:
        case {"text": str(text)}:
            return text
        case {"toolUse": {"name": str(name)}}:
            return name
        case {"toolResult": {"toolUseId": str(name)}}:
            return name
    return str(block)


def _url_for_others(client: Any, url: str) -> str:
    """Where other processes find the server: `embedded:` is a new one for everybody who says it."""
    if url != TEMPORARY:
        return url
    return f"unix://{quote(client.connection_pool.connection_kwargs['path'])}"
