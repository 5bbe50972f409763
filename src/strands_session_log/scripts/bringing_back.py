"""The scripts that bring back what a bundle holds, as functions, see `scripts.session`."""

from __future__ import annotations

from ..server import Store, text
from . import IMPORT, TOMBSTONE_ADD


def bring_back(store: Store, session_id: str, copy: str, making: bytes, *, is_told: bool, is_held: bool) -> str:
    """Put a copy into place as a session that is brought back.

    Args:
        store: Where.
        session_id: The session.
        copy: The key of the copy.
        making: What it is, and what is to be said of it, JSON.
        is_told: Whether the tombstone of the id stays as it is: then nothing need be said of how old it is.
        is_held: Whether it is held.

    Returns:
        `landed`, or `begun` if the feed of the partition began anew with it; or why nothing was done: `exists`, `lost`,
        `changed`.
    """
    keys = store.keyspace.session(session_id)
    tombstones = keys.tombstones, keys.tombstones if is_told else f"{keys.tombstones}:times"
    # Who may not write what is not changed here can bring back the more: a writer no hold, and no age of a tombstone.
    indexes = keys.holds if is_held else keys.subjects, keys.subjects
    script_keys = (*keys.append, copy, keys.snapshot, keys.live, keys.ids, *tombstones, *indexes)
    word, *more = map(text, store.run_and_wait(IMPORT, script_keys, [session_id, making], session_id))
    return "".join(more) or word


def add_tombstone(store: Store, session_id: str, field: str, known: bytes, new: bytes, made: int) -> bool:
    """Put a tombstone where it was before a backup; false where there is such a session, or it is another by now."""
    keys = store.keyspace.session(session_id)
    script_keys = keys.events, keys.head, keys.tombstones, f"{keys.tombstones}:times"
    return bool(store.run(TOMBSTONE_ADD, script_keys, [field, known, new, made]))
