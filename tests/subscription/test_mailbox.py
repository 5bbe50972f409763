"""What hands deliveries to tasks: as many wake as there is something for, and none sleeps beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from strands_session_log.concurrency import Channel
from support.waiting import PATIENCE


async def waiting_for(box: Channel[str], tasks: int) -> list[asyncio.Task[list[str] | None]]:
    """Tasks that wait, in this order."""
    found = [asyncio.create_task(box.aget()) for _ in range(tasks)]
    await asyncio.sleep(0)
    return found


def test_a_task_that_is_cancelled_when_it_is_woken_wakes_the_next() -> None:
    async def main() -> None:
        box = Channel[str]()
        first, second, third = await waiting_for(box, 3)
        box.put(["something"])
        first.cancel()
        assert await second == ["something"]
        box.put(["more"])
        assert await third == ["more"]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_only_as_many_tasks_are_woken_as_there_is_something_for() -> None:
    async def main() -> None:
        box = Channel[str]()
        tasks = await waiting_for(box, 100)
        box.put(["a", "b"])
        assert len(box._waiting) == 98
        assert [await task for task in tasks[:2]] == [["a"], ["b"]]
        box.close()
        assert await asyncio.gather(*tasks[2:]) == [None] * 98

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_loop_that_has_ended_keeps_nothing_from_the_next() -> None:
    box = Channel[str]()

    async def left_waiting() -> Coroutine[Any, Any, Any]:
        # No task: one that is pending when its loop is gone is complained of.
        begun = box.aget()
        begun.send(None)
        return begun

    left = asyncio.run(left_waiting())

    async def main() -> None:
        (waiting,) = await waiting_for(box, 1)
        box.put(["something"])
        assert await waiting == ["something"]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    left.close()


def test_a_channel_is_dry_while_somebody_waits_for_what_is_to_come() -> None:
    async def main() -> None:
        told = list[None]()
        box = Channel[str](lambda: told.append(None))
        assert not box.is_dry
        first, second = await waiting_for(box, 2)
        assert box.is_dry
        assert told
        box.put(["a"])
        assert await first == ["a"]
        box.put([])
        assert box.is_dry, "the other one still waits"
        box.put(["b", "c"])
        assert await second == ["b"]
        assert not box.is_dry

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
