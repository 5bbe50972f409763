"""Deleting sessions that an archive has: as they stood when it took them, with a tombstone that says where they are."""

from __future__ import annotations

from ..server import Store, text
from .chained_batch import Position
from .deleter import Deleter
from .diagnosis import diagnosed, parsed
from .lineage import forks_of


class Dropper:
    """Deletes what an archive has, in one namespace; one for any number of threads.

    Args:
        store: See `EventLog`.
        deleter: Deletes, and knows what is left.
    """

    def __init__(self, store: Store, deleter: Deleter) -> None:
        self._store, self._keyspace, self._deleter = store, store.keyspace, deleter

    def drop(self, session_id: str, at: Position, forks: str, archived: str, by: str) -> bool | None:
        """Delete a session that an archive has, if it stands where it stood when it was archived.

        Args:
            session_id: The session.
            at: Its last event then, and the link.
            forks: What `forks` says; it stays where that has changed.
            archived: Where the archive has it, for the tombstone.
            by: Who archives it.

        Returns:
            Whether it is gone: it stays where it has moved; None when there was no such session.

        Raises:
            SessionHeldError: When it is held.
        """
        with diagnosed(self._store, session_id):
            return self._deleter.drop(session_id, at, forks, archived, by)

    def forks(self, session_id: str) -> tuple[str, tuple[str, ...]]:
        """What the head of a session says of those that were made of it, as it stands there; and their ids."""
        key = self._keyspace.session(session_id).head
        (found,) = self._store.fields(key, "forks")
        if found is None:
            return "", ()
        return text(found), tuple(dict.fromkeys(one.session_id for one in parsed(key, "forks", found, forks_of)))

    def delete_for_good(self, session_id: str, reason: str, by: str) -> int:
        """Let the tombstones of an id say that its archived sessions were deleted for good: of how many."""
        return self._deleter.delete_archived(session_id, reason, by)
