"""Waiting for news in some feeds, without taking any."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..server import Store, pairs

_TICK, _NAP = 0.1, 0.005


class FeedNotifier:
    """Blocks in `XREAD` on the feeds of some partitions.

    Args:
        store: Where the feeds are; one attempt is made.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._longest = store, store.longest_block

    def wait(self, seen: Mapping[int, str], seconds: float) -> list[int]:
        """The partitions in which something stands after what was seen; none when the time is over.

        Args:
            seen: The last entry seen, by partition, as a stream id.
            seconds: How long to wait; not longer than half a second in any case, see `Store.longest_block`.
        """
        seconds = max(0.001, min(seconds, self._longest))
        if not seen or seconds < _TICK:
            # The server looks at its clock only now and then: it would block for longer than that.
            time.sleep(min(seconds, _NAP))
            seconds = 0.0
        if not seen:
            return []
        if not self._store.is_cluster:
            return self._read(seen, seconds)
        # A cluster refuses to read several slots at once.
        parts = [self._read({partition: id_}, seconds / len(seen)) for partition, id_ in seen.items()]
        return [partition for part in parts for partition in part]

    def _read(self, seen: Mapping[int, str], seconds: float) -> list[int]:
        feeds = {self._store.keyspace.feed(partition): partition for partition in seen}
        block = ("BLOCK", round(seconds * 1000)) if seconds else ()
        where = (*feeds, *seen.values())
        reply = self._store.command(b"XREAD", "COUNT", 1, *block, "STREAMS", *where, at=where[0])
        return [feeds[key.decode()] for key, _ in pairs(reply)]
