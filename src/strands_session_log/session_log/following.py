"""The part of a session log that is about what is still to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from ..event_log import EventLog
from ..events import Recorded
from ..ids import EventId, Point
from ..tail import FeedPosition, FeedTail, LivePosition, LiveTail, Multiplexer, Tail, tail_feed, tail_live, tail_session


class Following:
    """Sessions followed as they are written."""

    events: EventLog

    def _begin_following(self) -> None:
        self._multiplexer = Multiplexer(self.events.store)
        # Whoever follows waits for a server by itself, and for as long as it takes.
        self._impatient = EventLog(self.events.store.with_retry_for(0))

    @overload
    def tail(
        self,
        session_id: str,
        after: Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> Tail[Recorded]: ...

    @overload
    def tail(
        self,
        session_id: None = None,
        after: FeedPosition | Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> FeedTail: ...

    def tail(
        self,
        session_id: str | None = None,
        after: FeedPosition | Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> Tail[Recorded] | FeedTail:
        """Follow one session, or all: what happens as it happens, in order, for ever.

        Loop over it with `async for`, or with `for` in a thread. Any number of tails share two threads and one
        connection of the client's pool, in a cluster one a partition; each holds a bounded part of what its consumer
        has not taken yet. Nothing is kept on the server.

        Args:
            session_id: The session; one that does not exist yet is waited for. Left out, the whole feed is followed: an
                `Envelope` for every event of every session, in order within each session, without content.
            after: Only what follows this point: a revision, event id, datetime, ISO text, relative time, or `"now"`.
                Left out, from the beginning. Of the feed: a time, `"now"`, or a `FeedPosition`; from the beginning of
                what it still holds.
            types: Only these types; `message.*` means all that begin with `message.`.
            agent: Only this agent's.

        Raises:
            InvalidPointError: When `after` is none.
            InvalidIdError: When the session id cannot be one.
        """
        if session_id is None:
            return tail_feed(self._multiplexer, self._impatient, after, types, agent)
        if isinstance(after, FeedPosition):
            after = str(after)
        return tail_session(self._multiplexer, self._impatient, session_id, after, types, agent)

    def live(self, session_id: str, after: LivePosition | EventId | str | None = None) -> LiveTail:
        """Follow what is being said in a session: pieces of messages, and each message once it is in the log.

        Needs `LiveTokens` on the agent. Nothing is promised of the pieces; the messages are those of the log.

        Args:
            session_id: The session; one that does not exist yet is waited for.
            after: The `position` of a tail, also as text: goes on there, in the middle of a message too, and gives the
                messages that were finished since. An event's id: the messages after it, and all there is of those
                being said. A piece's id: what follows it, and messages of that time once more. Left out, what is
                being said now from its beginning.

        Raises:
            InvalidPointError: When `after` is no position and no id.
            InvalidIdError: When the session id cannot be one.
        """
        return tail_live(self._multiplexer, self._impatient, session_id, after)
