"""A stretch of a session as people read it: what was said, which tools ran, whom it waited for, and when.

Everything knows from which revision on it is there, and until which: so a page that has a stretch shows any point of it
without asking again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from strands_session_log import EventId, Recorded

from ..content.blocks import Block, Result, ToolCall, blocks_of, restored
from .index import ErasureNote
from .nesting import Nesting
from .notes import Item, Note, note_of, seconds_of

STRETCH: Final = 128
"""How many events a stretch has."""


class Version(NamedTuple):
    """What a message says between two revisions.

    Attributes:
        since: From which revision on.
        until: Before which; None for ever.
        blocks: What it says.
        redacted: Whether that stands in place of what was said.
    """

    since: int
    until: int | None
    blocks: Sequence[Block]
    redacted: bool = False


@dataclass
class ToolRun:
    """What is told of the call of a tool, as it went on.

    Attributes:
        tool_use_id: Which one.
        name: Of the tool.
        started: The revision at which it began; None if nothing tells.
        ended: Likewise.
        seconds: How long it took.
        failed: Whether it did.
        error: What it said then.
        result: What it gave, and from which revision on.
    """

    tool_use_id: str
    name: str = ""
    started: int | None = None
    ended: int | None = None
    seconds: float | None = None
    failed: bool = False
    error: str = ""
    result: Result | None = None
    result_at: int | None = None

    @property
    def since(self) -> int | None:
        """From which revision on its end is known."""
        known = [one for one in (self.ended, self.result_at) if one is not None]
        return min(known) if known else None

    @property
    def is_error(self) -> bool:
        """Whether it, or what it gave, is a failure."""
        return self.failed or (self.result is not None and self.result.is_error)


@dataclass
class Said(Item):
    """A message.

    Attributes:
        role: `user`, `assistant`, or `tool`, where only tools answer in the name of the user.
        message_id: Its index in the transcript.
        versions: What it says, from when to when.
        runs: The calls of tools in it, by their ids.
        erasure: Where it stands that it was erased, if it was.
        is_joined: Whether all of it is shown with the calls it answers.
    """

    role: str = "user"
    message_id: int = -1
    versions: list[Version] = field(default_factory=list)
    runs: dict[str, ToolRun] = field(default_factory=dict)
    is_erased: bool = False
    erasure: ErasureNote | None = None
    is_joined: bool = False


@dataclass
class Asked(Item):
    """A person was asked.

    Attributes:
        interrupt: The id.
        name: What it is called.
        reason: What the person was told.
        answered: The event with the answer; None while there is none.
        response: The answer.
    """

    interrupt: str = ""
    name: str = ""
    reason: Any = None
    answered: EventId | None = None
    response: Any = None

    @property
    def seconds(self) -> float | None:
        """How long it waited."""
        return None if self.answered is None else (self.answered.ms - self.id.ms) / 1000


@dataclass(frozen=True)
class Stretch:
    """What a page shows of some revisions.

    Attributes:
        number: Which one, from 0.
        first: Its first revision.
        last: The last that there is.
        version: What tells it apart from the same stretch when it has other events, or less of them to show.
        read: Makes its items.
        problem: Why it, or what stands beside it, is not what was written; empty if it is, or nothing is known.
    """

    number: int
    first: int
    last: int
    version: str
    read: Callable[[], Sequence[Item]]
    problem: str = ""

    @cached_property
    def items(self) -> Sequence[Item]:
        """What happened; made when it is to be drawn, which most often it was before."""
        return self.read()


def first_of(number: int) -> int:
    """The first revision of a stretch."""
    return number * STRETCH + 1


def stretch_of(revision: int) -> int:
    """The stretch a revision stands in."""
    return max(0, revision - 1) // STRETCH


def items_of(
    events: Iterable[Recorded],
    first: int,
    last: int,
    erasures: Mapping[int, ErasureNote],
    amended: Callable[[str, int], Sequence[Recorded]] = lambda agent, message_id: (),
) -> list[Item]:
    """What happened between two revisions.

    Args:
        events: The events of these, and some before and after them: a call is shown with its result.
        first: The first revision to show.
        last: The last.
        erasures: Where it stands that the content of an event was erased, by revision.
        amended: Events that changed a message later, by its agent and index.
    """
    builder = _Builder(erasures)
    for one in events:
        builder.add(one)
    return [builder.finished(item, amended) for item in builder.items if first <= item.revision <= last]


class OngoingTalk:
    """A conversation that goes on: knows of each event what it adds, and what it changes."""

    def __init__(self) -> None:
        self._builder = _Builder({})

    def __len__(self) -> int:
        return len(self._builder.items)

    def add(self, recorded: Recorded) -> Sequence[Item] | None:
        """The items that are new or other than before; None if one is that is not known here.

        Args:
            recorded: The next event.
        """
        builder = self._builder
        builder.changed.clear()
        before = len(builder.items)
        builder.add(recorded)
        if recorded.event.type in _AMENDED and not builder.changed:
            return None
        return [*builder.changed, *builder.items[before:]]


class _Builder:
    """Puts together what belongs together."""

    def __init__(self, erasures: Mapping[int, ErasureNote]) -> None:
        self.items, self.changed = list[Item](), list[Item]()
        self._callers = dict[tuple[str, str], Said]()
        self._erasures, self._runs = erasures, dict[tuple[str, str], ToolRun]()
        self._nesting = Nesting()
        self._asked, self._said = dict[tuple[str, str], Asked](), dict[tuple[str, int], Said]()

    def add(self, recorded: Recorded) -> None:
        """The next event."""
        (within, opens), before = self._nesting.add(recorded), len(self.items)
        self._add(recorded)
        for item in self.items[before:]:
            item.within, item.opens = within, opens
            if opens and isinstance(item, Note):
                item.density = 1
                item.text += f", called by {within.caller}" if recorded.event.type == "invocation.started" else ""

    def _add(self, recorded: Recorded) -> None:
        event = recorded.event
        data = event.data if isinstance(event.data, Mapping) else {}
        if event.is_sealed:
            self.items.append(
                Note(recorded.id, event.agent, 2, event.type, f"{event.type.replace('.', ' ')}, encrypted")
            )
            return
        if event.is_erased and event.type not in _SHOWN_ERASED:
            self.items.append(Note(recorded.id, event.agent, 2, event.type, f"{event.type.replace('.', ' ')}, erased"))
            return
        match event.type:
            case "message.added":
                self._add_message(recorded, data)
            case "message.updated" | "message.redacted":
                self._amend(recorded, data)
            case "tool.started" | "tool.completed" | "tool.failed":
                self._add_run(recorded, data)
            case "interrupt.raised":
                self._ask(recorded, data)
            case "interrupt.answered":
                self._answer(recorded, data)
            case _:
                self.items.append(note_of(recorded))

    def _run(self, agent: str, use: str) -> ToolRun:
        return self._runs.setdefault((agent, use), ToolRun(use))

    def _add_message(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        id_, event, _ = recorded
        index, message = data.get("message_id"), data.get("message")
        said = Said(id_, event.agent, message_id=index if type(index) is int else -1, is_erased=event.is_erased)
        said.erasure = self._erasures.get(id_.revision)
        said.role = _role(data)
        if not event.is_erased:
            blocks, redaction = blocks_of(message), data.get("redact_message")
            said.versions.append(Version(id_.revision, None, blocks))
            if isinstance(redaction, Mapping):
                said.versions = [Version(id_.revision, None, blocks_of(redaction), redacted=True)]
            said.role = _speaker(said.role, blocks)
            self._join(said, blocks)
        self._said[event.agent, said.message_id] = said
        self.items.append(said)

    def _join(self, said: Said, blocks: Sequence[Block]) -> None:
        """Calls to what is told of them, and results to their calls."""
        for block in blocks:
            if isinstance(block, ToolCall):
                run = said.runs[block.tool_use_id] = self._run(said.agent, block.tool_use_id)
                run.name = block.name
                self._callers[said.agent, block.tool_use_id] = said
        results = [block for block in blocks if isinstance(block, Result)]
        known = [self._runs.get((said.agent, one.tool_use_id)) for one in results]
        for answered, result in zip(known, results, strict=True):
            if answered is not None and answered.name:
                answered.result, answered.result_at = result, said.revision
                self._changes_call(said.agent, result.tool_use_id)
        said.is_joined = bool(results) and len(results) == len(blocks) and all(run and run.name for run in known)

    def _amend(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        """What a message says from now on; it is shown where it was said."""
        index = data.get("message_id")
        said = self._said.get((recorded.event.agent, index)) if type(index) is int else None
        if said is None:
            self.items.append(note_of(recorded))
            return
        amend(said, recorded)
        self.changed.append(said)
        type_ = recorded.event.type
        self.items.append(Note(recorded.id, recorded.event.agent, 2, type_, _AMENDED[type_]))

    def _add_run(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        use = str(data.get("tool_use_id", ""))
        known = (recorded.event.agent, use) in self._runs
        run = self._run(recorded.event.agent, use)
        if recorded.event.type == "tool.started":
            run.started = recorded.id.revision
        else:
            run.ended, run.seconds = recorded.id.revision, seconds_of(data)
            run.failed = recorded.event.type == "tool.failed" or data.get("status") == "error"
            run.error = str(data.get("error_text") or data.get("error") or "")
        self._changes_call(recorded.event.agent, use)
        note = note_of(recorded)
        # Shown with the call, where that is there.
        note.density = 3 if known else 1 if note.is_error else 2
        self.items.append(note)

    def _changes_call(self, agent: str, use: str) -> None:
        caller = self._callers.get((agent, use))
        if caller is not None and all(one is not caller for one in self.changed):
            self.changed.append(caller)

    def _ask(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        id_, event, _ = recorded
        name, reason = str(data.get("name", "")), restored(data.get("reason"))
        asked = Asked(id_, event.agent, interrupt=str(data.get("id", "")), name=name, reason=reason)
        self._asked[event.agent, asked.interrupt] = asked
        self.items.append(asked)

    def _answer(self, recorded: Recorded, data: Mapping[str, Any]) -> None:
        id_, event, _ = recorded
        asked = self._asked.get((event.agent, str(data.get("id", ""))))
        if asked is None or asked.answered:
            self.items.append(note_of(recorded))
            return
        asked.answered, asked.response = id_, restored(data.get("response"))
        self.changed.append(asked)
        self.items.append(Note(id_, event.agent, 3, event.type, f"answered: {asked.name}"))

    def finished(self, item: Item, amended: Callable[[str, int], Sequence[Recorded]]) -> Item:
        """An item with what came later, beyond what was read."""
        if isinstance(item, Said) and item.versions:
            known = {one.since for one in item.versions}
            for recorded in amended(item.agent, item.message_id):
                if recorded.id.revision not in known:
                    amend(item, recorded)
        return item


_AMENDED: Final = {"message.updated": "message changed", "message.redacted": "message redacted"}
_SHOWN_ERASED: Final = frozenset(("message.added",))


def amend(said: Said, recorded: Recorded) -> None:
    """Let a message say something else from a revision on."""
    data = recorded.event.data if isinstance(recorded.event.data, Mapping) else {}
    redaction = data.get("redact_message")
    redacted = isinstance(redaction, Mapping)
    at = recorded.id.revision
    if said.versions:
        said.versions[-1] = said.versions[-1]._replace(until=at)
    said.versions.append(Version(at, None, blocks_of(redaction if redacted else data.get("message")), redacted))


def _role(data: Mapping[str, Any]) -> str:
    message = data.get("message")
    role = message.get("role") if isinstance(message, Mapping) else data.get("role")
    return str(role or "user")


def _speaker(role: str, blocks: Sequence[Block]) -> str:
    return "tool" if blocks and all(isinstance(one, Result) for one in blocks) else role
