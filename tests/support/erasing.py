"""Sessions to erase from, and what is left of them."""

from __future__ import annotations

from strands_session_log import SessionLog, events
from strands_session_log.ids import EventId

SECRET = "correct-horse-battery-staple"


def note(number: int, text: str = "") -> events.Event:
    return events.Custom("custom.note", {"number": number, "text": text})


def fill(log: SessionLog, count: int, session_id: str = "s") -> list[EventId]:
    """So many notes, each of which holds the secret."""
    for start in range(0, count, 100):
        log.append(session_id, [note(number, SECRET) for number in range(start, min(start + 100, count))])
    return [one.id for one in log.read(session_id)]


def numbers(log: SessionLog) -> list[int]:
    """Of the notes that still tell theirs."""
    return [one.event.data["number"] for one in log.read("s", types="custom.note") if not one.event.is_erased]


def erased(log: SessionLog) -> list[int]:
    return [one.id.revision for one in log.read("s") if one.event.is_erased]


def exists(log: SessionLog, key: str) -> bool:
    return bool(log.client.execute_command("EXISTS", key))
