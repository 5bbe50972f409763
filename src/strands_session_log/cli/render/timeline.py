"""What happened in a session, in order, as people read it: who said what, and what went on around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ... import EventId, Recorded, SessionState
from ...events import Event
from ..terminal import hanging, heading, local, offset, one_line, put
from .diffs import changed_lines
from .events import in_force, summary, window_text
from .messages import absence, label_of, lines_of, message_at, progress_of, speaker

_UNTOLD = {"invocation.started", "model.completed", "tool.started"}
"""Each is followed by something that tells more."""
_ILL = {"failed", "gap"}
_USUAL_AGENT = "default"


class Told(NamedTuple):
    """An event as text: where it stands, and all that is to be printed."""

    id: EventId
    text: Text


class Timeline:
    """Turns events into text, one by one, for a console's width and from a state on."""

    def __init__(self, console: Console, before: SessionState) -> None:
        self._console, self._before = console, before
        self._began: int | None = None
        self._agent = _USUAL_AGENT
        self._states: dict[str, Any] = {name: agent.state for name, agent in before.agents.items()}
        self._in_force = {name: in_force(agent.record or {}) for name, agent in before.agents.items()}
        self._progress: dict[str, str] = {name: progress_of(data) for name, data in before.multi_agents.items()}
        self._written: dict[tuple[str, int], int] = {}

    def told(self, events: Iterable[Recorded]) -> Iterator[Told]:
        """Those worth telling."""
        for recorded in events:
            who, lines = self._who(recorded.event), list(self._lines(recorded))
            if lines:
                self._began = recorded.id.ms if self._began is None else self._began
                yield Told(recorded.id, self._heading(recorded.event) + self._laid_out(recorded, who, lines))

    def _heading(self, event: Event) -> Text:
        """Whose turn it is, where that changes; what is about the session as a whole is no agent's."""
        if event.agent in ("", self._agent):
            return Text()
        self._agent = event.agent
        return Text(f"── {one_line(event.agent)} ──\n", "bold")

    def _laid_out(self, recorded: Recorded, who: str, lines: list[Text]) -> Text:
        since = offset(recorded.id.ms - (self._began or 0))
        label = label_of(f"{recorded.id.revision:>4}  {since:>7}", who)
        return hanging(self._console, label, Text("\n").join(lines))

    def _who(self, event: Event) -> str:
        if not event.type.startswith("message."):
            return ""
        return speaker(_shown(event.data)) if event.has_content else one_line(event.data.get("role", ""))

    def _lines(self, recorded: Recorded) -> Iterator[Text]:
        event = recorded.event
        match event.type.split("."):
            case ["message", what]:
                return self._message(recorded, what)
            case ["agent", _] if event.has_content:
                return self._agent_written(event)
            case ["multi_agent", _] if event.has_content:
                return self._multi_agent_written(event)
            case ["window", "changed"] if event.has_content:
                return self._window(event)
            case ["session", "rewound"]:
                return self._rewound(event)
        return iter(()) if event.type in _UNTOLD else _plainly(event)

    def _message(self, recorded: Recorded, what: str) -> Iterator[Text]:
        event = recorded.event
        index = event.data.get("message_id")
        before = self._revision(event.agent, index) or "?"
        if what == "added" and type(index) is int:
            self._written[event.agent, index] = recorded.id.revision
        if not event.has_content:
            yield Text(absence(event), "dim italic")
        else:
            yield from lines_of(_shown(event.data))
        if what != "added":
            yield Text(f"({what}: what was said at {before})", "dim italic")

    def _agent_written(self, event: Event) -> Iterator[Text]:
        state = event.data.get("state")
        state, before = state if isinstance(state, Mapping) else {}, self._states.get(event.agent)
        self._states[event.agent] = state
        if before is None:
            yield Text(_words(event.type), "dim")
        given, given_before = in_force(event.data), self._in_force.get(event.agent)
        self._in_force[event.agent] = given
        if given and given != given_before:
            yield Text(given, "dim")
        yield from changed_lines(before or {}, state)

    def _multi_agent_written(self, event: Event) -> Iterator[Text]:
        progress, before = progress_of(event.data), self._progress.get(event.agent)
        self._progress[event.agent] = progress
        if progress != before:
            yield Text(f"{_words(event.type)}: {progress}", "dim")

    def _window(self, event: Event) -> Iterator[Text]:
        yield Text(window_text(event.data, lambda index: self._revision(event.agent, index)), "dim")
        items = event.data.get("items")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping):
                yield Text("beside it: ", "dim") + Text(" ").join(lines_of(item.get("message")))

    def _rewound(self, event: Event) -> Iterator[Text]:
        for name in event.data.get("agents") or ():
            self._states.pop(name, None)
        yield Text(f"↶ {summary(event)}", "bold yellow")

    def _revision(self, agent: str, index: Any) -> int | None:
        """Where a message was said."""
        if type(index) is not int:
            return None
        if (agent, index) in self._written:
            return self._written[agent, index]
        found = message_at(self._before, agent, index)
        return found.id.revision if found else None


def printer(terminal: Console, session_id: str) -> Callable[[Told], None]:
    """Prints what is told, under a heading with the time of the first."""
    has_begun = False

    def show(thing: Told) -> None:
        nonlocal has_begun
        if not has_begun:
            heading(terminal, session_id, Text(f"from {local(thing.id.time, '%H:%M:%S')}\n", "dim"))
        has_begun = True
        put(terminal, thing.text)

    return show


def _shown(data: Mapping[str, Any]) -> Any:
    return data.get("redact_message") or data.get("message")


def _plainly(event: Event) -> Iterator[Text]:
    yield Text(summary(event), "red" if event.type.rpartition(".")[2] in _ILL else "dim")


def _words(type_: str) -> str:
    return one_line(type_.replace(".", " ").replace("_", " "))
