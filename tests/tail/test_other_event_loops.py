"""Who awaits in another event loop than asyncio's is told so at once, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import AsyncioNeededError

TAILS: dict[str, Callable[[SessionLog], Any]] = {
    "of a session": lambda log: log.tail("s-42", 0),
    "of all sessions": lambda log: log.tail(),
    "of what is being said": lambda log: log.live("s-42"),
}


def step(coroutine: Coroutine[Any, Any, Any]) -> object:
    """Run it as trio would: in a thread where no loop of asyncio runs."""
    try:
        return coroutine.send(None)
    finally:
        coroutine.close()


@pytest.fixture
def log(log: SessionLog) -> SessionLog:
    log.append("s-42", events.Custom("custom.note", {}))
    return log


@pytest.mark.parametrize("name", TAILS)
def test_a_tail_says_that_it_wants_asyncio(log: SessionLog, name: str) -> None:
    with TAILS[name](log) as tail:
        for coroutine in (tail.__anext__, tail.__aenter__):
            with pytest.raises(AsyncioNeededError, match=r"want asyncio.*trio\.to_thread\.run_sync"):
                step(coroutine())


def test_a_tail_can_be_read_in_a_thread_instead(log: SessionLog) -> None:
    with log.tail("s-42", 0) as tail:
        assert next(tail).event.type == "custom.note"


def test_a_subscriber_says_that_it_wants_asyncio_and_makes_no_group(log: SessionLog) -> None:
    for coroutine in (Subscriber(log, "g").__aenter__(), Subscriber(log, "g").run(print)):
        with pytest.raises(AsyncioNeededError):
            step(coroutine)
    assert log.groups() == []
