"""One piece of work beside the feed, in one partition."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from ..errors import SessionLogError
from ..event_log import EventLog
from ..feed import Envelope
from ..scripts.group_protocol import BackfillPark, BackfillReport, parse_cursor
from ..server import number
from .backfill_source import BackfillItem, BackfillSource, history, parked
from .counters import Counters
from .delivery import BaseDelivery
from .failure import Failure
from .group import Group

logger = logging.getLogger(__name__)

_SAVE_EVERY = 0.2
_LOOK_EVERY, _LONGEST_PAUSE = 0.02, 1.0
_SCAN = 1000
"""How many events are looked at before others have their turn, though none of them is wanted."""
_TOLD_AT_ONCE = 100
"""Of how many events of a kind the server is told in one call: it does nothing else meanwhile."""
_WENT_AWAY = Failure("its consumers went away while they handled it")


class BackfillTask:
    """Reads events and remembers up to where they are settled; use `begin`.

    One thread goes on with it (`next`, `save`); any may say what became of a delivery (`settle`).

    Attributes:
        kind: `history`, `between …` or `replay`.
        began_ms: When the group began, in milliseconds of the server's clock.
        held_until: Until when it is certainly this consumer's, on the monotonic clock.
    """

    def __init__(
        self,
        group: Group,
        partition: int,
        kind: str,
        source: BackfillSource,
        tries: int,
        rejected: Callable[[Exception], object],
    ) -> None:
        self.kind, self.began_ms, self.held_until = kind, 0, 0.0
        self._group, self._settings, self._partition = group, group.settings, partition
        self._source: BackfillSource = source
        self._rejected = rejected
        self._unread: Iterator[BackfillItem] | None = None
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._is_over, self._is_hurrying = threading.Event(), False
        self._items: list[BackfillItem] = []
        self._tries, self._is_read, self._saved_at = tries, False, time.monotonic()
        self._cursor, self._replayed, self._parked = "", list[str](), list[tuple[BackfillItem, Failure]]()
        self._known_cursor = b""
        self._unreadable = list[str]()
        self._waiting: list[Future[bool]] = []

    @classmethod
    def begin(
        cls, events: EventLog, group: Group, partition: int, kind: str, rejected: Callable[[Exception], object]
    ) -> BackfillTask:
        """Go on where the backfill stands; `rejected` is told of what cannot be delivered."""
        keys = group.keyspace.group(partition, group.settings.group)
        cursor, created = group.store.command(b"HMGET", keys.group, "backfill_cursor", "created")
        tries = group.attempt_backfill(partition)
        if kind == "replay":
            return cls(group, partition, kind, parked(group, partition), tries, rejected)
        job = cls(
            group, partition, kind, history(events, group, partition, kind, parse_cursor(cursor)), tries, rejected
        )
        job.began_ms, job._known_cursor = number(created), cursor or b""
        return job

    def goes_on(self) -> bool:
        """Whether it may go on where it stands: not if another consumer has gone on with it meanwhile.

        Within its time none can have. After that, how far it has come on the server tells; of a replay, nothing does.
        """
        if time.monotonic() <= self.held_until:
            return True
        keys = self._group.keyspace.group(self._partition, self._settings.group)
        (cursor,) = self._group.store.command(b"HMGET", keys.group, "backfill_cursor")
        return self.kind != "replay" and (cursor or b"") == self._known_cursor

    @property
    def outstanding(self) -> int:
        """How many events are in somebody's hands."""
        with self._lock:
            return sum(item.is_out for item in self._items)

    def due_in(self) -> float:
        """In how many seconds to go on with it, unless something is settled before."""
        now, lease = time.monotonic(), self._settings.lease
        with self._lock:
            if self._is_untold:
                return _SAVE_EVERY / 4
            out = sum(item.is_out for item in self._items)
            waiting = [item.due_at - now for item in self._items if item.is_waiting]
            most = 1 if self._tries >= 2 or self._settings.ordered else self._settings.batch
            if out < most and (not self._is_read or min(waiting, default=1.0) <= 0):
                # Others have all the room.
                return _LOOK_EVERY
            pauses: list[float] = [lease / 4, _LONGEST_PAUSE, *(() if out >= most else waiting)]
            return max(0.0, min(pauses))

    @property
    def _is_untold(self) -> bool:
        """Whether something is settled that the server does not know of."""
        told = self._cursor or self._replayed or self._unreadable or self._parked or self._waiting
        return bool(told) or any(item.is_settled for item in self._items)

    @property
    def is_begun(self) -> bool:
        """Whether somebody handles one of them."""
        with self._lock:
            return any(item.delivery is not None and item.delivery.started for item in self._items)

    def overdue(self) -> list[BaseDelivery]:
        """What somebody has had for longer than `timeout`, and is not waited for."""
        latest = time.monotonic() - self._settings.timeout
        with self._lock:
            found = [item.delivery for item in self._items if item.delivery]
        return [one for one in found if 0 < one.started < latest]

    def next(
        self, room: int, wanted: Callable[[Envelope], bool], deliver: Callable[[BackfillItem], BaseDelivery]
    ) -> list[BaseDelivery]:
        """What may be delivered now.

        After a consumer died twice at the same place, one event at a time; when it did so once more than allowed, the
        first of them is parked.

        Args:
            room: How many at most.
            wanted: Whether an event is to be delivered; others are done.
            deliver: Makes deliveries.
        """
        if self._tries >= 2 or self._settings.ordered:
            room = min(room, 1 - self.outstanding)
        self._read(room, wanted)
        with self._lock:
            first = next((item for item in self._items if not item.is_settled), None)
            if self._tries > self._settings.max_attempts and first:
                self._tries = 2
                self._park(first, _WENT_AWAY)
            now = time.monotonic()
            waiting = [item for item in self._items if item.is_waiting and item.due_at <= now][: max(0, room)]
            for item in waiting:
                item.delivery = deliver(item)
            return [item.delivery for item in waiting if item.delivery]

    def settle(self, delivery: BaseDelivery, what: str, failure: Failure, future: Future[bool] | None = None) -> bool:
        """Note what became of an event; false when it is none of these. The future is told once the server knows."""
        with self._lock:
            item = next((one for one in self._items if one.delivery is delivery), None)
            if item is None or self._is_over.is_set():
                return False
            self._settle(item, what, failure)
            if future:
                self._waiting.append(future)
            return True

    def save(self, counters: Counters, leave: str = "") -> bool:
        """Tell the server how far it came, now and then; false when the work is done, or another's now.

        Args:
            counters: Where it is counted.
            leave: `released` when nobody goes on with it here, `failed` when that is for an error.
        """
        is_part = True
        with self._saving:
            while is_part:
                goes_on, is_part = self._save(counters, leave)
            return goes_on

    @property
    def _is_much(self) -> bool:
        """Whether there is more to be told than is told at once."""
        return max(len(self._replayed), len(self._unreadable), len(self._parked)) > _TOLD_AT_ONCE

    def _save(self, counters: Counters, leave: str) -> tuple[bool, bool]:
        """As `save`, up to as much as is told at once; returns also whether that was only a part."""
        with self._lock:
            self._drop_settled()
            is_much = self._is_much
            is_done = self._is_read and not self._items and not is_much
            is_due = time.monotonic() - self._saved_at >= _SAVE_EVERY or self._tries >= 2 or self._waiting or is_much
            if not (is_done or leave or is_due):
                return True, False
            report = self._report("" if is_much else self._cursor, is_done, "" if is_much else leave)
            waiting = [] if is_much else self._waiting
            self._waiting = self._waiting if is_much else []
        try:
            kept = self._group.report_backfill(self._partition, report)
        except SessionLogError:
            with self._lock:
                self._waiting += waiting
            raise
        counters.add(parked=len(report.parked))
        with self._lock:
            # What was said meanwhile is told the next time.
            del self._parked[: len(report.parked)]
            del self._replayed[: len(report.settled)]
            del self._unreadable[: len(report.staying)]
            self._known_cursor = report.cursor.encode() if kept and report.cursor else self._known_cursor
            self._cursor = "" if self._cursor == report.cursor else self._cursor
            self._saved_at = time.monotonic()
        _answer(waiting, kept)
        return kept and not is_done, kept and is_much

    def must_hurry(self) -> bool:
        """Whether somebody waits for an answer, and nobody has said yet that he sees to it."""
        with self._lock:
            must, self._is_hurrying = not self._is_hurrying and bool(self._waiting), True
            return must

    def is_waited_for(self) -> bool:
        """Whether somebody waits for an answer; if not, whoever saw to it is done with that."""
        with self._lock:
            self._is_hurrying = bool(self._waiting)
            return self._is_hurrying

    def wait(self, seconds: float) -> None:
        """Wait, unless it is over."""
        self._is_over.wait(seconds)

    def abandon(self, error: Exception | None = None) -> None:
        """It is over, here: who still waits for an answer is told that it does not count, or that nobody knows.

        What nobody has begun to handle is not handed out any more.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._is_over.set()
            for left in [item.delivery for item in self._items if item.delivery and not item.delivery.started]:
                left.is_settled = left.is_given_back = True
        for future in waiting:
            if error and not future.done():
                future.set_exception(error)
        _answer(waiting, False)

    def _read(self, room: int, wanted: Callable[[Envelope], bool]) -> None:
        """Read ahead. What was not read because of an error is read the next time."""
        for _ in range(_SCAN):
            if self._is_read or sum(not item.is_settled and not item.is_out for item in self._items) >= room:
                return
            if self._unread is None:
                self._unread = self._source.after_last()
            try:
                item = next(self._unread, None)
            except BaseException:
                # A generator that raised has ended, but what it was to read has not.
                self._unread = None
                raise
            if item is None:
                self._is_read = True
                return
            with self._lock:
                if item.error:
                    self._reject(item, item.error)
                else:
                    item.is_settled = not item.parked_id and not wanted(item.envelope)
                self._items.append(item)

    def _reject(self, item: BackfillItem, error: Exception) -> None:
        failure = Failure.of_rejected(error)
        logger.warning(
            "session=<%s>, event=<%s>, error=<%s> | parked, it is not what it should be",
            *(item.envelope.session_id, item.envelope.id, failure.error),
        )
        self._park(item, failure)
        self._rejected(error)

    def _settle(self, item: BackfillItem, what: str, failure: Failure) -> None:
        item.delivery = None
        if what == "ack":
            item.is_settled = True
        elif what == "park" or (what == "nack" and item.attempts >= self._settings.max_attempts):
            self._park(item, failure)
        elif what == "nack":
            item.due_at = time.monotonic() + self._settings.pause_ms(item.attempts) / 1000
            item.attempts += 1

    def _drop_settled(self) -> None:
        if self.kind == "replay":
            self._replayed += [item.parked_id for item in self._items if item.is_settled]
            self._replayed += self._source.missing()
            self._unreadable += self._source.unreadable()
            self._items = [item for item in self._items if not item.is_settled]
        count = next((at for at, item in enumerate(self._items) if not item.is_settled), len(self._items))
        if count:
            self._cursor = self._items[count - 1].cursor
            del self._items[:count]

    def _report(self, cursor: str, is_done: bool, leave: str) -> BackfillReport:
        return BackfillReport(
            self.kind,
            cursor,
            "done" if is_done and self.kind != "replay" else leave,
            self._replayed[:_TOLD_AT_ONCE],
            self._unreadable[:_TOLD_AT_ONCE],
            [_parked(item, failure) for item, failure in self._parked[:_TOLD_AT_ONCE]],
            leaves=bool(leave),
        )

    def _park(self, item: BackfillItem, failure: Failure) -> None:
        item.delivery, item.is_settled = None, True
        self._parked.append((item, failure))


def _answer(waiting: Sequence[Future[bool]], kept: bool) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(kept)


def _parked(item: BackfillItem, failure: Failure) -> BackfillPark:
    one = item.envelope
    place = (one.session_id, str(one.id), one.type, one.agent, one.link, one.facts_json, one.feed_id.stream_id)
    return BackfillPark(*place, item.attempts, *failure)
