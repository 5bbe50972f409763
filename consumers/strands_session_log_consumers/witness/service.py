"""The witness as a service: a round every minute, whatever happens, until it is told to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server

from strands_session_log.errors import SealDamagedError, SealMismatchError, SessionLogError

from .counting import WitnessMetrics
from .settings import WitnessSettings
from .watching import Standing, Watch

logger = logging.getLogger(__name__)


class WitnessService:
    """Carries out rounds, and remembers what they found.

    Args:
        watch: Carries out one.
        settings: How often, and where the metrics are served.

    Attributes:
        registry: Its metrics.
        standing: What the last round that was carried out found; None before the first.
        damage: Why the seals are not what was sealed, if a round ended with that.
    """

    def __init__(self, watch: Watch, settings: WitnessSettings) -> None:
        self._watch, self._settings = watch, settings
        self.registry = CollectorRegistry()
        self._metrics = WitnessMetrics(self.registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.standing: Standing | None = None
        self.damage = ""
        self._trouble = ""

    @property
    def ok(self) -> bool:
        """Whether all history holds, as far as it was checked."""
        return not self.damage and (self.standing is None or self.standing.ok)

    def once(self, is_over: Callable[[], bool] = lambda: False) -> Standing:
        """Carry out one round.

        Raises:
            SessionLogError: When it could not be.
        """
        try:
            self.standing = self._watch.round(is_over)
        except SessionLogError as error:
            is_damaged = isinstance(error, (SealDamagedError, SealMismatchError))
            self.damage = str(error) if is_damaged else self.damage
            self._metrics.fail(is_damaged)
            raise
        self.damage = ""
        self._metrics.count(self.standing)
        return self.standing

    def run(self, stop: Event, listening: Callable[[str], object] = lambda url: None) -> None:
        """Carry out rounds until told to stop; a server or a store that is away is waited for.

        Args:
            stop: Set to end it, after what is being sealed.
            listening: Told where the metrics are, once they are served.

        Raises:
            OSError: When it cannot listen where it should.
        """
        with self._served(listening):
            due = monotonic()
            while not stop.is_set():
                self._round(stop)
                # Rounds that were missed since one took long are not caught up.
                due = max(due + self._settings.every, monotonic())
                stop.wait(due - monotonic())

    def _round(self, stop: Event) -> None:
        try:
            standing = self.once(stop.is_set)
        except SessionLogError as error:
            # Every minute the same would hide what else there is.
            if str(error) != self._trouble:
                level = logging.ERROR if self.damage else logging.WARNING
                logger.log(level, "error=<%s> | the round ended, the next one tries again", error)
            self._trouble = str(error)
            return
        if self._trouble:
            logger.warning("records=<%d> | rounds end well again", _size(standing))
        self._trouble = ""

    @contextmanager
    def _served(self, listening: Callable[[str], object]) -> Iterator[None]:
        if self._settings.port is None:
            yield
            return
        server, thread = start_http_server(self._settings.port, self._settings.host, self.registry)
        try:
            host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
            listening(f"http://{host}:{server.server_port}")
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _size(standing: Standing) -> int:
    return standing.summary.checkpoint.size if standing.summary.checkpoint else 0
