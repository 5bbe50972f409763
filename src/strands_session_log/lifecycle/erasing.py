"""Erasing what a redacted message said before, wherever the session has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import events
from ..event_log import EventLog
from ..events import Recorded
from ..ids import EventId

_SAID = (events.MessageAdded.TYPE, events.MessageUpdated.TYPE)


def erase_original(log: EventLog, session_id: str, agent_id: str, message_id: int) -> None:
    """Erase what a message said before its last redaction; call it again until it has succeeded.

    A message that was never redacted loses all it said. Windows that hold the original in full go with it: they are
    recognised by its tracking id.

    Args:
        log: Where the session is.
        session_id: The session.
        agent_id: Whose message.
        message_id: Its index.

    Raises:
        SessionLogError: When it cannot be erased now.
    """
    ids = _originals((one for one in log.read(session_id) if one.event.agent == agent_id), message_id)
    if ids:
        log.erase(session_id, ids, "redacted")


def _originals(recorded: Iterable[Recorded], message_id: int) -> list[EventId]:
    said: list[EventId] = []
    windows: dict[EventId, set[str]] = {}
    tracking_ids: set[str] = set()
    before: tuple[int, int] | None = None
    for id_, event, _ in recorded:
        is_it = event.data.get("message_id") == message_id
        if event.type == events.WindowChanged.TYPE and not event.is_erased:
            windows[id_] = _inline(event.data.get("items"))
        elif is_it and event.type in _SAID:
            tracking_ids |= _tracking_id(event.data)
            said += [] if event.is_erased else [id_]
        elif is_it and event.type == events.MessageRedacted.TYPE:
            tracking_ids |= _tracking_id(event.data)
            before = len(said), len(windows)
    last_said, last_window = before or (len(said), len(windows))
    held = [id_ for id_, inline in list(windows.items())[:last_window] if inline & tracking_ids]
    return [*said[:last_said], *held]


def _inline(items: Any) -> set[str]:
    """The tracking ids of the messages a window holds in full."""
    found = items if isinstance(items, list) else []
    return set[str]().union(*(_tracking_id(item) for item in found if isinstance(item, Mapping)))


def _tracking_id(data: Mapping[str, Any]) -> set[str]:
    """Messages without one, as old versions of Strands make them, are all taken for the same: rather too much goes."""
    message = data.get("message")
    if not isinstance(message, Mapping):
        return set()
    tracking_id = message.get("tracking_id")
    return {tracking_id if isinstance(tracking_id, str) else ""}
