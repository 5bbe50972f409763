"""What two points of a session differ in, as people read it and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias

from rich.console import Console
from rich.text import Text

from ... import AgentDiff, Change, MessageChange, MessageRecord, SessionDiff, SessionState
from ..terminal import hanging, one_line, put
from .messages import compact, message_at, on_one_line, speaker

ReadState: TypeAlias = Callable[[], SessionState]
"""Reads the session as it was at one of the points, for messages that are in the window, but not among the changes."""

_REMOVED, _ADDED = "red", "green"
_LONG = 300
_LONGEST_VALUE = 2_000
_CONTEXT = 40
_PRESENCE = {"added": "  (new)", "removed": "  (gone)"}


class DiffLine(NamedTuple):
    """A line that may be longer than the terminal is wide."""

    label: Text
    text: Text


def print_diff(terminal: Console, diff: SessionDiff, before: ReadState, after: ReadState) -> None:
    """Print what differs, agent by agent."""
    before, after = cache(before), cache(after)
    for name, agent in diff.agents.items():
        lines = [*_agent_lines(name, agent, before, after)]
        _section(terminal, f"{one_line(name)}{_PRESENCE.get(agent.presence, '')}", lines)
    _section(terminal, "graphs and swarms", map(_plain, change_lines(diff.multi_agents)))
    _section(terminal, "session", map(_plain, change_lines(diff.session)))
    _section(terminal, "labels", map(_plain, change_lines(diff.labels)))


def print_going_back(terminal: Console, diff: SessionDiff, now: ReadState, then: ReadState) -> None:
    """Print what going back does to the agents: the transcript keeps what they do not hold any more."""
    if diff.is_empty:
        put(terminal, "No changes.")
    now, then = cache(now), cache(then)
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
            put(terminal, f"\n── {heading} ──", "bold")
        put(terminal, hanging(terminal, Text("  ") + line.label, line.text))


def _agent_lines(name: str, agent: AgentDiff, before: ReadState, after: ReadState) -> Iterator[DiffLine]:
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


def _window_lines(sign: str, agent: str, indices: Iterable[int], read: ReadState) -> Iterator[DiffLine]:
    for index in indices:
        record = message_at(read(), agent, index)
        other = DiffLine(Text(f"{sign} "), Text(f"message {index}"))
        yield _line(sign, record, on_one_line(record.shown)) if record else other


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
    one, other = ("" if record is None else on_one_line(record.shown) for record in (before, after))
    same = 0 if redacted else sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    if before is not None and not redacted:
        yield _line("-", before, one, same)
    if after is not None:
        yield _line("+", after, other, same)


def _line(sign: str, record: MessageRecord, said: str, same: int = 0) -> DiffLine:
    style = _REMOVED if sign == "-" else _ADDED
    place = (f"{record.id.revision:>4}  ", "dim")
    label = Text.assemble((f"{sign} ", f"bold {style}"), place, (f"{speaker(record.shown):<9}  ", style))
    note = "" if record.redact_message is None else "  (redacted)"
    return DiffLine(label, Text.assemble((_excerpt(said, same), style), (note, "dim italic")))


def _excerpt(text: str, same: int) -> str:
    """As much of a text as fits; where its beginning is long, and the same in both, what follows it."""
    begin = max(0, same - _CONTEXT) if same > _LONG // 2 else 0
    return one_line(f"…{text[begin:]}" if begin else text, _LONG)


def change_lines(changes: Iterable[Change]) -> Iterator[Text]:
    """`- path  what it was` and `+ path  what it is`."""
    for change in changes:
        if change.kind != "added":
            yield _value_line("-", _REMOVED, change.path, change.before)
        if change.kind != "removed":
            yield _value_line("+", _ADDED, change.path, change.after)


def changed_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Text]:
    """What differs between two objects."""
    return change_lines(Change.between(before, after))


def path_of(steps: Sequence[str | int]) -> str:
    """`cart.items[2].count`; a key that would not be recognised in it stands in quotes: `cart["a b"]`."""
    parts = [f".{step}" if _is_plain(step) else f"[{compact(step)}]" for step in steps]
    return "".join(parts).removeprefix(".")


def _is_plain(step: str | int) -> bool:
    return isinstance(step, str) and re.fullmatch(r"[\w-]+", step) is not None


def _value_line(sign: str, style: str, path: Sequence[str | int], value: object) -> Text:
    return Text.assemble((f"{sign} {path_of(path)}  ", f"bold {style}"), (compact(value, _LONGEST_VALUE), style))


def going_back_json(diff: SessionDiff) -> dict[str, Any]:
    """What going back does to the agents."""
    wanted = ("presence", "state", "window_left", "window_joined", "window_rearranged")
    return {name: {key: told[key] for key in wanted} for name, told in diff.to_json()["agents"].items()}
