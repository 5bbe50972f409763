"""Erasing what a redacted message said before, wherever the session has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from .. import events
from ..event_log import EventLog
from ..event_log.whereabouts import Sought, sought
from ..events import Recorded
from ..ids import EventId

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
    found = _sought(originals, redaction)
    ids = [one.id for one in originals]
    if ids or any(True for _ in found.find(log, session_id)):
        first(found)
        log.erase(session_id, ids, "redacted", _untold, "", partial(found.find, log))


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
