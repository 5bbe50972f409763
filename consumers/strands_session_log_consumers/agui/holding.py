"""The lease of a run, held while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

from strands_session_log import RunLease
from strands_session_log.errors import RunLeaseLostError, SessionLogError

from .settings import AguiSettings

logger = logging.getLogger(__name__)

_BEAT: Final = 2.0
"""Seconds between two renewals, at most."""


class LeaseHolder:
    """Renews a lease until its block ends, or the run takes longer than it may.

    In a thread of its own: tools may block the loop of a run, and use up its threads.

    Args:
        lease: The lease.
        session_id: Of which session it is.
        settings: For how long it is held each time, and how long the run may take.
        give_up: Called when it was let go, as the run did not end: writes down that it has.

    Attributes:
        is_to_stop: Whether the run was told to stop.
        is_overdue: Whether it was, as it takes longer than it may.
    """

    def __init__(self, lease: RunLease, session_id: str, settings: AguiSettings, give_up: Callable[[], object]) -> None:
        self._lease, self._session_id, self._give_up = lease, session_id, give_up
        self._beat = min(_BEAT, settings.lease / 3)
        self._due = monotonic() + settings.longest_run
        self._last = self._due + settings.grace
        self._over, self._ending = Event(), Lock()
        self._lost: RunLeaseLostError | None = None
        self._thread = Thread(target=self._hold, name=f"agui-lease-{lease.run_id[:32]}", daemon=True)
        self.is_to_stop = self.is_overdue = False

    def check(self) -> None:
        """Look whether it is held.

        Raises:
            RunLeaseLostError: It is not: another run may have begun.
        """
        if self._lost:
            raise self._lost

    @contextmanager
    def ending(self) -> Iterator[None]:
        """While it is written down how the run ended: by one of both, it or this.

        Raises:
            RunLeaseLostError: It is not held.
        """
        with self._ending:
            self.check()
            yield
            self._over.set()

    def __enter__(self) -> LeaseHolder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _pause(self) -> float:
        until = self._last if self.is_overdue else self._due
        return max(0.0, min(self._beat, until - monotonic()))

    def _hold(self) -> None:
        while not self._over.wait(self._pause()):
            if monotonic() >= self._last:
                self._let_go()
                return
            self.is_overdue = monotonic() >= self._due
            try:
                self.is_to_stop = self._lease.renew() or self.is_to_stop or self.is_overdue
            except RunLeaseLostError as error:
                self._lost = error
                return
            except SessionLogError as error:
                # The server is away: the agent will notice, and the lease may hold until it is back.
                logger.debug("run=<%s>, error=<%s> | renewing its lease again", self._lease.run_id, error)

    def _let_go(self) -> None:
        with self._ending:
            if self._over.is_set():
                return
            # Whatever it does from now on is nobody's.
            self._lost = RunLeaseLostError(self._session_id, self._lease.run_id)
            logger.warning("run=<%s> | it takes longer than it may, and does not stop: given up", self._lease.run_id)
            with suppress(SessionLogError):
                # As long as the lease is held: whoever has it next sees it.
                self._lease.renew()
                self._give_up()
                self._lease.release()
