"""What consumers say of their deliveries, on its way to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from ..scripts.group_protocol import Disposition, SettleReply, SettleRequest
from .delivery import BaseDelivery
from .failure import NONE, Failure

MOST_ACKS, MOST_VERDICTS = 500, 100
"""Of how many deliveries the server is told in one call."""

_partition_of, _key_of, _attempts_of = map(attrgetter, ("partition", "key", "attempts"))


@dataclass(slots=True)
class Settlement:
    """What somebody said of a delivery, where it is more than that it is done, or somebody waits for the answer.

    Attributes:
        delivery: The delivery.
        what: `ack`, `nack`, `park` or `release`.
        failure: Why it was not done.
        future: Is told whether it counted.
        is_late: Whether another consumer may have the delivery by now.
    """

    delivery: BaseDelivery
    what: str
    failure: Failure = NONE
    future: Future[bool] | None = None
    is_late: bool = False

    def told(self) -> tuple[Failure, str]:
        """Why, and of which session where that may quote it; of encrypted content nothing is quoted."""
        if not self.failure.text:
            return self.failure, ""
        if self.delivery.is_encrypted:
            return self.failure._replace(text=""), ""
        return self.failure, self.delivery.session_id

    def answer(self, is_kept: bool) -> None:
        """Tell whoever waits whether it counted."""
        if self.future and not self.future.done():
            self.future.set_result(is_kept)

    def give_up(self, error: Exception) -> None:
        """Tell whoever waits that nobody knows."""
        if self.future and not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class SettlementBatch:
    """All that is to be told of one partition at once.

    Attributes:
        partition: The partition.
        acked: What is done, and nobody waits for.
        settlements: What else is said.
        tries: How often the server was told.
    """

    partition: int
    acked: list[BaseDelivery] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    tries: int = 0

    @property
    def deliveries(self) -> list[BaseDelivery]:
        """All that something is said of."""
        return [*self.acked, *(one.delivery for one in self.settlements)]

    @property
    def done(self) -> list[BaseDelivery]:
        """All that is done, in the order in which the server hears of it."""
        return [*self.acked, *(one.delivery for one in self.settlements if one.what == "ack")]

    @property
    def attempts(self) -> list[int]:
        """Which attempt each of those was."""
        return list(map(_attempts_of, self.done))

    def words(self, taken_over: str, pause_ms: Callable[[int], int]) -> SettleRequest:
        """As the server is told.

        Args:
            taken_over: How often others had taken something over when this consumer last looked.
            pause_ms: How long a failure waits, by its attempt.
        """
        done = self.done
        is_sure = self.tries == 1 and not any(one.is_late for one in self.settlements)
        attempts = self.attempts
        said = [
            Disposition(one.what, one.delivery.key, one.delivery.attempts, pause_ms(one.delivery.attempts), *one.told())
            for one in self.settlements
            if one.what != "ack"
        ]
        last = (done[-1].key, done[-1].link) if done else (b"", b"")
        again = attempts if attempts.count(1) != len(attempts) else ()
        keys = list(map(_key_of, done))
        return SettleRequest(self.partition, keys, again, last, said, taken_over if is_sure else "")

    def answer(self, settled: SettleReply) -> int:
        """Pass the server's answers on.

        Returns:
            How many were not this consumer's any more.
        """
        kept = iter(self._kept(settled.done[len(self.acked) :]))
        others = iter(self._kept(settled.others))
        for one in self.settlements:
            one.answer(next(kept if one.what == "ack" else others))
        said = settled.done + settled.others
        return len(said) - sum(map(said.count, self._marks_of_kept))

    def give_up(self, error: Exception) -> None:
        """Tell whoever waits that nobody knows."""
        for one in self.settlements:
            one.give_up(error)

    def _kept(self, said: str) -> list[bool]:
        return [one in self._marks_of_kept for one in said]

    @property
    def _marks_of_kept(self) -> str:
        """Nobody has it any more: so it is when the first try went through and only its answer was lost."""
        return "kg" if self.tries > 1 else "k"


def batches(acked: Sequence[BaseDelivery], settlements: Sequence[Settlement]) -> Iterator[SettlementBatch]:
    """Sort what is said by partition, and so that the server is never long at one of them."""
    found: dict[int, SettlementBatch] = {}
    for partition, run in groupby(acked, _partition_of):
        found.setdefault(partition, SettlementBatch(partition)).acked.extend(run)
    for partition, said in groupby(settlements, attrgetter("delivery.partition")):
        found.setdefault(partition, SettlementBatch(partition)).settlements.extend(said)
    for batch in found.values():
        yield from _parts(batch)


def _parts(batch: SettlementBatch) -> Iterator[SettlementBatch]:
    if len(batch.acked) <= MOST_ACKS and len(batch.settlements) <= MOST_VERDICTS:
        yield batch
        return
    for start in range(0, len(batch.acked), MOST_ACKS):
        yield SettlementBatch(batch.partition, batch.acked[start : start + MOST_ACKS])
    for start in range(0, len(batch.settlements), MOST_VERDICTS):
        yield SettlementBatch(batch.partition, [], batch.settlements[start : start + MOST_VERDICTS])
