"""The scripts about whom sessions are about, as functions; see `session.py`."""

from __future__ import annotations

from collections.abc import Sequence

from ..server import Store
from . import SUBJECT_GONE, SUBJECTS
from .session import AppendReply, appended


def annotate(store: Store, session_id: str, batch: Sequence[bytes], root: bytes, subject: str) -> AppendReply | None:
    """Append the event that says whom a session is about.

    Args:
        store: Where.
        session_id: The session.
        batch: The event, chained.
        root: The session whose key it is encrypted with; nothing if it is not encrypted.
        subject: Whom, by keyed hash; with `~` before it where only some events are.

    Returns:
        What an append does; None without a session.
    """
    keys, arguments = store.keyspace.session(session_id).about, [*batch, root, subject.encode()]
    reply = store.run_and_wait(SUBJECTS, keys, arguments, session_id)
    return None if reply == [b"gone"] else appended(reply, batch)


def forget(store: Store, session_id: str, subject: str, *, again: bool = False) -> None:
    """Note that a session says nothing any more of a subject, given as to `annotate`; or, anew, that it does."""
    keys = store.keyspace.session(session_id)
    store.run(SUBJECT_GONE, [keys.head, keys.subjects], [session_id, subject, "1" if again else ""])
