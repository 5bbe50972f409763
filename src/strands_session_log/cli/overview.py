"""What became of a session, up to a point, told by its events: when it began, what it cost, how it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from .. import EventId, Recorded, SessionLog, SessionState
from ..errors import CorruptEntryError, LogForkedError
from ..events import model_call

_TOLD = ("invocation.*", "model.completed", "interrupt.*", "session.forked", "session.rewound")


_Status: TypeAlias = "tuple[str, EventId | None, list[Any]]"


class Overview(NamedTuple):
    """How a session stands.

    Attributes:
        started: Its first event.
        turns: How often its agents were called.
        tokens: How many tokens models were given and gave.
        status: `answer`, if it waits for a person's, `running`, `failed`, or `idle`; `unreadable`, where a snapshot
            stands for events that cannot be read; empty where nothing was called.
        since: Since which event.
        named: What failed, with its text, what is asked, and why, or what cannot be read; as events have it.
        interrupts: What people were asked and have answered.
    """

    started: EventId
    turns: int
    tokens: int
    status: str
    since: EventId | None
    named: Sequence[Any]
    interrupts: Sequence[Recorded] = ()


def overview(log: SessionLog, session_id: str, state: SessionState) -> Overview:
    """Read it; of a long session that takes a while, as all its entries are fetched, and few of them looked into."""
    found = overview_of(
        _first(log, session_id, state.position), log.read(session_id, until=state.position, types=_TOLD)
    )
    waiting = next((agent for agent in state.agents.values() if agent.is_interrupted), None)
    # Where nobody tells of calls and interrupts, as in sessions that were imported, the record of an agent does.
    if waiting and found.status in ("", "idle"):
        return found._replace(status="answer", since=waiting.moved)
    return found


def _first(log: SessionLog, session_id: str, last: EventId) -> EventId:
    with suppress(CorruptEntryError):
        return next((one.id for one in log.read(session_id, until=last)), last)
    return last


def overview_of(started: EventId, told: Iterable[Recorded]) -> Overview:
    """From the events that tell of calls."""
    found, interrupts, problem = _Calls(), list[Recorded](), ""
    try:
        for recorded in told:
            found.add(recorded)
            if recorded.event.type.startswith("interrupt."):
                interrupts.append(recorded)
    except (CorruptEntryError, LogForkedError) as error:
        problem = str(error)
    status: _Status = ("unreadable", None, [problem]) if problem else found.status()
    return Overview(started, found.turns + len(found.running), found.tokens, *status, interrupts)


class _Calls:
    """What agents do, by their names: the calls that run, and those that failed last; and what people are asked."""

    def __init__(self) -> None:
        self.turns = self.tokens = 0
        self.running, self._last = dict[str, EventId](), EventId(0, 0)
        self._failed, self._asked = dict[str, tuple[EventId, list[Any]]](), dict[Any, tuple[EventId, list[Any]]]()

    def add(self, recorded: Recorded) -> None:
        id_, agent, data = recorded.id, recorded.event.agent, recorded.event.data
        data = data if isinstance(data, Mapping) else {}
        match recorded.event.type:
            case "invocation.started":
                self._failed.pop(agent, None)
                self.running[agent] = id_
            case "invocation.completed" | "invocation.failed" as type_:
                self.running.pop(agent, None)
                self.tokens += _tokens((model_call(data) or {}).get("usage"))
                self.turns, self._last = self.turns + 1, id_
                if type_ == "invocation.failed" and not data.get("cancelled"):
                    self._failed[agent] = id_, _said(data, "error", "error_text")
            case "model.completed":
                self.tokens += _tokens(data.get("usage"))
            case "interrupt.raised":
                self._asked[agent, data.get("id")] = id_, _said(data, "name", "reason")
            case "interrupt.answered":
                self._asked.pop((agent, data.get("id")), None)
            case "session.forked" | "session.rewound" as type_:
                self._none_under_way(type_)

    def _none_under_way(self, type_: str) -> None:
        self.running.clear()
        self._failed.clear()
        # What is asked from there on, the records say.
        if type_ == "session.rewound":
            self._asked.clear()

    def status(self) -> _Status:
        """What matters most to who looks."""
        if self._asked:
            return "answer", *next(iter(self._asked.values()))
        if self.running:
            return "running", next(iter(self.running.values())), []
        if self._failed:
            return "failed", *next(reversed(self._failed.values()))
        return ("idle", self._last, []) if self.turns else ("", None, [])


def _said(data: Mapping[str, Any], *names: str) -> list[Any]:
    return [data[name] for name in names if data.get(name)]


def _tokens(usage: Any) -> int:
    counts = usage if isinstance(usage, Mapping) else {}
    both = (counts.get("inputTokens"), counts.get("outputTokens"))
    return sum(count for count in both if type(count) is int)
