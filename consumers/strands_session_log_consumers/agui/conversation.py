"""What a front end is to know of a thread, folded from the log and the live stream; and what it is told of a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from ag_ui.core import (
    BaseEvent,
    Message,
    MessagesSnapshotEvent,
    ReasoningMessage,
    RunStartedEvent,
    ToolCallResultEvent,
    ToolMessage,
)

from strands_session_log import Delta, MessageRecord, Recorded
from strands_session_log.events import AgentCreated, AgentUpdated, MessageAdded

from .endings import closing
from .messages import reasoning_id, shown
from .speaking import Speaking
from .telling import RunTelling

STARTED: Final = "custom.agui.started"
"""A run began: `{"run", "message"}`, its id and that of the front end's message; empty where answers go on. `answers`
are the ids of the results it gave of its own tools, by call."""
FINISHED: Final = "custom.agui.finished"
"""It ended: `{"run", "outcome"}`, which is `success`, `interrupt`, `cancelled`, `failed` or `lost`; `interrupts`, what
people are asked; `error`, the class of what was raised, and its `code`; `usage` and `result` where the agent tells."""
TOLD: Final = "custom.agui.told"
"""An agent that speaks AG-UI itself told something beside messages: `{"run", "event"}`."""
RUNS: Final = (STARTED, FINISHED, TOLD)
OTHERS: Final = (*RUNS, "agent.*", "payload.erased", "session.rewound")
"""What is read beside messages."""
_MOST_HELD: Final = 1000


class RunBefore(NamedTuple):
    """What is known of a run that is about to begin.

    Attributes:
        open_run: Which run was left open, by a worker that is gone; empty if none was.
        is_known: Whether it was begun before.
        was_lost: Whether its worker is gone, and nothing came after it: then it can go on.
        goes_on: Whether what it was asked is in the log, too.
    """

    open_run: str = ""
    is_known: bool = False
    was_lost: bool = False
    goes_on: bool = False


class ThreadConversation:
    """A thread.

    Args:
        thread_id: Its id, that of the session.
        agent_id: The agent that is shown.

    Attributes:
        run: The run that is in progress; empty if none is.
        revision: Of the event that was folded last.
        is_stale: Whether something was changed of what was said before: then it is to be read anew.
    """

    def __init__(self, thread_id: str, agent_id: str) -> None:
        self._thread_id, self._agent_id = thread_id, agent_id
        self._messages = dict[int, list[Message]]()
        self._telling, self._answers = RunTelling(), dict[str, str]()
        self._speaking: Speaking | None = None
        self._held = list[Delta]()
        self._thoughts = dict[str, None]()
        self._is_asked, self._asked_with = False, ""
        self._ended: Mapping[str, Any] = {}
        self._runs, self._repeats = dict[str, str](), ""
        self.run, self.revision, self.is_stale = "", 0, False

    def load(self, records: Iterable[MessageRecord], runs: Iterable[Recorded], state: Mapping[str, Any]) -> None:
        """Begin with what there is."""
        self._telling.state = state
        found: list[MessageRecord | Recorded] = [*records, *runs]
        found.sort(key=lambda one: one.id.revision)
        # A result is at the place of what stood for it, before the run that brought it.
        for one in found:
            if isinstance(one, Recorded) and one.event.type == STARTED:
                self._answers |= one.event.data.get("answers") or {}
        for one in found:
            if isinstance(one, MessageRecord):
                self._keep(one.message_id, one.shown)
            else:
                list(self.take(one))

    def before(self, run: str) -> RunBefore:
        """What is known of a run that is about to begin, by whoever has the lease."""
        is_lost = self._ended.get("outcome") == "lost" and self._ended.get("run") == run
        was_lost = self.run == run or (is_lost and not self.run)
        asked_with = self._runs.get(run)
        is_there = bool(asked_with) and any(one.id == asked_with for one in self._all())
        return RunBefore(self.run, run in self._runs, was_lost, was_lost and is_there)

    def opening(self) -> Iterator[BaseEvent]:
        """All of it, for whoever joins now."""
        yield self.beginning()
        if not self._asked_with:
            # Else the front end's own message is not in the log yet, and it would take it for gone.
            yield self._snapshot()
        yield from self._telling.so_far()
        if self._speaking:
            yield from self._speaking.so_far()
        if not self.run:
            yield self._closing()

    def beginning(self) -> BaseEvent:
        """That the run began, or the last one."""
        return RunStartedEvent(thread_id=self._thread_id, run_id=self.run or self._ended.get("run") or self._thread_id)

    def left(self) -> Iterator[BaseEvent]:
        """What those are told who follow when all is about to be read anew: what is under way will begin again."""
        speaking, self._speaking = self._speaking, None
        yield from speaking.abandoned() if speaking else ()

    def anew(self, was_in: str) -> Iterator[BaseEvent]:
        """What those are told who followed a run when all was read anew."""
        if was_in:
            yield self._snapshot()
            yield from self._telling.states()
        if was_in and self.run != was_in:
            yield self._closing()

    def take(self, item: Delta | Recorded) -> Iterator[BaseEvent]:
        """Fold what happened, and tell of it."""
        if isinstance(item, Delta):
            if item.line.agent == self._agent_id and self.run:
                yield from self._heard(item)
            return
        self.revision = item.id.revision
        event = item.event
        if event.type in RUNS:
            yield from self._went_on(event.type, event.data)
        elif isinstance(event, MessageAdded):
            if event.agent == self._agent_id:
                yield from self._said(event)
        elif isinstance(event, AgentCreated | AgentUpdated):
            if event.agent == self._agent_id:
                yield from self._telling.changed(event.data.get("state") or {})
        else:
            self.is_stale = True
            yield from self._abandon()

    def _went_on(self, type_: str, data: Mapping[str, Any]) -> Iterator[BaseEvent]:
        match type_:
            case "custom.agui.started":
                yield from self._begin(data)
            case "custom.agui.finished":
                yield from self._end(data)
            case _:
                yield from self._telling.take(data, self.run)

    def _begin(self, data: Mapping[str, Any]) -> Iterator[BaseEvent]:
        self.run = str(data.get("run"))
        # One that is begun again has the message it had, and may be asked with it again.
        self._repeats = self._runs.get(self.run, "")
        self._runs.setdefault(self.run, str(data.get("message") or ""))
        self._asked_with = str(data.get("message") or "")
        self._is_asked = self._is_asked and not self._asked_with
        self._answers |= data.get("answers") or {}
        self._telling.begin()
        yield self.beginning()

    def _end(self, data: Mapping[str, Any]) -> Iterator[BaseEvent]:
        if data.get("run") != self.run:
            return
        yield from self._abandon()
        self._ended, self.run, self._asked_with, self._held = data, "", "", []
        self._telling.begin()
        yield self._closing()

    def _said(self, event: MessageAdded) -> Iterator[BaseEvent]:
        index, message = event.message_index, event.data.get("message")
        if index is None or not isinstance(message, Mapping):
            self.is_stale = True
            return
        before, had_thoughts = self._asked_with, self._has_thoughts()
        kept = self._keep(index, message)
        if message.get("role") == "assistant":
            speaking = self._speaking or Speaking(f"{self._agent_id}-{index}")
            self._speaking = None
            events, is_same = speaking.finished(kept)
            yield from events
            if not is_same or (self._has_thoughts() and not had_thoughts):
                yield self._snapshot()
            return
        yield from self._abandon()
        for one in kept:
            if isinstance(one, ToolMessage):
                yield ToolCallResultEvent(
                    message_id=one.id, tool_call_id=one.tool_call_id, content=one.content, role="tool"
                )
        if before != self._asked_with or not any(isinstance(one, ToolMessage) for one in kept):
            yield self._snapshot()
        held, self._held = self._held, []
        for delta in held:
            yield from self._heard(delta)

    def _keep(self, index: int, message: Mapping[str, Any]) -> list[Message]:
        content = message.get("content") or ()
        is_asked = message.get("role") == "user" and not any("toolResult" in one for one in content)
        id_ = (self._asked_with if is_asked else "") or f"{self._agent_id}-{index}"
        if is_asked:
            self._asked_with = ""
        self._is_asked = message.get("role") == "user"
        kept = shown(message, id_, self._answers)
        if is_asked and self._repeats and any(_says_again(kept, one) for one in self._said_with(self._repeats)):
            kept = []
        self._messages[index] = kept
        return kept

    def _said_with(self, id_: str) -> Iterator[Message]:
        return (one for one in self._all() if one.id == id_)

    def _heard(self, delta: Delta) -> Iterator[BaseEvent]:
        if not self._is_asked:
            # Of the next message, whose prompt, or whose results of tools, are not here yet: they give it its id.
            self._held = [*self._held, delta][-_MOST_HELD:]
            return
        line = delta.line
        if self._speaking and self._speaking.message != line.message:
            yield from self._abandon()
        if line.kind == "discarded":
            yield from self._abandon()
            return
        if self._speaking is None:
            self._speaking = Speaking(f"{self._agent_id}-{max(self._messages, default=-1) + 1}", line.message)
        if line.kind == "reasoning":
            yield from self._thinks(reasoning_id(self._speaking.id, line.block), self._speaking)
        yield from self._speaking.take(delta)

    def _thinks(self, id_: str, speaking: Speaking) -> Iterator[BaseEvent]:
        had_thoughts = self._has_thoughts()
        self._thoughts[id_] = None
        if not had_thoughts:
            yield self._snapshot(speaking.as_message())

    def _has_thoughts(self) -> bool:
        """Whether a snapshot has thoughts in it."""
        return bool(self._thoughts) or any(isinstance(one, ReasoningMessage) for one in self._all())

    def _abandon(self) -> Iterator[BaseEvent]:
        speaking, self._speaking = self._speaking, None
        ends = [*speaking.abandoned()] if speaking else []
        if ends:
            yield from ends
            yield self._snapshot()

    def _all(self) -> Iterator[Message]:
        return chain.from_iterable(self._messages[at] for at in sorted(self._messages))

    def _snapshot(self, under_way: Iterable[Message] = ()) -> BaseEvent:
        """What is in the log.

        Front ends keep the thoughts they have where a snapshot has none, and append to them when they are told again.
        So where the log has none, those that were heard are in it without their text.
        """
        messages = [*self._all()]
        if not any(isinstance(one, ReasoningMessage) for one in messages):
            messages += [ReasoningMessage(id=id_, content="") for id_ in self._thoughts]
        return MessagesSnapshotEvent(messages=[*messages, *under_way])

    def _closing(self) -> BaseEvent:
        return closing(self._ended, self._thread_id)


def _says_again(kept: Sequence[Message], before: Message) -> bool:
    return [one.content for one in kept] == [before.content]
