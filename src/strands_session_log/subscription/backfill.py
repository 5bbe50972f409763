"""Backfill, beside the feed: history that is read from the sessions themselves, and parked events that are tried again.

One consumer of a group does it for a partition at a time, under a lease. How far it came stands on the server, so
another one goes on there: at least once, like everything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..concurrency import WorkerThread
from ..errors import SessionLogError
from ..event_log import EventLog
from ..feed import Envelope
from ..ids import EventId
from ..server import Outage, is_transient
from .backfill_source import BackfillItem
from .backfill_task import BackfillTask
from .counters import Counters
from .delivery import BaseDelivery
from .failure import NONE, Failure
from .group import Group

if TYPE_CHECKING:
    from .consumer import Consumer

_FOREVER = float("inf")


class Backfill:
    """The work of one consumer, in all partitions.

    Args:
        events: The sessions.
        group: The consumer's group.
        reader: Who reads.
        counters: Where it is counted.
        kind: What deliveries are made of.
        outage: Told what waits for the server.
        settled: Told where something was settled, so that there may be more to do.

    Attributes:
        consumer: Its name.
        keeps_texts: Whether texts of exceptions are kept.
    """

    def __init__(
        self,
        events: EventLog,
        group: Group,
        reader: Consumer,
        counters: Counters,
        kind: type[BaseDelivery],
        outage: Outage,
        settled: Callable[[int], object],
    ) -> None:
        self.consumer, self.opened = group.settings.consumer, events.cipher.opened_one
        self.keeps_texts = group.settings.keep_errors == "full"
        self._events, self._group, self._reader, self._counters, self._kind = events, group, reader, counters, kind
        self._settings, self._outage, self._settled = group.settings, outage, settled
        self._jobs: dict[int, BackfillTask] = {}
        self._delivered: dict[str, EventId] = {}
        self._promised = 0
        self._lock = threading.Lock()

    @property
    def knows_any(self) -> bool:
        """Whether something was delivered that the feed may tell of, too."""
        return bool(self._delivered)

    def has_delivered(self, envelope: Envelope) -> bool:
        """Whether an event was delivered from its session already."""
        last = self._delivered.get(envelope.session_id)
        return last is not None and envelope.id <= last

    def go_on(self, partition: int, kind: str) -> bool:
        """Do some of it, without waiting for anybody; whether something was done."""
        held_until = time.monotonic() + self._settings.lease
        job = self._jobs.get(partition)
        if job is None or job.kind != kind or not job.goes_on():
            self._begin(partition, job, BackfillTask.begin(self._events, self._group, partition, kind, self._rejected))
        job = self._jobs[partition]
        job.held_until = held_until
        self._fail_overdue(job)
        with self._credits(job) as room:
            made = job.next(room, self._reader.wants, self._made)
        if kind == "history":
            # What is older than the group, the feed does not tell it of.
            self._delivered.update({one.session_id: one.id for one in made if one.id.ms >= job.began_ms})
        self._counters.add(delivered=len(made), redelivered=sum(one.attempts > 1 for one in made))
        self._reader.channel.put(made)
        if not job.save(self._counters):
            self._begin(partition, job, None)
        return bool(made)

    def due_in(self, partition: int) -> float:
        """In how many seconds to go on with it, unless something of it is settled before."""
        job = self._jobs.get(partition)
        return job.due_in() if job else 0.02

    def holds(self, partition: int) -> bool:
        """Whether something of it is being handled."""
        job = self._jobs.get(partition)
        return job is not None and job.is_begun

    def leave(self, partition: int) -> None:
        """Let another consumer go on with it."""
        if job := self._jobs.get(partition):
            job.save(self._counters, leave="released")
            self._begin(partition, job, None)

    def fail_overdue(self) -> None:
        """In order, nothing of a partition goes on while something else of it is held up by one of these."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            self._fail_overdue(job)

    def _fail_overdue(self, job: BackfillTask) -> None:
        for late in job.overdue():
            if job.settle(late, "nack", Failure(f"TimeoutError: not settled within {self._settings.timeout:g} s")):
                self._counters.add(failed=1)
            self._reader.channel.release(late)

    def _rejected(self, error: Exception) -> None:
        self._counters.add(rejected=1)
        self._reader.rejected(error)

    def _begin(self, partition: int, before: BackfillTask | None, job: BackfillTask | None) -> None:
        with self._lock:
            if job:
                self._jobs[partition] = job
            elif self._jobs.get(partition) is before:
                self._jobs.pop(partition, None)
        if before:
            before.abandon()

    @contextmanager
    def _credits(self, job: BackfillTask) -> Iterator[int]:
        """All jobs together have no more in flight than the subscription may, whichever threads go on with them."""
        with self._lock:
            outstanding = self._promised + sum(one.outstanding for one in self._jobs.values())
            room = min(self._settings.batch - job.outstanding, self._settings.most_in_flight - outstanding)
            self._promised += max(0, room)
        try:
            yield room
        finally:
            with self._lock:
                self._promised -= max(0, room)

    def ack(self, delivery: BaseDelivery, confirm: bool = False) -> Future[bool] | None:
        """See `delivery.Settler`; what is said here reaches the server with the next step of the work."""
        job = self._jobs.get(delivery.partition)
        is_sure = job is not None and time.monotonic() <= job.held_until
        future: Future[bool] | None = None if is_sure and not confirm else Future()
        kept = job is not None and job.settle(delivery, "ack", NONE, future)
        self._release(delivery)
        self._counters.add(**{"acked" if kept else "lost": 1})
        if kept and job:
            if future and job.must_hurry():
                WorkerThread("session-log-backfill").start(partial(self._answer, delivery.partition, job))
            return future
        future = Future()
        future.set_result(False)
        return future

    def _answer(self, partition: int, job: BackfillTask) -> None:
        """Somebody waits to hear whether an ack counts, and whoever goes on with the job may wait for room."""
        while job.is_waited_for():
            try:
                if not job.save(self._counters):
                    self._begin(partition, job, None)
                self._outage.over(job)
            except SessionLogError as error:
                if is_transient(error):
                    job.wait(self._outage.met(error, job))
                    continue
                job.abandon(error)
                self._begin(partition, job, None)
        self._outage.leave(job)

    def fail(self, delivery: BaseDelivery, what: str, failure: Failure) -> None:
        """See `delivery.Settler`."""
        job = self._jobs.get(delivery.partition)
        kept = job is not None and job.settle(delivery, what, failure)
        self._release(delivery)
        self._counters.add(**{"failed" if kept else "lost": 1})

    def _release(self, delivery: BaseDelivery) -> None:
        self._reader.channel.release(delivery)
        self._settled(delivery.partition)

    def _made(self, item: BackfillItem) -> BaseDelivery:
        given, body = (b"", item.attempts, ()), item.body if self._settings.bodies else None
        return self._kind(item.envelope.feed_id.partition, given, self, _FOREVER, body, item.envelope, True)

    def close(self, failed: bool) -> None:
        """Note how far it came; what was begun has failed if something went wrong, and is the next to be tried."""
        with self._lock:
            jobs = list(self._jobs.values())
        is_away = False
        for job in jobs:
            try:
                if not is_away:
                    job.save(self._counters, leave="failed" if failed else "released")
            except SessionLogError as error:
                # That it is away was waited for once.
                is_away = is_transient(error)
            job.abandon()
