"""How much lands at once: the server does nothing else while one script call appends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..codec import Encoded
from ..errors import EncodingError

MOST_EVENTS = 1_000
"""How many events a batch has at most."""
MOST_BYTES = 16 * 1024 * 1024
"""How many bytes the bodies of a batch have together at most, if it has more than `FEW_EVENTS`."""
FEW_EVENTS = 16
"""So many may be appended at once whatever their size: a turn with its images lands whole."""
_BATCH_EVENTS, _BATCH_BYTES = 200, 1_000_000


def check_batch(batch: Sequence[Encoded]) -> None:
    """Refuse what would hold up the server for too long.

    Raises:
        EncodingError: When there are too many events in it, or too much content.
    """
    if len(batch) <= FEW_EVENTS:
        return
    if len(batch) > MOST_EVENTS:
        raise EncodingError("events", f"{len(batch):,} are more than {MOST_EVENTS:,}: append them in several batches")
    size = sum(len(one.body) for one in batch)
    if size > MOST_BYTES:
        problem = f"{size:,} bytes in one batch are more than {MOST_BYTES:,}: append them in several batches"
        raise EncodingError("events", problem)


def batches(events: Sequence[Encoded]) -> Iterator[Sequence[Encoded]]:
    """Events that need not land together, in batches that hold up nobody."""
    start = 0
    while start < len(events):
        end = start + first_batch(events[start : start + _BATCH_EVENTS])
        yield events[start:end]
        start = end


def first_batch(events: Sequence[Encoded], least: int = 1) -> int:
    """How many of the first of some events make a batch that holds up nobody; so many at least, if there are."""
    size = 0
    for count, one in enumerate(events[:_BATCH_EVENTS]):
        size += len(one.body)
        if count >= least and size > _BATCH_BYTES:
            return count
    return min(len(events), _BATCH_EVENTS)
