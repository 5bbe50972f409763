"""Waiting for news in some feeds, without taking any."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from valkey import ValkeyCluster

from ..event_log.connection import connection_to
from ..keys import Keyspace
from ..server.border import ANSWERED_WITHIN, Client, options_of, with_retries
from ..server.replies import pairs

_TICK, _NAP = 0.1, 0.005
_LONGEST = 0.5
"""For how many seconds a read waits: blocked readers of a cluster learn late that a slot has moved."""


class FeedNotifier:
    """Blocks in `XREAD` on the feeds of some partitions.

    Args:
        client: Any sync client.
        keyspace: How the namespace is laid out.
    """

    def __init__(self, client: Client, keyspace: Keyspace) -> None:
        self._client, self._keyspace = client, keyspace
        self._one_by_one = isinstance(client, ValkeyCluster)
        self._longest = min(_LONGEST, longest_block(client))

    def wait(self, seen: Mapping[int, str], seconds: float) -> list[int]:
        """The partitions in which something stands after what was seen; none when the time is over.

        Args:
            seen: The last entry seen, by partition, as a stream id.
            seconds: How long to wait; not longer than half a second in any case.
        """
        seconds = max(0.001, min(seconds, self._longest))
        if not seen or seconds < _TICK:
            # The server looks at its clock only now and then: it would block for longer than that.
            time.sleep(min(seconds, _NAP))
            seconds = 0.0
        if not seen:
            return []
        if not self._one_by_one:
            return self._read(seen, seconds)
        # A cluster refuses to read several slots at once.
        parts = [self._read({partition: id_}, seconds / len(seen)) for partition, id_ in seen.items()]
        return [partition for part in parts for partition in part]

    def _read(self, seen: Mapping[int, str], seconds: float) -> list[int]:
        feeds = {self._keyspace.feed(partition).encode(): partition for partition in seen}
        reply = with_retries(partial(self._ask, list(feeds), list(seen.values()), seconds), 0, within=ANSWERED_WITHIN)
        return [feeds[key] for key, _ in pairs(reply)]

    def _ask(self, feeds: list[bytes], ids: list[str], seconds: float) -> Any:
        block = ("BLOCK", round(seconds * 1000)) if seconds else ()
        with connection_to(self._client, feeds[0].decode()) as node:
            # As bytes, so that the driver leaves the reply as the server lays it out.
            return node.execute_command(b"XREAD", "COUNT", 1, *block, "STREAMS", *feeds, *ids, NEVER_DECODE=True)


def longest_block(client: Any) -> float:
    """For how many seconds a read may wait, which must be less than the client waits for any reply."""
    timeout = options_of(client).get("socket_timeout")
    return max(0.01, timeout / 2) if timeout else _LONGEST
