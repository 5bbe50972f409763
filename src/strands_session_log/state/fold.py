"""The fold: `initial()`, then `evolve(state, recorded)` for every event in order, or a `Fold` for many of them.

Total: an event of an unknown type, or with data of another shape than expected, changes the position only. An event
whose content was erased counts as if it had not been written, but an erased message keeps its place; and so does one
that no agent could take for a message.

Whoever may append can append anything, so a fold takes nothing for granted: what is nested deeper than a body can be
written, or is no message, is not handed on to readers who would fail on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ..events import (
    AgentCreated,
    AgentUpdated,
    InvocationCompleted,
    InvocationFailed,
    MessageAdded,
    MessageRedacted,
    MessageUpdated,
    MultiAgentCreated,
    MultiAgentUpdated,
    PayloadErased,
    Recorded,
    SessionAnnotated,
    SessionCreated,
    SessionForked,
    SessionRewound,
    WindowChanged,
)
from ..events.facts import REMOVED, is_index
from ..ids import MESSAGE_INDEX_LIMIT, EventId
from .messages import Growing, Messages
from .session import MANAGER, REMOVED_COUNT, AgentState, Held, MessageRecord, SessionState

Data = Mapping[str, Any]

MAX_DEPTH = 254
"""Nesting of a body at most, as orjson writes it. It reads four times as much: more than Python's own stack takes."""

_TOOLS = (("toolUse", ("toolUseId", "name")), ("toolResult", ("toolUseId",)))


_new = tuple.__new__


def initial() -> SessionState:
    """A session before its first event."""
    return SessionState()


def evolve(state: SessionState, recorded: Recorded) -> SessionState:
    """The state after one more event; the argument stays as it was."""
    fold, event = Fold(state), recorded.event
    fold.add(recorded.id, event.type, event.agent, event.data, recorded.link, event.is_erased)
    return fold.state()


class Fold:
    """A fold under way: for many events, without a new state for each.

    Args:
        state: Where to begin; it stays as it was.

    Attributes:
        LOOKS_AT: The types of events whose data is looked at.
        position: The last event folded.
    """

    LOOKS_AT: ClassVar[Collection[str]]

    def __init__(self, state: SessionState) -> None:
        self._session, self._labels, self.position, self._link = state.session, state.labels, state.position, state.link
        self._multi_agents: dict[str, Data] = dict(state.multi_agents)
        self._agents: dict[str, AgentState] = dict(state.agents)
        self._open: dict[str, _Agent] = {}

    def add(self, id_: EventId, type_: str, agent: str, data: Any, link: str, is_erased: bool = False) -> None:
        """One more event.

        Args:
            id_: Where it stands.
            type_: Its type.
            agent: The agent it is about.
            data: Its data; not looked at, and so not needed, unless its type is in `LOOKS_AT`.
            link: The hash chain there.
            is_erased: Whether its content was erased.
        """
        self.position, self._link = id_, link
        fits = type(data) is dict or isinstance(data, Mapping)
        step = (_STEPS if fits and not is_erased else _ERASED).get(type_)
        if step is not None:
            step(self, id_, agent, data if fits else {})

    def state(self) -> SessionState:
        """The state so far; what is added later does not change it."""
        self._agents.update((name, agent.state()) for name, agent in self._open.items())
        self._open.clear()
        agents, multi_agents = dict(self._agents), dict(self._multi_agents)
        return SessionState(self._session, agents, multi_agents, self.position, self._link, labels=self._labels)

    def _session_created(self, id_: EventId, agent: str, data: Data) -> None:
        if is_shallow(data):
            self._session = data

    def _session_annotated(self, id_: EventId, agent: str, data: Data) -> None:
        if is_shallow(data):
            labels = {**self._labels, **SessionAnnotated(data).labels}
            self._labels = {name: value for name, value in labels.items() if value is not None}

    def _session_forked(self, id_: EventId, agent: str, data: Data) -> None:
        if self._session is not None and type(name := data.get("session_id")) is str:
            self._session = {**self._session, "session_id": name}

    def _session_rewound(self, id_: EventId, agent: str, data: Data) -> None:
        for name in _names(data.get("agents")):
            if found := self._known(name):
                found.record = None
        for name in _names(data.get("multi_agents")):
            self._multi_agents.pop(name, None)

    def _agent_written(self, id_: EventId, agent: str, data: Data) -> None:
        found = self._agent(agent)
        found.moved = id_
        if is_shallow(data):
            found.record = data

    def _agent_moved(self, id_: EventId, agent: str, data: Data) -> None:
        self._agent(agent).moved = id_

    def _invocation_ended(self, id_: EventId, agent: str, data: Data) -> None:
        """Where a call tells how much the conversation manager has removed, the rest of the record is as it was."""
        if not is_index(removed := data.get(REMOVED)):
            return
        found = self._agent(agent)
        found.moved = id_
        if found.record and isinstance(manager := found.record.get(MANAGER), Mapping):
            found.record = {**found.record, MANAGER: {**manager, REMOVED_COUNT: removed}}

    def _message_added(self, id_: EventId, agent: str, data: Data) -> None:
        self._put_message(id_, agent, _message(id_, data))

    def _message_added_erased(self, id_: EventId, agent: str, data: Data) -> None:
        self._put_message(id_, agent, _message_erased(id_, data))

    def _put_message(self, id_: EventId, agent: str, record: MessageRecord | None) -> None:
        found = self._open.get(agent) or self._agent(agent)
        found.moved = id_
        if record:
            found.messages.put(record)

    def _message_changed(self, id_: EventId, agent: str, data: Data) -> None:
        self._change_message(agent, _message(id_, data))

    def _message_changed_erased(self, id_: EventId, agent: str, data: Data) -> None:
        self._change_message(agent, _message_erased(id_, data))

    def _change_message(self, agent: str, record: MessageRecord | None) -> None:
        found = self._known(agent)
        if found is None or record is None:
            return
        messages = found.messages.messages()
        position = messages.find(record.message_id)
        if position is None:
            return
        before = messages[position]
        if record.redact_message is not None and before.redact_message is None and not before.erased:
            found.unerased = {**found.unerased, record.message_id: before.id}
        found.messages.put(record)

    def _window_changed(self, id_: EventId, agent: str, data: Data) -> None:
        found = self._agent(agent)
        found.moved = id_
        items, removed, next_index = data.get("items"), data.get("removed"), data.get("next")
        if isinstance(items, list) and type(removed) is int and type(next_index) is int:
            kept = (item for raw in items if (item := _window_item(raw)) is not None)
            found.held = Held.of(kept, removed, next_index)

    def _multi_agent_written(self, id_: EventId, agent: str, data: Data) -> None:
        if is_shallow(data):
            self._multi_agents[agent] = data

    def _payload_erased(self, id_: EventId, agent: str, data: Data) -> None:
        """Catch up a state that was folded before the erasure; one folded since has nothing left to lose."""
        ids = set(PayloadErased(data).erased)
        for name in self._agents.keys() | self._open.keys():
            self._agent(name).erase(ids)

    def _agent(self, name: str) -> _Agent:
        found = self._open.get(name)
        if found is None:
            found = self._open[name] = _Agent(self._agents.get(name) or AgentState(name))
        return found

    def _known(self, name: str) -> _Agent | None:
        return self._agent(name) if name in self._open or name in self._agents else None


class _Agent:
    """An agent's state while it is being folded."""

    __slots__ = ("agent_id", "held", "messages", "moved", "record", "unerased")

    def __init__(self, state: AgentState) -> None:
        self.agent_id, self.record, self.messages = state.agent_id, state.record, Growing(state.messages)
        self.held, self.unerased, self.moved = state.held, state.unerased, state.moved

    def state(self) -> AgentState:
        return AgentState(self.agent_id, self.record, self.messages.messages(), self.held, self.unerased, self.moved)

    def erase(self, ids: Collection[EventId]) -> None:
        self.unerased = {index: id_ for index, id_ in self.unerased.items() if id_ not in ids}
        self.messages = Growing(_without(self.messages.messages(), ids))


def _without(messages: Messages, ids: Collection[EventId]) -> Messages:
    for record in messages:
        if record.id in ids and not record.erased:
            role = record.shown.get("role") if isinstance(record.shown, Mapping) else None
            messages = messages.put(_erased(record.message_id, role, record.id))
    return messages


def _window_item(raw: Any) -> tuple[int, int] | Mapping[str, Any] | None:
    match raw:
        case [int(first), int(last)] if type(first) is type(last) is int:
            return first, last
        case {"message": Mapping() as message} if is_message(message):
            return message
    return None


def is_shallow(value: Any) -> bool:
    """Whether JSON values are nested no deeper than a body can be."""
    try:
        # Ten times as fast as to look in Python.
        orjson.dumps(value)
    except TypeError:
        return not _is_deep(value)
    return True


def is_message(value: Any) -> bool:
    """Whether a model, and all that stands before it, can take a value for a message."""
    if type(value) is not dict:
        return isinstance(value, Mapping) and is_message(dict(value))
    content = value.get("content")
    if type(content) is not list or type(value.get("role")) is not str:
        return False
    for block in content:
        # Most are text, and this is done for each message of a session.
        is_text = type(block) is dict and len(block) == 1 and type(block.get("text")) is str
        if not is_text and not _is_block(block):
            return False
    return len(value) == 2 or (_is_plain(value) and _is_shallow_beside(value, content))


def _is_shallow_beside(value: Mapping[str, Any], content: Any) -> bool:
    return all(map(is_shallow, [item for item in value.values() if type(item) is not str and item is not content]))


def _is_block(block: Any) -> bool:
    has_texts = _is_plain(block) and all(_has_texts(block[kind], names) for kind, names in _TOOLS if kind in block)
    return has_texts and is_shallow(block)


def _has_texts(value: Any, names: Sequence[str]) -> bool:
    return _is_plain(value) and all(type(value.get(name)) is str for name in names)


def _is_plain(value: Any) -> bool:
    """Whether it is an object, and stays one when it is read: not what stands for bytes, for instance."""
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    return "__bytes_encoded__" not in value and "__encoded__" not in value


def _is_deep(value: Any) -> bool:
    """Looks without going deep itself."""
    left = [(value, 1)]
    while left:
        found, depth = left.pop()
        inner = found.values() if isinstance(found, Mapping) else found if isinstance(found, (list, tuple)) else ()
        if inner and depth > MAX_DEPTH:
            return True
        left += [(one, depth + 1) for one in inner]
    return False


def _names(listed: Any) -> list[str]:
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _message(id_: EventId, data: Data) -> MessageRecord | None:
    get = data.get
    index = get("message_id")
    if type(index) is not int or not -MESSAGE_INDEX_LIMIT < index < MESSAGE_INDEX_LIMIT:
        return None
    message, redaction = get("message"), get("redact_message")
    if redaction is not None:
        shown, message = redaction, message if is_message(message) else {}
    else:
        shown = message
    if not is_message(shown):
        return _unreadable(index, shown, id_)
    created, updated = str(get("created_at", "")), str(get("updated_at", ""))
    # Not its constructor, which takes twice as long, and this is done for each message of a session.
    return _new(MessageRecord, (message, index, redaction, created, updated, id_, False))


def _message_erased(id_: EventId, data: Data) -> MessageRecord | None:
    index = data.get("message_id")
    return _erased(index, data.get("role"), id_) if type(index) is int else None


def _erased(index: int, role: Any, event_id: EventId) -> MessageRecord:
    return MessageRecord(_stand_in(role, "[erased]"), index, None, "", "", event_id, erased=True)


def _unreadable(index: int, found: Any, event_id: EventId) -> MessageRecord:
    role = found.get("role") if isinstance(found, Mapping) else None
    return MessageRecord(_stand_in(role, "[unreadable]"), index, None, "", "", event_id)


def _stand_in(role: Any, text: str) -> Data:
    """A message any model can take in place of the one that is gone, so that the agent still resumes."""
    return {"role": role if role in ("user", "assistant") else "user", "content": [{"text": text}]}


_STEPS: dict[str, Callable[[Fold, EventId, str, Data], None]] = {
    SessionCreated.TYPE: Fold._session_created,
    SessionAnnotated.TYPE: Fold._session_annotated,
    SessionForked.TYPE: Fold._session_forked,
    SessionRewound.TYPE: Fold._session_rewound,
    AgentCreated.TYPE: Fold._agent_written,
    AgentUpdated.TYPE: Fold._agent_written,
    InvocationCompleted.TYPE: Fold._invocation_ended,
    InvocationFailed.TYPE: Fold._invocation_ended,
    MessageAdded.TYPE: Fold._message_added,
    MessageUpdated.TYPE: Fold._message_changed,
    MessageRedacted.TYPE: Fold._message_changed,
    WindowChanged.TYPE: Fold._window_changed,
    MultiAgentCreated.TYPE: Fold._multi_agent_written,
    MultiAgentUpdated.TYPE: Fold._multi_agent_written,
    PayloadErased.TYPE: Fold._payload_erased,
}
"""What an event does whose data is looked at, by type."""
Fold.LOOKS_AT = _STEPS

_ERASED: dict[str, Callable[[Fold, EventId, str, Data], None]] = {
    SessionForked.TYPE: Fold._session_forked,
    AgentCreated.TYPE: Fold._agent_moved,
    AgentUpdated.TYPE: Fold._agent_moved,
    InvocationCompleted.TYPE: Fold._invocation_ended,
    InvocationFailed.TYPE: Fold._invocation_ended,
    MessageAdded.TYPE: Fold._message_added_erased,
    MessageUpdated.TYPE: Fold._message_changed_erased,
    MessageRedacted.TYPE: Fold._message_changed_erased,
    WindowChanged.TYPE: Fold._agent_moved,
    PayloadErased.TYPE: Fold._payload_erased,
}
"""The same of an event whose content was erased: its data is what it retains, which is all that still counts."""
