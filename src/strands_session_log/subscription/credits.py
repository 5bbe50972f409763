"""How many more deliveries a consumer may have in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Credits:
    """Shared by the threads that fetch for a consumer: what one asks for is promised to it until it is in hand.

    Args:
        most: How many may be in hand at once.
        least: For how many there must be room before any is fetched.
        in_hand: How many are.
    """

    def __init__(self, most: int, least: int, in_hand: Callable[[], int]) -> None:
        self._most, self._least, self._in_hand = most, least, in_hand
        self._lock, self._promised = threading.Lock(), 0

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[int]:
        """Room for so many, or for fewer; 0 when there is not enough."""
        with self._lock:
            free = self._most - self._in_hand() - self._promised
            got = min(wanted, free) if free >= self._least else 0
            self._promised += got
        try:
            yield got
        finally:
            with self._lock:
                self._promised -= got
