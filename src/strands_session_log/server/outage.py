"""Trouble that time cures, as a subscription, a tail or a recorder meets it: it waits, and says so.

A call has its time (`retry_for`) and then fails; who follows waits for as long as it takes. For which errors,
`border.is_transient` says. It is told at once, then rarely, and once more when it is over: to the log, and to hooks.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock

from ..instrumentation import ServerAwaited, ServerWaitOver
from ..instrumentation.hooks import hooks
from .timed import here

logger = logging.getLogger(__name__)

_AGAIN = 60.0
"""Seconds between two notices of the same outage."""
_FIRST, _LONGEST = 0.02, 1.0


class Outage:
    """What keeps one follower waiting; for any number of its threads.

    Args:
        follower: What it is: `subscriber`, `tail`, `recorder`.
        name: Which one, for the log.
    """

    def __init__(self, follower: str, name: str) -> None:
        self._follower, self._name = follower, name
        # Held while it is told, so that hooks hear of it in the order in which it happened.
        self._lock, self._is_closed = RLock(), False
        self._waiting: dict[Hashable, Iterator[float]] = {}
        self._since = self._again_at = 0.0
        self._has_answered = False

    def met(self, error: Exception, part: Hashable = "") -> float:
        """Note that a part of the follower, a thread as a rule, could not go on.

        Returns:
            For how many seconds it is to wait before it tries again.
        """
        now = time.monotonic()
        with self._lock:
            if self._is_closed:
                return _LONGEST
            if not self._waiting:
                self._since = self._again_at = now
            self._has_answered = False
            pause = next(self._waiting.setdefault(part, pauses()))
            if now >= self._again_at:
                self._again_at = now + _AGAIN
                self._tell(error, now - self._since)
        return pause

    @contextmanager
    def told_by(self, part: Hashable) -> Iterator[None]:
        """In this thread, a part of the follower, calls that wait by themselves say so, too."""
        before, here.waits = here.waits, partial(self.met, part=part)
        try:
            yield
        finally:
            here.waits = before

    def over(self, part: Hashable = "", *, is_back: bool = True) -> bool:
        """Note that a part can go on, or need not; this costs nothing while all is well.

        Args:
            part: Which.
            is_back: Whether the server has answered it; else it has nothing to ask any more.

        Returns:
            Whether it waited.
        """
        if part not in self._waiting:
            return False
        self._leave(part, is_back)
        return True

    def close(self) -> None:
        """Nobody waits any more, whether or not the server is back."""
        with self._lock:
            self._is_closed = True
            for part in tuple(self._waiting):
                self._leave(part, is_back=False)

    def _leave(self, part: Hashable, is_back: bool) -> None:
        with self._lock:
            was_there = self._waiting.pop(part, None) is not None
            self._has_answered = self._has_answered or (was_there and is_back)
            if self._waiting or not was_there:
                return
            seconds, is_back = time.monotonic() - self._since, self._has_answered
            if is_back:
                logger.warning("%s=<%s>, seconds=<%.1f> | the server is back", self._follower, self._name, seconds)
            hooks.tell(ServerWaitOver(self._follower, seconds, is_back))

    def _tell(self, error: Exception, seconds: float) -> None:
        message = "%s=<%s>, error=<%s>, seconds=<%.1f> | waiting for the server"
        logger.warning(message, self._follower, self._name, error, seconds)
        hooks.tell(ServerAwaited(self._follower, type(error).__name__, str(error), seconds))


def pauses() -> Iterator[float]:
    """Seconds, longer and longer up to one, and never the same for two that were cut off together."""
    longest = _FIRST
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(_LONGEST, 2 * longest)
