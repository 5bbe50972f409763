"""Erasing what a redacted message said before, wherever the session has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from .. import events
from ..codec import from_json, to_json
from ..event_log import EventLog
from ..event_log.whereabouts import Sought, sought
from ..events import Recorded
from ..ids import EventId
from ..state import Copies

_SAID = (events.MessageAdded.TYPE, events.MessageUpdated.TYPE)


def erase_original(
    log: EventLog,
    session_id: str,
    agent_id: str,
    message_id: int,
    first: Callable[[Sought], object] = lambda found: None,
) -> None:
    """Erase what a message said before its last redaction; call it again until it has succeeded.

    A message that was never redacted loses all it said. Whatever else in the session holds the original goes with it,
    see `state.copies`.

    Args:
        log: Where the session is.
        session_id: The session.
        agent_id: Whose message.
        message_id: Its index.
        first: Told what is going to be erased, while it is still there.

    Raises:
        SessionLogError: When it cannot be erased now.
    """
    said, redaction = _said(log.read(session_id), agent_id, message_id)
    originals = [one for one in said if not one.event.is_erased]
    erase_copies(log, session_id, _sought(originals, redaction), first, [one.id for one in originals])


def erase_copies(
    log: EventLog,
    session_id: str,
    found: Sought,
    first: Callable[[Sought], object] = lambda found: None,
    ids: Collection[EventId] = (),
) -> None:
    """Erase what holds the original of a redacted message, which itself may never have been written.

    Args:
        log: Where the session is.
        session_id: The session.
        found: What to look for.
        first: See `erase_original`.
        ids: The events that said it.
    """
    if ids or any(True for _ in found.find(log, session_id)):
        first(found)
        log.erase(session_id, ids, "redacted", _untold, "", partial(found.find, log))


def never_written(name: str, index: int, original: Any, redaction: Any) -> Sought:
    """What to look for of a message that was redacted while it was held back.

    Args:
        name: Whose message.
        index: Its index.
        original: What it said, as JSON values.
        redaction: What it says now.
    """
    return Sought(Copies([original], to_json(redaction, "message")), {(name, index)})


def without(state: dict[str, Any], redacted: Iterable[Sought], above: bool = False) -> dict[str, Any]:
    """A state, without what was redacted; itself, if there is nothing of that.

    Args:
        state: Of an agent, a graph or a swarm.
        redacted: What was.
        above: Whether it was redacted in nodes of the graph or swarm.
    """
    told = left = to_json(state, "state")
    for found in redacted:
        left = found.copies.without(left, above=above)
    return state if left is told else from_json(left)


def _untold(done: int, total: int) -> None:
    """Nobody waits to hear how far it is."""


def _said(recorded: Iterable[Recorded], agent_id: str, message_id: int) -> tuple[list[Recorded], Recorded | None]:
    """What the message said, up to its last redaction, and that."""
    said, redaction, before = list[Recorded](), None, 0
    for one in recorded:
        is_it = one.event.agent == agent_id and one.event.data.get("message_id") == message_id
        if is_it and one.event.type in _SAID:
            said.append(one)
        elif is_it and one.event.type == events.MessageRedacted.TYPE:
            redaction, before = one, len(said)
    return said[:before] if redaction else said, redaction


def _sought(originals: Iterable[Recorded], redaction: Recorded | None) -> Sought:
    before = redaction.id if redaction else EventId(0, 0)
    message = redaction.event.data.get("redact_message") if redaction else None
    return sought([one.event for one in originals], message, before)
