"""OpenAI Agents: `python -m tests.bench.frameworks.in_openai_agents URL HELD`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, set_tracing_disabled
from agents.extensions.memory import RedisSession
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from ..processes import serve
from ..text import said

_numbers = count()


class Answering(Model):
    """Says a kilobyte, at once."""

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        """The next answer."""
        text = ResponseOutputText(text=said(2 * next(_numbers) + 1), type="output_text", annotations=[])
        message = ResponseOutputMessage(
            id=f"m-{next(_numbers)}", content=[text], role="assistant", status="completed", type="message"
        )
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        """Nobody streams here."""
        raise NotImplementedError


def main(url: str, held: int) -> None:
    """Turns without a session, and with each kind of it."""
    set_tracing_disabled(True)
    agent = Agent(name="default", model=Answering())
    loop = asyncio.new_event_loop()
    history = [{"role": ("user", "assistant")[index % 2], "content": said(index)} for index in range(held)]

    def without() -> float:
        prompt = {"role": "user", "content": said(2 * next(_numbers))}
        return _timed(loop, Runner.run(agent, [*history, prompt]))

    def with_session(session_of: Callable[[str], Any]) -> float:
        session = session_of(f"s-{next(_numbers)}")
        loop.run_until_complete(session.add_items(history))
        return _timed(loop, Runner.run(agent, said(2 * next(_numbers)), session=session))

    redis = RedisSession.from_url("first", url=url)._redis
    with tempfile.TemporaryDirectory() as directory:
        serve(
            {
                "none": without,
                "RedisSession": lambda: with_session(lambda name: RedisSession(name, redis_client=redis)),
                "SQLiteSession": lambda: with_session(lambda name: SQLiteSession(name, f"{directory}/sessions.db")),
            }
        )


def _timed(loop: asyncio.AbstractEventLoop, turn: Coroutine[Any, Any, Any]) -> float:
    started = time.perf_counter()
    loop.run_until_complete(turn)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
