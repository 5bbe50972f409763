"""Appending one event by a script of its own, which notes something of it elsewhere at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..codec import encode
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
        head: Where a session stands.
        appended: Told the session and where it stands after each append.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        head: Callable[[str], Position | None],
        appended: Callable[[str, Position], object],
    ) -> None:
        self._store, self._layout, self._head, self._appended = store, layout, head, appended

    def __call__(
        self, session_id: str, event: Event, run: Callable[[Sequence[bytes]], AppendReply | Exception | None]
    ) -> EventId:
        """Append an event.

        Args:
            session_id: The session.
            event: The event.
            run: Runs the script with the event, chained; answers None without a session, or why it is not to be.

        Returns:
            Where it stands.

        Raises:
            SessionNotFoundError: When there is no such session.
            ContentionError: When others wrote during every attempt.
        """
        batch, position = [encode(event)], self._head(session_id)
        for _ in range(_ATTEMPTS):
            if position is None:
                raise SessionNotFoundError(session_id)
            sealed = chain_batch(session_id, batch, ANY, position)
            with diagnosed(self._store, session_id):
                reply = run(sealed.arguments)
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
