"""Running a session on from an earlier point with another model, or another agent, and telling what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from strands import Agent
from strands.hooks import MessageAddedEvent
from strands.tools.tools import PythonAgentTool

from ..codec import from_json, to_json
from ..errors import InvalidSettingError, SessionLogError, check_log, check_whole
from ..ids import EventId, Point
from ..session_manager import ValkeySessionManager
from ..state import MessageRecord, SessionState
from .comparing import LONGEST, Message, compared, short
from .playing_again import Turn, turns_of
from .recorded_tools import ToolsAsRecorded, blocks_of
from .standing import branch_end, standing_messages

if TYPE_CHECKING:
    from strands.models.model import Model

    from ..session_log import SessionLog

MakeAgent: TypeAlias = Callable[[ValkeySessionManager], Agent]
_MOST_TURNS = 10_000
_KINDS = ((bool, "boolean"), (str, "string"), ((int, float), "number"), (list, "array"), (dict, "object"))


@dataclass(frozen=True, slots=True)
class RerunTurn:
    """What was asked once more, and what came of it.

    Attributes:
        prompt: The messages it was asked with; none where the agent went on with what stood there.
        was: What was answered when it was recorded.
        now: What is answered now.
        differences: In what these differ, a line each; ids of tool calls do not count.
    """

    prompt: tuple[Message, ...]
    was: tuple[Message, ...]
    now: tuple[Message, ...]
    differences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        parts = {"prompt": self.prompt, "was": self.was, "now": self.now}
        return {**{name: to_json(list(part)) for name, part in parts.items()}, "differences": list(self.differences)}


@dataclass(frozen=True, slots=True)
class Rerun:
    """A session that was run on from an earlier point.

    Attributes:
        session_id: The session that was recorded.
        at: Up to which event it was taken as it is.
        into: The fork with what was said now.
        id: The `SessionForked` event of it.
        agent: Which agent was asked.
        turns: What it was asked.
        error: What it ended with, if not with an answer: an exception, or that it waits for a person.
    """

    session_id: str
    at: EventId
    into: str
    id: EventId
    agent: str
    turns: tuple[RerunTurn, ...]
    error: str = ""

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not self.error and not any(turn.differences for turn in self.turns)

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log rerun --json` has it."""
        places = {"id": str(self.id), "at": str(self.at), "agent": self.agent}
        turns = [turn.to_json() for turn in self.turns]
        told = {"same": self.is_same, "error": self.error, "turns": turns}
        return {"session_id": self.session_id, "into": self.into, **places, **told}


def rerun(
    log: SessionLog,
    session_id: str,
    at: Point | None,
    make_agent: MakeAgent,
    *,
    into: str = "",
    agent: str = "default",
    turns: int = _MOST_TURNS,
    run_tools: bool = False,
    by: str = "",
) -> Rerun:
    """Fork a session, ask an agent there what it was asked after that point, and compare with what it answered.

    Tools do nothing unless told to: a call is answered as one of the same tool with the same input was. Prompts are
    those that were recorded, whatever is answered now. What a rewind has undone is not asked again, unless the point
    itself was undone: then what followed it until the rewind is.

    Args:
        log: The log.
        session_id: The session.
        at: The last event that is taken as it is; None for all there is, where the agent has yet to answer.
        make_agent: Makes the agent of that id, with the session manager it is given; for another model alone,
            `stand_in`.
        into: The id of the fork; made up if empty. It stays.
        agent: Which agent of the session.
        turns: How many prompts at most.
        run_tools: Let its tools do what they do.
        by: Who does it, for the event that records the fork.

    Raises:
        SessionNotFoundError: When there is no such session; and other errors of `SessionLog.fork`.
        InvalidSettingError: When it has no such agent there, nothing is left to be answered, or `make_agent` makes
            another, or one that does not keep that session.
    """
    check_log(log)
    check_whole("turns", turns, 1, _MOST_TURNS)
    until = log.head(session_id) if at is None else log.resolve(session_id, at)
    then = log.state(session_id, until)
    whole = log.state(session_id, branch_end(log, session_id, then.position))
    said = _standing(log, session_id, whole, agent)
    asked = _left(_standing(log, session_id, then, agent), said)[:turns]
    if not asked:
        raise InvalidSettingError("at", at, "nothing was asked after it, and nothing is left to be answered")
    into = into or f"{session_id}-rerun-{uuid4().hex[:8]}"
    forked = log.fork(session_id, then.position, into, by=by)
    try:
        made = _made(make_agent, ValkeySessionManager(into, log=log), agent)
    except BaseException:
        # There is nothing in it that would be worth a look.
        with suppress(SessionLogError):
            log.delete(into, reason="the rerun did not begin", by=by)
        raise
    found = list[RerunTurn]()
    error = _ask(made, asked, ToolsAsRecorded([_message(one) for one in said]), run_tools, found)
    return Rerun(session_id, then.position, into, forked, agent, tuple(found), error)


def stand_in(log: SessionLog, session_id: str, model: Model, agent: str = "default") -> MakeAgent:
    """An agent that has nothing but a model, and tools that are called as those of a session were.

    Args:
        log: The log.
        session_id: The session.
        model: What it asks.
        agent: Which agent of the session it stands for.

    Returns:
        What makes it, for `rerun`.
    """
    calls = list(blocks_of("toolUse", _said(log.state(session_id), agent)))
    names = dict.fromkeys(call["name"] for call in calls)
    tools: list[Any] = [_tool(name, [call["input"] for call in calls if call["name"] == name]) for name in names]

    def make(session_manager: ValkeySessionManager) -> Agent:
        return Agent(model=model, tools=tools, agent_id=agent, session_manager=session_manager, callback_handler=None)

    return make


def _tool(name: str, inputs: Sequence[Any]) -> PythonAgentTool:
    """A tool that takes what it was given; what it answers is told instead of it."""
    given = [one for one in inputs if isinstance(one, Mapping)]
    properties = {key: {"type": _kind(value)} for one in given for key, value in one.items()}
    required = sorted(key for key in properties if all(key in one for one in given))
    schema = {"type": "object", "properties": properties, "required": required}
    spec: Any = {"name": name, "description": f"The tool {name}.", "inputSchema": {"json": schema}}

    def nothing(tool: Any, **_: Any) -> Any:
        return {"toolUseId": tool["toolUseId"], "status": "error", "content": [{"text": "it stands for another"}]}

    return PythonAgentTool(name, spec, nothing)


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "string")


def _records(state: SessionState, agent: str) -> Sequence[MessageRecord]:
    if agent not in state.agents:
        raise InvalidSettingError(
            "agent", agent, f"the session has {', '.join(map(repr, state.agents)) or 'none'} there"
        )
    return list(state.agents[agent].messages)


def _said(state: SessionState, agent: str) -> list[dict[str, Any]]:
    return [_message(one) for one in _records(state, agent)]


def _message(record: MessageRecord) -> dict[str, Any]:
    return {"role": record.shown["role"], "content": from_json(record.shown["content"])}


def _standing(log: SessionLog, session_id: str, state: SessionState, agent: str) -> Sequence[MessageRecord]:
    _records(state, agent)
    return standing_messages(log, session_id, state, agent)


def _left(before: Sequence[MessageRecord], whole: Sequence[MessageRecord]) -> list[Turn]:
    """What the agent was asked after a point; first what it had yet to answer there."""
    known = {one.message_id for one in before}
    turns = turns_of([_message(one) for one in whole if one.message_id not in known])
    if turns and turns[0].prompt and before and before[-1].shown["role"] == "user":
        return [Turn([], []), *turns]
    if not turns and before and before[-1].shown["role"] == "user":
        return [Turn([], [])]
    return turns


def _made(make_agent: MakeAgent, manager: ValkeySessionManager, agent: str) -> Agent:
    made = make_agent(manager)
    if not isinstance(made, Agent):
        raise InvalidSettingError("make_agent", make_agent, f"it makes no agent, but {short(made)}")
    if made.agent_id != agent:
        raise InvalidSettingError("make_agent", make_agent, f"its agent is {made.agent_id!r}, the session's {agent!r}")
    if getattr(made, "_session_manager", manager) is not manager:
        raise InvalidSettingError("make_agent", make_agent, "give the agent the session manager that it is given")
    return made


def _ask(agent: Agent, asked: Sequence[Turn], tools: ToolsAsRecorded, run_tools: bool, found: list[RerunTurn]) -> str:
    """Ask it turn by turn; what it ended with, if not with an answer."""
    said = list[Message]()
    agent.hooks.add_callback(MessageAddedEvent, lambda event: said.append(deepcopy(event.message)))
    if not run_tools:
        tools.register_hooks(agent.hooks)
    for turn in asked:
        said.clear()
        tools.differences.clear()
        error = _called(agent, turn)
        now = said[len(turn.prompt) :]
        differences = [*tools.differences, *compared(_numbered(turn.answers), _numbered(now))]
        found.append(RerunTurn(tuple(turn.prompt), tuple(turn.answers), tuple(now), tuple(differences)))
        if error:
            return error
    return ""


def _called(agent: Agent, turn: Turn) -> str:
    prompt: Any = deepcopy(turn.prompt) or None
    try:
        result = agent(prompt)
    except Exception as error:
        cause = getattr(error, "original_exception", error)
        return f"{type(cause).__name__}: {cause}"[:LONGEST]
    return "the agent waits for a person" if str(result.stop_reason) == "interrupt" else ""


def _numbered(messages: Sequence[Message]) -> Sequence[Message]:
    """With calls named in their order: each model gives them ids of its own."""
    numbers: dict[str, str] = {}

    def named(kind: str, value: Any) -> Any:
        if kind not in ("toolUse", "toolResult"):
            return value
        return {**value, "toolUseId": numbers.setdefault(value["toolUseId"], f"call {len(numbers) + 1}")}

    return [
        {**one, "content": [{kind: named(kind, value) for kind, value in block.items()} for block in one["content"]]}
        for one in messages
    ]
