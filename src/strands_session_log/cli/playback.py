"""Playing back what happened in the time it took: how long to wait before each thing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar

from ..ids import EventId

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, None: 1.0}


class Timed(Protocol):
    """What stands somewhere in a session."""

    @property
    def id(self) -> EventId:
        """Where, and so when."""


T = TypeVar("T", bound=Timed)


class Shortened(NamedTuple):
    """A pause that was longer than anybody wants to wait; comes before what follows it.

    Attributes:
        recorded: How many seconds it took when it happened.
        waited: How many it takes now.
    """

    recorded: float
    waited: float


def pace(
    recorded: Iterable[T], speed: float, max_pause: float, sleep: Callable[[float], object] = time.sleep
) -> Iterator[T | Shortened]:
    """Things one by one, each as long after the one before as it happened then.

    Args:
        recorded: What happened, in order.
        speed: How many times faster than it happened.
        max_pause: For how many seconds to wait at most.
        sleep: How to wait.
    """
    last: int | None = None
    for one in recorded:
        took = 0.0 if last is None else max(0, one.id.ms - last) / 1000
        waited = min(took / speed, max_pause)
        if waited < took / speed:
            yield Shortened(took, waited)
        if waited:
            sleep(waited)
        last = one.id.ms
        yield one


def seconds(text: str) -> float:
    """Understand `5s`, `500ms`, `2m`, `1h`, and a number of seconds.

    Raises:
        ValueError: When it is none of these.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: give seconds (5), or a number with its unit (500ms, 5s, 2m, 1h)")
    return float(found[1]) * _SECONDS[found[2]]


def offset(milliseconds: int) -> str:
    """A time since a beginning: `+0.4s`, `+1:05`, `+2:03:04`, `+3d 2:03:04`."""
    whole, fraction = divmod(max(0, milliseconds), 1000)
    minutes, second = divmod(whole, 60)
    if not minutes:
        return f"+{second}.{fraction // 100}s"
    hours, minute = divmod(minutes, 60)
    if not hours:
        return f"+{minute}:{second:02}"
    days, hour = divmod(hours, 24)
    return f"+{f'{days}d ' if days else ''}{hour}:{minute:02}:{second:02}"
