"""How many runs and followers a process has: however many ask in the same moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable
from threading import Event
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from strands import Agent

from strands_session_log import SessionLog, SessionRuns, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui import AguiRun, AguiSettings, app
from strands_session_log_consumers.agui.conversation import STARTED
from support.following import SOON
from support.served_agui import asked

SCOPE = {"type": "http", "method": "POST", "path": "/", "query_string": b""}


def following(thread: str) -> Request:
    return Request({**SCOPE, "headers": [], "path_params": {"thread_id": thread}})


def running(thread: str) -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(asked("Hello?", thread=thread)).encode()}

    return Request({**SCOPE, "headers": [(b"content-type", b"application/json")]}, receive)


async def together(answers: Iterable[Awaitable[Response]]) -> list[Any]:
    """What is answered when all ask in the same moment; what would be streamed is not read by anybody yet."""
    return await asyncio.gather(*answers, return_exceptions=True)


def statuses(answers: Iterable[Any]) -> list[int]:
    return sorted(one.status_code for one in answers if isinstance(one, Response | HTTPException))


async def hang_up(response: Response) -> None:
    """As who asked for it does."""

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        return None

    await response(SCOPE, receive, send)


def test_no_more_follow_than_may_when_all_come_at_once_and_who_leaves_makes_room(session_log: SessionLog) -> None:
    async def follow() -> None:
        serving = app(session_log, lambda run: None, settings=AguiSettings(most_followers=2)).state.agui
        first = await together(serving.follow(following("s")) for _ in range(4))
        assert statuses(first) == [200, 200, 503, 503]
        await hang_up(next(one for one in first if isinstance(one, Response)))
        assert statuses(await together(serving.follow(following("s")) for _ in range(2))) == [200, 503]
        await serving.close()

    session_log.append("s", events.Custom(STARTED, {"run": "run", "message": ""}))
    with SessionRuns(session_log, "s").acquire("run", SOON):
        asyncio.run(follow())


def test_no_more_run_than_may_when_all_begin_at_once_and_what_is_refused_holds_no_thread(
    session_log: SessionLog,
) -> None:
    may_end = Event()

    def make(run: AguiRun) -> Agent:
        assert may_end.wait(SOON)
        return Agent(model=ScriptedModel("Done."), session_manager=run.session_manager, callback_handler=None)

    async def run() -> None:
        serving = app(session_log, make, settings=AguiSettings(most_runs=2, grace=SOON)).state.agui
        threads = [f"s-{number}" for number in range(5)]
        answers = await together(serving.run(running(thread)) for thread in threads)
        assert statuses(answers) == [200, 200, 503, 503, 503]
        assert sum(SessionRuns(session_log, thread).current() is not None for thread in threads) == 2
        may_end.set()
        await serving.close()

    asyncio.run(run())
    assert len(session_log.sessions()) == 2


def test_nothing_runs_that_nobody_may_follow(session_log: SessionLog) -> None:
    async def run() -> None:
        serving = app(session_log, lambda run: None, settings=AguiSettings(most_followers=1)).state.agui
        answers = await together(serving.run(running(thread)) for thread in ("s-0", "s-1"))
        assert statuses(answers) == [200, 503]
        await serving.close()

    asyncio.run(run())
    assert len(session_log.sessions()) == 1
