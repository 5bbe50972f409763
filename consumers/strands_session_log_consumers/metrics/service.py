"""The exporter: a subscription that is counted, a lookout, and an endpoint that shows both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from strands_session_log import SessionLog, Subscriber, errors
from strands_session_log.instrumentation import (
    Detail,
    ServerAwaited,
    ServerWaitOver,
    add_hook,
    get_hooks,
    instrument_with_prometheus,
    set_hooks,
)

from .counting import Conversations
from .looking import Lookout
from .serving import Endpoint, application
from .settings import Settings
from .state import State

logger = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds between two attempts to subscribe."""
_GRACE = 5.0
"""Seconds that what is being counted at the end may take: a server that hangs must not keep the process."""


class Exporter:
    """Counts what the log's feed tells, together with the other exporters of its group.

    Args:
        log: The log.
        settings: What it is to do.

    Attributes:
        registry: Its metrics.
    """

    def __init__(self, log: SessionLog, settings: Settings) -> None:
        self._log, self._settings = log, settings
        self.registry = CollectorRegistry()
        self._conversations = Conversations(self.registry, settings.max_agents, settings.max_tools, settings.max_models)
        self._lookout = Lookout(log, settings.group, settings.look_every)
        self._end_subscription: Callable[[], None] | None = None
        self._waits_for = ""
        self.registry.register(State(lambda: self._lookout.latest))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        instrument_with_prometheus(self.registry)

    def trouble(self) -> str:
        """What keeps it from its work, in words; empty when nothing does."""
        look = self._lookout.latest
        if self._waits_for:
            return self._waits_for
        if look is None:
            return "the server does not answer"
        if self._end_subscription is None:
            return f"not subscribed as group {self._settings.group} yet"
        if not look.has(self._settings.group, self._log.partitions):
            return f"the lag of group {self._settings.group} is not known in all partitions yet"
        return ""

    async def run(self, stop: asyncio.Event, listening: Callable[[str], object]) -> None:
        """Serve and count until told to stop.

        Args:
            stop: Set to end it.
            listening: Told the URL once the endpoint listens.

        Raises:
            OSError: When it cannot listen where it should.
        """
        with ExitStack() as stack:
            endpoint = Endpoint(application(self.registry, self.trouble), self._settings.host, self._settings.port)
            stack.enter_context(endpoint)
            add_hook(self._note_wait)
            stack.callback(lambda: set_hooks(hook for hook in get_hooks() if hook != self._note_wait))
            stack.callback(self._lookout.stop)
            self._lookout.start()
            listening(endpoint.url)
            await self._work(stop)

    def _note_wait(self, detail: Detail) -> None:
        """What the subscription waits for."""
        match detail:
            case ServerAwaited(follower="subscriber", reason=reason):
                self._waits_for = reason
            case ServerWaitOver(follower="subscriber"):
                self._waits_for = ""

    async def _work(self, stop: asyncio.Event) -> None:
        """Count until told to stop, and then to the end of what was being counted; what it raises is raised."""
        counting, stopping = asyncio.create_task(self._count(stop)), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((counting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._end_subscription:
                self._end_subscription()
            await asyncio.wait((counting,), timeout=_GRACE)
        finally:
            stopping.cancel()
            counting.cancel()
        await asyncio.wait((counting,))
        if not counting.cancelled():
            counting.result()

    async def _count(self, stop: asyncio.Event) -> None:
        """Subscribe, again and again: a server that was away ends no exporter."""
        while not stop.is_set():
            try:
                await self._subscribe()
            except errors.SessionLogError as error:
                logger.warning("error=<%s> | the subscription ended, subscribing again", error)
            finally:
                self._end_subscription = None
            if not stop.is_set():
                # Not `wait_for`, which before Python 3.12 may lose that it was cancelled.
                await asyncio.sleep(_PAUSE)

    async def _subscribe(self) -> None:
        settings = self._settings
        subscriber = Subscriber(
            self._log,
            group=settings.group,
            consumer=settings.consumer,
            start=settings.start,
            claim_after=settings.claim_after,
            on_gap="skip",
        )
        async with subscriber as deliveries:
            self._end_subscription = deliveries.stop
            async for batch in deliveries.batches():
                # What the server has confirmed is nobody else's any more, so it is counted once (ADR 0019).
                self._conversations.count(delivery.envelope for delivery in await deliveries.ack(batch))
