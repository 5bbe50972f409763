"""A connection for reads that block, and how to end one before its time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from valkey import exceptions as driver

from .errors import ANSWERED_WITHIN
from .replies import pairs
from .routing import Client
from .script import Argument
from .timed import answered_within

logger = logging.getLogger(__name__)

_LONGEST_BLOCK_MS = 1000


class BlockingConnection:
    """One connection of a client's pool, held while the `with` block lasts.

    Driven by hand: a client would repeat reads by itself, on connections whose server-side id nobody knows.

    Args:
        node: The client of one server.
    """

    def __init__(self, node: Client) -> None:
        self._node = node
        self._pool = cast(Any, node).connection_pool

    def __enter__(self) -> BlockingConnection:
        self._connection = self._pool.get_connection("XREAD")
        self._is_asked, self._id = False, None
        try:
            self._id = self._client_id()
        except BaseException:
            self.__exit__()
            raise
        patience = getattr(self._connection, "socket_timeout", None)
        self._block_ms = max(1, min(_LONGEST_BLOCK_MS, int(patience * 500))) if patience else _LONGEST_BLOCK_MS
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_asked:
            # A reply may still come, which is nobody else's.
            self._connection.disconnect()
        self._pool.release(self._connection)

    def read(self, positions: Mapping[bytes, bytes], count: int) -> list[tuple[bytes, Any]]:
        """Wait for what follows positions in streams, at most for a second.

        Args:
            positions: Stream ids, by key.
            count: How many entries of a stream at most.
        """
        where = (*positions, *positions.values())
        return pairs(self._ask("XREAD", "COUNT", count, "BLOCK", self._block_ms, "STREAMS", *where))

    def unblock(self) -> bool:
        """End the read that waits, from another thread; False if none waits yet, or it must not be ended."""
        try:
            return self._id is not None and bool(self._node.execute_command("CLIENT", "UNBLOCK", self._id))
        except driver.NoPermissionError:
            self._id = None
        except Exception:
            # The server is away, or its user closes the client just now: whoever waits will notice by itself.
            logger.debug("client_id=<%s> | no read is unblocked", self._id, exc_info=True)
        return False

    @property
    def can_be_unblocked(self) -> bool:
        """Whether the server tells, and lets, who waits."""
        return self._id is not None

    def _client_id(self) -> int | None:
        try:
            return int(self._ask("CLIENT", "ID"))
        except driver.NoPermissionError:
            return None

    def _ask(self, *command: Argument) -> Any:
        self._is_asked = True
        with answered_within(ANSWERED_WITHIN):
            self._connection.send_command(*command)
            reply = self._connection.read_response(disable_decoding=True)
        self._is_asked = False
        return reply
