"""Everything that is followed for those who have a page open: once each, and only while somebody has.

The sessions they look at, see `channel`; the newest lines of the list; and whether the server answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Final

from anyio import CapacityLimiter, to_thread

from strands_session_log import SessionInfo, SessionLog
from strands_session_log.errors import ServerUnavailableError, SessionLogError

from ..conversation.reading import OpenConversations
from .channel import SessionChannel, Wakeup, Work

logger = logging.getLogger(__name__)

_LINGER: Final = 5.0
"""Seconds for which something is followed on when nobody watches: a page that is loaded anew comes back."""
MOST_WATCHERS: Final = 1_000
_ROWS: Final = 50
_OF_WAITING: Final = ("interrupt.", "session.")
"""How the events begin that change who waits: a session may be rewound, or deleted."""
_MOST_WAITING: Final = 500
_GATHERED: Final = 0.25
"""Seconds for which what the feed tells is gathered before the list is read."""
_AGAIN: Final = 2.0
_EVERY: Final = 1.0
_PATIENCE: Final = 1.5
"""Seconds after which a server that does not answer counts as away."""
NO_SESSION: Final = "-"


class Pulse:
    """Asks the server for next to nothing, once a second, as long as somebody watches.

    Args:
        log: The log.
        session: Which session to ask for next: the pulse that counts is that of the node which has it.
        tell: Called when the answer is another one.
        note: Called with how many events that session has.

    Attributes:
        away_since: Since when it does not answer; None while it does.
        answered_at: When it did last.
        refusal: What it says instead, if it refuses.
    """

    def __init__(
        self,
        log: SessionLog,
        session: Callable[[], str],
        tell: Callable[[], None],
        note: Callable[[str, int], None],
    ) -> None:
        self._log, self._session, self._tell, self._note_head = log, session, tell, note
        self.away_since: datetime | None = None
        self.answered_at = datetime.now(timezone.utc)
        self.refusal = ""
        # Its own thread: those that read are all waiting when it matters.
        self._limiter = CapacityLimiter(1)
        self._task = asyncio.create_task(self._feel())

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _feel(self) -> None:
        while True:
            asked, session_id = datetime.now(timezone.utc), self._session()
            ask = to_thread.run_sync(self._ask, session_id, limiter=self._limiter)
            answer = asyncio.ensure_future(ask)
            done, _ = await asyncio.wait([answer], timeout=_PATIENCE)
            if not done:
                self._note(asked, "")
            found = await answer
            self._note(None if isinstance(found, int) else asked, "" if isinstance(found, int) else found)
            if isinstance(found, int):
                self._note_head(session_id, found)
            await asyncio.sleep(_EVERY)

    def _note(self, asked: datetime | None, refusal: str) -> None:
        before = self.away_since, self.refusal
        if asked is None:
            self.answered_at, self.away_since, self.refusal = datetime.now(timezone.utc), None, ""
        else:
            self.away_since, self.refusal = self.away_since or asked, refusal
        if before != (self.away_since, self.refusal):
            self._tell()

    def _ask(self, session_id: str) -> int | str:
        """How many events a session has; where the server does not answer, what it says, if it says something."""
        try:
            return self._log.head(session_id).revision
        except ServerUnavailableError:
            return ""
        except SessionLogError as error:
            return 0 if isinstance(error, LookupError) else str(error)


class NewestSessions:
    """Follows the feed, which says that something happened, and reads the head of the list then.

    Args:
        log: The log.
        work: Runs what waits for the server off the event loop.
        tell: Called when there is something new.

    Attributes:
        rows: The sessions that were active last.
        waiting: How many wait for a person, as far as they are counted; None until they were.
        asked_anew: How often that was counted: whoever waits may be another, though as many do.
    """

    def __init__(self, log: SessionLog, work: Work, tell: Callable[[], None]) -> None:
        self._log, self._work, self._tell = log, work, tell
        self.rows: Sequence[SessionInfo] = ()
        self.waiting: int | None = None
        self.asked_anew = 0
        self._changed, self._asks = asyncio.Event(), True
        self._changed.set()
        self._tasks = [asyncio.create_task(self._keep_on(part)) for part in (self._follow, self._read)]

    def ask_anew(self) -> None:
        """Something has changed of those who wait that no event tells of."""
        self._asks = True
        self._changed.set()

    def close(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()

    async def _keep_on(self, part: Callable[[], object]) -> None:
        while True:
            try:
                await part()  # type: ignore[misc]
                return
            except SessionLogError as error:
                # A gap in the feed, or somebody else's entry: the list is read anyhow.
                logger.debug("error=<%s> | reading the list again", type(error).__name__)
                self._changed.set()
                await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        async with self._log.tail(after="now") as tail:
            async for envelope in tail:
                self._asks |= envelope.type.startswith(_OF_WAITING)
                self._changed.set()

    async def _read(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHERED)
            self._changed.clear()
            self.rows = await self._work(lambda: self._log.sessions(_ROWS, last_message=True))
            if self._asks:
                self._asks = False
                self.waiting = await self._work(lambda: len(self._log.sessions(_MOST_WAITING, waiting=True)))
                self.asked_anew += 1
            self._tell()


class Watching:
    """What one page watches.

    Attributes:
        wakeup: Set when there is something new.
        pulse: Whether the server answers.
        channel: The session it shows; None where it shows none.
        newest: The list.
        is_over: Whether the viewer ends.
    """

    def __init__(self, wakeup: Wakeup, pulse: Pulse, channel: SessionChannel | None, newest: NewestSessions) -> None:
        self.wakeup, self.pulse, self.channel, self.newest = wakeup, pulse, channel, newest
        self.is_over = False


class Hub:
    """Follows sessions, the list and the server for all who watch.

    Args:
        log: The log.
        conversations: What pages have read of sessions.
        work: Runs what waits for the server off the event loop.
    """

    def __init__(self, log: SessionLog, conversations: OpenConversations, work: Work) -> None:
        self._log, self._conversations, self._work = log, conversations, work
        self._forget()

    def _forget(self) -> None:
        self._channels, self._watching = dict[str, SessionChannel](), set[Watching]()
        self._newest: NewestSessions | None = None
        self._pulse: Pulse | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def watchers(self) -> int:
        """How many pages watch something."""
        return len(self._watching)

    @property
    def channels(self) -> int:
        """How many sessions are followed."""
        return len(self._channels)

    @contextmanager
    def watching(self, session_id: str | None) -> Iterator[Watching]:
        """Watch a session, or none; the list and the server in any case."""
        if self._loop is not asyncio.get_running_loop():
            # Whatever was followed on a loop that has ended has ended with it.
            self._forget()
            self._loop = asyncio.get_running_loop()
        wakeup = Wakeup()
        channel = None if session_id is None else self._channel(session_id)
        if channel:
            channel.watch(wakeup)
        watching = Watching(wakeup, self._beating(), channel, self._listing())
        self._watching.add(watching)
        try:
            yield watching
        finally:
            self._watching.discard(watching)
            if channel:
                channel.leave(wakeup)
            asyncio.get_running_loop().call_later(_LINGER, self._tidy)

    def tell_of_answer(self) -> None:
        """Somebody has sent an answer: whoever has the inbox open is to see that. From any thread."""
        loop, newest = self._loop, self._newest
        if loop and newest and not loop.is_closed():
            loop.call_soon_threadsafe(newest.ask_anew)

    def close(self) -> None:
        """Follow nothing any more; whoever watches is told that it is over, and may come again."""
        for watching in self._watching:
            watching.is_over = True
            watching.wakeup.set()
        for one in (*self._channels.values(), self._newest, self._pulse):
            if one is not None:
                one.close()
        self._forget()

    def _channel(self, session_id: str) -> SessionChannel:
        found = self._channels.get(session_id)
        if found is None or found.trouble:
            found = self._channels[session_id] = SessionChannel(self._log, session_id, self._conversations, self._work)
        return found

    def _beating(self) -> Pulse:
        self._pulse = self._pulse or Pulse(self._log, self._next, self._wake, self._note_head)
        return self._pulse

    def _next(self) -> str:
        """One session after the other."""
        if not self._channels:
            return NO_SESSION
        session_id = next(iter(self._channels))
        self._channels[session_id] = self._channels.pop(session_id)
        return session_id

    def _note_head(self, session_id: str, revision: int) -> None:
        channel = self._channels.get(session_id)
        if channel:
            channel.note_head(revision)

    def _listing(self) -> NewestSessions:
        self._newest = self._newest or NewestSessions(self._log, self._work, self._wake)
        return self._newest

    def _wake(self) -> None:
        for watching in self._watching:
            watching.wakeup.set()

    def _tidy(self) -> None:
        for session_id, channel in list(self._channels.items()):
            if not channel.watchers:
                channel.close()
                del self._channels[session_id]
        if not self._watching:
            self.close()
