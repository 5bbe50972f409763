"""What keeping less costs: sweeps, pruning, erasing a person, and archiving; each beside deleting one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from tempfile import TemporaryDirectory

from strands_session_log import SessionLog, events
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.settings import ArchiveSettings
from strands_session_log_consumers.archive.sweep import Sweep

from ..measuring import Run
from ..rows import Row

_ROUNDS = 3
_KEY, _TTL = b"k" * 32, timedelta(seconds=1)
_SAID = [
    events.Custom("custom.note", {"number": number, "text": "What should I pack for Lisbon?"}) for number in range(5)
]


def rows(run: Run) -> Iterator[Row]:
    """Sessions of five events; a round each, since what is gone does not come back."""
    many, few = run.size(5_000), run.size(1_000)
    with SessionLog.connect("embedded:", subject_key=_KEY) as log:
        yield _beside(run, log, f"sweeping {many:,} sessions that are due ÷ deleting each", many, _due, _sweep)
        yield _beside(run, log, f"pruning {many:,} sessions ÷ deleting each", many, _written, _prune)
        yield _beside(run, log, f"erasing a person from {few:,} sessions ÷ erasing each", few, _about, _erase, _one)
        yield _beside(run, log, f"archiving and dropping {few:,} sessions ÷ deleting each", few, _written, _archive)


def _beside(
    run: Run,
    log: SessionLog,
    what: str,
    count: int,
    made: Callable[[SessionLog, str], object],
    all_at_once: Callable[[SessionLog], object],
    each: Callable[[SessionLog, str], object] = SessionLog.delete,
) -> Row:
    ours, least = list[float](), list[float]()
    for number in run.track(range(_ROUNDS), what):
        for times, act in ((ours, None), (least, each)):
            names = [f"{number}-{len(times)}-{act is None}-{one}" for one in range(count)]
            for name in names:
                made(log, name)
            if made is _due:
                # No time to live is shorter.
                time.sleep(_TTL.total_seconds())
            began = time.perf_counter()
            if act is None:
                all_at_once(log)
            else:
                for name in names:
                    act(log, name)
            times.append(time.perf_counter() - began)
            for name in list(log.session_ids()):
                log.delete(name)
    return Row(what, ours, least)


def _written(log: SessionLog, name: str) -> None:
    log.append(name, _SAID)


def _due(log: SessionLog, name: str) -> None:
    _written(log, name)
    log.retention.set_ttl(name, _TTL)


def _about(log: SessionLog, name: str) -> None:
    _written(log, name)
    log.subjects.annotate(name, "user-77")


def _sweep(log: SessionLog) -> None:
    log.retention.sweep()


def _prune(log: SessionLog) -> None:
    log.retention.prune(keep_last=1)


def _erase(log: SessionLog) -> None:
    log.subjects.erase("user-77", reason="request")


def _one(log: SessionLog, name: str) -> None:
    log.erase(name, range(1, len(_SAID) + 2), reason="request")


def _archive(log: SessionLog) -> None:
    with TemporaryDirectory() as directory:
        for _ in Sweep(log, SessionArchive(directory), ArchiveSettings(idle=0, drop=True)).run():
            continue
