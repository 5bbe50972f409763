"""What a session's head sums up of its events, so that a list of sessions need not read them: see docs/format.md.

How many errors there were and tokens went, what its agents do, and where it was annotated. The writer makes a *delta*
of the events it appends; the script that appends them changes the summary by it. Both, and who counts anew, take the
same *steps*, which follow from the events alone: so a summary is a fold of them, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import InvalidPointError
from ..events import (
    AgentCreated,
    AgentUpdated,
    InterruptAnswered,
    InterruptRaised,
    InvocationCompleted,
    InvocationFailed,
    InvocationStarted,
    ModelCompleted,
    ModelFailed,
    MultiAgentCreated,
    MultiAgentUpdated,
    NodeStarted,
    SessionAnnotated,
    SessionForked,
    SessionRewound,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from ..events.facts import is_short, is_unicode, mapping
from ..ids import EventId
from .session import ANSWERING, is_interrupted

Mode: TypeAlias = Literal["+", "-", "~", "?", "=", "!"]
"""What a step does with lines: add one; take out the first that begins so, or all; add one unless there is one of its
agent and kind; put it in place of all of its agent; take out all that tell of calls."""

MOST_BYTES = 8192
"""How long all lines are together, at most: the oldest go."""
CUT = b"\n\tcut\t\t0-0"
"""What begins the lines where others have gone."""
_MOST_TOKENS = 10**9
_LONGEST_NAME = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COUNTS = re.compile(rb"([0-9]{1,18}) ([0-9]{1,18}) ([0-9]{1,18})")
RUNNING, TOOL, ANSWER, FAILED, ANNOTATED = "running", "tool", "answer", "failed", "annotated"
_OF_SESSION = (SessionAnnotated.TYPE, SessionForked.TYPE, SessionRewound.TYPE)
_OF_CALLS = (b"running", b"tool", b"failed")


class Step(NamedTuple):
    """What an event changes of the lines.

    Attributes:
        mode: How.
        beginning: How the line begins, or those that are taken out: `agent TAB kind TAB name TAB`, or less of it.
        is_line: Whether a line is added, which ends with the id of the event.
    """

    mode: Mode
    beginning: bytes
    is_line: bool = False


class SummaryChange(NamedTuple):
    """What an event changes of a summary."""

    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    steps: tuple[Step, ...] = ()


class OpenLine(NamedTuple):
    """A line of a summary.

    Attributes:
        agent: Whose; empty for the session's own.
        kind: `running`, `tool`, `answer`, `failed`, or `annotated`.
        name: Of the tool or interrupt; may be empty.
        id: The event since which it is so.
    """

    agent: str
    kind: str
    name: str
    id: EventId

    @classmethod
    def parse(cls, line: bytes) -> OpenLine | None:
        """Read one; None where it is none."""
        match line.decode(errors="replace").split("\t"):
            case [agent, kind, name, id_]:
                try:
                    return cls(agent, kind, name, EventId.parse(id_))
                except InvalidPointError:
                    return None
        return None


class Summary:
    """A summary that events are folded into.

    Attributes:
        errors: How many events told of a failure.
        input_tokens: Tokens that models were given, as they told.
        output_tokens: Tokens that models gave.
        is_exact: Whether it is known of all events what they changed: not of those whose content was erased.

    Args:
        has_room: Whether all lines stay, as in no head.
    """

    def __init__(self, has_room: bool = False) -> None:
        self.errors = self.input_tokens = self.output_tokens = 0
        self.is_exact, self._lines, self._size = True, list[bytes](), 0
        self._has_room, self._is_cut = has_room, False

    @classmethod
    def parse(cls, counts: bytes, lines: bytes) -> Summary | None:
        """Read one from a head; None where it is none."""
        found = _COUNTS.fullmatch(counts)
        if found is None:
            return None
        summary = cls()
        summary.errors, summary.input_tokens, summary.output_tokens = map(int, found.groups())
        summary._is_cut = lines.startswith(CUT)
        summary._lines = lines.removeprefix(CUT).split(b"\n")[1:]
        summary._size = len(lines.removeprefix(CUT))
        return summary

    @property
    def lines(self) -> list[OpenLine]:
        """What agents do, and where the session was annotated, oldest first."""
        return [line for raw in self._lines if (line := OpenLine.parse(raw)) is not None]

    def fields(self) -> dict[str, str]:
        """As it stands in a head."""
        lines = b"".join([CUT if self._is_cut else b"", *(b"\n" + line for line in self._lines)])
        return {"counts": f"{self.errors} {self.input_tokens} {self.output_tokens}", "open": lines.decode()}

    def problem(self, counts: bytes, lines: bytes) -> str:
        """Why this is not what a head says, if it is not, and that is known."""
        fields = self.fields()
        if not self.is_exact or (fields["counts"].encode(), fields["open"].encode()) == (counts, lines):
            return ""
        return f"counts {counts!r}, open {lines!r}, its events {fields['counts']!r}, {fields['open']!r}"

    def add(self, id_: EventId, type_: str, agent: str, data: Any, is_erased: bool = False) -> None:
        """One more event; its data is not looked at unless its type is in `READS`."""
        if type_ not in LOOKS_AT:
            return
        if is_erased:
            self.is_exact = False
            return
        errors, sent, received, steps = change_of(type_, agent, mapping(data))
        self.errors += errors
        self.input_tokens += sent
        self.output_tokens += received
        for step in steps:
            self._take(step, id_)

    def _take(self, step: Step, id_: EventId) -> None:
        mode, beginning, is_line = step
        lines = self._lines
        match mode:
            case "=" | "~":
                beginning_of_all = beginning[: beginning.index(b"\t") + 1] if mode == "=" else beginning
                self._keep([line for line in lines if not line.startswith(beginning_of_all)])
            case "-":
                self._take_out(beginning)
            case "!":
                self._keep([line for line in lines if line.split(b"\t")[1] not in _OF_CALLS])
            case "?":
                of_kind = b"\t".join([*beginning.split(b"\t")[:2], b""])
                if any(line.startswith(of_kind) for line in lines):
                    return
        if is_line:
            self._append(b"%b%d-%d" % (beginning, *id_))

    def _take_out(self, beginning: bytes) -> None:
        """The first line that begins so."""
        for place, line in enumerate(self._lines):
            if line.startswith(beginning):
                self._size -= len(self._lines.pop(place)) + 1
                return

    def _keep(self, lines: list[bytes]) -> None:
        if len(lines) < len(self._lines):
            self._lines, self._size = lines, sum(map(len, lines)) + len(lines)

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line) + 1
        if self._has_room or self._size + len(CUT) * self._is_cut <= MOST_BYTES:
            return
        self._is_cut = True
        while self._size > MOST_BYTES - len(CUT):
            self._size -= len(self._lines.pop(0)) + 1


def change_of(type_: str, agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """What an event changes: of a fact no more counts than what the feed tells of it, whether that is given or all."""
    change = _CHANGES[type_](_in_a_line(agent), data)
    return change if agent or type_ in _OF_SESSION else change._replace(steps=())


def delta(changes: Iterable[tuple[int, SummaryChange]]) -> bytes:
    """What the events of a batch change, each with its revision, as the append script takes it; empty for nothing."""
    errors = sent = received = 0
    steps, over = list[bytes](), set[bytes]()
    for revision, change in changes:
        errors, sent, received = errors + change[0], sent + change[1], received + change[2]
        for mode, beginning, is_line in change.steps:
            # What is over anyway need not be looked for: at its end, a call writes its agent.
            if mode == "~" and beginning in over:
                continue
            agent = beginning[: beginning.index(b"\t")]
            if mode == "=":
                over.add(b"%s\t%s\t" % (agent, ANSWER.encode()))
            elif is_line:
                over.clear()
            steps.append(b"%s%s%s\n" % (mode.encode(), beginning, b"%d" % revision if is_line else b""))
    counts = b"%d %d %d\n" % (errors, sent, received) if errors or sent or received else b""
    return counts + b"".join(steps)


def _invocation_started(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_line("=", agent, RUNNING))


def _invocation_completed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """What it waits for, if it does, was told before it returned."""
    change = _model_completed(agent, data) if is_short(data.get("model_ms", ...)) else _NOTHING
    if data.get("stop_reason") == "interrupt":
        return change._replace(steps=(_all("~", agent, RUNNING), _all("~", agent, TOOL)))
    return change._replace(steps=(_all("=", agent),))


def _invocation_failed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """Whoever cancels a call knows of it."""
    if _is_cancelled(data):
        return _steps(_all("=", agent))
    return SummaryChange(errors=1, steps=(_line("=", agent, FAILED),))


def _model_completed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    usage = mapping(data.get("usage"))
    return SummaryChange(0, _tokens(usage.get("inputTokens")), _tokens(usage.get("outputTokens")))


def _model_failed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return SummaryChange(errors=1)


def _tool_started(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_line("+", agent, TOOL, _name(data)))


def _tool_completed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_all("-", agent, TOOL, _name(data)))


def _tool_failed(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return SummaryChange(errors=0 if _is_cancelled(data) else 1, steps=(_all("-", agent, TOOL, _name(data)),))


def _interrupt_raised(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_line("+", agent, ANSWER, _name(data)))


def _interrupt_answered(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_all("-", agent, ANSWER, _name(data)))


def _agent_written(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """Where nobody tells of interrupts, its record does."""
    if is_interrupted(data) and ANSWERING not in data:
        return _steps(_line("?", agent, ANSWER))
    return _steps(_all("~", agent, ANSWER))


def _multi_agent_written(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """A graph or swarm tells how it stands, but not when it was called."""
    if is_interrupted(data) and ANSWERING not in data:
        return _steps(_all("~", agent, RUNNING), _line("?", agent, ANSWER))
    match data.get("status"):
        case "executing":
            return _node_started(agent, data)
        case "failed":
            return _steps(_line("=", agent, FAILED))
    return _steps(_all("=", agent))


def _node_started(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_all("~", agent, FAILED), _line("?", agent, RUNNING))


def _session_annotated(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    return _steps(_line("+", "", ANNOTATED))


def _session_forked(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """What ran in the parent does not run here."""
    return _steps(_NO_CALLS)


def _session_rewound(agent: str, data: Mapping[str, Any]) -> SummaryChange:
    """From there on nothing runs; and who waits, waits for what was asked then."""
    waiting = list(_listed(data.get("waiting")))
    gone = (*_listed(data.get("agents")), *_listed(data.get("multi_agents")), *waiting)
    over = (_all("~", name, ANSWER) for name in gone)
    return _steps(_NO_CALLS, *over, *(_line("+", name, ANSWER) for name in waiting))


_NO_CALLS, _NOTHING = Step("!", b"\t"), SummaryChange()


def _steps(*steps: Step) -> SummaryChange:
    return SummaryChange(steps=steps)


@lru_cache(maxsize=1024)
def _line(mode: Mode, agent: str, kind: str, name: str = "") -> Step:
    return Step(mode, f"{agent}\t{kind}\t{name}\t".encode(), True)


@lru_cache(maxsize=1024)
def _all(mode: Mode, *parts: str) -> Step:
    """About lines that begin with these; what is not known at the end of them may be anything."""
    return Step(mode, "".join(f"{part}\t" for part in parts if part).encode())


def _name(data: Mapping[str, Any]) -> str:
    name = data.get("name")
    return _in_a_line(name)[:_LONGEST_NAME] if isinstance(name, str) and is_short(name) else ""


@lru_cache(maxsize=1024)
def _in_a_line(name: str) -> str:
    return _CONTROL.sub(" ", name)


def _is_cancelled(data: Mapping[str, Any]) -> bool:
    cancelled = data.get("cancelled")
    return bool(cancelled) and is_short(cancelled)


def _tokens(count: Any) -> int:
    is_count = isinstance(count, (int, float)) and not isinstance(count, bool)
    return int(count) if is_count and 0 <= count < _MOST_TOKENS else 0


def _listed(names: Any) -> Iterator[str]:
    """Those that agents can have; none has a lone surrogate in it."""
    for name in names if isinstance(names, (list, tuple)) else ():
        if isinstance(name, str) and name and is_unicode(name):
            yield _in_a_line(name)


_CHANGES: dict[str, Callable[[str, Mapping[str, Any]], SummaryChange]] = {
    InvocationStarted.TYPE: _invocation_started,
    InvocationCompleted.TYPE: _invocation_completed,
    InvocationFailed.TYPE: _invocation_failed,
    ModelCompleted.TYPE: _model_completed,
    ModelFailed.TYPE: _model_failed,
    ToolStarted.TYPE: _tool_started,
    ToolCompleted.TYPE: _tool_completed,
    ToolFailed.TYPE: _tool_failed,
    InterruptRaised.TYPE: _interrupt_raised,
    InterruptAnswered.TYPE: _interrupt_answered,
    NodeStarted.TYPE: _node_started,
    AgentCreated.TYPE: _agent_written,
    AgentUpdated.TYPE: _agent_written,
    MultiAgentCreated.TYPE: _multi_agent_written,
    MultiAgentUpdated.TYPE: _multi_agent_written,
    SessionAnnotated.TYPE: _session_annotated,
    SessionForked.TYPE: _session_forked,
    SessionRewound.TYPE: _session_rewound,
}
"""By type, what an event changes."""

LOOKS_AT = frozenset(_CHANGES)
"""The types of events that change a summary."""

READS = LOOKS_AT - {
    InvocationStarted.TYPE,
    ModelFailed.TYPE,
    NodeStarted.TYPE,
    SessionAnnotated.TYPE,
    SessionForked.TYPE,
}
"""Those of which it matters what they say, not only that it happened."""
