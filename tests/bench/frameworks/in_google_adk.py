"""Google ADK: `python -m tests.bench.frameworks.in_google_adk URL HELD`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncGenerator
from functools import partial
from itertools import count
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.events import Event
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, InMemorySessionService
from google.adk_community.sessions import RedisSessionService
from google.genai.types import Content, Part

from ..processes import serve
from ..text import said

_numbers = count()


class Answering(BaseLlm):
    """Says a kilobyte, at once."""

    async def generate_content_async(self, *_: Any, **__: Any) -> AsyncGenerator[LlmResponse, None]:
        """The next answer."""
        yield LlmResponse(content=_content("model", said(2 * next(_numbers) + 1)))


def main(url: str, held: int) -> None:
    """Turns with a session in memory, since there are none without, and with each other kind of it."""
    # It warns of every answer that no tokens are counted for.
    logging.disable(logging.WARNING)
    loop = asyncio.new_event_loop()
    kinds: dict[str, BaseSessionService] = {
        "none": InMemorySessionService(),
        "RedisSessionService": RedisSessionService(uri=url),
    }

    def turn(name: str) -> float:
        return loop.run_until_complete(_turn(kinds[name], held))

    serve({name: partial(turn, name) for name in kinds})


async def _turn(service: BaseSessionService, held: int) -> float:
    agent = LlmAgent(name="agent", model=Answering(model="answering"))
    runner = Runner(agent=agent, app_name="bench", session_service=service)
    session = await service.create_session(app_name="bench", user_id="u", session_id=f"s-{next(_numbers)}")
    for index in range(held):
        author, role = (("user", "user"), ("agent", "model"))[index % 2]
        await service.append_event(session, Event(author=author, content=_content(role, said(index))))
    prompt = _content("user", said(2 * next(_numbers)))
    started = time.perf_counter()
    async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=prompt):
        pass
    return time.perf_counter() - started


def _content(role: str, text: str) -> Content:
    return Content(role=role, parts=[Part(text=text)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
