"""All tails of a log: a few threads and connections read for any number of them.

A *catch-up reader* thread brings each cursor page by page to the end of its stream, and there hands it to a *blocking
reader*, whose thread waits with one blocking read for what comes in all of them: one blocking reader on a single
server, one a slot in a cluster, where a read over several slots is refused. A cursor whose consumer is slow is read
by nobody until there is room; then it begins again with the catch-up reader. Now and then the catch-up reader asks in
one round trip whether what the blocking readers wait behind is still there: a blocked read never tells that it is
not. See ADR 0016.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..server import Store

if TYPE_CHECKING:
    from .catch_up import CatchUpReader
    from .cursor import StreamCursor

_PATIENCE = 2.0
"""For how many seconds closing waits for the threads; a server that hangs must not hold it up."""


class Multiplexer:
    """The tails of one log; its threads are there only while there are tails.

    Args:
        store: Where the streams are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._catch_up: CatchUpReader | None = None

    def follow(self, cursors: Iterable[StreamCursor[Any]]) -> None:
        """Begin to read for them, without waiting for the server."""
        # Every log has one of these, and few ever follow anything.
        from .catch_up import CatchUpReader

        with self._lock:
            catch_up = self._catch_up
            if catch_up is None or not catch_up.add(cursors):
                self._catch_up = CatchUpReader(self._store)
                self._catch_up.add(cursors)

    def close(self) -> None:
        """End all tails, and the threads."""
        with self._lock:
            catch_up, self._catch_up = self._catch_up, None
        if catch_up is not None:
            catch_up.close(_PATIENCE)
