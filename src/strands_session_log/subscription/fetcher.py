"""Where deliveries come from: a thread that waits for news in some partitions, and takes what its consumer may have."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from ..concurrency import Backoff, WorkerThread
from ..errors import FeedGapError, LogForkedError, ServerRefusedError, ServerUnavailableError
from ..feed import FeedId, replaced
from ..scripts.protocol import FeedEntry, FetchReply, FetchRequest, Gap
from ..server import Outage, is_transient
from .acknowledger import Acknowledger
from .assignment import PartitionAssignment
from .counters import Counters
from .credits import Credits
from .delivery import BaseDelivery
from .group import Group
from .notifier import FeedNotifier
from .partition import AGAIN_AT_ONCE, PartitionState

logger = logging.getLogger(__name__)

_MAX_PAUSE = 1.0
_MOST_AT_ONCE = 500
"""However large a batch is: the server does nothing else meanwhile."""
_NAP, _LOOK_EVERY = 0.001, 0.02


class Outlet(Protocol):
    """Where the deliveries go."""

    def receive(self, partition: int, given: Sequence[FeedEntry]) -> Sequence[BaseDelivery]:
        """Make deliveries, which are this consumer's from now on."""

    def hand_over(self, deliveries: Sequence[BaseDelivery]) -> None:
        """Give them to whoever reads; all of them, or none where that raises."""

    def give_back(self, deliveries: Sequence[BaseDelivery]) -> None:
        """Let others have them."""

    def tell(self, error: Exception) -> None:
        """Raise it to whoever reads, who may go on."""

    def rejected(self, error: Exception) -> None:
        """Raise it to whoever reads, where that was asked for."""

    def end(self, error: Exception) -> None:
        """Raise it to whoever reads; nothing comes after it."""


class Work(Protocol):
    """What is to be read beside the feed."""

    def go_on(self, partition: int, kind: str) -> bool:
        """Do some of it, without waiting for anybody; whether something was done."""

    def due_in(self, partition: int) -> float:
        """In how many seconds to go on with it, unless something of it is settled before."""

    def holds(self, partition: int) -> bool:
        """Whether something of it is being handled."""

    def leave(self, partition: int) -> None:
        """Let another consumer go on with it."""

    def catch_up(self, gap: Gap) -> None:
        """Have what is missing in the feed read from the sessions."""

    def skip(self, gap: Gap) -> None:
        """Go on behind it."""


class Fetcher:
    """Serves some partitions, in a thread of its own.

    Args:
        group: The consumer's group.
        acknowledger: Where the deliveries are settled.
        outlet: Where they go.
        work: What is read beside the feed.
        counters: Where it is counted.
        outage: Told what waits for the server.
        partitions: Which partitions.
        room: How many more deliveries the consumer may have.
        assignment: In ordered mode, which partitions this consumer should have.
    """

    def __init__(
        self,
        group: Group,
        acknowledger: Acknowledger,
        outlet: Outlet,
        work: Work,
        counters: Counters,
        outage: Outage,
        partitions: Iterable[int],
        assignment: PartitionAssignment,
        room: Credits,
    ) -> None:
        self._group, self._acknowledger, self._outlet, self._work, self._counters = (
            group,
            acknowledger,
            outlet,
            work,
            counters,
        )
        self._outage = outage
        self._settings, self._assignment, self._credits = group.settings, assignment, room
        self._places = {partition: PartitionState(partition, group.settings) for partition in partitions}
        self._reads_singly = group.store.is_cluster
        self._notifier = FeedNotifier(group.impatient)
        self._stopping, self._listening, self._nudged = (threading.Event() for _ in range(3))
        self._backoff = Backoff(0.02, _MAX_PAUSE)
        # Given, and not handed over: what that takes may be refused for now, however often it is tried.
        self._left: deque[tuple[PartitionState, Sequence[BaseDelivery]]] = deque()
        name = f"session-log-{self._settings.consumer}-intake"
        self._thread = WorkerThread(name)
        self._thread.start(self._run)

    def stop(self) -> None:
        """Take nothing more; one that waits for news notices it a little later, and takes none of it."""
        self._stopping.set()

    def try_again(self, partition: int, seconds: float) -> None:
        """Something may be had from a partition in so many seconds, though nothing is new there."""
        self._places[partition].try_again_at(time.monotonic() + seconds)

    def go_on(self, partition: int) -> None:
        """There may be more to do beside the feed."""
        self._places[partition].go_on(time.monotonic())
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
                        self._lost_touch(self._outage.met(error, self))
                    elif isinstance(error, ServerRefusedError) and error.is_wrong_type:
                        # The partitions are asked one by one in which it is.
                        self._lost_touch(self._backoff.pause())
                    else:
                        self._end(error)
                        return

    def _end(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self._outlet.end(error)

    def _step(self) -> None:
        self._hand_over()
        with self._credits.taken(self._settings.batch * len(self._places)) as room:
            busy = self._take_what_is_due(room) if room else False
        if not room:
            self._outage.leave(self)
            self._acknowledger.wait_for_room(0.5)
            # Or it is promised to another thread, which will not take long.
            self._stopping.wait(_NAP)
            return
        now = time.monotonic()
        if not busy and not any(place.is_due(now) and self._is_free(place) for place in self._places.values()):
            self._listen()

    def _take_what_is_due(self, room: int) -> bool:
        now = time.monotonic()
        due = [place for place in self._places.values() if place.is_due(now) and self._is_free(place)]
        # Whole batches of a few are had for less than a little of each; those that were asked last come last.
        due = sorted(due, key=lambda place: place.asked_at)[: max(1, room // self._settings.batch)]
        return self._take(due, room, now) if due else False

    def _is_free(self, place: PartitionState) -> bool:
        """In order means: nothing new from a partition while something of it is being handled."""
        return not self._settings.ordered or not self._acknowledger.holds(place.partition)

    def _listen(self) -> None:
        wanted = [place for place in self._places.values() if not place.is_leased_away and not place.is_broken]
        now = time.monotonic()
        seconds = min((place.due_at for place in self._places.values()), default=now) - now
        has_work = any(place.has_work for place in wanted)
        if self._settings.ordered and self._acknowledger.in_flight:
            # What is handled now may be done at any time, and then its partition can go on.
            self._acknowledger.wait_for_change(max(0.0, min(seconds, _LOOK_EVERY if has_work else 0.5)))
            return
        if has_work:
            # What is handled of it may be done at any time, and then there is more to do: no read may block for long.
            self._nudged.wait(max(0.0, min(seconds, _LOOK_EVERY)))
            self._nudged.clear()
            seconds = 0.0
        self._listening.set()
        try:
            if not self._stopping.is_set():
                for partition in self._notifier.wait({place.partition: place.seen for place in wanted}, seconds):
                    self._places[partition].rang = True
                if wanted:
                    self._outage.over(self)
        finally:
            # Whoever stops it in between may take it for one that listens; the loop then ends before it takes anything.
            # After an error it listens no more.
            if not self._stopping.is_set():
                self._listening.clear()

    def _take(self, due: Sequence[PartitionState], room: int, now: float) -> bool:
        if self._settings.ordered:
            due = [place for place in due if self._may_have(place, now)]
            if not due:
                self._outage.leave(self)
                return False
        if self._reads_singly or any(place.may_claim(now) for place in due):
            # One at a time: what may kill its consumers is to be alone, and a cluster is read slot by slot.
            due = due[:1]
        most = min(self._settings.batch, room, _MOST_AT_ONCE)
        if all(place.expects_news_only(now) for place in due):
            return self._take_news(due, most, now)
        return self._take_all(due, most, now)

    def _take_all(self, due: Sequence[PartitionState], most: int, now: float) -> bool:
        for place in due:
            if place.must_recover:
                place.own = list(islice(self._unheard(place.partition), AGAIN_AT_ONCE))
        requests = [place.request(most, now, not self._acknowledger.holds_suspect) for place in due]
        answers = self._group.take(requests)
        for taken in answers:
            self._receive(taken.partition, taken.given)
        for request, taken in zip(requests, answers, strict=True):
            self._note(self._places[taken.partition], request, taken)
        self._hand_over()
        worked = [self._work_beside(self._places[taken.partition], taken.backfill) for taken in answers]
        self._outage.over(self)
        return any(worked) or any(taken.given for taken in answers)

    def _unheard(self, partition: int) -> Iterator[bytes]:
        """What this consumer was given and does not know of."""
        return (id_ for id_ in self._group.own(partition) if not self._acknowledger.is_open(partition, id_))

    def _take_news(self, due: Sequence[PartitionState], most: int, now: float) -> bool:
        try:
            news = self._group.news([place.partition for place in due], most)
        except ServerUnavailableError:
            raise
        except ServerRefusedError as error:
            # The group is gone: the script makes it anew, where it was.
            logger.info("error=<%s> | asking for the group", error)
            for place in due:
                place.lost_touch()
            return True
        for place in due:
            given = news.get(place.partition, [])
            place.note_news(given, most, now)
            self._receive(place.partition, given)
        self._hand_over()
        self._outage.over(self)
        return bool(news)

    def _receive(self, partition: int, given: Sequence[FeedEntry]) -> None:
        if given:
            self._left.append((self._places[partition], self._outlet.receive(partition, given)))

    def _hand_over(self) -> None:
        """Hand over what was given, in its order: it waits here for as long as something about it cannot be had.

        Asked for again it would count as delivered once more, and be parked in the end.
        """
        while self._left:
            place, deliveries = self._left[0]
            if self._is_in_order(place):
                self._outlet.hand_over(deliveries)
            else:
                self._outlet.give_back(deliveries)
            self._left.popleft()

    def _is_in_order(self, place: PartitionState) -> bool:
        """Look whether what was given is of this history, and whether anything before it is gone; False if broken."""
        try:
            if place.doubts_history:
                self._check_history(place)
            if place.unseen:
                if gap := self._group.missing(place.unseen):
                    self._found(place, gap)
                place.unseen = None
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            self._broke(place, error)
            return False
        return True

    def _found(self, place: PartitionState, gap: Gap) -> None:
        if gap != place.told_gap:
            self._report(gap)
            # Not before: what a server that is away was not told is told again.
            place.told_gap = gap

    def _may_have(self, place: PartitionState, now: float) -> bool:
        may = self._assignment.may_hold(place.partition, place.is_mine and self._work.holds(place.partition))
        if not may:
            if place.is_mine:
                # In this order: whoever has the partition next is to find how far this one came.
                self._work.leave(place.partition)
                self._group.release(place.partition)
            place.leave_to_others(now)
        return may

    def _note(self, place: PartitionState, request: FetchRequest, taken: FetchReply) -> None:
        if taken.status == "forked":
            raise self._forked(place)
        if taken.error:
            self._broke(place, taken.error)
            return
        place.note(request, taken, time.monotonic())
        self._assignment.note(place.partition, place.is_mine)
        if taken.parked:
            self._counters.add(parked=len(taken.parked))
            for parked in taken.parked:
                logger.warning("feed_id=<%s>, error=<%s> | parked", parked.feed_id, parked.error)
        if taken.gap:
            self._found(place, taken.gap)
        else:
            place.told_gap = None

    def _work_beside(self, place: PartitionState, backfill: str) -> bool:
        worked = bool(backfill) and self._go_on(place, backfill)
        place.has_work = bool(backfill) and not place.is_broken
        if place.has_work:
            soon = 0.0 if worked else time.monotonic() + self._work.due_in(place.partition)
            place.due_at = min(place.due_at, soon)
        return worked

    def _go_on(self, place: PartitionState, backfill: str) -> bool:
        try:
            return self._work.go_on(place.partition, backfill)
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            self._broke(place, error)
            return False

    def _broke(self, place: PartitionState, error: ServerRefusedError) -> None:
        if not place.is_broken:
            logger.error("partition=<%d>, error=<%s> | left alone until it is mended", place.partition, error)
            self._outlet.rejected(error)
        place.broke(time.monotonic())
        self._assignment.note(place.partition, False)

    def _check_history(self, place: PartitionState) -> None:
        """Look whether what was given last is still in the feed, before anything that came after it is handed over.

        Raises:
            LogForkedError: When it is not.
        """
        (taken,) = self._group.take([place.request(0, time.monotonic(), False)])
        if taken.status == "forked":
            raise self._forked(place)
        if taken.error:
            raise taken.error
        place.history_stands()

    def _forked(self, place: PartitionState) -> LogForkedError:
        assert place.last is not None
        return replaced(self._group.keyspace, FeedId.parse(place.partition, place.last.id), place.last.fields)

    def _report(self, gap: Gap) -> None:
        match self._settings.on_gap:
            case "catch_up":
                self._work.catch_up(gap)
            case "skip":
                logger.warning("after=<%s>, before=<%s> | going on behind a gap in the feed", gap.after, gap.before)
                self._work.skip(gap)
        self._counters.add(gaps=1)
        if self._settings.on_gap == "raise":
            self._outlet.tell(FeedGapError(gap.after, gap.before, gap.missing))

    def _lost_touch(self, pause: float) -> None:
        """What was asked may have been given unheard: ask for it again, and see whether history stands."""
        for place in self._places.values():
            place.lost_touch()
        self._stopping.wait(pause)
