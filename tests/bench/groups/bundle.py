"""Evidence bundles: how fast sessions are exported and brought back, and that memory does not grow with them."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from tempfile import TemporaryFile
from typing import IO

from strands_session_log import SessionLog, events

from ..measuring import Run
from ..rows import Row

_ROUNDS = 3
_BATCH = 500
_TEXT = "What should I pack for Lisbon? It will be mild, with some rain towards the end of the week. " * 10
_TIME = "2026-01-01T00:00:00.000000+00:00"
_EXPORTED, _IMPORTED = 10_000, 5_000
"""Events a second, at least."""


def rows(run: Run) -> Iterator[Row]:
    """A session of messages of 1 KB; and one ten times as long, for what it takes in memory."""
    count = run.size(100_000)
    with SessionLog.connect("embedded:") as log, TemporaryFile() as file:
        _write(run, log, "s", count)
        exported = [_exporting(log, file) for _ in run.track(range(_ROUNDS), "exporting")]
        yield Row(f"exporting {count:,} events ÷ 10,000 a second", exported, [count / _EXPORTED] * _ROUNDS, 1)
        imported = [_importing(log, file) for _ in run.track(range(_ROUNDS), "importing")]
        yield Row(f"importing {count:,} events ÷ 5,000 a second", imported, [count / _IMPORTED] * _ROUNDS, 1)
        yield from _memory(run, log, count)


def _memory(run: Run, log: SessionLog, few: int) -> Iterator[Row]:
    many = 10 * few
    _write(run, log, "short", few, "hello")
    _write(run, log, "long", many, "hello")
    with TemporaryFile() as short, TemporaryFile() as long:
        peaks = [_peak(lambda: log.export("short", short)), _peak(lambda: log.export("long", long))]
        yield Row(f"memory of exporting {many:,} events ÷ {few:,}", peaks[1:], peaks[:1], 1.1, unit="bytes")
        with SessionLog.connect("embedded:") as empty:
            peaks = [_peak(lambda: empty.import_(short)), _peak(lambda: empty.import_(long))]
        # A byte an event tells what became of its content.
        yield Row(f"memory of importing {many:,} events ÷ {few:,}", peaks[1:], peaks[:1], 3, unit="bytes")


def _write(run: Run, log: SessionLog, session_id: str, count: int, text: str = _TEXT) -> None:
    for start in run.track(range(0, count, _BATCH), "events"):
        log.append(session_id, [_message(number, text) for number in range(start, start + _BATCH)])


def _message(number: int, text: str) -> events.Event:
    said = {"role": "assistant" if number % 2 else "user", "content": [{"text": text}]}
    times = {"redact_message": None, "created_at": _TIME, "updated_at": _TIME}
    return events.MessageAdded({"message": said, "message_id": number, **times}, "default", time=_TIME)


def _exporting(log: SessionLog, file: IO[bytes]) -> float:
    file.seek(0)
    file.truncate()
    started = time.perf_counter()
    log.export("s", file)
    return time.perf_counter() - started


def _importing(log: SessionLog, file: IO[bytes]) -> float:
    with SessionLog.connect("embedded:") as empty:
        started = time.perf_counter()
        assert [one.outcome for one in empty.import_(file)] == ["imported"]
        return time.perf_counter() - started


def _peak(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(found)
