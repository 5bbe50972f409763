"""Pauses, never the same for two that were cut off together."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that are twice as long each time, up to the longest.

    Args:
        first: Seconds.
        longest: Seconds.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def pause(self) -> float:
        """For how many seconds to wait now."""
        seconds, self._next = self._next, min(self._longest, 2 * self._next)
        return spread(seconds)

    def reset(self) -> None:
        """Begin with the first again."""
        self._next = self._first


def spread(seconds: float) -> float:
    """Some time between half of it and all."""
    return random.uniform(seconds / 2, seconds)
