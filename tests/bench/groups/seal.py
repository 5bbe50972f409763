"""Seals: writing down where 10,000 sessions stand, and holding them against what was sealed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from strands_session_log import SessionLog, events
from strands_session_log.seals import Deletions, SealedLog, SealWriter, SigningKey, compare_records

from ..measuring import Run
from ..rows import Pair, Row

_ROUNDS = 5
_MOST_SECONDS = 10.0


def rows(run: Run) -> Iterator[Row]:
    """Sessions that all have changed since the seal before, among as many that have not."""
    with SessionLog.connect("embedded:") as log, TemporaryDirectory() as directory:
        changed, place = [f"s-{number}" for number in range(run.size(10_000))], Path(directory)
        for name in run.track([f"old-{number}" for number in range(len(changed))], "sessions"):
            log.append(name, _event())
        sealer = SealWriter(log, place, SigningKey.make("example.com/bench"))
        sealer.seal()
        rounds = [_sealing(log, sealer, changed) for _ in run.track(range(_ROUNDS), "sealing")]
        yield Row(f"sealing {len(changed):,} changed sessions ÷ 10 s", rounds, [_MOST_SECONDS] * len(rounds), 1)
        yield from run.measure([_checking(log, place)], 3 * _ROUNDS, "checking")


def _event() -> events.Event:
    return events.Custom("custom.note", {"text": "hello"})


def _sealing(log: SessionLog, sealer: SealWriter, changed: list[str]) -> float:
    for name in changed:
        log.append(name, _event())
    started = time.perf_counter()
    sealed = sealer.seal().sessions
    took = time.perf_counter() - started
    # Of others that were active in the last minute, it knows that they were sealed.
    assert sealed == len(changed)
    return took


def _checking(log: SessionLog, place: Path) -> Pair:
    """A round of a witness, beside one round trip for each session."""
    sealed = SealedLog(place)
    some = list(sealed.records())[-1_000:]
    names = [one.record.session_id for one in some]

    def plain() -> int:
        return sum(log._events.head(name) is not None for name in names)

    check = partial(compare_records, log, some, Deletions())
    return Pair(
        f"holding {len(some):,} sealed records against their sessions ÷ asking each for its head", check, plain, 1
    )
