"""The forwarder: a subscription whose deliveries are sent, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from strands_session_log import Deliveries, Delivery, SessionLog, Subscriber
from strands_session_log.errors import DeliveryLostError, SessionLogError
from strands_session_log.exports.cloudevents import CloudEvent, delivery_event

from .availability import Availability, StoppingError
from .receiver import Answer, Receiver, Verdict
from .settings import ForwardSettings

if TYPE_CHECKING:
    from .counting import ForwardMetrics

logger = logging.getLogger(__name__)

_AGAIN = 1.0
"""Seconds between two attempts to subscribe."""


class ReceiverGoneError(Exception):
    """The receiver has said that it is to be sent nothing any more (410)."""


class Forwarded(NamedTuple):
    """What became of one attempt to hand an event over.

    Attributes:
        session_id: Of the event.
        id: Its id.
        type: Its type.
        outcome: `delivered`, `failed` (it is tried again), or `parked`.
        attempt: The how manieth, from 1.
        why: What the receiver answered.
    """

    session_id: str
    id: str
    type: str
    outcome: str
    attempt: int
    why: str


class Forwarder:
    """Forwards what a group is given.

    Args:
        log: The log.
        receiver: Where to.
        settings: What, and for how long.
        tell: Told what became of each.
        metrics: Counted in, if given.
    """

    def __init__(
        self,
        log: SessionLog,
        receiver: Receiver,
        settings: ForwardSettings,
        tell: Callable[[Forwarded], object] = lambda forwarded: None,
        metrics: ForwardMetrics | None = None,
    ) -> None:
        self._metrics = metrics
        self._log, self._receiver, self._settings, self._tell = log, receiver, settings, tell

    async def run(self, stop: asyncio.Event) -> None:
        """Forward until told to stop: what is being sent is still sent, the rest is left to others.

        Raises:
            ReceiverGoneError: When the receiver wants nothing any more.
        """
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        availability = Availability(self._settings.backoff, self._settings.longest_pause, stopping)
        try:
            while not stopping.done():
                try:
                    await self._subscribe(availability, stopping)
                except SessionLogError as error:
                    logger.warning("error=<%s> | the subscription ended, subscribing again", error)
                    await asyncio.wait((stopping,), timeout=_AGAIN)
        finally:
            stopping.cancel()

    def _subscriber(self) -> Subscriber:
        settings = self._settings
        return Subscriber(
            self._log,
            settings.group,
            settings.consumer,
            start=settings.start,
            ordered=settings.ordered,
            types=tuple(settings.types) or None,
            agent=settings.agent,
            bodies=settings.content,
            claim_after=settings.claim_after,
            max_attempts=settings.max_attempts,
            backoff=settings.backoff,
            # What waits for the receiver is held: the pause that has begun, and the answer, included.
            timeout=settings.patience + settings.longest_pause + 2 * settings.timeout,
            on_gap="catch_up",
        )

    async def _subscribe(self, availability: Availability, stopping: asyncio.Future[Any]) -> None:
        async with self._subscriber() as deliveries:
            stopping.add_done_callback(end := lambda _: deliveries.stop())
            try:
                await _all_or_none(
                    [self._work(deliveries, availability) for _ in range(self._settings.concurrency)],
                )
            finally:
                stopping.remove_done_callback(end)

    async def _work(self, deliveries: Deliveries, availability: Availability) -> None:
        async for delivery in deliveries:
            try:
                event = delivery_event(delivery, self._log.namespace)
            except SessionLogError as error:
                # Its content is encrypted, and the keys cannot be had for now.
                await delivery.fail(error)
                continue
            try:
                answer = await self._answer(event, availability)
            except StoppingError:
                return
            await self._settle(delivery, answer)

    async def _answer(self, event: CloudEvent, availability: Availability) -> Answer:
        """That of the receiver; where it is away and takes nothing else either, the one that comes in the end."""
        taken, until = availability.taken, time.monotonic() + self._settings.patience
        while True:
            async with availability.turn():
                answer = await self._post(event)
                if answer.verdict is Verdict.TAKEN:
                    availability.note_taken()
                elif answer.verdict is Verdict.AWAY:
                    logger.warning("why=<%s> | the receiver takes nothing for now", answer.why)
                    availability.note_away(answer.retry_after)
            is_its_fault = availability.taken != taken or time.monotonic() > until
            if answer.verdict is not Verdict.AWAY or is_its_fault:
                return answer

    async def _post(self, event: CloudEvent) -> Answer:
        begun = time.monotonic()
        answer = await self._receiver.post(event)
        if self._metrics:
            self._metrics.answered(answer, time.monotonic() - begun)
        return answer

    async def _settle(self, delivery: Delivery, answer: Answer) -> None:
        if answer.verdict is Verdict.GONE:
            raise ReceiverGoneError(answer.why)
        if answer.verdict is Verdict.TAKEN:
            try:
                await delivery.ack()
            except DeliveryLostError as lost:
                logger.warning("error=<%s> | sent, and another forwarder sends it, too", lost)
            self._note(delivery, "delivered", answer)
            return
        await delivery.fail(f"the receiver did not take it: {answer.why}")
        is_last = delivery.attempts >= self._settings.max_attempts
        logger.warning("delivery=<%s>, why=<%s>, parked=<%s> | not taken", delivery, answer.why, is_last)
        self._note(delivery, "parked" if is_last else "failed", answer)

    def _note(self, delivery: Delivery, outcome: str, answer: Answer) -> None:
        if self._metrics:
            self._metrics.settled(outcome)
        envelope = delivery.envelope
        told = envelope.session_id, str(envelope.id), envelope.type
        self._tell(Forwarded(*told, outcome, delivery.attempts, answer.why))


async def _all_or_none(parts: list[Any]) -> None:
    """Until all have ended, or one with an error, which is raised once the others have ended, too."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
