"""Erasing what was redacted: what a message said before, and whatever else in the session holds that.

What is held stays as it is: the redaction counts, agents resume with it, and who resumes the session once it is
released erases the original then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from .. import events
from ..errors import SessionHeldError
from ..event_log import EventLog
from ..event_log.erasure_scope import Find, Sought, sought
from ..events import Recorded
from ..ids import START, EventId

logger = logging.getLogger(__name__)

_HELD = "session_id=<%s> | held: what was redacted stays in the log until the session is released and resumed"
_SAID = (events.MessageAdded.TYPE, events.MessageUpdated.TYPE)


def erase_original(
    log: EventLog,
    session_id: str,
    agent_id: str,
    message_id: int,
    after: EventId = START,
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
        after: The message was written after this event.
        first: Told what is going to be erased, while it is still there.

    Raises:
        SessionLogError: When it cannot be erased now.
    """
    if log.retainer.held(session_id) is not None:
        logger.warning(_HELD, session_id)
        return
    said, redaction = _said(log.read(session_id, after), agent_id, message_id)
    originals = [one for one in said if not one.event.is_erased]
    found = _sought(originals, redaction)
    first(found)
    if originals:
        _erase(log, session_id, [one.id for one in originals], partial(found.find, log))
    else:
        erase_copies(log, session_id, found)


def erase_copies(log: EventLog, session_id: str, found: Sought, after: EventId = START) -> None:
    """Erase what holds the original of a redacted message that itself is not, or may never have been, in the log.

    Args:
        log: Where the session is.
        session_id: The session.
        found: What to look for.
        after: Whatever holds it was written after this event.
    """
    head = log.head(session_id)
    looked = head.id if head else START
    if ids := list(found.find(log, session_id, after)):

        def find_more(where: str, since: EventId) -> Iterable[EventId]:
            return found.find(log, where, max(since, looked) if where == session_id else since)

        _erase(log, session_id, ids, find_more)


def _erase(log: EventLog, session_id: str, ids: Iterable[EventId], find: Find) -> None:
    try:
        log.erase(session_id, ids, "redacted", _untold, "", find, leave_held=True)
    except SessionHeldError:
        logger.warning(_HELD, session_id)


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
