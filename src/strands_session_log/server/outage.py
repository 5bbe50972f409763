"""Trouble that time cures, as a subscription, a tail or a recorder meets it: it waits, and says so.

A call has its time (`retry_for`) and then fails; who follows waits for as long as it takes. For which errors,
`is_transient` says. It is told at once, then rarely, and once more when it is over: to the log, and to hooks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock

from ..concurrency import Backoff
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
        self._waiting: dict[Hashable, Backoff] = {}
        self._is_on = False
        self._since = self._again_at = 0.0

    def met(self, error: Exception, part: Hashable = "") -> float:
        """Note that a part of the follower, a thread as a rule, could not go on.

        Returns:
            For how many seconds it is to wait before it tries again.
        """
        now = time.monotonic()
        with self._lock:
            if self._is_closed:
                return _LONGEST
            if not self._is_on:
                self._is_on, self._since, self._again_at = True, now, now
            pause = self._waiting.setdefault(part, Backoff(_FIRST, _LONGEST)).pause()
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

    def over(self, part: Hashable = "") -> bool:
        """Note that the server has answered a part; this costs nothing while all is well.

        Returns:
            Whether that part waited.
        """
        if not self._is_on:
            return False
        with self._lock:
            waited = self._waiting.pop(part, None) is not None
            if not self._waiting:
                self._end(is_back=True)
            return waited

    def leave(self, part: Hashable, to: Hashable | None = None) -> None:
        """Note that a part need not go on, which says nothing of the server: that the next answer does.

        Args:
            part: The part.
            to: Another one, which tries in its place.
        """
        if self._is_on:
            with self._lock:
                left = self._waiting.pop(part, None)
                if left is not None and to is not None:
                    self._waiting.setdefault(to, left)

    def close(self) -> None:
        """Nobody waits any more, whether or not the server is back."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            self._end(is_back=False)

    def _end(self, is_back: bool) -> None:
        if not self._is_on:
            return
        self._is_on, seconds = False, time.monotonic() - self._since
        if is_back:
            logger.warning("%s=<%s>, seconds=<%.1f> | the server is back", self._follower, self._name, seconds)
        hooks.tell(ServerWaitOver(self._follower, seconds, is_back))

    def _tell(self, error: Exception, seconds: float) -> None:
        message = "%s=<%s>, error=<%s>, seconds=<%.1f> | waiting for the server"
        logger.warning(message, self._follower, self._name, error, seconds)
        hooks.tell(ServerAwaited(self._follower, type(error).__name__, str(error), seconds))
