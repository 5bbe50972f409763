"""A model that says a word when a test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import inf
from threading import Condition, Thread
from typing import Any

from strands_session_log.testing.model import ScriptedModel
from support.following import SOON


class SpeakingModel(ScriptedModel):
    """Waits before each delta until it may go on."""

    def __init__(self, script: Any, chunk: int = 6) -> None:
        super().__init__(script, chunk=chunk)
        self._changed = Condition()
        self._allowed = 0.0

    def say(self, deltas: float = 1) -> None:
        """Let it say so much more."""
        with self._changed:
            self._allowed += deltas
            self._changed.notify_all()

    def stop(self) -> None:
        """Let it say no more."""
        self._allowed = 0

    def _ask(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._allowed > 0)
            self._allowed -= 1

    async def stream(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for event in super().stream(*arguments, **options):
            if "contentBlockDelta" in event:
                await asyncio.to_thread(self._ask)
            yield event


@contextmanager
def speaking(agent: Any, prompt: str = "Hello?") -> Iterator[Thread]:
    """A turn of an agent in a thread of its own; at the end it is allowed to say all it has to say."""
    thread = Thread(target=agent, args=(prompt,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        agent.model.say(inf)
        thread.join(SOON)
        assert not thread.is_alive()
        agent.model.stop()
