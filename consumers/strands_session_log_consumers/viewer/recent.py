"""What was used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """What was used last, so much of it; one for any number of threads.

    Args:
        most: How much is kept.
        weigh: How much of that a value takes; each as much as any other, if nothing is said.
    """

    def __init__(self, most: int, weigh: Callable[[V], int] = lambda value: 1) -> None:
        self._most, self._weigh, self._weight = most, weigh, 0
        self._kept, self._lock = OrderedDict[K, V](), Lock()

    def get(self, key: K) -> V | None:
        """What is kept under a key."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: K, value: V) -> V:
        """Keep something, and let go of what was not used for longest."""
        with self._lock:
            self._drop(key)
            self._kept[key] = value
            self._weight += self._weigh(value)
            while self._weight > self._most:
                self._drop(next(iter(self._kept)))
        return value

    def forget(self, unwanted: Callable[[K], bool] = lambda key: True) -> None:
        """Let go of everything, or of what stands under some keys."""
        with self._lock:
            for key in [one for one in self._kept if unwanted(one)]:
                self._drop(key)

    def _drop(self, key: K) -> None:
        if key in self._kept:
            self._weight -= self._weigh(self._kept.pop(key))
