"""What tests of tails have in common: taking what comes without waiting for ever, and numbered events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from strands_session_log import events

SOON = 20.0


def note(number: int, padding: str = "") -> events.Event:
    return events.Custom("custom.note", {"number": number, "padding": padding})


def notes(first: int, end: int) -> list[events.Event]:
    return [note(number) for number in range(first, end)]


def taken(tail: Any, count: int, timeout: float = SOON) -> list[Any]:
    """The next items of a tail, each of which has to come soon."""

    async def take() -> list[Any]:
        return [await asyncio.wait_for(anext(tail), timeout) for _ in range(count)]

    return asyncio.run(take())


def numbers(tail: Any, count: int, timeout: float = SOON) -> list[int]:
    return [one.event.data["number"] for one in taken(tail, count, timeout)]


class Collected(list[Any]):
    """What a thread takes from a tail.

    Attributes:
        error: What ended it, if it was an error.
    """

    error: Exception | None = None


@contextmanager
def collecting(tail: Any) -> Iterator[Collected]:
    """Let a thread loop over a tail; close it afterwards, which must end the loop."""
    found = Collected()

    def collect() -> None:
        try:
            for item in tail:
                found.append(item)
        except Exception as error:
            found.error = error

    thread = Thread(target=collect, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        tail.close()
        thread.join(SOON)
        assert not thread.is_alive()
