"""Valid events with bodies nobody would write: whatever reads the session gives an answer or a typed error, soon.

Their place in the hash chain is right: whoever may append may append them, with a client in another language at least.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.codec import encode
from strands_session_log.errors import SessionLogError
from strands_session_log.events import Event
from strands_session_log.testing.model import ScriptedModel
from support.command_line import Run
from support.junk import JUNK, MISSING, TURN, TooSlowError, paths_in, with_junk, within

SECONDS = 30.0
EVERY_WAY = "SESSION_LOG_TEST_EVERY_WAY" in os.environ
TIME = "2026-01-01T00:00:00+00:00"
TIMES = {"created_at": TIME, "updated_at": TIME}
SAID = {"role": "user", "content": [{"text": "Hello."}]}
CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "add", "input": {}}}]}
IDLE = {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}
MANAGER = {"__name__": "SlidingWindowConversationManager", "removed_message_count": 0, "model_call_count": 0}
AGENT = {"agent_id": "default", "state": {}, "conversation_manager_state": MANAGER, "_internal_state": IDLE, **TIMES}
SESSION = {"session_id": "s", "session_type": "AGENT", **TIMES}
MESSAGE = {"message": CALL, "message_id": 1, "redact_message": None, **TIMES}
REDACTED = {"message": SAID, "message_id": 0, "redact_message": SAID, **TIMES}

SHAPES: dict[str, dict[str, Any]] = {
    "session.created": SESSION,
    "session.forked": {"parent": "p", "root": "p", "at": "1-1", "link": "l", "session_id": "s"},
    "session.rewound": {"from": "1-1", "to": "1-1", "agents": ["default"], "multi_agents": ["g"]},
    "session.annotated": {"labels": ["a"]},
    "agent.created": AGENT,
    "agent.updated": AGENT,
    "message.added": {**MESSAGE, "message_id": 2},
    "message.updated": MESSAGE,
    "message.redacted": REDACTED,
    "window.changed": {"items": [[0, 0], {"message": SAID}], "removed": 0, "next": 2},
    "multi_agent.created": {"type": "graph", "status": "pending"},
    "multi_agent.updated": {"type": "graph", "status": "pending"},
    "payload.erased": {"erased": ["1-1"], "reason": "why"},
}
"""What the fold looks at, as it should be; of the others the data is not looked at."""
FOLDED_ALIKE = ("agent.updated", "message.redacted", "multi_agent.updated")


def junk_of(type_: str) -> Iterator[tuple[str, Any]]:
    """Each day every other field with any junk; fewer of those deep inside, and of types that are folded alike."""
    shape = SHAPES.get(type_, {})
    for number, (name, junk) in enumerate(JUNK.items()):
        if junk is not MISSING:
            yield f"all of it {name}", junk
        for path in paths_in(shape, 5):
            every = 1 if EVERY_WAY else 5 if len(path) > 2 or type_ in FOLDED_ALIKE else 2
            if (number + len(path) + TURN) % every:
                continue
            yield f"{'.'.join(map(str, path))} {name}", with_junk(shape, path, junk)


def append_raw(log: SessionLog, session: str, type_: str, data: Any) -> None:
    """Write what no encoder would let through, with everything else as it should be."""
    agent = "" if type_.startswith(("session.", "payload.")) else "g" if type_.startswith("multi") else "default"
    valid = encode(Event.known[type_](SHAPES.get(type_, {}), agent))
    log._events.append(session, [valid._replace(body=text_of(data), message_index=None)])


def text_of(data: Any) -> bytes:
    """JSON of any depth."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        return json.dumps(data).encode()
    finally:
        sys.setrecursionlimit(limit)


def begin(log: SessionLog, session: str) -> None:
    said = {"message": SAID, "message_id": 0, "redact_message": None, **TIMES}
    log.append(
        session,
        [
            events.SessionCreated({**SESSION, "session_id": session}),
            events.AgentCreated(AGENT, "default"),
            events.MessageAdded(said, "default"),
            events.MessageAdded(MESSAGE, "default"),
            events.MultiAgentCreated(SHAPES["multi_agent.created"], "g"),
        ],
    )


def resume(log: SessionLog, session: str) -> None:
    """As in a new process, with a turn after it."""
    agent = Agent(
        model=ScriptedModel(["Hello."]),
        session_manager=ValkeySessionManager(session, log=log),
        agent_id="default",
        callback_handler=None,
    )
    if not getattr(getattr(agent, "_interrupt_state", None), "activated", False):
        agent("Hi.")


def readings(log: SessionLog, run: Run, session: str, what: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every body is folded; half of them are resumed from, others each day; other readings take turns at the rest."""
    ways = dict(all_readings(log, run, session))
    others = [name for name in ways if name not in ("state", "resume")]
    turn = Random(f"{TURN} {what}")
    chosen = "resume" if turn.random() < 0.5 else turn.choice(others)
    for name in ways if EVERY_WAY else ("state", chosen):
        yield name, ways[name]


def all_readings(log: SessionLog, run: Run, session: str) -> Iterator[tuple[str, Callable[[], object]]]:
    def state() -> None:
        state = log.state(session)
        for agent in state.agents.values():
            assert len(agent.window) <= len(agent.messages) + 50_000
            assert all({"role", "content"} <= message.keys() for message in agent.window)

    yield "state", state
    yield "show", lambda: run("show", session, exit_code=None)
    yield "show --json", lambda: run("show", session, "--json", exit_code=None)
    yield "diff", lambda: run("diff", session, "4", exit_code=None)
    yield "fork", lambda: log.fork(session, None, f"{session}-fork", allow_unanswered=True)
    yield "unanswered", lambda: log.fork(session, None, f"{session}-other")
    yield "resume", lambda: resume(log, session)


@pytest.mark.parametrize("type_", sorted(Event.known))
def test_no_body_keeps_a_session_from_being_read_or_refused_with_a_typed_error(
    log: SessionLog, run: Run, type_: str, record_property: Callable[[str, object], None]
) -> None:
    count, failures = 0, list[str]()
    for number, (what, junk) in enumerate(junk_of(type_)):
        session = f"s{number}"
        begin(log, session)
        append_raw(log, session, type_, junk)
        for name, read in readings(log, run, session, f"{type_} {what}"):
            count += 1
            try:
                with within(SECONDS, f"{name} of {type_} with {what}"):
                    read()
            except (SessionLogError, SessionException):
                continue
            except Exception as error:
                failures.append(f"{name} of {type_} with {what}: {error!r:.300}")
            except TooSlowError as error:
                failures.append(str(error))
    assert not failures, "\n".join(failures)
    record_property("readings", count)
    assert count >= 2 * (len(JUNK) - 1)
