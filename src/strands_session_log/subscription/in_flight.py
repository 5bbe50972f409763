"""What becomes of a delivery: all that a consumer was given, until the server knows of each what became of it.

Here and nowhere else a delivery of the feed goes from one of these states to the next:

1. Fetched (`add`): it waits to be handed out.
2. Begun (`begin`): somebody handles it, since `started`.
3. Settled (`ack`, `fail`): somebody has said what became of it (`is_settled`). Or given back (`release`, `give_up`):
   nobody has begun it, or another consumer may have it by now (also `is_given_back`).
4. Sending (`next_batches`; or `carry`, where a fetcher takes it along): the server is told of it, as often as it takes.
5. Written (`sent`, `carried`): the server has answered, and where all before it is written, too, the checkpoint has
   passed it.

What failed begins again at 1, here or at another consumer, until it is parked. Signs of life (`alive`, `extended`) put
off when it `expires`; after that another consumer may take it over, and what is said of it here is lost: so the server
answers.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain

from ..encryption import Cipher
from .delivery import BaseDelivery
from .failure import Failure
from .settings import SubscriptionSettings
from .settlements import Settlement, SettlementBatch, batches

_LINGER, _LINGER_IN_ORDER = 0.005, 0.001
"""For how many seconds acks are collected before they are told; in order, what follows waits for that."""
_SUSPECT = 3


class InFlight:
    """The deliveries of one consumer; for any number of threads. It is their `Settler`.

    Args:
        settings: How much it may have, among others.
        release: Told of every delivery that is settled: in order, others wait for it.
        cipher: Opens content that is encrypted.

    Attributes:
        consumer: Its name.
        keeps_texts: Whether texts of exceptions are kept.
    """

    def __init__(
        self, settings: SubscriptionSettings, release: Callable[[BaseDelivery], object], cipher: Cipher
    ) -> None:
        self.opened = cipher.opened_one
        self.consumer, self.keeps_texts = settings.consumer, settings.keep_errors == "full"
        self._is_ordered, self._timeout, self._release = settings.ordered, settings.timeout, release
        self._most, self._least = settings.most_in_flight, settings.least_room
        self._linger = _LINGER_IN_ORDER if settings.ordered else _LINGER
        self._fewest_suspected = max(2, min(_SUSPECT, settings.max_attempts))
        # By themselves, in their order: to look for one of many takes a key of its own only where it comes again.
        self._open: dict[BaseDelivery, None] = {}
        self._acked: deque[BaseDelivery] = deque()
        self._queue: list[Settlement] = []
        self._sending: list[SettlementBatch] = []
        # Told by a fetcher, which knows of no answer yet; and what of that is to be told once more.
        self._carried: list[SettlementBatch] = []
        self._returned: list[SettlementBatch] = []
        self._carried_at = 0.0
        self._promised, self._patience_ends = 0, 0.0
        self._lock, self._suspecting = threading.RLock(), threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._is_closing, self._has_ended, self._is_waiting, self._is_short = False, False, False, False
        self._is_hurried = self._is_carrying = False

    @property
    def count(self) -> int:
        """How many are not settled."""
        return len(self._open) - len(self._acked)

    @property
    def _free(self) -> int:
        """Room for how many more, that is promised to nobody."""
        return self._most - self.count - self._promised

    def unwritten(self) -> dict[int, set[bytes]]:
        """The stream ids of what is not written yet, by partition."""
        keys: dict[int, set[bytes]] = defaultdict(set)
        with self._changed:
            said = (one.delivery for one in self._queue)
            on_the_way = (batch.deliveries for batch in chain(self._sending, self._carried, self._returned))
            for delivery in chain(self._open, said, *on_the_way):
                keys[delivery.partition].add(delivery.key)
        return keys

    @property
    def has_suspect(self) -> bool:
        """Whether there is one that may kill its consumers, and is to be alone of its kind."""
        with self._changed:
            return any(delivery.attempts >= self._fewest_suspected for delivery in self._open)

    @contextmanager
    def may_take_suspect(self) -> Iterator[bool]:
        """Whether one may be asked for now; true for one fetcher at a time, where each asks a node of a cluster."""
        mine = self._suspecting.acquire(blocking=False)
        try:
            yield mine and not self.has_suspect
        finally:
            if mine:
                self._suspecting.release()

    # 1, fetched: room is made for it first ----------------------------------------------------------------------------

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[int]:
        """Room for so many more, or for fewer; 0 when there is not enough. It is promised until they are added."""
        with self._changed:
            free = self._free
            got = min(wanted, free) if free >= self._least else 0
            self._promised += got
        try:
            yield got
        finally:
            with self._changed:
                self._promised -= got
                if self._is_short:
                    self._changed.notify_all()

    def wait_for_room(self, timeout: float, or_else: Callable[[], bool] = bool) -> bool:
        """Return once enough is settled to ask for more, or for a reason of which `notify` tells; is there room?"""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or or_else(), timeout)
            self._is_short = False
            return self._free >= self._least

    def _has_room(self) -> bool:
        # Said first, and each time: an ack that is not counted here sees it.
        self._is_short = True
        return self._free >= self._least or self._is_closing

    def wait_for_change(self, timeout: float) -> None:
        """Return once the server was told something, or the time is over."""
        with self._changed:
            self._changed.wait(timeout)

    def expect(self, count: int) -> None:
        """So many were given to this consumer, and are to be added: there is no room in their place."""
        with self._changed:
            self._promised += count

    def add(self, deliveries: Sequence[BaseDelivery], expected: int = 0) -> None:
        """Take note of what was given to this consumer, and was expected; what it was given before, it has once."""
        with self._changed:
            again = {(one.partition, one.key) for one in deliveries if one.attempts > 1}
            for before in [one for one in self._open if (one.partition, one.key) in again] if again else ():
                del self._open[before]
            self._open.update(dict.fromkeys(deliveries))
            self._promised -= expected

    # 2, begun ---------------------------------------------------------------------------------------------------------

    def begin(self, delivery: BaseDelivery, now: float) -> bool:
        """Note that it is being handled; not if somebody else may have it by now, or it was called back."""
        if now > delivery.expires and not delivery.is_settled:
            self.give_up(delivery)
        # The lock itself: this is done for every delivery, and the condition takes it by a call more.
        with self._lock:
            if delivery.is_settled:
                return False
            delivery.started = now
            return True

    def alive(self, now: float) -> dict[int, list[BaseDelivery]]:
        """What waits, or is not handled for too long: it stays this consumer's. By partition."""
        with self._changed:
            unsettled = [*self._open, *(settlement.delivery for settlement in self._queue)]
        alive: dict[int, list[BaseDelivery]] = defaultdict(list)
        for one in unsettled:
            if not one.started or now - one.started < self._timeout:
                alive[one.partition].append(one)
        return alive

    def extended(self, deliveries: Sequence[BaseDelivery], are_kept: Sequence[bool], until: float) -> None:
        """The server has heard that they are alive; of one partition, those that are not kept are another's by now."""
        for delivery, is_kept in zip(deliveries, are_kept, strict=True):
            delivery.expires = until if is_kept else 0.0
        if not all(are_kept):
            self.heed_loss(deliveries[0].partition)

    def fail_overdue(self, now: float) -> None:
        """In order nobody else is given anything while this consumer lives: it must say itself what takes too long."""
        with self._changed:
            begun = [one for one in self._open if one.started and not one.is_settled]
        for one in begun:
            if now - one.started >= self._timeout and now > one.expires:
                # What is said of it from now on, the server is asked about.
                one.expires = 0.0
                self.fail(one, "nack", Failure(f"TimeoutError: not settled within {self._timeout:g} s"))

    # 3, settled or given back -----------------------------------------------------------------------------------------

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
        if self._is_waiting or (self._is_short and self._free >= self._least):
            # Once is enough: until they have looked, there is something to tell, and room.
            self._is_waiting = self._is_short = False
            self.notify()
        if self._is_ordered:
            self._release(delivery)
        return None

    def fail(self, delivery: BaseDelivery, what: str, failure: Failure) -> None:
        """See `Settler`."""
        self._enqueue(Settlement(delivery, what, failure))

    def _enqueue(self, settlement: Settlement) -> None:
        with self._changed:
            if self._has_ended:
                # Given back, or failed, by now.
                settlement.answer(False)
                return
            self._say(settlement)
            if settlement.what == "nack" and self._is_ordered:
                self._release_later(settlement.delivery.partition)
            self._changed.notify_all()
        # Only now: what follows a failure has been called back.
        self._release(settlement.delivery)

    def _say(self, settlement: Settlement) -> None:
        self._open.pop(settlement.delivery, None)
        self._queue.append(settlement)

    def release(self, deliveries: Iterable[BaseDelivery]) -> None:
        """Let others have what nobody has begun to handle; it does not count as an attempt."""
        with self._changed:
            given_back = [one for one in deliveries if self._give_back(one)]
            self._changed.notify_all()
        for delivery in given_back:
            self._release(delivery)

    def release_what_waits(self) -> None:
        """Let others have all that nobody has begun to handle."""
        self.release(delivery for delivery in self._all_open() if not delivery.started)

    def give_up(self, delivery: BaseDelivery) -> None:
        """Give back what may be another consumer's by now; in order, what comes after it must not be handled either."""
        with self._changed:
            self._give_back(delivery)
            self.heed_loss(delivery.partition)

    def heed_loss(self, partition: int) -> None:
        """Of a partition in order, another consumer has all if it has any."""
        with self._changed:
            if self._is_ordered:
                self._release_later(partition)
            self._changed.notify_all()

    def _release_later(self, partition: int) -> None:
        """What comes after a failure in an ordered partition must wait for it, and after a loss it is another's."""
        for later in [one for one in self._open if one.partition == partition and not one.started]:
            self._give_back(later)

    def _give_back(self, delivery: BaseDelivery) -> bool:
        """Have the server told that others may have it; False where something was said of it already."""
        if delivery.is_settled:
            return False
        delivery.is_settled = delivery.is_given_back = True
        self._say(Settlement(delivery, "release"))
        return True

    # 4, sending, and 5, written ---------------------------------------------------------------------------------------

    def next_batches(self, due: float) -> list[SettlementBatch] | None:
        """What is to be told, what could not be told before first; nothing when it is time, None when no more comes."""
        with self._changed:
            self._changed.wait_for(self._has_news, max(0.0, due - time.monotonic()))
            self._is_waiting = False
            self._collect(due)
            self._is_hurried = False
            acked, settlements = self._take_acked(), self._queue
            self._queue = []
            self._sending += self._returned
            self._returned = []
            self._sending += batches(acked, settlements)
            self._changed.notify_all()
            return None if self._is_closing and not self._sending else self._sending

    def _has_news(self) -> bool:
        # As `_has_room` does.
        self._is_waiting = True
        return bool(self._acked or self._is_urgent())

    def _is_urgent(self) -> bool:
        """Whether what is to be told is not to wait for more: somebody may wait for the answer."""
        return bool(self._is_closing or self._queue or self._sending or self._returned or self._is_hurried)

    def _collect(self, due: float) -> None:
        """Let acks come together for a while; and for longer where a fetcher takes them along again and again."""
        began = time.monotonic()
        while not self._is_urgent():
            now = time.monotonic()
            # The server would answer the fetcher first.
            left = min(due, (now if self._is_carrying else max(began, self._carried_at)) + self._linger) - now
            if left <= 0:
                return
            self._changed.wait(left)
        while self._carried and self._is_closing and (left := self._patience_ends - time.monotonic()) > 0:
            # Whoever takes them along may have to give them back.
            self._changed.wait(left)

    def _take_acked(self) -> list[BaseDelivery]:
        acked = [self._acked.popleft() for _ in range(len(self._acked))]
        forget = self._open.pop
        for delivery in acked:
            forget(delivery, None)
        return acked

    def carry(self) -> list[SettlementBatch]:
        """What is done and nobody waits for, to be told by who asks the server for more; `carried` must follow."""
        with self._changed:
            if self._is_closing:
                return []
            self._is_carrying = True
            self._carried = list(batches(self._take_acked(), ()))
            return self._carried

    def carried(self, is_known: bool) -> None:
        """The server has answered, or nobody knows what it heard: then it is told again."""
        with self._changed:
            if not is_known:
                self._returned += self._carried
            self._carried, self._is_carrying, self._carried_at = [], False, time.monotonic()
            if self._returned or self._is_closing:
                self._changed.notify_all()

    def sent(self) -> None:
        """The server has answered all that was being sent; once that is taken note of, `notify`."""
        self._sending = []

    def drop(self, error: Exception) -> None:
        """What is being sent, nobody will tell the server."""
        for batch in self._sending:
            batch.give_up(error)
        self._sending = []

    def hurry(self) -> None:
        """Have `next_batches` return now, whatever there is to be told."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()

    def notify(self) -> None:
        """Wake those who wait for room, or for a change."""
        with self._changed:
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """What is being sent waits for the server, at the end as long as there is time left; whether there is."""
        with self._changed:
            if not self._is_closing:
                self._changed.wait_for(lambda: self._is_closing, seconds)
                return True
            if time.monotonic() < self._patience_ends:
                self._changed.wait(seconds)
                return True
        return False

    def close(self, timeout: float, why: Failure | None) -> None:
        """Give back what is left, or fail what was begun if there is a reason; to tell of it there is some time."""
        left = self._all_open()
        for delivery in left:
            if why and delivery.started and not delivery.is_settled:
                delivery.is_settled = True
                self.fail(delivery, "nack", why)
        self.release(left)
        with self._changed:
            self._is_closing, self._patience_ends = True, time.monotonic() + timeout
            self._changed.notify_all()

    def end(self) -> None:
        """What is said from now on, nobody tells the server; nor what was said just now."""
        with self._changed:
            self._has_ended, left = True, self._queue
        for settlement in left:
            settlement.answer(False)

    def _all_open(self) -> list[BaseDelivery]:
        with self._changed:
            return list(self._open)
