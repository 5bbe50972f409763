"""Everything that is followed for those who have a page open: once each, and only while somebody has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strands_session_log import SessionLog

from ..conversation.reading import OpenConversations
from .channel import Bell, SessionChannel, Work
from .newest import NewestSessions
from .pulse import NO_SESSION, Pulse

_LINGER: Final = 5.0
"""Seconds for which something is followed on when nobody watches: a page that is loaded anew comes back."""
MOST_WATCHERS: Final = 1_000


class Watching:
    """What one page watches.

    Attributes:
        bell: Rings when there is something new.
        pulse: Whether the server answers.
        channel: The session it shows; None where it shows none.
        newest: The list.
        is_over: Whether the viewer ends.
    """

    def __init__(self, bell: Bell, pulse: Pulse, channel: SessionChannel | None, newest: NewestSessions) -> None:
        self.bell, self.pulse, self.channel, self.newest = bell, pulse, channel, newest
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
        bell = Bell()
        channel = None if session_id is None else self._channel(session_id)
        if channel:
            channel.watch(bell)
        watching = Watching(bell, self._beating(), channel, self._listing())
        self._watching.add(watching)
        try:
            yield watching
        finally:
            self._watching.discard(watching)
            if channel:
                channel.leave(bell)
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
            watching.bell.set()
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
        self._pulse = self._pulse or Pulse(self._log, self._next, self._ring, self._note_head)
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
        self._newest = self._newest or NewestSessions(self._log, self._work, self._ring)
        return self._newest

    def _ring(self) -> None:
        for watching in self._watching:
            watching.bell.set()

    def _tidy(self) -> None:
        for session_id, channel in list(self._channels.items()):
            if not channel.watchers:
                channel.close()
                del self._channels[session_id]
        if not self._watching:
            self.close()
