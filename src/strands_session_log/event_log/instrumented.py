"""Telling the hooks of appends and reads: how long, how much, how it ended. Used only when somebody listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TypeAlias

from ..codec import Encoded, RawEntry, encode
from ..errors import (
    ConcurrentWriteError,
    ContentionError,
    EncodingError,
    ServerRefusedError,
    ServerUnavailableError,
    UnknownOutcomeError,
)
from ..events import Event
from ..ids import EventId
from ..instrumentation import AppendDone, ConflictSeen, Outcome, ReadDone
from ..instrumentation.hooks import hooks
from .expected import Expected

Append: TypeAlias = Callable[[str, "Sequence[Event | Encoded]", Expected], "list[EventId]"]

_OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (ConcurrentWriteError, "conflict"),
    (ContentionError, "contention"),
    (EncodingError, "invalid"),
    (UnknownOutcomeError, "unknown"),
    (ServerRefusedError, "refused"),
    (ServerUnavailableError, "unavailable"),
)


def instrumented_append(append: Append) -> Append:
    """An append that the hooks are told of. Events are encoded here, so that their size is known."""

    def told(session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        batch: list[Event | Encoded] = []
        with _timed(lambda seconds, outcome: AppendDone(seconds, len(events), _batch_bytes(batch), outcome)):
            batch += (event if isinstance(event, Encoded) else encode(event) for event in events)
            return append(session_id, batch, expected)

    return told


def read_told(read: Callable[[], list[RawEntry]]) -> list[RawEntry]:
    """Read a page, and tell the hooks."""
    page: list[RawEntry] = []
    with _timed(lambda seconds, outcome: ReadDone(seconds, len(page), entries_bytes(page), outcome)):
        page = read()
    return page


def entries_bytes(entries: Iterable[RawEntry]) -> int:
    """How large raw entries are: the values of their fields."""
    return sum(sum(map(len, fields[1::2])) for _, fields in entries)


@contextmanager
def _timed(detail: Callable[[float, Outcome], AppendDone | ReadDone]) -> Iterator[None]:
    started, outcome = perf_counter(), _outcome_of(None)
    try:
        yield
    except BaseException as error:
        outcome = _outcome_of(error)
        if outcome == "conflict":
            hooks.tell(ConflictSeen())
        raise
    finally:
        hooks.tell(detail(perf_counter() - started, outcome))


def _outcome_of(error: BaseException | None) -> Outcome:
    if error is None:
        return "ok"
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), "error")


def _batch_bytes(batch: Iterable[Event | Encoded]) -> int:
    encoded = [one for one in batch if isinstance(one, Encoded)]
    return sum(sum(map(len, one.header)) + len(one.body) + len(one.facts) for one in encoded)
