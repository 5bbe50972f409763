"""Tells the server what became of deliveries: of many in one round trip, and that the slow ones are still handled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ..concurrency import WorkerThread
from ..errors import ServerRefusedError, ServerUnavailableError
from ..scripts.group_protocol import Disposition, SettleReply, SettleRequest
from ..server import Outage, is_transient
from .counters import Counters
from .delivery import BaseDelivery
from .failure import Failure
from .group import Group
from .in_flight import InFlight
from .settlements import MOST_VERDICTS, SettlementBatch

logger = logging.getLogger(__name__)

_BEAT_EVERY = 20.0
"""A sign of life comes at least as often, however long `claim_after` is: `groups` shows who is there (`ACTIVE_MS`)."""
_MAINTENANCE_EVERY = 2.0


class Carried(NamedTuple):
    """What is told by who asks the server for more.

    Attributes:
        batches: Of which deliveries.
        words: What is said.
    """

    batches: Sequence[SettlementBatch]
    words: Sequence[SettleRequest]


class Acknowledger:
    """A thread that settles the deliveries of one consumer.

    Args:
        group: Its group.
        in_flight: Its deliveries, and what was said of them.
        counters: Where it is counted.
        ended: Told of an error that time does not cure.
        settled: Told where something was settled that others may have waited for, and in how many seconds it is worth
            asking again.
        chores: Done every few seconds.
        outage: Told what waits for the server.
    """

    def __init__(
        self,
        group: Group,
        in_flight: InFlight,
        counters: Counters,
        ended: Callable[[Exception], object],
        settled: Callable[[int, float], object],
        chores: Callable[[], object],
        outage: Outage,
    ) -> None:
        self._group, self._settings, self._in_flight, self._counters = group, group.settings, in_flight, counters
        self._ended, self._settled, self._maintenance, self._outage = ended, settled, chores, outage
        self._taken_over: dict[int, str] = {}
        self._next_beat, self._next_maintenance = 0.0, time.monotonic() + _MAINTENANCE_EVERY
        self._thread = WorkerThread(f"session-log-{self._settings.consumer}-acks")
        self._thread.start(self._run)

    def close(self, timeout: float, why: Failure | None = None) -> None:
        """Give back what is left, and wait until the server knows of everything.

        Args:
            timeout: For how many seconds.
            why: What went wrong; then what was begun has failed.
        """
        self._in_flight.close(timeout, why)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (said := self._in_flight.next_batches(min(self._next_beat, self._next_maintenance))) is not None:
            pause = self._tried("acks", partial(self._flush, said))
            if soon := self._tried("heartbeats", self._heartbeat_when_due):
                self._next_beat = time.monotonic() + soon
            if soon := self._tried("chores", self._maintain_when_due):
                self._next_maintenance = time.monotonic() + soon
            if pause and not self._in_flight.pause(pause):
                self._in_flight.drop(ServerUnavailableError("the subscription ended before the server answered"))
        self._in_flight.end()

    def _tried(self, what: str, step: Callable[[], None]) -> float:
        """Do something; for how many seconds to wait before it is tried again, where the server refuses it for now."""
        try:
            step()
        except Exception as error:
            if is_transient(error):
                return self._outage.met(error, what)
            self._ended(error)
            self._in_flight.drop(error)
        return 0.0

    def _flush(self, said: Sequence[SettlementBatch]) -> None:
        if not said:
            return
        answers = self._group.settle(self._words(said, self._taken_over))
        self._outage.over("acks")
        self._in_flight.sent()
        self._take_note(said, answers)
        self._in_flight.notify()

    def take_along(self) -> Carried:
        """What was acked, for who asks the server for more: it is told in the same round trip. `told` must follow."""
        # In this order. What is taken is not looked at by signs of life any more, so a count that they find later says
        # nothing about it.
        known = dict(self._taken_over)
        batches = self._in_flight.carry()
        return Carried(batches, self._words(batches, known))

    def told(self, carried: Carried, answers: Sequence[SettleReply | ServerRefusedError] | None) -> None:
        """What the server said of what was taken along; None where nobody knows whether it heard."""
        self._in_flight.carried(answers is not None)
        if answers is not None:
            self._take_note(carried.batches, answers)

    def _words(self, said: Sequence[SettlementBatch], known: Mapping[int, str]) -> list[SettleRequest]:
        for batch in said:
            batch.tries += 1
        return [one.words(known.get(one.partition, ""), self._settings.pause_ms) for one in said]

    def _take_note(self, said: Sequence[SettlementBatch], answers: Sequence[SettleReply | ServerRefusedError]) -> None:
        for batch, settled in zip(said, answers, strict=True):
            if isinstance(settled, ServerRefusedError):
                # Nobody has noted it, so all of it comes again once that is mended.
                logger.error("partition=<%d>, error=<%s> | what was settled is not noted", batch.partition, settled)
                batch.give_up(settled)
                continue
            self._note(batch, settled)
            self._look_out(batch.partition, settled.taken_over)

    def _look_out(self, partition: int, taken_over: str) -> None:
        """Others have taken something over: which, must be known before this is taken for granted again."""
        if self._taken_over.get(partition) == taken_over:
            return
        if partition in self._in_flight.unwritten():
            # What is open must be looked at one by one, which the signs of life do.
            self._taken_over.pop(partition, None)
            self._next_beat = 0.0
            self._in_flight.hurry()
        else:
            self._taken_over[partition] = taken_over

    def _note(self, batch: SettlementBatch, settled: SettleReply) -> None:
        lost = batch.answer(settled)
        failed = [one.delivery.attempts for one in batch.settlements if one.what == "nack"]
        acked = len(settled.done) - settled.done.count("t")
        self._counters.add(acked=acked, lost=lost, failed=len(failed), parked=len(settled.parked))
        if failed:
            self._settled(batch.partition, self._settings.pause_ms(min(failed)) / 1000)
        elif max(batch.attempts, default=1) > 1:
            self._settled(batch.partition, 0.0)
        if lost:
            self._in_flight.heed_loss(batch.partition)
            name = self._settings.consumer
            logger.warning("consumer=<%s>, lost=<%d> | another consumer has what was settled late", name, lost)

    def _heartbeat_when_due(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + min(_BEAT_EVERY, self._settings.claim_after / 3)
        if self._settings.ordered:
            self._in_flight.fail_overdue(now)
        parts = [
            deliveries[start : start + MOST_VERDICTS]
            for deliveries in self._in_flight.alive(now).values()
            for start in range(0, len(deliveries), MOST_VERDICTS)
        ]
        if parts:
            self._heartbeat(parts, now)
            self._outage.over("heartbeats")
        else:
            self._outage.leave("heartbeats")

    def _maintain_when_due(self) -> None:
        if time.monotonic() >= self._next_maintenance:
            self._next_maintenance = time.monotonic() + _MAINTENANCE_EVERY
            self._maintenance()
            self._outage.over("chores")

    def _heartbeat(self, parts: Sequence[Sequence[BaseDelivery]], now: float) -> None:
        words = [
            SettleRequest(part[0].partition, others=[Disposition("extend", one.key, one.attempts) for one in part])
            for part in parts
        ]
        for deliveries, settled in zip(parts, self._group.settle(words), strict=True):
            if isinstance(settled, ServerRefusedError):
                continue
            self._taken_over[deliveries[0].partition] = settled.taken_over
            are_kept = [said == "k" for said in settled.others]
            self._in_flight.extended(deliveries, are_kept, until=now + self._settings.lease)
