"""Appending one event by a script of its own, which notes something of it elsewhere at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..encryption import Cipher, encode_beside
from ..errors import ContentionError, SessionDeletedError, SessionNotFoundError
from ..events import Event
from ..ids import START, EventId
from ..scripts.session import AppendReply, Conflict, Deleted, Landed, Moved
from ..server import Store
from .chained_batch import Position, chain_batch
from .diagnosis import diagnosed
from .expected import ANY
from .namespace import Layout

_ATTEMPTS = 100


class ScriptedAppend:
    """Appends to sessions that are there.

    Args:
        store: See `EventLog`.
        layout: See there.
        cipher: Encrypts what is appended to a session whose content is encrypted.
        head: Where a session stands.
        appended: Told the session and where it stands after each append.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        cipher: Cipher,
        head: Callable[[str], Position | None],
        appended: Callable[[str, Position], object],
    ) -> None:
        self._store, self._layout, self._cipher = store, layout, cipher
        self._head, self._appended = head, appended

    def __call__(
        self, session_id: str, event: Event, run: Callable[[Sequence[bytes], bytes], AppendReply | Exception | None]
    ) -> EventId:
        """Append an event.

        Args:
            session_id: The session.
            event: The event.
            run: Runs the script with the event, chained, and with the session whose key it is encrypted with, if it is;
                answers None without a session, or why it is not to be.

        Returns:
            Where it stands.

        Raises:
            SessionNotFoundError: When there is no such session.
            ContentionError: When others wrote during every attempt.
        """
        position = self._head(session_id)
        for _ in range(_ATTEMPTS):
            if position is None:
                raise SessionNotFoundError(session_id)
            sealer = self._cipher.sealer_beside(session_id)
            batch = chain_batch(session_id, [encode_beside(event, sealer)], ANY, position, sealer)
            with diagnosed(self._store, session_id):
                reply = run(batch.arguments, batch.root)
            match reply:
                case Landed([id_], link, begins_feed):
                    if begins_feed:
                        self._layout.confirm(self._store.keyspace.partition(session_id))
                    self._appended(session_id, Position(id_, link))
                    return id_
                case Moved(id_, link):
                    position = Position(id_, link)
                case Exception():
                    raise reply
                case Conflict() | Deleted():
                    raise SessionDeletedError(session_id, START)
                case _:
                    position = None
        raise ContentionError(session_id, _ATTEMPTS)
