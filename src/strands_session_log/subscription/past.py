"""Work beside the feed: history that is read from the sessions themselves, and parked events that are tried again.

One consumer of a group does it for a partition at a time, under a lease. How far it came stands on the server, so
another one goes on there: at least once, like everything else.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from ..errors import SessionLogError
from ..event_log import EventLog
from ..feed import Envelope
from ..ids import EventId
from .delivery import BaseDelivery
from .group import Group
from .groups import Cure, settle_gaps
from .job import Item, Job
from .mailbox import Mailbox
from .settings import SubscriptionSettings
from .taken import Gap
from .tally import Tally


class Reader(Protocol):
    """Who reads what is delivered."""

    mailbox: Mailbox[BaseDelivery]
    settings: SubscriptionSettings


class Past:
    """The work of one consumer, in all partitions.

    Args:
        events: The sessions.
        group: The consumer's group.
        reader: Who reads.
        tally: Where it is counted.
        kind: What deliveries are made of.

    Attributes:
        consumer: Its name.
    """

    def __init__(self, events: EventLog, group: Group, reader: Reader, tally: Tally, kind: type[BaseDelivery]) -> None:
        self.consumer = group.settings.consumer
        self._events, self._group, self._reader, self._tally, self._kind = events, group, reader, tally, kind
        self._jobs: dict[int, Job] = {}
        self._delivered: dict[str, EventId] = {}
        self._lock = threading.RLock()

    @property
    def knows_any(self) -> bool:
        """Whether something was delivered that the feed may tell of, too."""
        return bool(self._delivered)

    def has_delivered(self, envelope: Envelope) -> bool:
        """Whether an event was delivered from its session already."""
        last = self._delivered.get(envelope.session_id)
        return last is not None and envelope.id <= last

    def go_on(self, partition: int, kind: str) -> bool:
        """See `intake.Work`."""
        with self._lock:
            job = self._jobs.get(partition)
            if job is None or job.kind != kind:
                job = self._jobs[partition] = Job.begin(self._events, self._group, partition, kind)
            room = self._group.settings.batch - job.outstanding
            made = [self._made(one) for one in job.next(room)]
            if kind == "history":
                for one in made:
                    self._delivered[one.session_id] = one.id
            self._tally.add(delivered=len(made))
            self._reader.mailbox.put(made)
            if not job.save(self._tally):
                del self._jobs[partition]
            return bool(made)

    def ack(self, delivery: BaseDelivery, confirm: bool = False) -> Future[bool] | None:
        """See `delivery.Settler`; what is said here reaches the server with the next step of the work."""
        kept = self._settle(delivery, "ack", "")
        self._tally.add(**{"acked" if kept else "lost": 1})
        if kept and not confirm:
            return None
        future: Future[bool] = Future()
        future.set_result(kept)
        return future

    def fail(self, delivery: BaseDelivery, what: str, error: str) -> None:
        """See `delivery.Settler`."""
        self._tally.add(**{"failed" if self._settle(delivery, what, error) else "lost": 1})

    def _settle(self, delivery: BaseDelivery, what: str, error: str) -> bool:
        with self._lock:
            job = self._jobs.get(delivery.partition)
            return job is not None and job.settle(delivery.envelope, what, error)

    def _made(self, item: Item) -> BaseDelivery:
        given = (b"", item.attempts, ())
        return self._kind(item.envelope.feed_id.partition, given, self, item.expires, item.body, item.envelope)

    def catch_up(self, gap: Gap) -> None:
        """See `intake.Work`."""
        self._settle_gap(gap, "catch_up")

    def skip(self, gap: Gap) -> None:
        """See `intake.Work`."""
        self._settle_gap(gap, "skip")

    def _settle_gap(self, gap: Gap, how: Cure) -> None:
        group = self._group
        settle_gaps(group.client, group.keyspace, group.settings.group, how, group.retry_for, [gap.after.partition])

    def close(self, failed: str) -> None:
        """Note how far it came; what was begun has failed if something went wrong, and is the next to be tried."""
        with self._lock, suppress(SessionLogError):
            for job in self._jobs.values():
                job.save(self._tally, leave=True)
            self._jobs.clear()
