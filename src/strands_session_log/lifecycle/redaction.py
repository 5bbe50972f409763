"""What guardrails redact: noticing it, and erasing what was said before, wherever the session has it.

Strands replaces the content of the user's message in place while the model streams, and tells only the agent's session
manager. Whoever listens beside one compares the message before and after each model call. What hooks change at other
times is an edit, not a redaction.

While an agent that is a tool waits for a person, its conversation stands in the state of the one that called it. Nobody
else need listen to it, so whoever keeps that state does, for as long as the call lasts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from strands.types.session import SessionMessage

from .. import events
from ..codec import from_json, to_json
from ..errors import EncodingError
from ..event_log.erasure_scope import Sought
from ..ids import START, EventId
from ..state import Copies
from .compat import FIRST, LAST, Heard, Writer, all_of, listen
from .contents import fingerprint
from .erasing import erase_copies, erase_original

if TYPE_CHECKING:
    from .agent_outbox import AgentOutbox

Noted: TypeAlias = "tuple[Any, bytes] | None"

_AT_ALL_TIMES = EventId(2**62, 0)
_SAID = (events.MessageAdded.TYPE, events.MessageUpdated.TYPE)


@dataclass
class TrackedMessage:
    """A message of a live agent, and where it stands in the transcript.

    Attributes:
        live: The message the agent holds; guardrails change it in place.
        index: Its index; None until it has one.
        created_at: When it was recorded first.
        asked: The fingerprint of what it said when a model was asked about it; None before that.
        redaction: What it says now that it was redacted.
        original: What it said before that, if it was never written.
        withheld: What its agent held of a deleted session when it got its index: it is another one's after the next.
    """

    live: Any
    index: int | None = None
    created_at: str = ""
    asked: bytes | None = None
    redaction: Any = None
    original: Any = None
    withheld: object = None

    def replaced(self) -> SessionMessage:
        """Its record, with nothing of what was redacted."""
        message = self.live if self.redaction is None else self.redaction
        record = SessionMessage(message, self.index or 0)
        record.created_at = self.created_at or record.created_at
        return record


class Guardrail:
    """Follows the messages of one agent through its model calls."""

    def __init__(self) -> None:
        self._said: list[TrackedMessage] = []
        self._asked: Noted = None
        self._in_call = False

    def said(self, message: Any, agent: Any) -> TrackedMessage:
        """Note a message that was added, also in the midst of a model call; those the agent dropped are forgotten."""
        held = {id(one) for one in agent.messages}
        self._said = [said for said in self._said if id(said.live) in held and not _says_else(said, message)]
        self._said.append(TrackedMessage(message))
        if self._in_call:
            self.asked(agent)
        return self._said[-1]

    def renumber(self, new: Mapping[int, int]) -> None:
        """Messages got another index, because somebody else's had theirs."""
        for said in self._said:
            said.index = new.get(said.index, said.index) if said.index is not None else None

    def asked(self, agent: Any) -> None:
        """A model call begins."""
        self._in_call, self._asked = True, _noted(agent.messages)
        if self._asked:
            for said in self._said:
                said.asked = self._asked[1] if said.live is self._asked[0] else said.asked

    def redacted(self, agent: Any) -> list[TrackedMessage]:
        """A model call has ended.

        Returns:
            Where the message that was redacted meanwhile stands; more than one if it was said more than once.
        """
        asked, self._asked, self._in_call = self._asked, None, False
        if asked is None or _noted([asked[0]]) == asked:
            return []
        return [said for said in self._said if said.live is asked[0]] or [TrackedMessage(asked[0])]


def _says_else(said: TrackedMessage, message: Any) -> bool:
    """Whether a message is the same dict that was said before, and says something else by now."""
    return said.live is message and said.asked is not None and said.asked != fingerprint(message)


def _noted(messages: Any) -> Noted:
    """The user's message that came last; what cannot be stored was not, and need not be redacted."""
    if not messages or messages[-1].get("role") != "user":
        return None
    with suppress(EncodingError):
        return messages[-1], fingerprint(messages[-1])
    return None


class AgentsAsTools:
    """The agents that are called as tools by one agent, and by these in turn.

    Args:
        redacted: Told what a message of theirs says now that it was redacted, as JSON values; says what is to be
            written.

    Attributes:
        calls: Those under way, by the id of the tool use.
    """

    def __init__(self, redacted: Callable[[Any], Writer]) -> None:
        self.redacted = redacted
        self.calls: dict[str, tuple[_Ear, AgentsAsTools]] = {}

    def began(self, hook: Any) -> None:
        """A tool is about to be called."""
        called = getattr(getattr(hook, "selected_tool", None), "agent", None)
        if hasattr(called, "messages") and hasattr(getattr(called, "hooks", None), "add_callback"):
            self.ended(hook)
            ear, within = self.calls[hook.tool_use["toolUseId"]] = _ear(called), AgentsAsTools(self.redacted)
            ear.calls.add(within)

    def ended(self, hook: Any) -> None:
        """A tool was called."""
        self._end(hook.tool_use["toolUseId"])

    def end(self) -> None:
        """The calls are over; of those that were interrupted, or that a hook forbade, Strands tells no end."""
        for id_ in list(self.calls):
            self._end(id_)

    def _end(self, tool_use_id: str) -> None:
        if call := self.calls.pop(tool_use_id, None):
            ear, within = call
            ear.calls.discard(within)
            within.end()


class _Ear:
    """Hears one agent that is a tool.

    Attributes:
        calls: By whom it is called: they are told of redactions, and of the calls it makes in turn. Not held, so that
            nothing of a caller is left behind that came to no end.
    """

    def __init__(self) -> None:
        self.calls: WeakSet[AgentsAsTools] = WeakSet()
        self._guardrail = Guardrail()

    def register(self, agent: Any) -> None:
        registry = agent.hooks
        listen(
            registry,
            Heard("BeforeModelCallEvent", lambda hook: self._guardrail.asked(hook.agent), LAST),
            Heard("AfterModelCallEvent", self._model_ended, FIRST),
            Heard("MessageAddedEvent", self._message_added),
            Heard("AfterInvocationEvent", self._model_ended),
            Heard("BeforeToolCallEvent", lambda hook: self._each(AgentsAsTools.began, hook), LAST),
            Heard("AfterToolCallEvent", lambda hook: self._each(AgentsAsTools.ended, hook), FIRST),
        )

    def _message_added(self, hook: Any) -> None:
        self._guardrail.said(hook.message, hook.agent)

    def _model_ended(self, hook: Any) -> Writer:
        redactions = [to_json(said.live, "message") for said in self._guardrail.redacted(hook.agent)]
        return all_of(call.redacted(redaction) for redaction in redactions for call in list(self.calls))

    def _each(self, tell: Callable[[AgentsAsTools, Any], None], hook: Any) -> None:
        for call in list(self.calls):
            tell(call, hook)


_ears: WeakKeyDictionary[Any, _Ear] = WeakKeyDictionary()
"""By hook registry: agents may be equal to each other, or refuse to be hashed."""


def _ear(agent: Any) -> _Ear:
    if agent.hooks not in _ears:
        _ears[agent.hooks] = _Ear()
        _ears[agent.hooks].register(agent)
    return _ears[agent.hooks]


class Redactions:
    """What was redacted of one agent, and has to be erased until it is gone.

    Args:
        outbox: Of the agent.
        first: Told what is going to be erased, while it is still there.
    """

    def __init__(self, outbox: AgentOutbox, first: Callable[[Sought], object] = lambda found: None) -> None:
        self._outbox, self._first = outbox, first
        self._messages, self._sought = dict[tuple[str, int], EventId](), list[tuple[Sought, EventId]]()
        self._erasing = threading.Lock()

    def __bool__(self) -> bool:
        """Whether anything has to be erased."""
        return bool(self._messages or self._sought)

    def redact(self, message: SessionMessage) -> Any:
        """Redact a message; see `AgentOutbox.redact`.

        Returns:
            What it said, if it was held back.
        """
        has_landed, original = self._outbox.redact(message)
        if has_landed:
            self.of_messages([message.message_id], self._outbox.place(message.message_id))
        return original

    def of_messages(self, indices: Iterable[int], after: EventId = START) -> None:
        """Messages of the transcript whose originals have to go, all written after an event."""
        self._messages.update(((self._outbox.agent_id, index), after) for index in indices)

    def look_for(self, found: Sought, after: EventId = START) -> None:
        """What has to go of messages that are in no transcript, all written after an event."""
        self._sought.append((found, after))

    def renumber(self, new: Mapping[int, int]) -> None:
        """Messages got another index, because somebody else's had theirs, and maybe another agent's transcript."""
        name, before = self._outbox.agent_id, self._messages.items()
        self._messages = {(name, new[at]) if at in new else (agent, at): after for (agent, at), after in before}

    def finish(self) -> None:
        """Erase; what fails stays to be done.

        What runs side by side writes side by side, too: what one erases the other waits for.

        Raises:
            SessionLogError: When it cannot be erased now.
        """
        with self._erasing:
            for (agent_id, index), after in sorted(self._messages.items()):
                erase_original(self._outbox.log, self._outbox.session_id, agent_id, index, after, self._first)
                self._messages.pop((agent_id, index), None)
            for one in list(self._sought):
                self._first(one[0])
                erase_copies(self._outbox.log, self._outbox.session_id, *one)
                # Unless it went with the session meanwhile.
                with suppress(ValueError):
                    self._sought.remove(one)

    def forget(self) -> None:
        """The session was deleted."""
        self._messages.clear()
        self._sought.clear()


def never_written(name: str, index: int, original: Any, redaction: Any) -> Sought:
    """What to look for of a message that was redacted while it was held back.

    Args:
        name: Whose message.
        index: Its index.
        original: What it said, as JSON values.
        redaction: What it says now.
    """
    return Sought(Copies([original], to_json(redaction, "message")), {(name, index)})


def sought_by_ids(redaction: Any, holders: Iterable[str]) -> Sought:
    """What to look for of a message of which only the redaction is known: its tracking id, and the ids of its calls.

    Args:
        redaction: What it says now.
        holders: The agents, graphs and swarms in whose state, or in whose interrupts, it may stand.
    """
    return Sought(Copies([], redaction), frozenset(), _AT_ALL_TIMES, frozenset(holders))


def without(
    state: dict[str, Any], redacted: Iterable[Sought], above: bool = False, own: str | None = None
) -> dict[str, Any]:
    """A state, without what was redacted; itself, if there is nothing of that.

    Args:
        state: Of an agent, a graph or a swarm.
        redacted: What was.
        above: Whether it was redacted in nodes of the graph or swarm.
        own: The agent, which may have said it itself.
    """
    told = left = to_json(state, "state")
    for found in redacted:
        left = found.copies.without(left, own=own is not None and found.is_own(own), above=above)
    return state if left is told else from_json(left)
