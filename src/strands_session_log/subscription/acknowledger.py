"""Where deliveries are settled: a thread tells the server of many in one round trip, and keeps the slow ones alive."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial

from ..concurrency import WorkerThread
from ..errors import ServerRefusedError, ServerUnavailableError
from ..scripts.group_protocol import Disposition, SettleReply, SettleRequest
from ..server import Outage, is_transient
from .counters import Counters
from .delivery import BaseDelivery
from .failure import Failure
from .group import Group
from .settlements import MOST_VERDICTS, Settlement, SettlementBatch, batches

logger = logging.getLogger(__name__)

_LINGER = 0.001
"""For how many seconds acks are collected before they are told."""
_BEAT_EVERY = 20.0
"""A sign of life comes at least as often, however long `claim_after` is: `groups` shows who is there (`ACTIVE_MS`)."""
_MAINTENANCE_EVERY = 2.0
_SUSPECT = 3


class Acknowledger:
    """Settles the deliveries of one consumer.

    Args:
        group: Its group.
        counters: Where it is counted.
        ended: Told of an error that time does not cure.
        settled: Told where something was settled that others may have waited for, and in how many seconds it is worth
            asking again.
        chores: Done every few seconds.
        release: Told of every delivery that is settled: in order, others wait for it.
        outage: Told what waits for the server.

    Attributes:
        consumer: Its name.
        keeps_texts: Whether texts of exceptions are kept.
    """

    def __init__(
        self,
        group: Group,
        counters: Counters,
        ended: Callable[[Exception], object],
        settled: Callable[[int, float], object],
        chores: Callable[[], object],
        release: Callable[[BaseDelivery], object],
        outage: Outage,
    ) -> None:
        self.consumer = group.settings.consumer
        self.keeps_texts = group.settings.keep_errors == "full"
        self._group, self._settings, self._counters = group, group.settings, counters
        self._ended, self._settled, self._maintenance, self._release = ended, settled, chores, release
        self._outage = outage
        self._enough = group.settings.least_room
        self._open: dict[tuple[int, bytes], BaseDelivery] = {}
        self._acked: deque[BaseDelivery] = deque()
        self._queue: list[Settlement] = []
        self._sending: list[SettlementBatch] = []
        self._taken_over: dict[int, str] = {}
        self._changed = threading.Condition()
        self._is_closing, self._has_ended, self._is_waiting, self._patience_ends = False, False, False, 0.0
        self._next_beat, self._next_maintenance = 0.0, time.monotonic() + _MAINTENANCE_EVERY
        self._thread = WorkerThread(f"session-log-{self.consumer}-acks")
        self._thread.start(self._run)

    @property
    def in_flight(self) -> int:
        """How many deliveries are not settled."""
        return len(self._open) - len(self._acked)

    def holds(self, partition: int) -> bool:
        """Whether something of a partition is not settled."""
        with self._changed:
            said = any(settlement.delivery.partition == partition for settlement in self._queue)
            told = any(batch.partition == partition for batch in self._sending)
            return said or told or any(place == partition for place, _ in self._open)

    @property
    def has_poison_suspect(self) -> bool:
        """Whether there is one that may kill its consumers, and is to be alone of its kind."""
        least = max(2, min(_SUSPECT, self._settings.max_attempts))
        with self._changed:
            return any(delivery.attempts >= least for delivery in self._open.values())

    def keys(self) -> dict[int, set[bytes]]:
        """The stream ids of what is unsettled, or the server has not been told yet that it is not, by partition."""
        with self._changed:
            told = [*self._open.values(), *(one.delivery for one in self._queue)]
            for batch in self._sending:
                told += [*batch.acked, *(one.delivery for one in batch.settlements)]
            keys: dict[int, set[bytes]] = defaultdict(set)
            for delivery in told:
                keys[delivery.partition].add(delivery.key)
            return keys

    def add(self, deliveries: Iterable[BaseDelivery]) -> None:
        """Take note of what was given to this consumer."""
        with self._changed:
            self._open.update([((one.partition, one.key), one) for one in deliveries])

    def begin(self, delivery: BaseDelivery, now: float) -> bool:
        """Note that it is being handled; not if it was called back in this very moment."""
        if not self._settings.ordered:
            delivery.started = now
            return True
        with self._changed:
            if delivery.is_settled:
                return False
            delivery.started = now
            return True

    def wait_for_room(self, timeout: float) -> None:
        """Return once enough deliveries are settled to ask for more, or the time is over."""
        most = self._settings.most_in_flight - self._settings.least_room
        with self._changed:
            self._changed.wait_for(lambda: self.in_flight <= most or self._is_closing, timeout)

    def wait_for_change(self, timeout: float) -> None:
        """Return once the server was told something, or the time is over."""
        with self._changed:
            self._changed.wait(timeout)

    def ack(self, delivery: BaseDelivery, confirm: bool = False) -> Future[bool] | None:
        """See `Settler`; one that comes late is confirmed in any case, for somebody else may have the delivery.

        This is done for every delivery, so it takes no lock: appending to a deque, always the same one, is atomic.
        """
        is_late = time.monotonic() > delivery.expires
        if confirm or is_late:
            future: Future[bool] = Future()
            self._enqueue(Settlement(delivery, "ack", future=future, is_late=is_late))
            return future
        self._acked.append(delivery)
        if self._is_waiting or len(self._acked) == self._enough:
            with self._changed:
                self._changed.notify_all()
        if self._settings.ordered:
            self._release(delivery)
        return None

    def fail(self, delivery: BaseDelivery, what: str, failure: Failure) -> None:
        """See `Settler`."""
        self._enqueue(Settlement(delivery, what, failure))

    def release(self, deliveries: Iterable[BaseDelivery]) -> None:
        """Let others have what nobody has begun to handle; it does not count as an attempt."""
        with self._changed:
            given_back = [one for one in deliveries if self._let_go(one)]
            self._changed.notify_all()
        for delivery in given_back:
            self._release(delivery)

    def release_what_waits(self) -> None:
        """Let others have all that nobody has begun to handle."""
        with self._changed:
            left = list(self._open.values())
        self.release(delivery for delivery in left if not delivery.started)

    def give_up(self, delivery: BaseDelivery) -> None:
        """Give back what may be another consumer's by now; in order, what comes after it must not be handled either."""
        with self._changed:
            self._let_go(delivery)
            if self._settings.ordered:
                self._release_later(delivery.partition)
            self._changed.notify_all()

    def close(self, timeout: float, why: Failure | None = None) -> None:
        """Give back what is left, and wait until the server knows of everything.

        Args:
            timeout: For how many seconds.
            why: What went wrong; then what was begun has failed.
        """
        with self._changed:
            left = list(self._open.values())
        for delivery in left:
            if why and delivery.started and not delivery.is_settled:
                delivery.is_settled = True
                self.fail(delivery, "nack", why)
        self.release(left)
        with self._changed:
            self._is_closing, self._patience_ends = True, time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join(timeout)

    def _enqueue(self, settlement: Settlement) -> None:
        with self._changed:
            if self._has_ended:
                # Given back, or failed, by now.
                settlement.answer(False)
                return
            self._close(settlement.delivery)
            self._queue.append(settlement)
            if settlement.what == "nack" and self._settings.ordered:
                self._release_later(settlement.delivery.partition)
            self._changed.notify_all()
        # Only now: what follows a failure has been called back.
        self._release(settlement.delivery)

    def _close(self, delivery: BaseDelivery) -> None:
        key = (delivery.partition, delivery.key)
        if self._open.get(key) is delivery:
            del self._open[key]

    def _release_later(self, partition: int) -> None:
        """What comes after a failure in an ordered partition must wait for it, and after a loss it is another's."""
        for later in [one for one in self._open.values() if one.partition == partition and not one.started]:
            self._let_go(later)

    def _let_go(self, delivery: BaseDelivery) -> bool:
        """Have the server told that others may have it; False where something was said of it already."""
        if delivery.is_settled:
            return False
        delivery.is_settled = delivery.is_given_back = True
        self._close(delivery)
        self._queue.append(Settlement(delivery, "release"))
        return True

    def _run(self) -> None:
        while (said := self._next()) is not None:
            pause = self._tried("acks", partial(self._flush, said))
            if soon := self._tried("heartbeats", self._heartbeat_when_due):
                self._next_beat = time.monotonic() + soon
            if soon := self._tried("chores", self._maintain_when_due):
                self._next_maintenance = time.monotonic() + soon
            if pause:
                self._wait(pause)
        self._end()

    def _end(self) -> None:
        """What is said from now on, nobody tells the server; nor what was said just now."""
        with self._changed:
            self._has_ended, left = True, self._queue
        for settlement in left:
            settlement.answer(False)

    def _tried(self, what: str, step: Callable[[], None]) -> float:
        """Do something; for how many seconds to wait before it is tried again, where the server refuses it for now."""
        try:
            step()
        except Exception as error:
            if is_transient(error):
                return self._outage.met(error, what)
            self._ended(error)
            self._give_up(error)
        return 0.0

    def _next(self) -> list[SettlementBatch] | None:
        """What is to be told, what could not be told before first; None when no more comes."""
        with self._changed:
            self._is_waiting = True
            due = min(self._next_beat, self._next_maintenance)
            self._changed.wait_for(self._has_news, max(0.0, due - time.monotonic()))
            self._is_waiting = False
            if not self._is_closing and not self._queue and self._acked:
                self._changed.wait(_LINGER)
            acked = [self._acked.popleft() for _ in range(len(self._acked))]
            settlements, self._queue = self._queue, []
            for delivery in acked:
                self._open.pop((delivery.partition, delivery.key), None)
            self._sending += batches(acked, settlements)
            self._changed.notify_all()
            return None if self._is_closing and not self._sending else self._sending

    def _has_news(self) -> bool:
        return bool(self._acked or self._queue or self._sending or self._is_closing)

    def _wait(self, pause: float) -> None:
        """What is to be told waits for the server; when there is no time left it is let go."""
        with self._changed:
            if not self._is_closing:
                self._changed.wait_for(lambda: self._is_closing, pause)
                return
            if time.monotonic() < self._patience_ends:
                self._changed.wait(pause)
                return
        self._give_up(ServerUnavailableError("the subscription ended before the server answered"))

    def _give_up(self, error: Exception) -> None:
        for batch in self._sending:
            batch.give_up(error)
        self._sending = []

    def _flush(self, said: Sequence[SettlementBatch]) -> None:
        if not said:
            return
        for batch in said:
            batch.tries += 1
        words = [one.words(self._taken_over.get(one.partition, ""), self._settings.pause_ms) for one in said]
        answers = self._group.settle(words)
        self._outage.over("acks")
        self._sending = []
        for batch, settled in zip(said, answers, strict=True):
            if isinstance(settled, ServerRefusedError):
                # Nobody has noted it, so all of it comes again once that is mended.
                logger.error("partition=<%d>, error=<%s> | what was settled is not noted", batch.partition, settled)
                batch.give_up(settled)
                continue
            self._note(batch, settled)
            self._look_out(batch.partition, settled.taken_over)
        with self._changed:
            self._changed.notify_all()

    def _look_out(self, partition: int, taken_over: str) -> None:
        """Others have taken something over: which, must be known before this is taken for granted again."""
        if self._taken_over.get(partition) == taken_over:
            return
        if self.holds(partition):
            # What is open must be looked at one by one, which the signs of life do.
            self._taken_over.pop(partition, None)
            self._next_beat = 0.0
        else:
            self._taken_over[partition] = taken_over

    def _note(self, batch: SettlementBatch, settled: SettleReply) -> None:
        lost = batch.answer(settled)
        failed = [one.delivery.attempts for one in batch.settlements if one.what == "nack"]
        acked = len(settled.done) - settled.done.count("t")
        self._counters.add(acked=acked, lost=lost, failed=len(failed), parked=len(settled.parked))
        if failed:
            self._settled(batch.partition, self._settings.pause_ms(min(failed)) / 1000)
        elif any(one.attempts > 1 for one in batch.done):
            self._settled(batch.partition, 0.0)
        self._heed_loss(batch.partition, lost)
        if lost:
            logger.warning("consumer=<%s>, lost=<%d> | another consumer has what was settled late", self.consumer, lost)

    def _heartbeat_when_due(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + min(_BEAT_EVERY, self._settings.claim_after / 3)
        self._fail_overdue(now)
        with self._changed:
            unsettled = [*self._open.values(), *(settlement.delivery for settlement in self._queue)]
        alive = [one for one in unsettled if not one.started or now - one.started < self._settings.timeout]
        places: dict[int, list[BaseDelivery]] = defaultdict(list)
        for delivery in alive:
            places[delivery.partition].append(delivery)
        parts = [
            deliveries[start : start + MOST_VERDICTS]
            for deliveries in places.values()
            for start in range(0, len(deliveries), MOST_VERDICTS)
        ]
        if parts:
            self._heartbeat(parts, now)
            self._outage.over("heartbeats")
        else:
            self._outage.leave("heartbeats")

    def _fail_overdue(self, now: float) -> None:
        """In order nobody else is given anything while this consumer lives: it must say itself what takes too long."""
        if not self._settings.ordered:
            return
        timeout = self._settings.timeout
        with self._changed:
            begun = [one for one in self._open.values() if one.started and not one.is_settled]
        for one in begun:
            if now - one.started >= timeout and now > one.expires:
                # What is said of it from now on, the server is asked about.
                one.expires = 0.0
                self._enqueue(Settlement(one, "nack", Failure(f"TimeoutError: not settled within {timeout:g} s")))

    def _heed_loss(self, partition: int, lost: int) -> None:
        """Of a partition in order, another consumer has all if it has any."""
        if lost and self._settings.ordered:
            with self._changed:
                self._release_later(partition)
                self._changed.notify_all()

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
            for delivery, said in zip(deliveries, settled.others, strict=True):
                delivery.expires = now + self._settings.lease if said == "k" else 0.0
            self._heed_loss(deliveries[0].partition, len(deliveries) - settled.others.count("k"))
