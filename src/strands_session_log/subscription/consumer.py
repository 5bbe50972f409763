"""The machinery of one consumer: threads that take, a thread that settles, and a channel in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle
from operator import attrgetter
from typing import TYPE_CHECKING

from ..concurrency import Channel, ProcessBound
from ..errors import FeedGapError, SessionLogError
from ..events import selector
from ..feed import Envelope, FeedId, are_envelopes
from ..scripts.group_protocol import FeedEntry, Gap
from ..server import Outage, Store, is_transient
from .acknowledger import Acknowledger
from .assignment import PartitionAssignment
from .backfill import Backfill
from .bodies import Bodies, Rejected, doubtful
from .counters import Counters
from .delivery import BaseDelivery
from .failure import Failure
from .fetcher import Fetcher
from .group import Group
from .in_flight import InFlight
from .ordered_channel import OrderedChannel
from .settings import SubscriptionSettings

if TYPE_CHECKING:
    from ..session_log import SessionLog

logger = logging.getLogger(__name__)

_is_read = attrgetter("is_read")
_SHARES = 32
_GOODBYE = 5.0
_BLOCKED_FOR, _TELL_EVERY = 5.0, 60.0


class Consumer:
    """One consumer at work.

    Args:
        log: The log.
        settings: How it is read.
        kind: What deliveries are made of.

    Attributes:
        settings: How the log is read.
        counters: What was seen.
        channel: What is to be handled.
        settles_all: Whether all that is handed out is certain to be settled, so that nobody need be told what waits.
    """

    def __init__(self, log: SessionLog, settings: SubscriptionSettings, kind: type[BaseDelivery]) -> None:
        events, self._is_stopping, self._process = log._events, False, ProcessBound()
        self.settings, self.counters = settings, Counters(settings.group)
        self.settles_all, self._tell_at = False, 0.0
        self._events, self._feeds = events, cycle(range(events.keyspace.partitions))
        self._ordered = OrderedChannel() if settings.ordered else None
        self.channel: Channel[BaseDelivery] = Channel(self._ran_dry) if self._ordered is None else self._ordered
        self._kind, self._wanted = kind, selector(settings.types, settings.agent)
        self._all = settings.types is None and settings.agent is None
        self.bodies = Bodies(events.store) if settings.bodies else None
        group = Group(events.store, settings)
        self._outage = Outage("subscriber", f"{settings.group}/{settings.consumer}")
        self._in_flight = InFlight(settings, self.channel.release, events.cipher)
        self._acknowledger = Acknowledger(
            group, self._in_flight, self.counters, self.end, self._settled, self._maintenance, self._outage
        )
        self._group = group
        self._backfill = Backfill(events, group, self, self.counters, kind, self._outage, self._go_on)
        self._assignment = PartitionAssignment(group)
        with suppress(SessionLogError):
            # Whoever leaves at once has begun in all partitions. What fails here, the fetchers meet again.
            group.begin()
        shares = _shares(events.store)
        machinery = group, self._in_flight, self._acknowledger, self, self._backfill, self.counters, self._outage
        self._fetcher_of: dict[int, Fetcher] = {}
        self._fetchers = [Fetcher(*machinery, share, self._assignment) for share in shares]
        self._fetcher_of = {
            partition: one for one, share in zip(self._fetchers, shares, strict=True) for partition in share
        }

    def _ran_dry(self) -> None:
        self._in_flight.notify()

    def _maintenance(self) -> None:
        if self.settings.ordered:
            self._backfill.fail_overdue()
        self._tell_of_blocked()
        self._trim()

    def _tell_of_blocked(self) -> None:
        """A loop that does not settle what it was handed waits for itself: nothing else would say so."""
        now = time.monotonic()
        if self._ordered is None or self.settles_all or now < self._tell_at:
            return
        if blocked := self._ordered.blocked(min(_BLOCKED_FOR, self.settings.claim_after)):
            self._tell_at = now + _TELL_EVERY
            one = blocked.delivery
            logger.warning(
                "consumer=<%s>, session=<%s>, event=<%s>, seconds=<%.0f>, waiting=<%d> | this consumer waits for an "
                "ack of its own: in order, what follows in a session comes once what was handed out is settled",
                *(self.settings.consumer, one.session_id, one.id, now - one.started, blocked.waiting),
            )

    def _trim(self) -> None:
        """One feed after the other: there is no hurry."""
        partition = next(self._feeds)
        try:
            self._events.trim_feed(partition, is_patient=False)
        except SessionLogError as error:
            if is_transient(error):
                raise
            logger.warning("partition=<%d>, error=<%s> | the feed was not trimmed", partition, error)

    def begin(self, delivery: BaseDelivery, now: float) -> bool:
        """Note that it is being handled; not if somebody else may have it by now, or it has to wait for another."""
        if self._is_stopping:
            self.release([delivery])
        elif self._in_flight.begin(delivery, now):
            return True
        self.channel.release(delivery)
        return False

    def stop(self) -> None:
        """Take nothing more, give back what nobody has begun, and let the iteration end."""
        self._is_stopping = True
        for fetcher in self._fetchers:
            fetcher.stop()
        self.release(self.channel.drain())
        self._in_flight.release_what_waits()

    def release(self, deliveries: Iterable[BaseDelivery]) -> None:
        """Let others have them; what does not come from the feed is noted as unsettled, and needs no giving back."""
        self._in_flight.release([one for one in deliveries if one.key])

    def close(self, error: BaseException | None) -> None:
        """Stop, and tell the server of everything; what was begun and not settled has failed if there was an error."""
        if self._process.is_elsewhere:
            # A forked process has none of the threads, and nothing of this is its own.
            return
        self.stop()
        deadline = time.monotonic() + _GOODBYE
        for fetcher in self._fetchers:
            fetcher.join(deadline - time.monotonic())
        self.release(self.channel.drain())
        failed = Failure.of(error, self._in_flight.keeps_texts) if isinstance(error, Exception) else None
        self._backfill.close(failed is not None)
        self._acknowledger.close(_GOODBYE, failed)
        # At the very end: whoever takes over a partition in order is to find it settled.
        with suppress(SessionLogError):
            self._group.leave()
        self._outage.close()

    def cut_off(self) -> None:
        """Fall silent, as one does whose process was killed: for tests."""
        self._group.cut_off()
        for fetcher in self._fetchers:
            fetcher.stop()
        # Nothing of it is given back: who takes it over does not learn that this consumer is no more.
        self.channel.drain()

    def catch_up(self, gap: FeedGapError) -> None:
        """See `Deliveries.catch_up`."""
        self._group.note_gap("catch_up", _gap_of(gap))

    def skip(self, gap: FeedGapError) -> None:
        """See `Deliveries.skip`."""
        self._group.note_gap("skip", _gap_of(gap))

    # What the fetcher and the backfill hand over ---------------------------------------------------------------------

    def receive(self, partition: int, given: Sequence[FeedEntry], asked_at: float) -> Sequence[BaseDelivery]:
        """Make deliveries of what the feed gave and was expected; how long the answer was on its way, nobody knows."""
        expires = asked_at + self.settings.lease
        are_read = are_envelopes(self._events.keyspace, partition, [one.fields for one in given])
        made = [self._kind(partition, one, self._in_flight, expires, is_read=are_read) for one in given]
        self._in_flight.add(made, expected=len(made))
        return made

    def hand_over(self, deliveries: Sequence[BaseDelivery]) -> None:
        """Give them to whoever reads; what nobody wants is done at once. May be repeated after an error."""
        wanted = self.sift(deliveries)
        if self.bodies:
            self.reject(self.bodies.add_to(wanted))
        self.put(wanted)

    def sift(self, deliveries: Sequence[BaseDelivery]) -> list[BaseDelivery]:
        """Those that are what they should be, and wanted; nothing is asked for that."""
        made = [one for one in deliveries if not one.is_settled]
        read = partial(self._kind.read, keyspace=self._events.keyspace)
        wanted = made if all(map(_is_read, made)) else self._sound(made, read)
        if not self._all or self._backfill.knows_any:
            wanted = [one for one in wanted if self._is_wanted(one)]
        return wanted

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Park what cannot be what the feed told of."""
        for one, error in rejected:
            self._reject(one, error)

    def put(self, wanted: Sequence[BaseDelivery]) -> None:
        """Give those to whoever reads that are complete; nothing is asked for that."""
        if self.bodies:
            # What is rejected is settled by that.
            self._sound(doubtful(one for one in wanted if not one.is_settled), self._kind.check)
            wanted = [one for one in wanted if not one.is_settled]
        repeated = len(wanted) - [one.attempts for one in wanted].count(1)
        self.counters.add(delivered=len(wanted), redelivered=repeated)
        self.channel.put(wanted)

    def _sound(self, deliveries: Iterable[BaseDelivery], check: Callable[[BaseDelivery], object]) -> list[BaseDelivery]:
        """Those that pass; what does not is parked, and all others go on."""
        found: list[BaseDelivery] = []
        for one in deliveries:
            try:
                check(one)
            except Exception as error:
                # Whatever stands in an entry that somebody else wrote, and whatever it does to those who read it.
                self._reject(one, error)
            else:
                found.append(one)
        return found

    def _reject(self, delivery: BaseDelivery, error: Exception) -> None:
        failure = Failure.of_rejected(error)
        logger.warning("delivery=<%s>, error=<%s> | parked, it is not what it should be", delivery, failure.error)
        delivery._fail("park", failure)
        self.counters.add(rejected=1)
        self.rejected(error)

    def rejected(self, error: Exception) -> None:
        """Raise it to whoever reads, where that was asked for."""
        if self.settings.on_corrupt == "raise":
            self.tell(error)

    def tell(self, error: Exception) -> None:
        """Raise it to whoever reads, who may go on."""
        self.channel.put([error])

    def end(self, error: Exception) -> None:
        """Raise it to whoever reads; nothing comes after it."""
        self.channel.close(error)

    def _is_wanted(self, delivery: BaseDelivery) -> bool:
        envelope = delivery.envelope
        if self.wants(envelope) and not self._backfill.has_delivered(envelope):
            return True
        delivery._ack(False)
        return False

    def wants(self, envelope: Envelope) -> bool:
        """Whether an event is one of those that were asked for."""
        return self._wanted(envelope.type, envelope.agent)

    def _go_on(self, partition: int) -> None:
        """Some of what is read beside the feed was settled."""
        if fetcher := self._fetcher_of.get(partition):
            fetcher.go_on(partition)

    def _settled(self, partition: int, seconds: float) -> None:
        """Something failed, or stood in the way of others: it is worth asking again then."""
        if fetcher := self._fetcher_of.get(partition):
            fetcher.try_again(partition, seconds)


def _shares(store: Store) -> list[list[int]]:
    """Which partitions a thread serves: one for all, but a cluster is read slot by slot."""
    # Each thread holds a connection while it waits; one is left for what is settled, and one for the user.
    most, partitions = max(1, (store.max_connections or _SHARES) - 2), store.keyspace.partitions
    count = min(_SHARES, partitions, most) if store.is_cluster else 1
    return [list(range(number, partitions, count)) for number in range(count)]


def _gap_of(error: FeedGapError) -> Gap:
    if not isinstance(error.after, FeedId) or not isinstance(error.before, FeedId):
        raise SessionLogError(f"{error!r} is no gap of a subscription")
    return Gap(error.after, error.before)
