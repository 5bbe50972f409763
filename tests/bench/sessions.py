"""Agents and sessions to measure with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain, count, islice
from typing import Any

import orjson
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager, SlidingWindowConversationManager
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.testing.model import ScriptedModel
from support.clients import client_of

from .measuring import Prepared, Run
from .text import message

AGENT = "default"
WINDOW = 40
_BATCH = 500


def agent(manager: Any = None, window: int | None = None, script: Any = (), tools: Any = None) -> Agent:
    """An agent that keeps all its messages, or a window of them."""
    keeps = NullConversationManager() if window is None else SlidingWindowConversationManager(window_size=window)
    model = ScriptedModel(script, chunk=4096)
    return Agent(
        model=model, session_manager=manager, conversation_manager=keeps, callback_handler=None, tools=tools or []
    )


def fresh(log: SessionLog) -> SessionLog:
    """The same log as a new process would have it on a connection it has: nothing of it is known."""
    return SessionLog(log.client, log.namespace)


def resume(log: SessionLog, session_id: str, window: int | None = None) -> Agent:
    """An agent as in a new process."""
    return agent(ValkeySessionManager(session_id, log=fresh(log)), window)


class AsWritten:
    """Resumes a session again and again as it lies now: a reader may save a better snapshot than the writer left.

    Args:
        log: Its log, with nothing being saved.
        session_id: Which.
        window: That of the agents, if they have one.
    """

    def __init__(self, log: SessionLog, session_id: str, window: int | None = None) -> None:
        self._log, self._session_id, self._window = log, session_id, window
        self._key = log._events.keyspace.session(session_id).snapshot
        self._snapshot = log.client.execute_command("DUMP", self._key)
        self._reader = log

    def resumed(self) -> Prepared:
        """To be measured."""
        return Prepared(self._put_back, self._resume)

    def _put_back(self) -> None:
        settle(self._reader)
        self._log.client.execute_command("DEL", self._key)
        if self._snapshot is not None:
            self._log.client.execute_command("RESTORE", self._key, 0, self._snapshot)

    def _resume(self) -> Agent:
        self._reader = fresh(self._log)
        return agent(ValkeySessionManager(self._session_id, log=self._reader), self._window)


def transcript(log: SessionLog, session_id: str) -> list[SessionMessage]:
    """The messages of a session as a new process reads them through the manager."""
    return ValkeySessionManager(session_id, log=fresh(log)).list_messages(session_id, AGENT)


def converse(manager: Any, length: int, living: Agent | None = None) -> Agent:
    """Write a session through a live agent's manager, message by message; the agent with what it holds."""
    living = living or agent(manager)
    for index in range(length):
        said = message(index)
        living.messages.append(said)
        if manager is not None:
            manager.append_message(said, living)
    return living


def settle(log: SessionLog) -> None:
    """Wait until snapshots that are being saved in the background are there."""
    if not log._replay.settle():
        raise TimeoutError("snapshots are still being saved: what is measured now would be something else")


def fill(run: Run, log: SessionLog, session_id: str, happened: Iterable[events.Event], length: int) -> None:
    """Append so many events, let an agent resume once, and let the server finish what it began because of it."""
    rest = iter(happened)
    for _ in run.track(range(0, length, _BATCH), f"a session of {length:,} events"):
        log.append(session_id, list(islice(rest, _BATCH)))
    ValkeySessionManager(session_id, log=log)
    calm(log)


def calm(log: SessionLog) -> None:
    """Wait until snapshots are saved and the server has rewritten its append-only file, if it does."""
    settle(log)
    while any(map(client_of(log).info("persistence").get, ("aof_rewrite_in_progress", "aof_rewrite_scheduled"))):
        time.sleep(0.05)


def windowed(session_id: str, length: int) -> Iterator[events.Event]:
    """So many events of a session whose agent keeps a sliding window, as the session manager writes them.

    After every turn the window drops what is too much, and the agent's record says how much that is by now.
    """
    return islice(chain(created(session_id), chain.from_iterable(map(_turn, count()))), length)


def created(session_id: str, window: int | None = WINDOW) -> list[events.Event]:
    """How a session begins."""
    session = Session(session_id, SessionType.AGENT).to_dict()
    return [events.SessionCreated(session), events.AgentCreated(_record(0, window), AGENT)]


def added(index: int, said: Any = None) -> events.Event:
    """The event of one message, as the session manager makes it: said, and written down, at one time."""
    now = events.now()
    record = SessionMessage(said or message(index), index, created_at=now, updated_at=now)
    return events.MessageAdded(record.to_dict(), AGENT, time=now)


def record(removed: int) -> events.Event:
    """The event that says how many messages the window has dropped."""
    said = _record(removed)
    return events.AgentUpdated(said, AGENT, time=said["updated_at"])


def _turn(number: int) -> list[events.Event]:
    said = [added(2 * number), added(2 * number + 1)]
    removed = 2 * number + 2 - WINDOW
    return [*said, record(removed)] if removed > 0 else said


def told(session_id: str, length: int) -> Iterator[events.Event]:
    """So many events of a session that are facts for the most part: each turn calls four tools, one after the other."""
    return islice(chain(created(session_id, None), chain.from_iterable(map(_turn_with_tools, count()))), length)


_CALLS = 4
_USAGE = {"inputTokens": 1500, "outputTokens": 300}


def _turn_with_tools(number: int) -> Iterator[events.Event]:
    index, call = (2 + 2 * _CALLS) * number, f"{number:08x}"
    model = {"duration_ms": 812.5, "attempt": 1, "model_id": "a-model", "usage": _USAGE, "latency_ms": 801}
    yield events.InvocationStarted({"invocation": call}, AGENT)
    yield added(index)
    for at in range(_CALLS):
        tool = {"name": "look_up", "tool_use_id": f"tooluse_{call}{at}"}
        said: Any = [{"toolUse": {"name": "look_up", "toolUseId": tool["tool_use_id"], "input": {"word": "w"}}}]
        found: Any = [{"toolResult": {"toolUseId": tool["tool_use_id"], "status": "success", "content": []}}]
        yield events.ModelCompleted({**model, "stop_reason": "tool_use"}, AGENT)
        yield added(index + 2 * at + 1, {"role": "assistant", "content": said})
        yield events.ToolStarted(tool, AGENT)
        yield events.ToolCompleted({**tool, "status": "success", "duration_ms": 20.125}, AGENT)
        yield added(index + 2 * at + 2, {"role": "user", "content": found})
    yield events.ModelCompleted({**model, "stop_reason": "end_turn"}, AGENT)
    yield added(index + 2 * _CALLS + 1)
    yield events.InvocationCompleted({"invocation": call, "duration_ms": 4000.5, "stop_reason": "end_turn"}, AGENT)


def _record(removed: int, window: int | None = WINDOW) -> dict[str, Any]:
    if window not in _agents:
        _agents[window] = agent(window=window)
    _agents[window].conversation_manager.removed_message_count = removed
    return SessionAgent.from_agent(_agents[window]).to_dict()


_agents: dict[int | None, Agent] = {}


class Limit:
    """The least that loading messages can cost: they stand ready as one JSON text.

    Args:
        client: Where to keep it.
        messages: The messages, if they do not stand there yet.
        key: Where.
    """

    def __init__(self, client: Any, messages: Iterable[SessionMessage] | None = None, key: str = "messages") -> None:
        self._client, self._key = client, key
        if messages is not None:
            client.execute_command("SET", key, orjson.dumps([one.to_dict() for one in messages]))

    def load(self) -> list[SessionMessage]:
        """One GET, and the messages made of it."""
        return [SessionMessage(**one) for one in orjson.loads(self._client.execute_command("GET", self._key))]

    def load_with_agent(self) -> tuple[list[SessionMessage], Agent]:
        """The same, and an agent that has nothing to do with them."""
        return self.load(), agent()
