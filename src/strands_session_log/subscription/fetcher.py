"""Where deliveries come from: a thread that waits for news in some partitions, and takes what its consumer may have."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from ..concurrency import Backoff, WorkerThread
from ..errors import FeedGapError, LogForkedError, ServerRefusedError, ServerUnavailableError
from ..feed import FeedId, replaced
from ..scripts.group_protocol import FeedEntry, FetchReply, FetchRequest, Gap
from ..server import Outage, is_transient
from .acknowledger import Acknowledger
from .arrivals import Arrivals
from .assignment import PartitionAssignment
from .counters import Counters
from .group import Group
from .in_flight import InFlight
from .notifier import FeedNotifier
from .partition import AGAIN_AT_ONCE, PartitionState
from .round_trip import RoundTrip

if TYPE_CHECKING:
    from .backfill import Backfill
    from .consumer import Consumer

logger = logging.getLogger(__name__)

_MAX_PAUSE = 1.0
_MOST_AT_ONCE = 500
"""However large a batch is: the server does nothing else meanwhile."""
_LOOK_EVERY = 0.02


class Fetcher:
    """Serves some partitions, in a thread of its own.

    Args:
        group: The consumer's group.
        in_flight: What the consumer has.
        acknowledger: Has what was acked, to be told when the server is asked for more.
        consumer: Where they go.
        backfill: What is read beside the feed.
        counters: Where it is counted.
        outage: Told what waits for the server.
        partitions: Which partitions.
        assignment: In ordered mode, which partitions this consumer should have.
    """

    def __init__(
        self,
        group: Group,
        in_flight: InFlight,
        acknowledger: Acknowledger,
        consumer: Consumer,
        backfill: Backfill,
        counters: Counters,
        outage: Outage,
        partitions: Iterable[int],
        assignment: PartitionAssignment,
    ) -> None:
        self._group, self._in_flight, self._consumer = group, in_flight, consumer
        self._acknowledger = acknowledger
        self._backfill, self._counters, self._outage = backfill, counters, outage
        self._settings, self._assignment = group.settings, assignment
        self._partitions = {partition: PartitionState(partition, group.settings) for partition in partitions}
        self._reads_singly = group.store.is_cluster
        self._notifier = FeedNotifier(group.impatient)
        self._stopping, self._listening, self._nudged = (threading.Event() for _ in range(3))
        self._backoff = Backoff(0.02, _MAX_PAUSE)
        self._arrivals = Arrivals(consumer, in_flight, self._is_in_order)
        # One part is handled while the next is read; with content, one more is looked at, and that of one is fetched.
        self._part = max(self._settings.least_room, self._settings.most_in_flight // (4 if consumer.bodies else 2))
        name = f"session-log-{self._settings.consumer}-fetcher"
        self._thread = WorkerThread(name)
        self._thread.start(self._run)

    def stop(self) -> None:
        """Take nothing more; one that waits for news notices it a little later, and takes none of it."""
        self._stopping.set()

    def try_again(self, partition: int, seconds: float) -> None:
        """Something may be had from a partition in so many seconds, though nothing is new there."""
        self._partitions[partition].try_again_at(time.monotonic() + seconds)

    def go_on(self, partition: int) -> None:
        """There may be more to do beside the feed."""
        self._partitions[partition].go_on(time.monotonic())
        self._nudged.set()

    def join(self, timeout: float) -> None:
        """Wait until it takes nothing any more; one that only listens does not."""
        deadline = time.monotonic() + timeout
        while self._thread.is_alive and not self._listening.is_set() and time.monotonic() < deadline:
            self._thread.join(0.005)

    def _run(self) -> None:
        with self._outage.told_by(self):
            while not self._stopping.is_set():
                try:
                    self._step()
                    self._backoff.reset()
                except Exception as error:
                    if is_transient(error):
                        self._connection_lost(self._outage.met(error, self))
                    elif isinstance(error, ServerRefusedError) and error.is_wrong_type:
                        # From now on all are asked by the script, which tells in which partition that is.
                        self._connection_lost(self._backoff.pause())
                    else:
                        self._end(error)
                        break
            self._arrivals.make()

    def _end(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self._consumer.end(error)

    def _step(self) -> None:
        with self._in_flight.reserve(self._settings.batch * len(self._partitions)) as room:
            busy = self._take_what_is_due(room) if room else False
        if not room:
            self._wait_for_room()
            return
        if not busy and not self._due(time.monotonic()):
            self._arrivals.hand_over()
            self._listen()

    def _wait_for_room(self) -> None:
        """What is ready waits until those who handle deliveries have none left, or something is settled.

        They keep Python's interpreter for themselves: only when they stop for want of more, it can be had at once. Then
        the server is asked first, and has what comes next while they handle this.
        """
        self._outage.leave(self)
        self._arrivals.look()
        if self._arrivals.has_complete and self._in_flight.wait_for_room(0.5, self._is_dry):
            return
        self._arrivals.hand_over()
        self._in_flight.wait_for_room(0.5)

    def _is_dry(self) -> bool:
        return self._consumer.channel.is_dry

    def _take_what_is_due(self, room: int) -> bool:
        now = time.monotonic()
        # Whole batches of a few are had for less than a little of each; those that were asked last come last.
        due = sorted(self._due(now), key=attrgetter("asked_at"))[: max(1, room // self._settings.batch)]
        return self._take(due, room, now) if due else False

    def _due(self, now: float) -> list[PartitionState]:
        """The partitions to ask. In order, nothing new comes from one while something of it is being handled."""
        due = [state for state in self._partitions.values() if state.has_news or now >= state.due_at]
        if not self._settings.ordered:
            return due
        held = self._in_flight.unwritten()
        return [one for one in due if one.partition not in held]

    def _listen(self) -> None:
        wanted = [state for state in self._partitions.values() if not state.is_leased_away and not state.is_broken]
        now = time.monotonic()
        seconds = min((state.due_at for state in self._partitions.values()), default=now) - now
        has_work = any(state.has_work for state in wanted)
        if self._settings.ordered and self._in_flight.count:
            # What is handled now may be done at any time, and then its partition can go on.
            self._in_flight.wait_for_change(max(0.0, min(seconds, _LOOK_EVERY if has_work else 0.5)))
            return
        if has_work:
            # What is handled of it may be done at any time, and then there is more to do: no read may block for long.
            self._nudged.wait(max(0.0, min(seconds, _LOOK_EVERY)))
            self._nudged.clear()
            seconds = 0.0
        self._listening.set()
        try:
            if not self._stopping.is_set():
                for partition in self._notifier.wait({state.partition: state.seen for state in wanted}, seconds):
                    self._partitions[partition].has_news = True
                if wanted:
                    self._outage.over(self)
        finally:
            # Whoever stops it in between may take it for one that listens; the loop then ends before it takes anything.
            # After an error it listens no more.
            if not self._stopping.is_set():
                self._listening.clear()

    def _take(self, due: Sequence[PartitionState], room: int, now: float) -> bool:
        if self._settings.ordered:
            due = [state for state in due if self._may_have(state, now)]
            if not due:
                self._outage.leave(self)
                return False
        if self._reads_singly:
            # A cluster is read slot by slot.
            due = due[:1]
        most = min(self._settings.batch, room, _MOST_AT_ONCE)
        if all(state.expects_news_only(now) for state in due):
            if self._in_flight.count:
                # Where nothing is in flight, many may have a little; else whole batches of a few cost less.
                due = due[: max(1, self._part // self._settings.batch)]
            return self._take_news(due, max(1, min(most, self._part // len(due))), now)
        return self._take_all(due, most, now)

    def _take_all(self, due: Sequence[PartitionState], most: int, now: float) -> bool:
        self._arrivals.hand_over()
        with self._in_flight.may_take_suspect() as may_suspect:
            if may_suspect:
                # What may kill its consumers is to be alone: several partitions, asked at once, might give one each.
                due = [state for state in due if state.has_suspects][:1] or due
            is_alone = len(due) == 1
            self._recover([state for state in due if state.must_recover])
            requests = [state.request(most, now, may_suspect and is_alone) for state in due]
            answers = self._group.fetch(requests)
            for state, taken in zip(due, answers, strict=True):
                if taken.given:
                    self._arrivals.add(state, taken.given, now)
            # Now: suspects among them must be known as such.
            self._arrivals.make()
        for state, request, taken in zip(due, requests, answers, strict=True):
            self._note(state, request, taken, taken.has_suspects and may_suspect and not is_alone)
        self._arrivals.hand_over()
        worked = [
            self._go_on_with_backfill(state, taken.backfill)
            for state, taken in zip(due, answers, strict=True)
            if taken.backfill or state.has_work
        ]
        self._outage.over(self)
        return any(worked) or any(taken.given for taken in answers)

    def _recover(self, states: Sequence[PartitionState]) -> None:
        """Find what this consumer was given and does not know of."""
        if states:
            held = self._in_flight.unwritten()
            most = {state.partition: AGAIN_AT_ONCE + len(held.get(state.partition, ())) for state in states}
            pending = self._group.pending(most)
            for state in states:
                known, given = held.get(state.partition, ()), pending.get(state.partition, ())
                state.own = [id_ for id_ in given if id_ not in known][:AGAIN_AT_ONCE]

    def _take_news(self, due: Sequence[PartitionState], most: int, now: float) -> bool:
        """Read on, settle and fetch content in one round trip; what came before is handled while the server is busy."""
        if self._reads_singly:
            self._arrivals.hand_over()
        elif not self._arrivals.are_certain:
            self._arrivals.look()
        acked = None if self._reads_singly else self._acknowledger.take_along()
        wanted = self._arrivals.wanted()
        partitions, ranges = [state.partition for state in due], wanted.commands if wanted else ()
        trip = RoundTrip(acked.words if acked else (), partitions, most, ranges)
        try:
            self._group.read_new(trip, self._arrivals.go_on)
        finally:
            if acked:
                self._acknowledger.told(acked, trip.settled)
        if wanted:
            self._arrivals.fetched(wanted, trip.contents)
        if trip.news is not None:
            self._take_note(due, trip.news, most, now)
        if trip.error:
            self._failed(due, trip)
            return True
        self._outage.over(self)
        return bool(trip.news)

    def _take_note(
        self, due: Sequence[PartitionState], news: Mapping[int, Sequence[FeedEntry]], most: int, now: float
    ) -> None:
        for state in due:
            given = news.get(state.partition, ())
            state.note_news(given, most, now)
            if given:
                self._arrivals.add(state, given, now)

    def _failed(self, due: Sequence[PartitionState], trip: RoundTrip) -> None:
        """Of what was asked at once, something went wrong.

        Raises:
            ServerUnavailableError: When there is no asking now.
        """
        assert trip.error
        if trip.news is None and _is_refused(trip.error):
            # The group is gone: the script makes it anew, where it was.
            logger.info("error=<%s> | asking for the group", trip.error)
            for state in due:
                state.connection_lost()
        elif trip.news is None or not _is_refused(trip.error):
            raise trip.error

    def _is_in_order(self, state: PartitionState) -> bool:
        """Look whether what was given is of this history, and whether anything before it is gone; False if broken."""
        try:
            if state.doubts_history:
                self._check_history(state)
            if state.unseen:
                if gap := self._group.missing(state.unseen):
                    self._found(state, gap)
                state.unseen = None
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            self._broke(state, error)
            return False
        return True

    def _found(self, state: PartitionState, gap: Gap) -> None:
        if gap != state.reported_gap:
            self._report(gap)
            # Not before: what a server that is away was not told is told again.
            state.reported_gap = gap

    def _may_have(self, state: PartitionState, now: float) -> bool:
        may = self._assignment.should_own(state.partition, state.is_mine and self._backfill.holds(state.partition))
        if not may:
            if state.is_mine:
                # In this order: whoever has the partition next is to find how far this one came.
                self._backfill.leave(state.partition)
                self._group.release(state.partition)
            state.yield_lease(now)
        return may

    def _note(self, state: PartitionState, request: FetchRequest, taken: FetchReply, has_suspects: bool) -> None:
        if taken.status == "forked":
            raise self._forked(state)
        if taken.error:
            self._broke(state, taken.error)
            return
        state.note(request, taken, time.monotonic(), has_suspects)
        if self._settings.ordered:
            self._assignment.note(state.partition, state.is_mine)
        if taken.parked:
            self._counters.add(parked=len(taken.parked))
            for parked in taken.parked:
                logger.warning("feed_id=<%s>, error=<%s> | parked", parked.feed_id, parked.error)
        if taken.gap:
            self._found(state, taken.gap)
        else:
            state.reported_gap = None

    def _go_on_with_backfill(self, state: PartitionState, backfill: str) -> bool:
        worked = bool(backfill) and self._go_on(state, backfill)
        state.has_work = bool(backfill) and not state.is_broken
        if state.has_work:
            soon = 0.0 if worked else time.monotonic() + self._backfill.due_in(state.partition)
            state.due_at = min(state.due_at, soon)
        return worked

    def _go_on(self, state: PartitionState, backfill: str) -> bool:
        try:
            return self._backfill.go_on(state.partition, backfill)
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            self._broke(state, error)
            return False

    def _broke(self, state: PartitionState, error: ServerRefusedError) -> None:
        if not state.is_broken:
            logger.error("partition=<%d>, error=<%s> | left alone until it is mended", state.partition, error)
            self._consumer.rejected(error)
        state.broke(time.monotonic())
        self._assignment.note(state.partition, False)

    def _check_history(self, state: PartitionState) -> None:
        """Look whether what was given last is still in the feed, before anything that came after it is handed over.

        Raises:
            LogForkedError: When it is not.
        """
        (taken,) = self._group.fetch([state.request(0, time.monotonic(), False)])
        if taken.status == "forked":
            raise self._forked(state)
        if taken.error:
            raise taken.error
        state.history_stands()

    def _forked(self, state: PartitionState) -> LogForkedError:
        assert state.last is not None
        return replaced(self._group.keyspace, FeedId.parse(state.partition, state.last.id), state.last.fields)

    def _report(self, gap: Gap) -> None:
        what = self._settings.on_gap
        if what == "skip":
            logger.warning("after=<%s>, before=<%s> | going on behind a gap in the feed", gap.after, gap.before)
        if what != "raise":
            self._group.note_gap(what, gap)
        self._counters.add(gaps=1)
        if what == "raise":
            self._consumer.tell(FeedGapError(gap.after, gap.before, gap.missing))

    def _connection_lost(self, pause: float) -> None:
        """What was asked may have been given unheard: ask for it again, and see whether history stands."""
        for state in self._partitions.values():
            state.connection_lost()
        self._stopping.wait(pause)


def _is_refused(error: Exception) -> bool:
    return isinstance(error, ServerRefusedError) and not isinstance(error, ServerUnavailableError)
