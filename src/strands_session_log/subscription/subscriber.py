"""Subscribing to every session of a log, together with others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..concurrency import WorkerThread, running_loop
from ..errors import NotCopied, check_log, check_whole, refuse_unknown
from .consumer import Consumer
from .deliveries import Deliveries, SyncDeliveries
from .delivery import Delivery, SyncDelivery
from .running import Handler, run
from .settings import KeepErrors, OnCorrupt, OnGap, Start, SubscriptionSettings, consumer_name
from .signals import Signals

if TYPE_CHECKING:
    from ..session_log import SessionLog


class Subscriber(NotCopied):
    """A consumer in a group that follows every session of a log: each event is handled at least once by one of them.

    ```python
    async with Subscriber(log, group="audit") as deliveries:
        async for delivery in deliveries:
            await handle(delivery.envelope)
            await delivery.ack()
    ```

    Without `async`, `with` and `for` do the same from a thread. A consumer that dies is replaced by the others of its
    group: what it had not settled is theirs after `claim_after`. What cannot be handled is tried again after a pause
    and, after `max_attempts`, parked with its error (`log.parked(group)`), so that the rest goes on.

    Args:
        log: The log.
        group: The name of the group; consumers of the same name share the work.
        consumer: The name of this consumer, which no other may have at the same time; made up if left out. One that
            comes again under its old name goes on with what it had.
        start: Where a group begins that does not exist yet: `feed`, with what the feed still holds; `now`; or
            `beginning`, with all that the sessions hold, session by session, and then the feed, without a hole.
        ordered: Deliver the events of a session one after the other: none before the one before it is settled, whoever
            iterates. Each partition is then leased to one consumer, and one that fails holds up its partition until it
            is handled or parked.
        types: Only events of these types; `message.*` means all that begin with `message.`.
        agent: Only events of this agent.
        bodies: Fetch the content of the events (`delivery.event`), in the round trip that reads what comes next.
        batch: How many deliveries are fetched at once at most.
        in_flight: How many may be unsettled at once; four batches, and at least 100, if 0.
        claim_after: After how many seconds without a sign of life a delivery is given to another consumer.
        max_attempts: How often something is tried before it is parked.
        backoff: For how many seconds a failed delivery waits the first time; each time twice as long, up to
            `claim_after`.
        timeout: For how many seconds a handler may take; then its delivery is left to others, or has failed if ordered.
        on_gap: What to do when envelopes are gone that were not delivered: `raise` a `FeedGapError`; `catch_up`, read
            the sessions themselves; or `skip`.
        on_corrupt: What to do besides parking an entry that no writer of this library made, or that says something else
            than the session does: `continue`; or `raise` the `CorruptEntryError` or `EnvelopeMismatchError`, too, after
            which iterating again goes on.
        keep_errors: What is kept of an exception that a handler raised: its type and `place`; or in `full`, with its
            text, which may quote content and so is erased and deleted with that of the session.

    Raises:
        SessionLogError: When one of these cannot be, or there is no argument of this name (`UnknownArgumentError`).

    Attributes:
        settings: All of these, as they hold.
    """

    _INSTEAD = "make another one, with the same group to share the work"

    @refuse_unknown
    def __init__(
        self,
        log: SessionLog,
        group: str,
        consumer: str | None = None,
        *,
        start: Start = "feed",
        ordered: bool = False,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
        bodies: bool = False,
        batch: int = 100,
        in_flight: int = 0,
        claim_after: float = 30.0,
        max_attempts: int = 5,
        backoff: float = 0.5,
        timeout: float = 300.0,
        on_gap: OnGap = "raise",
        on_corrupt: OnCorrupt = "continue",
        keep_errors: KeepErrors = "place",
    ) -> None:
        check_log(log)
        self.settings = SubscriptionSettings(
            group=group,
            consumer=consumer_name() if consumer is None else consumer,
            start=start,
            ordered=ordered,
            types=types,
            agent=agent,
            bodies=bodies,
            batch=batch,
            in_flight=in_flight,
            claim_after=claim_after,
            max_attempts=max_attempts,
            backoff=backoff,
            timeout=timeout,
            on_gap=on_gap,
            on_corrupt=on_corrupt,
            keep_errors=keep_errors,
        )
        self._log = log
        self._consumer: Consumer | None = None

    async def __aenter__(self) -> Deliveries:
        running_loop()
        making = asyncio.create_task(asyncio.to_thread(Consumer, self._log, self.settings, Delivery))
        try:
            self._consumer = await asyncio.shield(making)
        except asyncio.CancelledError:
            # The thread goes on, and what it makes is nobody's.
            making.add_done_callback(_close_unused)
            raise
        return Deliveries(self._consumer)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Shielded: who is cancelled while leaving must give back what it holds all the same.
        await asyncio.shield(asyncio.to_thread(self._close, error))

    def __enter__(self) -> SyncDeliveries:
        self._consumer = Consumer(self._log, self.settings, SyncDelivery)
        return SyncDeliveries(self._consumer)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(error)

    async def run(self, handler: Handler, concurrency: int = 1, stop_on_signals: bool = True) -> None:
        """Handle everything with a function, until SIGTERM or SIGINT comes or the task is cancelled.

        What the handler returns from is done. What it raises from, or takes longer for than `timeout`, has failed: it
        is tried again, and parked in the end. At the end what is being handled is finished, the rest is given back.

        Args:
            handler: Takes a `Delivery`; a coroutine function, or a plain one, which runs in a thread. Whatever can be
                awaited of what it returns is awaited in the event loop, within `timeout`.
            concurrency: How many deliveries are handled at once; in ordered mode, of different sessions.
            stop_on_signals: Whether SIGTERM and SIGINT end it, when it runs in the main thread.

        Raises:
            HandlerError: When the handler returned a generator, which has run nothing.
        """
        check_whole("concurrency", concurrency, 1)
        settings = self.settings
        if not settings.in_flight:
            # In order, all of a batch may have to wait for one of it: there is another batch for each of the others.
            least = settings.batch * (concurrency + 1) if settings.ordered else settings.batch + concurrency
            settings = replace(settings, in_flight=least)
        async with (subscriber := Subscriber._with(self._log, settings)) as deliveries:
            assert subscriber._consumer
            subscriber._consumer.settles_all = True
            with Signals(deliveries.stop, enabled=stop_on_signals):
                await run(deliveries, handler, concurrency, settings.timeout)

    @classmethod
    def _with(cls, log: SessionLog, settings: SubscriptionSettings) -> Subscriber:
        made = cls.__new__(cls)
        made.settings, made._log, made._consumer = settings, log, None
        return made


def _close_unused(making: asyncio.Task[Consumer]) -> None:
    if not making.cancelled() and making.exception() is None:
        consumer = making.result()
        WorkerThread("session-log-goodbye").start(lambda: consumer.close(None))
