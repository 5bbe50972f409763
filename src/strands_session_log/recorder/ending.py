"""The end of the process: what waits is written for as long as that goes on, and what cannot be is told."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable
from os import getpid

from .worker import Worker

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds without a step being written after which there is no hope for the others."""
_LAST_WORD = 2.0
"""Seconds to write what was lost."""
_ANNOUNCED_AFTER = 2.0
_LOOK = 0.02
_REASON = "the process ended before it was written"
_NO_LINE = 1_000

_called_in: set[int] = set()


def finish(workers: Iterable[Worker]) -> None:
    """Write what waits, without a bound in time as long as steps are written; the rest is given up and warned of.

    What agents add meanwhile, in threads that end with the process, is not waited for: they may never come to an end.
    Ctrl-C gives up at once; pressed again, not even the gap is written.

    Args:
        workers: Of all recorders.
    """
    left = [worker for worker in workers if not (worker.is_closed or worker.is_done)]
    try:
        is_written = _go_on(left) and not any(worker.has_given_up for worker in left)
        if not _unwritten(left):
            return
        why = "their agents went on" if is_written else f"nothing was written for {PATIENCE:g} s"
    except KeyboardInterrupt:
        why = "it was interrupted"
    told = False
    try:
        for worker in left:
            worker.leave(_REASON)
        told = _wait(left, _LAST_WORD)
    except KeyboardInterrupt:
        why = "it was interrupted"
    if _unwritten(left):
        _warn(left, why, told)


def at_end_of_child(call: Callable[[], object]) -> None:
    """Have something called where a child process of `multiprocessing` ends: it does not get to `atexit`."""
    parent_process = getattr(sys.modules.get("multiprocessing"), "parent_process", None)
    if getpid() in _called_in or parent_process is None or parent_process() is None:
        return
    # Here, because hardly a process is one.
    from multiprocessing.util import Finalize

    _called_in.add(getpid())
    Finalize(None, call, exitpriority=0)


def _go_on(workers: Collection[Worker]) -> bool:
    """Wait for as long as there is progress; returns whether all that waits now is written."""
    for worker in workers:
        if not worker.has_thread():
            worker.write_here()
    left = {worker: worker.goal for worker in workers}
    started = since = time.monotonic()
    progress, is_announced = -1, False
    while left := {worker: goal for worker, goal in left.items() if not (worker.is_done or worker.progress >= goal)}:
        now, so_far = time.monotonic(), sum(worker.progress for worker in workers)
        if so_far != progress:
            progress, since = so_far, now
        elif now - since > PATIENCE:
            return False
        if not is_announced and now - started > _ANNOUNCED_AFTER:
            is_announced = True
            logger.warning("waiting=<%d> | the process ends once they are recorded", _unwritten(workers))
        time.sleep(_LOOK)
    return True


def _wait(workers: Collection[Worker], seconds: float) -> bool:
    until = time.monotonic() + seconds
    return all(worker.flush(max(0.0, until - time.monotonic())) for worker in workers)


def _warn(workers: Collection[Worker], why: str, told: bool) -> None:
    """In the log, and where somebody sees it who has none: nobody else tells that something is missing."""
    what = "recording.gap tells of them" if told else "not even a recording.gap could be written"
    cure = "call `close()` of recorders before the process ends"
    said = f"{_unwritten(workers)} steps of agents were not recorded: {why}; {what}; {cure}"
    if logger.hasHandlers():
        logger.error("%s", said)
    # It is about no line of code, so none is shown.
    warnings.warn(said, RuntimeWarning, stacklevel=_NO_LINE)


def _unwritten(workers: Iterable[Worker]) -> int:
    return sum(worker.unwritten for worker in workers)
