"""A run: an agent that is called in a thread of its own, whoever follows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ag_ui.core import BaseEvent, RunAgentInput

from strands_session_log import EventId, LiveTokens, Recorded, RunLease, SessionLog, SessionRuns, ValkeySessionManager
from strands_session_log.errors import (
    InvalidIdError,
    MissingExtraError,
    RunInProgressError,
    RunLeaseLostError,
    SessionLogError,
)
from strands_session_log.events import Custom

from .conversation import FINISHED, STARTED, TOLD
from .holding import LeaseHolder
from .messages import NothingToAskError, prompt_of
from .settings import AguiSettings
from .wrapped import SpeaksAgui, as_told, run_wrapped

if TYPE_CHECKING:
    from ag_ui_strands import StrandsAgent, StrandsAgentConfig
    from strands import Agent

logger = logging.getLogger(__name__)

TIMEOUT: Final = "TIMEOUT"
"""The code of a run that took longer than it may."""

_BEAT: Final = 1.0
"""Seconds between two looks whether the run is to stop."""


@dataclass(frozen=True)
class AguiRun:
    """What an agent is made for: `Agent(…, session_manager=run.session_manager, hooks=[run.live_tokens])`.

    Or `run.strands_agent(Agent(…))`, for one that has the front end's tools, media and state, too.

    Attributes:
        input: What the front end asks: messages, state, context, properties passed on.
        session_manager: Keeps the thread.
        live_tokens: Lets followers hear each word.
        user: What `authorize` answered.
        goes_on: Whether it was begun before, by a worker that is gone, and what it was asked is in the log.
    """

    input: RunAgentInput
    session_manager: ValkeySessionManager
    live_tokens: LiveTokens
    user: Any
    goes_on: bool = False
    _agents: dict[str, Any] = field(default_factory=dict, repr=False)

    def strands_agent(
        self,
        agent: Agent,
        name: str | None = None,
        *,
        config: StrandsAgentConfig | None = None,
        hooks: Iterable[Any] = (),
        plugins: Iterable[Any] = (),
    ) -> StrandsAgent:
        """An agent with what AG-UI has beside messages: tools of the front end, media, shared state, approvals.

        Args:
            agent: What it is made like, without a session manager.
            name: Its name, if not that of the agent.
            config: As `ag-ui-strands` takes it; the session manager is this run's.
            hooks: Hooks of the agent, which are not taken from `agent`.
            plugins: Plugins of the agent, likewise.

        Raises:
            MissingExtraError: `ag-ui-strands` is not installed.
        """
        try:
            from ag_ui_strands import StrandsAgent, StrandsAgentConfig
        except ImportError as missing:
            raise MissingExtraError("agui", "serving AG-UI") from missing

        # Snapshots of messages are made from the log.
        ours = {"session_manager_provider": lambda _: self.session_manager, "emit_messages_snapshot": False}
        return StrandsAgent(
            agent,
            name or agent.name,
            config=replace(config or StrandsAgentConfig(), **ours),
            hooks=[self.live_tokens, *hooks],
            plugins=list(plugins),
            agents_by_thread=self._agents,
        )

    def cancel(self) -> bool:
        """Have what `strands_agent` made stop soon; returns whether there is any."""
        for agent in list(self._agents.values()):
            agent.cancel()
        return bool(self._agents)


class RunIds(NamedTuple):
    """What a front end calls what it says.

    Attributes:
        message: The message it asks with; empty if there is none.
        answers: Results it gives of its own tools, by call.
    """

    message: str
    answers: Mapping[str, str]


MakeAgent = Callable[[AguiRun], Any]


def begin_run(
    log: SessionLog,
    asked: RunAgentInput,
    lease: RunLease,
    ids: RunIds,
    open_run: str,
    settings: AguiSettings,
) -> tuple[ValkeySessionManager, EventId]:
    """Write down that a run begins, and that one before it was lost, if that is so.

    Raises:
        InvalidIdError: The thread's id can be one of the log, and none of an agent.
    """
    thread_id = asked.thread_id
    try:
        manager = ValkeySessionManager(thread_id, log=log)
    except ValueError as error:
        raise InvalidIdError("threadId", thread_id, "must not contain path separators") from error
    if open_run and open_run != lease.run_id:
        _note_lost(log, thread_id, open_run, settings.agent_id)
    begun = {"run": lease.run_id, "message": ids.message, **({"answers": ids.answers} if ids.answers else {})}
    started = Custom(STARTED, begun, settings.agent_id)
    return manager, log.append(thread_id, started)


def end_lost_run(log: SessionLog, thread_id: str, run_id: str, settings: AguiSettings) -> None:
    """Write down that a run ended whose worker is gone; nothing if it has ended, or its lease is held."""
    try:
        with SessionRuns(log, thread_id).acquire(run_id, settings.lease):
            _note_lost(log, thread_id, run_id, settings.agent_id)
    except RunInProgressError:
        return


def _note_lost(log: SessionLog, thread_id: str, run_id: str, agent_id: str) -> None:
    # A worker writes how its run ended before it releases the lease: whoever has that sees it. A run that was lost
    # before may have been begun again.
    last = [one.event.type for one in log.read(thread_id, types=(STARTED, FINISHED)) if _is_of(one, run_id)][-1:]
    if last == [STARTED]:
        log.append(thread_id, Custom(FINISHED, {"run": run_id, "outcome": "lost"}, agent_id))


def _is_of(recorded: Recorded, run_id: str) -> bool:
    return bool(recorded.event.data.get("run") == run_id)


class RunWorker:
    """Calls the agent of a run.

    Args:
        log: The log.
        run: The run.
        make_agent: Makes the agent.
        lease: Of the run.
        settings: How it is held, and which agent is shown.
        ended: Called when it has ended.
    """

    def __init__(
        self,
        log: SessionLog,
        run: AguiRun,
        make_agent: MakeAgent,
        lease: RunLease,
        settings: AguiSettings,
        ended: Callable[[RunWorker], None],
    ) -> None:
        self._log, self._run, self._make_agent, self._lease = log, run, make_agent, lease
        self._settings, self._ended = settings, ended
        self._holder = LeaseHolder(lease, run.input.thread_id, settings, lambda: self._note_end(self._overdue()))
        self._is_to_stop = self._was_stopped = False
        self._thread = Thread(target=self._work, name=f"agui-{lease.run_id[:32]}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._is_to_stop = True

    def join(self, timeout: float) -> bool:
        """Wait until it has ended; returns whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            with self._holder:
                outcome = asyncio.run(self._outcome())
                self._run.live_tokens.flush(1.0)
                with self._holder.ending():
                    was_late = self._holder.is_overdue and outcome["outcome"] == "cancelled"
                    self._note_end(self._overdue() if was_late else outcome)
        except Exception as error:
            # Who follows is told as soon as the lease has run out, by whoever sees that.
            logger.warning("run=<%s>, error=<%s> | its worker did not note the end of a run", self._lease.run_id, error)
        finally:
            with suppress(SessionLogError):
                self._lease.release()
            self._ended(self)

    def _note_end(self, outcome: Mapping[str, Any]) -> None:
        finished = Custom(FINISHED, {"run": self._lease.run_id, **outcome}, self._settings.agent_id)
        self._log.append(self._run.input.thread_id, finished)

    def _overdue(self) -> Mapping[str, Any]:
        return {"outcome": "failed", "error": f"it took longer than {self._settings.longest_run:g} s", "code": TIMEOUT}

    async def _outcome(self) -> Mapping[str, Any]:
        try:
            agent = self._make_agent(self._run)
            agent = await agent if isawaitable(agent) else agent
            self._holder.check()
            if not isinstance(agent, SpeaksAgui):
                return await self._asked(agent)
            outcome = await self._called(run_wrapped(agent, self._run.input, self._tell), self._run.cancel)
            return {"outcome": "cancelled"} if self._was_stopped and outcome["outcome"] == "success" else outcome
        except RunLeaseLostError:
            raise
        except NothingToAskError as error:
            return {"outcome": "failed", "error": str(error), "code": "UNSUPPORTED"}
        except Exception as error:
            logger.warning("run=<%s> | the run failed", self._lease.run_id, exc_info=True)
            return {"outcome": "failed", "error": type(error).__name__}

    async def _asked(self, agent: Any) -> Mapping[str, Any]:
        prompt = None if self._run.goes_on else prompt_of(self._run.input)
        if self._run.goes_on and _has_answered(agent.messages):
            return {"outcome": "success"}
        return _told(await self._called(agent.invoke_async(prompt), agent.cancel))

    async def _called(self, call: Coroutine[Any, Any, Any], cancel: Callable[[], Any]) -> Any:
        calling = asyncio.ensure_future(call)
        try:
            while not (await asyncio.wait([calling], timeout=_BEAT))[0]:
                self._holder.check()
                if self._is_to_stop or self._holder.is_to_stop:
                    self._was_stopped = True
                    if cancel() is False:
                        # It has made its agent itself, so there is nothing that could be asked to end.
                        return {"outcome": "cancelled"}
            return await calling
        finally:
            calling.cancel()

    async def _tell(self, event: BaseEvent) -> None:
        told = Custom(TOLD, {"run": self._lease.run_id, "event": as_told(event)}, self._settings.agent_id)
        await asyncio.to_thread(self._log.append, self._run.input.thread_id, told)


def _has_answered(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all that a run was to say is there: only that it ended was not written down."""
    last = messages[-1] if messages else {}
    return last.get("role") == "assistant" and not any("toolUse" in one for one in last.get("content") or ())


def _told(result: Any) -> Mapping[str, Any]:
    match result.stop_reason:
        case "interrupt":
            asked = [{"id": one.id, "name": one.name, "reason": one.reason} for one in result.interrupts or ()]
            return {"outcome": "interrupt", "interrupts": asked}
        case "cancelled":
            return {"outcome": "cancelled"}
    return {"outcome": "success"}
