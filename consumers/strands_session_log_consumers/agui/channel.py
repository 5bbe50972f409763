"""A thread as it goes on: read once in a process, however many follow it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from ag_ui.core import BaseEvent, RunErrorEvent, RunFinishedEvent
from ag_ui.encoder import EventEncoder
from anyio import to_thread

from strands_session_log import START, LivePosition, SessionLog, SessionRuns
from strands_session_log.errors import LogForkedError, SessionLogError

from .conversation import FINISHED, OTHERS, STARTED, ThreadConversation
from .running import end_lost_run
from .settings import AguiSettings

logger = logging.getLogger(__name__)

_AGAIN: Final = 1.0
_LINGER: Final = 5.0
"""Seconds for which a thread is followed on when nobody follows: a page that is loaded anew comes back."""
_encode = EventEncoder().encode


class AguiFrame(NamedTuple):
    """An event as it is sent.

    Attributes:
        sent: Its bytes.
        is_last: Whether the run is over with it.
    """

    sent: bytes
    is_last: bool


def framed(event: BaseEvent, id_: str) -> AguiFrame:
    """An event as it is sent, with the place behind which it stands."""
    return AguiFrame(f"id: {id_}\n{_encode(event)}".encode(), isinstance(event, RunFinishedEvent | RunErrorEvent))


class ThreadChannel:
    """One thread.

    Args:
        log: The log.
        thread_id: The thread.
        settings: How it is followed.

    Attributes:
        conversation: What is known of it; None before it was read.
        is_gone: Whether there is no such session any more.
    """

    def __init__(self, log: SessionLog, thread_id: str, settings: AguiSettings) -> None:
        self._log, self._thread_id, self._settings = log, thread_id, settings
        self._frames, self._count = deque[AguiFrame](maxlen=settings.kept), 0
        self._watching = set[asyncio.Event]()
        self._position = LivePosition()
        self.conversation: ThreadConversation | None = None
        self.is_gone = False
        self._tasks = [asyncio.create_task(part()) for part in (self._follow, self._guard)]

    @property
    def followers(self) -> int:
        """How many follow it."""
        return len(self._watching)

    def close(self) -> None:
        """Follow no longer; who follows comes again."""
        for task in self._tasks:
            task.cancel()
        self.is_gone = True
        self._wake()

    async def known(self, revision: int = 0) -> ThreadConversation | None:
        """What is known once an event was read; None if the session is gone."""
        with self._woken() as news:
            while not self.is_gone:
                if self.conversation and self.conversation.revision >= revision:
                    return self.conversation
                news.clear()
                await news.wait()
        return None

    async def frames(self, revision: int) -> AsyncIterator[bytes]:
        """All that is known once an event was read, and then what happens, until the run is over."""
        conversation = await self.known(revision)
        if conversation is None:
            return
        with self._woken() as news:
            at = self._count
            yield b"".join(framed(event, str(self._position)).sent for event in conversation.opening())
            is_over = not conversation.run
            while not (is_over or self.is_gone):
                news.clear()
                if at < self._count - len(self._frames):
                    yield b": too slow, come again\n\n"
                    return
                new, at = self._since(at), self._count
                if new:
                    is_over = any(frame.is_last for frame in new)
                    # Of another run that has begun already nothing is told: whoever wants that comes for it.
                    new = new[: next((place for place, frame in enumerate(new, 1) if frame.is_last), None)]
                    yield b"".join(frame.sent for frame in new)
                elif not await self._has_news(news):
                    yield b": still there\n\n"

    def _since(self, at: int) -> list[AguiFrame]:
        missing = self._count - at
        return [self._frames[-place] for place in range(missing, 0, -1)]

    async def _has_news(self, news: asyncio.Event) -> bool:
        try:
            await asyncio.wait_for(news.wait(), self._settings.heartbeat)
        except asyncio.TimeoutError:
            return False
        return True

    @contextmanager
    def _woken(self) -> Iterator[asyncio.Event]:
        news = asyncio.Event()
        self._watching.add(news)
        try:
            yield news
        finally:
            self._watching.discard(news)

    def _wake(self) -> None:
        for news in self._watching:
            news.set()

    def _publish(self, events: Iterable[BaseEvent]) -> None:
        new = [framed(event, str(self._position)) for event in events]
        self._frames.extend(new)
        self._count += len(new)
        self._wake()

    async def _follow(self) -> None:
        while not self.is_gone:
            try:
                await self._read()
            except LogForkedError:
                self.is_gone = True
                self._wake()
            except SessionLogError as error:
                logger.debug("thread=<%s>, error=<%s> | reading it again", self._thread_id, error)
                self.is_gone = isinstance(error, LookupError)
                self._wake()
                await asyncio.sleep(_AGAIN)

    async def _read(self) -> None:
        was_in = self.conversation.run if self.conversation else ""
        if self.conversation:
            self._publish([*self.conversation.left()])
        conversation, self._position = await to_thread.run_sync(self._load)
        self.conversation = conversation
        self._publish(conversation.anew(was_in))
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
        runs = self._log.read(self._thread_id, until=head, types=(STARTED, FINISHED))
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

    @property
    def followers(self) -> int:
        """How many follow a thread."""
        return sum(self._users.values())

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
