"""Processes that are killed between any two things they do with files."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count

_STEPS = frozenset(("open", "os.link", "os.mkdir", "os.remove", "os.rename"))


def killed_at_each_step(work: Callable[[], object]) -> Iterator[int]:
    """Have a process do some work and kill it before its first step, then another before its second, and so on.

    A step opens, names, renames, makes or removes something.

    Args:
        work: What is done; by a fork of this process, which has it to its end once there are no more steps.

    Yields:
        The number of the step, each time that one was killed. Put back what there was before you go on.
    """
    for step in count(1):
        if (child := os.fork()) == 0:
            _do(work, step)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return
        yield step


def _do(work: Callable[[], object], step: int) -> None:
    left = step

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.addaudithook(watch)
        work()
        code = 0
    finally:
        os._exit(code)
