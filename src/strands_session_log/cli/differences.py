"""What two points of a session differ in, as people read it and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import takewhile
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ..ids import EventId
from ..session_log import SessionLog
from ..state import MessageRecord, SessionState
from ..state.diff import AgentDiff, Change, MessageChange, SessionDiff
from .changes import ADDED, REMOVED, change_lines
from .conversation import mark
from .layout import hanging, put
from .messages import pieces, speaker
from .terminal import one_line

Lookup = Callable[[str, int], "MessageRecord | None"]
"""Finds a message that is in the window, but not among the changes: by agent and index."""

_LONG = 300
_CONTEXT = 40
_PRESENCE = {"added": "  (new)", "removed": "  (gone)"}


class DiffLine(NamedTuple):
    """A line that may be longer than the terminal is wide.

    Attributes:
        label: What stands at its beginning.
        text: What is wrapped beside the label.
    """

    label: Text
    text: Text


def finder(log: SessionLog, session_id: str, at: EventId) -> Lookup:
    """Finds messages of the session as it was at a point; reads it when it is asked for the first."""
    states: list[SessionState] = []

    def find(agent: str, index: int) -> MessageRecord | None:
        if not states:
            states.append(log.state(session_id, at))
        known = states[0].agents.get(agent)
        position = None if known is None else known.messages.find(index)
        return None if known is None or position is None else known.messages[position]

    return find


def print_diff(terminal: Console, diff: SessionDiff, before: Lookup, after: Lookup) -> None:
    """Print what differs, agent by agent."""
    for name, agent in diff.agents.items():
        lines = [*_agent_lines(name, agent, before, after)]
        _section(terminal, f"{one_line(name)}{_PRESENCE.get(agent.presence, '')}", lines)
    _section(terminal, "graphs and swarms", map(_plain, change_lines(diff.multi_agents)))
    _section(terminal, "session", map(_plain, change_lines(diff.session)))


def print_going_back(terminal: Console, diff: SessionDiff, now: Lookup, then: Lookup) -> None:
    """Print what going back does to the agents: the transcript keeps what they do not hold any more."""
    if diff.is_empty:
        put(terminal, Text("No agent, and no state, would be another."))
    for name, agent in diff.agents.items():
        lines = [
            *_titled("will no longer hold", _window_lines("-", name, agent.window_left, now)),
            *_titled("will hold again", _window_lines("+", name, agent.window_joined, then)),
            *_rearranged(agent),
            *_titled("state", change_lines(agent.state)),
        ]
        _section(terminal, f"{one_line(name)}{'  (was not there yet)' if agent.presence == 'removed' else ''}", lines)
    _section(terminal, "graphs and swarms", map(_plain, change_lines(diff.multi_agents)))


def _section(terminal: Console, heading: str, lines: Iterable[DiffLine]) -> None:
    """Lines under a heading; neither where there are no lines."""
    for number, line in enumerate(lines):
        if not number:
            put(terminal, Text(f"\n── {heading} ──", "bold"))
        put(terminal, hanging(terminal, Text("  ") + line.label, line.text))


def _agent_lines(name: str, agent: AgentDiff, before: Lookup, after: Lookup) -> Iterator[DiffLine]:
    changes = (*agent.added, *agent.changed, *agent.redacted, *agent.removed)
    for change in sorted(changes, key=lambda change: change.index):
        yield from _message_lines(change, redacted=change in agent.redacted)
    yield from _titled("state", change_lines(agent.state))
    yield from _titled("record", change_lines(agent.record))
    left, joined = _unsaid(agent.window_left, agent.removed), _unsaid(agent.window_joined, agent.added)
    yield from _titled("no longer holds", _window_lines("-", name, left, before))
    yield from _titled("holds now", _window_lines("+", name, joined, after))
    yield from _rearranged(agent)


def _rearranged(agent: AgentDiff) -> Iterator[DiffLine]:
    if agent.window_rearranged:
        yield _plain(Text("what it holds is in another order, or with another summary", "dim"))


def _unsaid(indices: Iterable[int], said: Iterable[MessageChange]) -> list[int]:
    """That an agent holds a message that is new need not be said."""
    known = {change.index for change in said}
    return [index for index in indices if index not in known]


def _window_lines(sign: str, agent: str, indices: Iterable[int], find: Lookup) -> Iterator[DiffLine]:
    for index in indices:
        record = find(agent, index)
        yield _line(sign, record, _said(record)) if record else DiffLine(Text(f"{sign} "), Text(f"message {index}"))


def _plain(text: Text) -> DiffLine:
    return DiffLine(Text(), text)


def _titled(title: str, lines: Iterable[DiffLine | Text]) -> Iterator[DiffLine]:
    for number, line in enumerate(lines):
        if not number:
            yield DiffLine(Text(), Text(title, "dim"))
        yield DiffLine(Text("  "), line) if isinstance(line, Text) else DiffLine(Text("  ") + line.label, line.text)


def _message_lines(change: MessageChange, redacted: bool) -> Iterator[DiffLine]:
    """What was said before and after; of what was redacted, only what stands in its place."""
    before, after = change.before, change.after
    one, other = ("" if record is None else _said(record) for record in (before, after))
    same = 0 if redacted else sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    if before is not None and not redacted:
        yield _line("-", before, one, same)
    if after is not None:
        yield _line("+", after, other, same)


def _line(sign: str, record: MessageRecord, said: str, same: int = 0) -> DiffLine:
    style = REMOVED if sign == "-" else ADDED
    place = (f"{record.id.revision:>4}  ", "dim")
    label = Text.assemble((f"{sign} ", f"bold {style}"), place, (f"{speaker(record.shown):<9}  ", style))
    note = "" if record.redact_message is None else "  (redacted)"
    return DiffLine(label, Text.assemble((_excerpt(said, same), style), (note, "dim italic")))


def _said(record: MessageRecord) -> str:
    return one_line(" ".join(map(mark, pieces(record.shown))))


def _excerpt(text: str, same: int) -> str:
    """As much of a text as fits; where its beginning is long, and the same in both, what follows it."""
    begin = max(0, same - _CONTEXT) if same > _LONG // 2 else 0
    return one_line(f"…{text[begin:]}" if begin else text, _LONG)


def json_of(diff: SessionDiff) -> dict[str, Any]:
    """Everything that differs."""
    return {
        "before": str(diff.before),
        "after": str(diff.after),
        "agents": {name: _agent_json(agent) for name, agent in diff.agents.items()},
        "multi_agents": _changes_json(diff.multi_agents),
        "session": _changes_json(diff.session),
    }


def _agent_json(agent: AgentDiff) -> dict[str, Any]:
    messages = {"added": agent.added, "changed": agent.changed, "redacted": agent.redacted, "removed": agent.removed}
    return {
        "presence": agent.presence,
        **{name: [_message_json(change) for change in changes] for name, changes in messages.items()},
        "state": _changes_json(agent.state),
        "record": _changes_json(agent.record),
        "window_left": list(agent.window_left),
        "window_joined": list(agent.window_joined),
        "window_rearranged": agent.window_rearranged,
    }


def going_back_json(diff: SessionDiff) -> dict[str, Any]:
    """What going back does to the agents."""
    wanted = ("presence", "state", "window_left", "window_joined", "window_rearranged")
    return {name: {key: _agent_json(agent)[key] for key in wanted} for name, agent in diff.agents.items()}


def _changes_json(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


def _message_json(change: MessageChange) -> dict[str, Any]:
    return {"index": change.index, "before": _record_json(change.before), "after": _record_json(change.after)}


def _record_json(record: MessageRecord | None) -> dict[str, Any] | None:
    return None if record is None else {**record._asdict(), "id": str(record.id)}
