"""In ordered mode, which consumer holds which partition: an equal share each."""

from __future__ import annotations

import threading
import time

from ..errors import ServerRefusedError
from .group import Group

_EVERY = 1.0
_FORGET_MS = 86_400_000
"""After how long one that did not sign out is forgotten."""


class PartitionAssignment:
    """One consumer's part of the partitions.

    Consumers sign in, every second or so, in the hash of partition 0; whoever did within `claim_after`, by the server's
    clock, is there. A consumer takes free partitions up to its share, and gives up what it has beyond it.

    Args:
        group: The consumer's group.
    """

    def __init__(self, group: Group) -> None:
        self._group, self._settings = group, group.settings
        self._lock = threading.Lock()
        self._held: set[int] = set()
        self._share, self._again_at = group.keyspace.partitions, 0.0

    def should_own(self, partition: int, is_busy: bool) -> bool:
        """Whether this consumer should have a partition.

        Args:
            partition: The partition.
            is_busy: Whether it has it, and something of it is being handled: that is finished first.
        """
        with self._lock:
            if time.monotonic() >= self._again_at:
                self._share = self._share_of_the_living()
                self._again_at = time.monotonic() + min(_EVERY, self._settings.claim_after / 3)
            if is_busy or len(self._held | {partition}) <= self._share:
                self._held.add(partition)
                return True
            self._held.discard(partition)
            return False

    def note(self, partition: int, is_mine: bool) -> None:
        """A partition was asked for: is it this consumer's now?"""
        with self._lock:
            (self._held.add if is_mine else self._held.discard)(partition)

    def _share_of_the_living(self) -> int:
        try:
            return self._heartbeat()
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            # No consumer can sign in there, so none knows of the others; who comes first has a partition.
            return self._group.keyspace.partitions

    def _heartbeat(self) -> int:
        """How many partitions each of those that are there should have, rounded up."""
        gone_after = self._settings.claim_after_ms + int(2 * _EVERY * 1000)
        there = self._group.heartbeat(gone_after, max(gone_after, _FORGET_MS))
        return -(-self._group.keyspace.partitions // max(1, there))
