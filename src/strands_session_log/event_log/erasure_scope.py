"""Finding in a session what else holds what is to be erased.

Whoever erases a message means what it says, and that may stand in more than one event: what an agent has in store while
it waits for a person, what it holds, what a graph or swarm keeps. See `state.copies`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain as chained
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .. import chain
from ..codec import Entry, RawEntry, recorded, text_of
from ..encryption import is_encrypted
from ..errors import CiphertextError, CorruptEntryError, KeyMissingError, RevisionNotFoundError
from ..events import (
    AgentCreated,
    AgentUpdated,
    Event,
    MessageAdded,
    MessageUpdated,
    MultiAgentCreated,
    MultiAgentUpdated,
    PayloadErased,
    Recorded,
    WindowChanged,
)
from ..ids import START, EventId
from ..state import Copies
from .reader import start_after

if TYPE_CHECKING:
    from .log import EventLog


class ErasureTarget(NamedTuple):
    """An event to erase.

    Attributes:
        id: Where it stands.
        link: The hash chain at it, base64url: what its history is recognised by.
        commitment: What takes the place of its body, base64url; empty when it was erased before.
    """

    id: EventId
    link: str
    commitment: str

    @classmethod
    def of(cls, entry: Entry) -> ErasureTarget:
        """An entry; one that was tampered with can be erased like any other: verifying shows it before and after."""
        if entry.is_erased:
            return cls(entry.id, entry.link, "")
        try:
            salt = chain.from_text(entry.salt)
        except ValueError:
            salt = b""
        return cls(entry.id, entry.link, chain.to_text(chain.commitment(salt, entry.body)).decode())


def left_of(targets: Iterable[ErasureTarget]) -> tuple[EventId, ...]:
    """Those that were not erased before."""
    return tuple(target.id for target in targets if target.commitment)


Find: TypeAlias = Callable[[str, EventId], Iterable[EventId]]
"""Finds, in a session and after an event, more of what is to be erased."""

_STATES = (AgentCreated, AgentUpdated, WindowChanged, MultiAgentCreated, MultiAgentUpdated)
_MESSAGES = ("message", "redact_message")


def nothing_more(session_id: str, after: EventId) -> Iterable[EventId]:
    """Erase what was named, and no more."""
    return ()


def record_of(reason: str, by: str) -> dict[str, str]:
    """What is to be on record of an erasure."""
    return {"reason": reason, "by": by} if by else {"reason": reason}


@dataclass(frozen=True)
class Sought:
    """Messages that are to be erased.

    Attributes:
        copies: Knows what they said.
        places: Agent and index of each.
        before: When they were redacted. Up to there a message outside the transcript is one of them by its tracking id,
            whatever it says; what their agent says later, it says anew. `START` if they were not.
        holders: The agents, graphs and swarms in whose state they may stand; all, if there are none.
        states: Events that are to be erased whatever they hold, and say what agents, graphs and swarms resume with.
    """

    copies: Copies
    places: Collection[tuple[str, int]]
    before: EventId = field(default=START)
    holders: Collection[str] = ()
    states: Collection[EventId] = ()

    def is_own(self, name: str) -> bool:
        """Whether an agent said any of them."""
        return any(agent == name for agent, _ in self.places)

    def is_above(self, name: str) -> bool:
        """Whether a graph or swarm has one of the agents in a node, or they may stand in its state anyway."""
        return bool(name) and (name in self.holders or any(agent.startswith(f"{name}:") for agent, _ in self.places))

    def is_in(self, id_: EventId, event: Event) -> bool:
        """Whether an event holds any of what they said."""
        if self.holders and event.agent not in self.holders:
            return False
        is_own = self.is_own(event.agent)
        if is_own and START < self.before < id_:
            return False
        if not isinstance(event, (MessageAdded, MessageUpdated)):
            return self.copies.is_held_in(event.data, id_ < self.before, is_own, self.is_above(event.agent))
        index = event.data.get("message_id")
        is_it = type(index) is int and (event.agent, index) in self.places
        return any(self.copies.is_said_in(event.data.get(name), is_it) for name in _MESSAGES)

    def find(self, log: EventLog, session_id: str, after: EventId = START) -> Iterator[EventId]:
        """The events of a session that do."""
        entries = _opened(log, session_id, start_after(after)) if self.copies else ()
        for id_, event, _ in _readable(filter(self._candidates(), entries)):
            if not event.is_erased and self.is_in(id_, event):
                yield id_

    def _candidates(self) -> Callable[[RawEntry], bool]:
        """Tells which entries are worth while to read: in a long session hardly any are."""
        needles = self.copies.needles
        above = {name.encode() for name in self.holders}
        above |= {agent[:at].encode() for agent, _ in self.places for at in range(len(agent)) if agent[at] == ":"}

        def is_one(entry: RawEntry) -> bool:
            values = entry[1][1::2]
            return needles is None or any(text in values[-1] for text in needles) or not above.isdisjoint(values)

        return is_one


def named_in(log: EventLog, session_id: str, ids: Set[EventId]) -> tuple[Sought, set[EventId]]:
    """The messages in events; and what was erased with any of these, as in forks it may be there still.

    Raises:
        RevisionNotFoundError: When the session does not have one of the events.
    """
    left = {str(id_).encode(): id_ for id_ in ids}
    entries = [entry for entry in _opened(log, session_id, str(min(ids)), str(max(ids))) if left.pop(entry[0], None)]
    if left:
        missing = min(left.values())
        raise RevisionNotFoundError(session_id, missing.revision, missing)
    found = list(_readable(entries))
    said = [one.event for one in found if isinstance(one.event, (MessageAdded, MessageUpdated))]
    is_known = any(one.event.is_erased for one in found)
    states = [one.id for one in found if isinstance(one.event, _STATES) and not one.event.is_erased]
    return replace(sought(said), states=states), _together(log, session_id, ids) if is_known else set()


def sought(said: Iterable[Event], redaction: Any = None, before: EventId = START) -> Sought:
    """What is to be looked for, from events that hold messages."""
    said = [event for event in said if not event.is_erased]
    messages = [event.data.get(name) for event in said for name in _MESSAGES]
    places = {(event.agent, index) for event in said if type(index := event.data.get("message_id")) is int}
    return Sought(Copies(messages, redaction), places, before)


def _opened(log: EventLog, session_id: str, start: str, end: str = "+") -> Iterator[RawEntry]:
    """The entries with content that can be searched; who has no key cannot tell what else is to go.

    Raises:
        EncryptionError: When content is encrypted, and its key is not to be had.
    """
    for entry in chained.from_iterable(log.pages(session_id, start, end)):
        # One whose content was changed can be erased all the same.
        with suppress(CiphertextError):
            (entry,) = log.cipher.opened(session_id, [entry], is_strict=True)
        if is_encrypted(entry) and not log.cipher.is_active:
            raise KeyMissingError(session_id, entry[0].decode())
        entry_id, flat = entry
        # As text: what is sought is looked for in it before it is parsed.
        with suppress(ValueError):
            flat = [*flat[:-1], text_of(flat[-1])]
        yield entry_id, flat


def _readable(entries: Iterable[RawEntry]) -> Iterator[Recorded]:
    """The events that are what events look like: others are erased all the same, and show when one verifies."""
    for entry in entries:
        with suppress(CorruptEntryError):
            yield recorded(entry)


def _together(log: EventLog, session_id: str, ids: Collection[EventId]) -> set[EventId]:
    entries = _opened(log, session_id, str(min(ids)))
    named = (event.erased for _, event, _ in _readable(entries) if isinstance(event, PayloadErased))
    return set[EventId]().union(*(erased for erased in named if not set(erased).isdisjoint(ids)))
