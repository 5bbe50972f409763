"""The web application: `POST /` begins a run, `GET /threads/ID` follows it, `POST /threads/ID/stop` stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from inspect import isawaitable
from time import monotonic
from typing import Any, Final

from strands_session_log import EventId, LiveTokens, RunLease, SessionLog, SessionRuns
from strands_session_log.errors import (
    InvalidIdError,
    InvalidPointError,
    MissingExtraError,
    RunInProgressError,
    ServerUnavailableError,
    SessionNotFoundError,
)

try:
    from ag_ui.core import RunAgentInput
    from anyio import to_thread
    from pydantic import ValidationError
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as missing:
    raise MissingExtraError("agui", "serving AG-UI") from missing

from .channel import ThreadHub, ThreadUnreadableError
from .conversation import RunBefore
from .frames import position_of
from .messages import NothingToAskError, answers_of, check_asks
from .places import PlacedResponse, Places
from .running import AguiRun, MakeAgent, RunIds, RunWorker, begin_run
from .settings import AguiSettings

Authorize = Callable[[Request, str], Any]

_QUEUE_LOOK: Final = 0.2
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def app(
    log: SessionLog,
    make_agent: MakeAgent,
    *,
    authorize: Authorize | None = None,
    settings: AguiSettings | None = None,
) -> Starlette:
    """A web application by which front ends have agents run, and follow them.

    Args:
        log: The log that keeps the threads; a thread is a session.
        make_agent: Makes the agent of a run, see `AguiRun`; may be async. It is called in the thread of the run.
        authorize: Asked before anything is done, with the request and the thread: what is false is refused with 403.
            What it answers is `AguiRun.user`. May be async. Without it, whoever reaches the application may do all.
        settings: How runs are held and followed.
    """
    serving = AguiServing(log, make_agent, authorize, settings or AguiSettings())
    routes = [
        Route("/", serving.run, methods=["POST"]),
        Route("/threads/{thread_id}", serving.follow, methods=["GET"]),
        Route("/threads/{thread_id}/stop", serving.stop, methods=["POST"]),
    ]
    handlers: Any = {
        InvalidIdError: partial(_refused, 400),
        InvalidPointError: partial(_refused, 400),
        NothingToAskError: partial(_refused, 422),
        RunInProgressError: partial(_refused, 409),
        SessionNotFoundError: partial(_refused, 404),
        ServerUnavailableError: partial(_refused, 503),
        ThreadUnreadableError: partial(_refused, 503),
        HTTPException: _refused_as_told,
    }
    made = Starlette(routes=routes, exception_handlers=handlers, lifespan=serving.lifespan)
    made.state.agui = serving
    return made


def mount(other: Any, path: str, log: SessionLog, make_agent: MakeAgent, **options: Any) -> Starlette:
    """Put it into an application of Starlette or FastAPI.

    That tells what is mounted in it nothing of its end: call `await mounted.state.agui.close()` there.

    Args:
        other: The application.
        path: Under which path.
        log: As for `app`.
        make_agent: As for `app`.
        **options: As for `app`.
    """
    made = app(log, make_agent, **options)
    other.mount(path, made)
    return made


async def _refused(status: int, request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)


async def _refused_as_told(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class AguiServing:
    """Answers requests.

    Args:
        log: The log.
        make_agent: Makes agents.
        authorize: Says who may.
        settings: How runs are held and followed.
    """

    def __init__(
        self, log: SessionLog, make_agent: MakeAgent, authorize: Authorize | None, settings: AguiSettings
    ) -> None:
        self._log, self._make_agent, self._authorize, self._settings = log, make_agent, authorize, settings
        self._hub = ThreadHub(log, settings)
        self._workers = set[RunWorker]()
        self._runs = Places(settings.most_runs, f"{settings.most_runs:,} runs are in progress already")
        self._followers = Places(settings.most_followers, f"{settings.most_followers:,} follow already")

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Until the application ends."""
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        """Let runs go on for a while, then stop them, and follow nothing any more."""
        self._hub.close()
        await to_thread.run_sync(self._wait_for_runs, self._settings.grace)
        for worker in list(self._workers):
            worker.stop()
        await to_thread.run_sync(self._wait_for_runs, self._settings.grace)

    def _wait_for_runs(self, timeout: float) -> None:
        until = monotonic() + timeout
        for worker in list(self._workers):
            worker.join(max(0.0, until - monotonic()))

    async def run(self, request: Request) -> Response:
        """Begin a run and follow it; one that was begun already, by a request that was cut off, is followed only."""
        try:
            asked = RunAgentInput.model_validate_json(await self._body(request))
        except ValidationError as error:
            raise HTTPException(422, f"no RunAgentInput: {error.error_count()} errors") from error
        user = await self._user(request, asked.thread_id)
        with ExitStack() as place:
            # Before a run begins that nobody could follow.
            place.enter_context(self._followers.place())
            lease = await self._lease(asked)
            revision = await self._begun(asked, user, lease) if lease else 0
            return self._following(place, asked.thread_id, revision)

    async def _begun(self, asked: RunAgentInput, user: Any, lease: RunLease) -> int:
        """The revision with which a run began; 0 if it has been and ended."""
        with ExitStack() as place:
            try:
                place.enter_context(self._runs.place())
                before = await self._before(asked)
                if before.is_known and not before.was_lost:
                    await to_thread.run_sync(lease.release)
                    return 0
                message_id = "" if before.goes_on else check_asks(asked)
                ids = RunIds(message_id, answers_of(asked))
                manager, started = await to_thread.run_sync(
                    begin_run, self._log, asked, lease, ids, before.open_run, self._settings
                )
                tokens = LiveTokens(self._log, asked.thread_id, interval=0.02)
                self._start(AguiRun(asked, manager, tokens, user, before.goes_on), lease, place.pop_all())
            except BaseException:
                await to_thread.run_sync(lease.release)
                raise
        return started.revision

    def _start(self, run: AguiRun, lease: RunLease, place: ExitStack) -> None:
        worker = RunWorker(self._log, run, self._make_agent, lease, self._settings, partial(self._ended, place))
        self._workers.add(worker)
        try:
            worker.start()
        except RuntimeError:
            # There can be no more threads.
            self._ended(place, worker)
            raise

    def _ended(self, place: ExitStack, worker: RunWorker) -> None:
        self._workers.discard(worker)
        place.close()

    async def _body(self, request: Request) -> bytes:
        # What a page of another site may send without being asked for leave is never that.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "send application/json")
        most, found = self._settings.most_bytes, bytearray()
        async for chunk in request.stream():
            found += chunk
            if len(found) > most:
                raise HTTPException(413, f"a request may have {most:,} bytes")
        return bytes(found)

    async def _lease(self, asked: RunAgentInput) -> RunLease | None:
        """The lease of the run; None if this very run is in progress."""
        runs, loop = SessionRuns(self._log, asked.thread_id), asyncio.get_running_loop()
        until = loop.time() + (self._settings.queue if self._settings.on_busy == "queue" else 0)
        while True:
            try:
                return await to_thread.run_sync(runs.acquire, asked.run_id, self._settings.lease)
            except RunInProgressError as busy:
                if busy.run_id == asked.run_id:
                    return None
                if loop.time() >= until:
                    raise
                await asyncio.sleep(_QUEUE_LOOK)

    async def _before(self, asked: RunAgentInput) -> RunBefore:
        try:
            await to_thread.run_sync(self._log.head, asked.thread_id)
        except SessionNotFoundError:
            return RunBefore()
        with self._hub.channel(asked.thread_id) as channel:
            known = await channel.caught_up()
            return known.before(asked.run_id) if known else RunBefore()

    async def follow(self, request: Request) -> Response:
        """All there is of a thread, and what happens until its run is over."""
        thread_id = request.path_params["thread_id"]
        await self._user(request, thread_id)
        after = request.query_params.get("after") or request.headers.get("last-event-id") or ""
        position, is_whole = position_of(after) if after else (None, False)
        with ExitStack() as place:
            place.enter_context(self._followers.place())
            head: EventId = await to_thread.run_sync(self._log.head, thread_id)
            is_running = await self._is_running(thread_id)
            if position and is_whole and position.event >= head and not is_running:
                return Response(status_code=204)
            return self._following(place, thread_id, 0, after)

    async def _is_running(self, thread_id: str) -> bool:
        with self._hub.channel(thread_id) as channel:
            known = await channel.known()
            return bool(known and known.run)

    async def stop(self, request: Request) -> Response:
        """Tell a run to stop."""
        thread_id = request.path_params["thread_id"]
        await self._user(request, thread_id)
        run_id = request.query_params.get("run")
        is_told = await to_thread.run_sync(SessionRuns(self._log, thread_id).stop, run_id)
        return JSONResponse({"stopping": is_told}, 202 if is_told else 404)

    async def _user(self, request: Request, thread_id: str) -> Any:
        if self._authorize is None:
            return None
        user = self._authorize(request, thread_id)
        user = await user if isawaitable(user) else user
        if not user:
            raise HTTPException(403, "not allowed")
        return user

    def _following(self, place: ExitStack, thread_id: str, revision: int, after: str = "") -> Response:
        frames = self._frames(thread_id, revision, after)
        return PlacedResponse(place.pop_all(), frames, media_type="text/event-stream", headers=_HEADERS)

    async def _frames(self, thread_id: str, revision: int, after: str) -> AsyncIterator[bytes]:
        with self._hub.channel(thread_id) as channel:
            async for chunk in channel.frames(revision, after):
                yield chunk
