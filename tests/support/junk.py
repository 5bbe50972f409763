"""Values that nobody would write, and calls that must not take long over them."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

TURN = int(os.environ.get("SESSION_LOG_TEST_TURN", date.today().toordinal()))
"""Chooses the part of a corpus that is tried: another one each day, or that of the day that a report names."""
MISSING = object()
"""Take the value away."""


def deep(levels: int) -> Any:
    """A value nested so deep, by lists and objects in turn."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


JUNK: Mapping[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "text": "junk",
    "empty text": "",
    "zero": 0,
    "negative": -1,
    "very negative": -(10**18),
    "huge": 10**18,
    "fraction": 1.5,
    "empty list": [],
    "list": [1, "two", None],
    "list of lists": [[0, 10**18], [-5, 5], [5, -5], [True, False], [0, 1], [0, 1]],
    "empty object": {},
    "object": {"a": {"b": 1}},
    "message": {"role": "user", "content": [{"toolUse": 5}, {"text": None}]},
    "role only": {"role": "user"},
    "list of objects": [{"role": 5}, {"message": {"role": "user", "content": "text"}}, {"message": 5}],
    "long text": "x" * 300_000,
    "long list": [0] * 50_000,
    "deep": deep(200),
    "deeper": deep(400),
    "very deep": deep(900),
    "broken bytes": {"__bytes_encoded__": True, "data": "!"},
    "broken date": {"__encoded__": "datetime", "data": "never"},
    "broken set": {"__encoded__": "set", "data": [{}]},
    "broken decimal": {"__encoded__": "decimal", "data": {}},
}


def paths_in(value: Any, depth: int, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be put: every key and position down to a depth; of lists the first and the last."""
    if depth == 0:
        return
    inner: list[Any] = list(value) if isinstance(value, dict) else []
    if isinstance(value, list) and value:
        inner = sorted({0, len(value) - 1})
    for step in inner:
        yield (*path, step)
        yield from paths_in(value[step], depth - 1, (*path, step))


def with_junk(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """A copy with junk at one place."""
    changed = copy.deepcopy(value)
    at = changed
    for step in path[:-1]:
        at = at[step]
    if junk is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = junk
    return changed


class TooSlowError(BaseException):
    """A call took longer than it may; no `except Exception` gets in its way."""


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Interrupt what takes longer.

    Raises:
        TooSlowError: When it did.
    """

    def late(*_: object) -> None:
        raise TooSlowError(f"{what} took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
