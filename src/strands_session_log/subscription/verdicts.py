"""What consumers say of their deliveries, on its way to the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from .delivery import BaseDelivery
from .group import Said, Settled, Words, in_order


@dataclass(slots=True)
class Verdict:
    """What somebody said of a delivery, and who waits for the server's word on it.

    Attributes:
        delivery: The delivery.
        what: `ack`, `fail`, `park` or `back`.
        error: Why it was not done.
        future: Is told whether it counted.
        is_late: Whether another consumer may have the delivery by now.
        tries: How often the server was told.
    """

    delivery: BaseDelivery
    what: str
    error: str = ""
    future: Future[bool] | None = None
    is_late: bool = False
    tries: int = 0


@dataclass(slots=True)
class Told:
    """Verdicts of one partition, in the order in which the server answers."""

    words: Words
    done: list[Verdict]
    others: list[Verdict]

    @classmethod
    def of(cls, partition: int, verdicts: Sequence[Verdict], pause_ms: Callable[[int], int], robbed: str) -> Told:
        """Put verdicts into words."""
        done = [one for one in verdicts if one.what == "ack"]
        others = [one for one in verdicts if one.what != "ack"]
        said = [
            Said(one.what, one.delivery.key, one.delivery.attempts, one.error, pause_ms(one.delivery.attempts))
            for one in others
        ]
        for one in verdicts:
            one.tries += 1
        if any(one.is_late or one.tries > 1 for one in done):
            robbed = ""
        words = Words(
            partition, [(one.delivery.key, one.delivery.attempts) for one in done], said, _last_link(done), robbed
        )
        return cls(words, done, others)

    def kept(self, settled: Settled) -> list[bool]:
        """Of each, whether it counted: the delivery was this consumer's."""
        return [*map(_is_kept, self.done, settled.done), *map(_is_kept, self.others, settled.others)]


def _last_link(done: Sequence[Verdict]) -> str:
    last = max((one.delivery for one in done), key=lambda one: in_order(one.key), default=None)
    return last.link if last else ""


def by_partition(verdicts: Iterable[Verdict]) -> dict[int, list[Verdict]]:
    """Verdicts, told apart by partition."""
    found: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        found[verdict.delivery.partition].append(verdict)
    return found


def _is_kept(verdict: Verdict, said: str) -> bool:
    """Nobody has it any more: so it is when the first try went through and only its answer was lost."""
    return said == "k" or (said == "g" and verdict.tries > 1)
