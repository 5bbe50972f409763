"""A consumer group over the feed, as it stands on the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from ..codec import RawEntry
from ..errors import ServerRefusedError, SessionLogError
from ..feed import Envelope
from ..scripts import groups
from ..scripts.group_protocol import (
    BackfillReport,
    FetchReply,
    FetchRequest,
    Gap,
    GroupConsumer,
    SettleReply,
    SettleRequest,
)
from ..server import ANSWERED_WITHIN, Store
from .round_trip import RoundTrip, news_of, reading
from .settings import SubscriptionSettings

_LEFT_WITHIN = 2.0
"""Seconds for which a consumer waits that has said goodbye: others find out by themselves."""


class Group:
    """Asks the server on behalf of one consumer; one for any number of threads.

    Args:
        store: Where it stands.
        settings: How the subscription is read.

    Attributes:
        me: On whose behalf.
        impatient: The same place, for those who wait for it by themselves: one attempt is made.
    """

    def __init__(self, store: Store, settings: SubscriptionSettings) -> None:
        self.store, self.keyspace, self.settings = store, store.keyspace, settings
        self.impatient = store.with_retry_for(0, within=ANSWERED_WITHIN)
        self.me = GroupConsumer(
            settings.group, settings.consumer, settings.ordered, settings.claim_after_ms, settings.max_attempts
        )
        # Should the group be gone later, what is there then came after it had begun.
        self._start: str = settings.start

    def cut_off(self) -> None:
        """Let the server hear nothing more of this consumer; what is asked from now on fails."""
        gone: Any = _Gone()
        self.store = self.impatient = gone

    def begin(self) -> None:
        """Let the group begin in every partition that it is new in, in one round trip."""
        groups.begin(self.impatient, self.me, self._start)
        self._start = "feed"

    def fetch(self, requests: Sequence[FetchRequest]) -> list[FetchReply]:
        """Ask partitions, all in one round trip; whoever gets no answer asks for its own again (`pending`)."""
        return groups.fetch(self.impatient, self.me, requests, self._start)

    def read_new(self, trip: RoundTrip, meanwhile: Callable[[], object]) -> None:
        """Read what is new in some partitions, which share a slot or are on a server without slots.

        This is all that is needed as long as nothing but news is expected. It costs a fourth of what the script does,
        in which Lua copies every field twice.

        Args:
            trip: What is asked, and takes the answers.
            meanwhile: Done while the server is busy.
        """
        if not self.store.is_cluster:
            trip.make(self.impatient, self.me, meanwhile)
            return
        meanwhile()
        feeds = {self.keyspace.feed(partition): partition for partition in trip.partitions}
        command = reading(self.me, list(feeds), trip.most)
        try:
            trip.news = news_of(self.impatient.command(*command, at=next(iter(feeds))), feeds)
        except ServerRefusedError as error:
            trip.error = error

    def missing(self, unseen: Gap) -> Gap | None:
        """Are envelopes that this consumer did not see gone? Then nobody may have had them, and the group notes it.

        What other consumers of the group were given is still in the feed: it is not trimmed so soon.
        """
        return groups.note_gap(self.impatient, self.settings.group, "missing", unseen)

    def pending(self, most: Mapping[int, int]) -> dict[int, list[bytes]]:
        """The ids of what this consumer was given and has not settled, in one round trip.

        Args:
            most: How many at most, by partition.
        """
        name, consumer = self.settings.group, self.settings.consumer
        keys = self.keyspace.groups(name)
        asked = [(b"XPENDING", keys[at].feed, name, "-", "+", count, consumer) for at, count in most.items()]
        try:
            replies = self.store.pipeline(asked, is_lenient=True)
        except ServerRefusedError as error:
            if "NOGROUP" not in str(error):
                raise
            # In one of them the group is gone, or in all.
            each = [self.pending({partition: most[partition]}) for partition in most if len(most) > 1]
            return {partition: ids for found in each for partition, ids in found.items()}
        return {
            partition: [row[0] for row in rows]
            for partition, rows in zip(most, replies, strict=True)
            if not isinstance(rows, ServerRefusedError)
        }

    def settle(self, requests: Sequence[SettleRequest]) -> list[SettleReply | ServerRefusedError]:
        """Tell the server what became of deliveries, in one round trip and one attempt; may be repeated.

        Returns:
            The answers; of a partition whose keys are broken, the error.
        """
        return groups.settle(self.impatient, self.me, requests)

    def report_backfill(self, partition: int, report: BackfillReport) -> bool:
        """Tell how far the backfill has come; false when it is another consumer's now."""
        return groups.report_backfill(self.store, self.me, partition, report)

    def attempt_backfill(self, partition: int) -> int:
        """Count that a backfill begins, or goes on, at its cursor; how often that was."""
        return groups.count_backfill_attempt(self.store, self.settings.group, partition)

    def body(self, envelope: Envelope) -> RawEntry | None:
        """The entry of an event in its session; None when that was deleted."""
        key, id_ = self.keyspace.session(envelope.session_id).events, str(envelope.id)
        found = self.store.command(b"XRANGE", key, id_, id_)
        return found[0] if found else None

    def heartbeat(self, gone_after_ms: int, forgotten_after_ms: int) -> int:
        """Say that this consumer is there; how many are, by the server's clock, that were heard of lately."""
        return groups.heartbeat(self.store, self.me, gone_after_ms, forgotten_after_ms)

    def release(self, partition: int) -> None:
        """Give up the lease of a partition, if this consumer has it; of one that is broken, nobody has."""
        groups.release(self.impatient, self.me, partition)

    def leave(self) -> None:
        """Give up what leases this consumer has, and its name where nothing is pending under it."""
        groups.leave(self.store.with_retry_for(0, within=_LEFT_WITHIN), self.me)

    def note_gap(self, what: str, gap: Gap) -> None:
        """Have what is missing read from the sessions (`catch_up`), or go on behind it (`skip`)."""
        groups.note_gap(self.store, self.settings.group, what, gap)


class _Gone:
    """In place of a store, once the consumer was cut off."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionLogError("the consumer was cut off by testing.crash: the server hears nothing more of it")
