"""The scripts about how long sessions stay, as functions; see `session.py`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ..errors import InvalidPointError
from ..ids import EventId
from ..server import Store, text
from . import DELETE, HOLD, TOMBSTONE_SET, TTL
from .session import AppendReply, Deleted, appended

IN_ANY_CASE = ""
"""A session is deleted whatever it is like."""


class StillHeld(NamedTuple):
    """The session is held.

    Attributes:
        since: The events that hold it; none where its head is lost, and the index of holds alone knows.
    """

    since: tuple[EventId, ...]


class NotHeld(NamedTuple):
    """What was to be ended does not hold the session."""


class KeptInstead(NamedTuple):
    """The session is not as it was to be for this."""


def holds_in(held: str) -> tuple[EventId, ...]:
    """The events that a head's `held` names; what is no id is passed over, as the session is held in any case."""
    found = list[EventId]()
    for one in held.split():
        with suppress(InvalidPointError):
            found.append(EventId.parse(one))
    return tuple(found)


def still_there(at: EventId) -> str:
    """A session is deleted if this is its last event still."""
    return f"at {at}"


def still_the_same(at: EventId, link: str, forks: str) -> str:
    """A session is deleted if this is its last event still, with this link, and its head names these forks."""
    return f"as {at} {link} {forks}"


def due_at(clock_ms: int) -> str:
    """A session is deleted if its time to live is over, by the server's clock and by this one."""
    return f"due {clock_ms}"


def hold(
    store: Store, session_id: str, batch: Sequence[bytes], root: bytes, ended: Sequence[EventId]
) -> AppendReply | NotHeld | None:
    """Append the event that holds a session, or ends holds.

    Args:
        store: Where.
        session_id: The session.
        batch: The event, chained.
        root: The session whose key it is encrypted with; nothing if it is not encrypted.
        ended: The events whose holds it ends; none where it begins one.

    Returns:
        What an append does; None without a session.
    """
    arguments = [*batch, root, " ".join(map(str, ended)).encode()]
    reply = store.run_and_wait(HOLD, store.keyspace.session(session_id).hold, arguments, session_id)
    if reply == [b"gone"]:
        return None
    return NotHeld() if reply == [b"free"] else appended(reply, batch)


def set_ttl(store: Store, session_id: str, ttl_ms: int | None) -> EventId | Deleted | None:
    """Say after how many milliseconds without an event a session may be deleted; None for never.

    Returns:
        When that is, as an id of revision 0; None if never, or while it is held; and what tells that there is none.
    """
    keys = store.keyspace.session(session_id)
    reply = store.run(TTL, [keys.head, keys.due], [session_id, "" if ttl_ms is None else ttl_ms])
    if reply[0] == b"gone":
        return Deleted()
    return EventId(int(reply[1]), 0) if reply[1] else None


def delete(
    store: Store,
    session_id: str,
    token: str,
    by: str,
    reason: str,
    *,
    condition: str = IN_ANY_CASE,
    archived: str = "",
    stay: int,
    stay_ms: int,
    most: int,
    lives: int,
) -> int | StillHeld | KeptInstead | None:
    """Remove a session and leave a tombstone.

    Args:
        store: Where.
        session_id: The session.
        token: Of this very call.
        by: By whom.
        reason: Why.
        condition: Only if this holds, see `still_there`, `still_the_same` and `due_at`.
        archived: Where an archive has it; empty if none has.
        stay: How many tombstones stay in any case,
        stay_ms: and for how many milliseconds more than those.
        most: How many stay at most.
        lives: How many lives of an id a tombstone tells of.

    Returns:
        How many events it had; None when there was none.
    """
    keys, arguments = store.keyspace.session(session_id).delete, (session_id, token, by, reason)
    reply = store.run_and_wait(DELETE, keys, (*arguments, stay, stay_ms, most, lives, condition, archived), session_id)
    match reply:
        case [b"landed", revision]:
            return int(revision)
        case [b"held", held]:
            return StillHeld(holds_in(text(held)))
        case [b"kept"]:
            return KeptInstead()
    return None


def replace_tombstone(store: Store, session_id: str, field: str, known: bytes, new: bytes) -> bool | StillHeld:
    """Put another text in place of a tombstone, if it is still what is known."""
    keys = store.keyspace.session(session_id)
    return _replaced(store, [keys.tombstones, keys.holds, keys.head], [field, known, new, session_id])


def replace_reduced(store: Store, partition: int, field: str, known: bytes, new: bytes) -> bool | StillHeld:
    """The same of one whose id nobody knows any more."""
    keyspace = store.keyspace
    return _replaced(store, [keyspace.tombstones(partition), keyspace.holds(partition)], [field, known, new])


def _replaced(store: Store, keys: Sequence[str], arguments: Sequence[str | bytes]) -> bool | StillHeld:
    reply = store.run(TOMBSTONE_SET, keys, arguments)
    return StillHeld(holds_in(text(reply[1]))) if isinstance(reply, list) else bool(reply)
