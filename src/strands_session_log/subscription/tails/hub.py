"""All tails of a log: a few threads and connections read for any number of them.

A *follower* thread brings each watch page by page to the end of its stream, and there hands it to a *lane*, whose
thread waits with one blocking read for what comes in all of them: one lane on a single server, one a slot in a cluster,
where a read over several slots is refused. A watch whose consumer is slow is read by nobody until there is room; then
it begins again with the follower. Now and then the follower asks in one round trip whether what the lanes wait behind
is still there: a blocked read never tells that it is not. See ADR 0016.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any

from ...server.border import Client
from .follower import Follower
from .watch import Watch

_PATIENCE = 2.0
"""For how many seconds closing waits for the threads; a server that hangs must not hold it up."""


class Hub:
    """The tails of one log; its threads are there only while there are tails.

    Args:
        client: The client.
        name: What is followed, for the log.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name
        self._lock = Lock()
        self._follower: Follower | None = None

    def follow(self, watches: Iterable[Watch[Any]]) -> None:
        """Begin to read for them, without waiting for the server."""
        with self._lock:
            follower = self._follower
            if follower is None or not follower.welcome(watches):
                self._follower = Follower(self._client, self._name)
                self._follower.welcome(watches)

    def close(self) -> None:
        """End all tails, and the threads."""
        with self._lock:
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.close(_PATIENCE)
