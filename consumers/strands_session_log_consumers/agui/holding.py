"""The lease of a run, held while it goes on."""

from __future__ import annotations

import logging
from threading import Event, Thread
from typing import Final

from strands_session_log import RunLease
from strands_session_log.errors import RunLeaseLostError, SessionLogError

logger = logging.getLogger(__name__)

_BEAT: Final = 2.0
"""Seconds between two renewals, at most."""


class LeaseHolder:
    """Renews a lease until its block ends.

    In a thread of its own: tools may block the loop of a run, and use up its threads.

    Args:
        lease: The lease.
        seconds: For how long it is held each time.

    Attributes:
        is_to_stop: Whether the run was told to stop.
    """

    def __init__(self, lease: RunLease, seconds: float) -> None:
        self._lease, self._beat = lease, min(_BEAT, seconds / 3)
        self._over = Event()
        self._lost: RunLeaseLostError | None = None
        self._thread = Thread(target=self._hold, name=f"agui-lease-{lease.run_id[:32]}", daemon=True)
        self.is_to_stop = False

    def check(self) -> None:
        """Look whether it is held.

        Raises:
            RunLeaseLostError: It is not: another run may have begun.
        """
        if self._lost:
            raise self._lost

    def __enter__(self) -> LeaseHolder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _hold(self) -> None:
        while not self._over.wait(self._beat):
            try:
                self.is_to_stop = self._lease.renew() or self.is_to_stop
            except RunLeaseLostError as error:
                self._lost = error
                return
            except SessionLogError as error:
                # The server is away: the agent will notice, and the lease may hold until it is back.
                logger.debug("run=<%s>, error=<%s> | renewing its lease again", self._lease.run_id, error)
