"""A thread as it goes on: read once in a process, however many follow it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ag_ui.core import BaseEvent
from anyio import to_thread

from strands_session_log import START, LivePosition, SessionLog, SessionRuns
from strands_session_log.errors import (
    LogForkedError,
    RevisionNotFoundError,
    ServerUnavailableError,
    SessionLogError,
    SessionNotFoundError,
)

from .conversation import OTHERS, RUNS, ThreadConversation
from .frames import KeptFrames, begun_again, told_anew
from .running import end_lost_run
from .settings import AguiSettings

logger = logging.getLogger(__name__)

_AGAIN: Final = 1.0
_GONE: Final = (LogForkedError, SessionNotFoundError, RevisionNotFoundError)
_LINGER: Final = 5.0
"""Seconds for which a thread is followed on when nobody follows: a page that is loaded anew comes back."""


class ThreadUnreadableError(Exception):
    """A thread cannot be read: its content is encrypted, damaged, or none that a front end could show.

    What is wrong may quote what somebody wrote: that is for the server's log.

    Attributes:
        thread_id: The thread.
    """

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        super().__init__(f"thread {thread_id!r} cannot be read for now")


class ThreadChannel:
    """One thread.

    Args:
        log: The log.
        thread_id: The thread.
        settings: How it is followed.

    Attributes:
        conversation: What is known of it; None before it was read.
        is_gone: Whether it is followed no longer: there is no such session any more, or it cannot be read.
    """

    def __init__(self, log: SessionLog, thread_id: str, settings: AguiSettings) -> None:
        self._log, self._thread_id, self._settings = log, thread_id, settings
        self._frames = KeptFrames(settings.kept, settings.kept_bytes)
        self._watching, self._waiting = set[asyncio.Event](), set[asyncio.Event]()
        self._position = LivePosition()
        self.conversation: ThreadConversation | None = None
        self.is_gone = False
        self._trouble: Exception | None = None
        self._tasks = [asyncio.create_task(part()) for part in (self._follow, self._guard, self._beat)]

    def close(self) -> None:
        """Follow no longer; who follows comes again."""
        for task in self._tasks:
            task.cancel()
        self.is_gone = True
        self._wake()

    async def known(self, revision: int = 0) -> ThreadConversation | None:
        """What is known once an event was read; None if the session is gone.

        Raises:
            ThreadUnreadableError: It cannot be read.
        """
        with _woken(self._waiting) as news:
            while not self.is_gone:
                if self.conversation and self.conversation.revision >= revision:
                    return self.conversation
                news.clear()
                await news.wait()
        if self._trouble:
            raise ThreadUnreadableError(self._thread_id) from self._trouble
        return None

    async def caught_up(self) -> ThreadConversation | None:
        """What is known once all was read that was written of runs by now; else as `known`."""
        found = await self.known()
        try:
            newest = await to_thread.run_sync(self._newest, found.revision) if found else 0
        except _GONE:
            return None
        return await self.known(newest)

    def _newest(self, known: int) -> int:
        return max((one.id.revision for one in self._log.read(self._thread_id, known, types=RUNS)), default=known)

    async def frames(self, revision: int, after: str = "") -> AsyncIterator[bytes]:
        """All that is known once an event was read, and then what happens, until the run is over.

        Args:
            revision: Of the event.
            after: The id of the last frame that is known: if it is kept, only what followed is told.
        """
        conversation = None
        with suppress(ThreadUnreadableError):
            conversation = await self.known(revision)
        if conversation is None:
            return
        with _woken(self._watching) as news:
            is_over, at, resumption = False, self._frames.count, self._frames.resumption(after)
            if resumption:
                at = resumption.at
                yield begun_again(resumption, after)
            else:
                is_over = not conversation.run
                yield told_anew(conversation.opening(), self._position)
            while not (is_over or self.is_gone):
                if at == self._frames.count:
                    news.clear()
                    await news.wait()
                if self._frames.are_gone(at):
                    yield b": too slow, come again\n\n"
                    return
                if new := self._frames.since(at):
                    at = self._frames.count
                    is_over = any(frame.is_last for frame in new)
                    # Of another run that has begun already nothing is told: whoever wants that comes for it.
                    new = new[: next((place for place, frame in enumerate(new, 1) if frame.is_last), None)]
                    yield new[0].sent if len(new) == 1 else b"".join(frame.sent for frame in new)
                else:
                    yield b": still there\n\n"

    async def _beat(self) -> None:
        """Wake those who follow now and then; who has nothing to tell then says that."""
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            self._wake()

    def _wake(self) -> None:
        for news in (*self._watching, *self._waiting):
            news.set()

    def _publish(self, events: Iterable[BaseEvent]) -> None:
        has_news = self._frames.add(events, self._position)
        for news in (*(self._watching if has_news else ()), *self._waiting):
            news.set()
        asyncio.get_running_loop().call_soon(self._frames.drop_oldest)

    async def _follow(self) -> None:
        while not self.is_gone:
            try:
                await self._read()
            except _GONE:
                self._end()
            except ServerUnavailableError as error:
                logger.debug("thread=<%s>, error=<%s> | reading it again", self._thread_id, error)
                await asyncio.sleep(_AGAIN)
            except Exception as error:
                logger.warning("thread=<%s>, error=<%s> | it cannot be read", self._thread_id, error)
                self._end(error)

    def _end(self, trouble: Exception | None = None) -> None:
        """Whoever follows is to come again."""
        self._trouble, self.is_gone = trouble, True
        self._wake()

    async def _read(self) -> None:
        was_in = self.conversation.run if self.conversation else ""
        if self.conversation:
            self._publish([*self.conversation.left()])
        conversation, self._position = await to_thread.run_sync(self._load)
        self.conversation = conversation
        self._publish(conversation.anew(was_in))
        self._frames.begin(conversation.beginning() if conversation.run else None)
        async with self._log.live(self._thread_id, self._position, OTHERS) as tail:
            async for item in tail:
                events = [*conversation.take(item)]
                position = tail.position
                if isinstance(position, LivePosition):
                    self._position = position
                self._publish(events)
                if conversation.is_stale:
                    return

    def _load(self) -> tuple[ThreadConversation, LivePosition]:
        head = self._log.head(self._thread_id)
        state = self._log.state(self._thread_id, head)
        runs = self._log.read(self._thread_id, until=head, types=RUNS)
        agent = state.agents.get(self._settings.agent_id)
        conversation = ThreadConversation(self._thread_id, self._settings.agent_id)
        conversation.load(agent.messages if agent else (), runs, agent.state if agent else {})
        conversation.revision = head.revision
        return conversation, LivePosition(head, START)

    async def _guard(self) -> None:
        """See when the worker of a run is no more, and say so."""
        while True:
            await asyncio.sleep(self._settings.lease / 3)
            run = self.conversation.run if self.conversation else ""
            if run:
                try:
                    await to_thread.run_sync(self._look_after, run)
                except SessionLogError as error:
                    logger.debug("thread=<%s>, error=<%s> | looking again", self._thread_id, error)

    def _look_after(self, run: str) -> None:
        current = SessionRuns(self._log, self._thread_id).current()
        if current is None or current.run_id != run:
            end_lost_run(self._log, self._thread_id, run, self._settings)


@contextmanager
def _woken(by: set[asyncio.Event]) -> Iterator[asyncio.Event]:
    news = asyncio.Event()
    by.add(news)
    try:
        yield news
    finally:
        by.discard(news)


class ThreadHub:
    """The threads that are followed.

    Args:
        log: The log.
        settings: How they are followed.
    """

    def __init__(self, log: SessionLog, settings: AguiSettings) -> None:
        self._log, self._settings = log, settings
        self._channels = dict[str, ThreadChannel]()
        self._users = dict[ThreadChannel, int]()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def channel(self, thread_id: str) -> Iterator[ThreadChannel]:
        """A thread, followed for as long as it is needed."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Whatever was followed on a loop that has ended has ended with it.
            self._loop, self._channels, self._users = loop, {}, {}
        found = self._channels.get(thread_id)
        if found is None or found.is_gone:
            found = self._channels[thread_id] = ThreadChannel(self._log, thread_id, self._settings)
        self._users[found] = self._users.get(found, 0) + 1
        try:
            yield found
        finally:
            self._users[found] -= 1
            loop.call_later(_LINGER, self._tidy, thread_id, found)

    def _tidy(self, thread_id: str, channel: ThreadChannel) -> None:
        if self._users.get(channel) == 0:
            del self._users[channel]
            channel.close()
            if self._channels.get(thread_id) is channel:
                del self._channels[thread_id]

    def close(self) -> None:
        """Follow nothing any more."""
        for channel in list(self._users):
            channel.close()
        self._channels.clear()
        self._users.clear()
