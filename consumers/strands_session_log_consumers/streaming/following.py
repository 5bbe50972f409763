"""One session, or all, as one follower is told of it: what is checked before it begins, and what comes then."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import orjson
from anyio import to_thread
from starlette.exceptions import HTTPException

from strands_session_log import (
    START,
    Delta,
    Envelope,
    EventId,
    FeedPosition,
    FeedTail,
    LivePosition,
    LiveTail,
    Point,
    Recorded,
    SessionLog,
    Tail,
)
from strands_session_log.errors import (
    CorruptEntryError,
    FeedGapError,
    InvalidPointError,
    LogForkedError,
    RevisionNotFoundError,
    SessionDeletedError,
    SessionLogError,
    SessionNotFoundError,
)

logger = logging.getLogger(__name__)

Encode: TypeAlias = "Callable[[Recorded], Any]"
"""What a follower is told of an event, as plain JSON values; None for nothing."""
EncodeEnvelope: TypeAlias = "Callable[[Envelope], Any]"
"""The same, of an event that the feed tells of."""
Begin: TypeAlias = "Point | LivePosition | None"
EVENT, WORDS, GAP, GONE, PING = "event", "words", "gap", "gone", "ping"
_NOW: Final = "now"
_REASONS: Final[dict[type[SessionLogError], str]] = {
    SessionDeletedError: "deleted",
    LogForkedError: "replaced",
    RevisionNotFoundError: "replaced",
}


class StreamMessage(NamedTuple):
    """What a follower is told.

    Attributes:
        kind: `event`, `words`, `gap` or `gone`.
        id: Where to go on; empty where that is nowhere.
        data: The rest, as JSON.
    """

    kind: str
    id: str
    data: bytes


class EventStream(Protocol):
    """What one follower is told."""

    def messages(self) -> AsyncIterator[StreamMessage]:
        """All that comes; `gone` is the last, if there is an end."""


class SessionStream:
    """What one follower is told of a session, in order; it waits while the server is away.

    Args:
        tail: Of the session.
        encode: What is told of an event.
    """

    def __init__(self, tail: Tail[Recorded] | LiveTail, encode: Encode | None) -> None:
        self._tail, self._encode = tail, encode or Recorded.to_json

    async def messages(self) -> AsyncIterator[StreamMessage]:
        """All that comes; `gone` is the last, if there is an end."""
        try:
            async with self._tail as tail:
                async for item in tail:
                    told = self._told(item)
                    if told is not None:
                        yield told
        except SessionLogError as error:
            yield _farewell(error)

    def _told(self, item: Recorded | Delta) -> StreamMessage | None:
        if isinstance(item, Recorded):
            found = self._encode(item)
            return None if found is None else StreamMessage(EVENT, self._place(item.id), _dumped(found))
        line = {**item.line._asdict(), "revision": item.revision}
        return StreamMessage(WORDS, self._place(item.id), _dumped(line))

    def _place(self, id_: EventId) -> str:
        return str(self._tail.position) if isinstance(self._tail, LiveTail) else str(id_)


class FeedStream:
    """What one follower is told of all sessions: in order within each of them.

    Args:
        tail: Of the feed.
        encode: What is told of an event.
    """

    def __init__(self, tail: FeedTail, encode: EncodeEnvelope | None) -> None:
        self._tail, self._encode, self._is_over = tail, encode or _envelope_json, False

    async def messages(self) -> AsyncIterator[StreamMessage]:
        """All that comes; what is missing is told of by `gap`, and `gone` is the last, if there is an end."""
        try:
            async with self._tail:
                while not self._is_over:
                    async for told in self._until_trouble():
                        yield told
        except SessionLogError as error:
            yield _farewell(error)

    async def _until_trouble(self) -> AsyncIterator[StreamMessage]:
        """What comes until something is told that is no end: it goes on behind it."""
        try:
            async for envelope in self._tail:
                found = self._encode(envelope)
                if found is not None:
                    yield StreamMessage(EVENT, str(self._tail.position), _dumped(found))
            self._is_over = True
        except FeedGapError as gap:
            # The sessions still have it.
            yield StreamMessage(GAP, str(self._tail.position), orjson.dumps({"missing": gap.count}))
        except CorruptEntryError as error:
            # Somebody else wrote it, and it is about no session.
            logger.warning("error=<%s> | passed over an entry of the feed", error)


async def session_stream(
    log: SessionLog,
    session_id: str,
    after: Begin,
    *,
    types: str | Sequence[str] | None,
    agent: str | None,
    words: bool,
    wait: bool,
    encode: Encode | None,
) -> SessionStream:
    """The stream for one follower, who is told at once if there is none.

    Raises:
        HTTPException: 400 when an id cannot be one, 404 when there is no such session and it is not to be waited for,
            410 when the session does not have the event, 503 when the server does not answer.
    """
    with _refused(wait):
        begin = await to_thread.run_sync(_begin, log, session_id, after, words, wait)
        tail = log.live(session_id, begin) if words else log.tail(session_id, begin, types, agent)  # type: ignore[arg-type]
    return SessionStream(tail, encode)


async def feed_stream(
    log: SessionLog,
    after: FeedPosition | Point | None,
    *,
    types: str | Sequence[str] | None,
    agent: str | None,
    encode: EncodeEnvelope | None,
) -> FeedStream:
    """The stream of all sessions for one follower, who is told at once if there is none.

    Raises:
        HTTPException: 400 when that is no place in the feed, 503 when the server does not answer.
    """
    with _refused():
        return FeedStream(await to_thread.run_sync(log.tail, None, after, types, agent), encode)


@contextmanager
def _refused(wait: bool = False) -> Iterator[None]:
    """Tell of our errors as HTTP does."""
    try:
        yield
    except (SessionNotFoundError, RevisionNotFoundError) as error:
        if isinstance(error, SessionNotFoundError) and not wait:
            raise HTTPException(404, "There is no such session.") from error
        raise HTTPException(410, "The session does not have the event after which to go on: begin anew.") from error
    except (InvalidPointError, ValueError) as error:
        raise HTTPException(400, "The id of the session, or of the event after which to go on, is none.") from error
    except SessionLogError as error:
        logger.warning("error=<%s> | no stream", error)
        raise HTTPException(503, "The log cannot be read for now.", {"Retry-After": "1"}) from error


def _begin(log: SessionLog, session_id: str, after: Begin, words: bool, wait: bool) -> Begin:
    """After what it begins, if that is there."""
    place = _place(after) if words else after
    point = place.event if isinstance(place, LivePosition) else place
    try:
        log.head(session_id)
    except SessionNotFoundError:
        if not wait:
            raise
    found = point if point is None or point == _NOW else _checked(log, session_id, point)
    if not words or isinstance(place, LivePosition):
        return place if words else found
    return None if found == _NOW else found or START


def _place(after: Begin) -> Begin:
    """A place among words, where it names one; else a point of the log."""
    try:
        return LivePosition.parse(after) if isinstance(after, str) else after
    except InvalidPointError:
        return after


def _checked(log: SessionLog, session_id: str, point: Point) -> EventId:
    found = log.resolve(session_id, point)
    return log.event(session_id, found).id if found.revision else found


def _envelope_json(envelope: Envelope) -> dict[str, Any]:
    """As `session-log tail --json` has it, but for the cursor: that is the id of the message."""
    told = "session_id", "type", "agent", "link", "facts"
    return {"id": str(envelope.id), **{name: getattr(envelope, name) for name in told}}


def _farewell(error: SessionLogError) -> StreamMessage:
    # Its text may name servers, or quote what somebody wrote: that is for our log.
    logger.warning("error=<%s> | a stream ended", error)
    return StreamMessage(GONE, "", orjson.dumps({"reason": _reason(error)}))


def _reason(error: SessionLogError) -> str:
    return next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), "unreadable")


def _dumped(found: Any) -> bytes:
    return orjson.dumps(found, default=str, option=orjson.OPT_NON_STR_KEYS)
