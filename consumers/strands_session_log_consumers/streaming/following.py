"""One session as one follower is told of it: what is checked before it begins, and what comes then."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from anyio import to_thread
from starlette.exceptions import HTTPException

from strands_session_log import START, Delta, EventId, LivePosition, LiveTail, Point, Recorded, SessionLog, Tail
from strands_session_log.errors import (
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
Begin: TypeAlias = "Point | LivePosition | None"
EVENT, WORDS, GONE, PING = "event", "words", "gone", "ping"
_NOW: Final = "now"
_REASONS: Final[dict[type[SessionLogError], str]] = {
    SessionDeletedError: "deleted",
    LogForkedError: "replaced",
    RevisionNotFoundError: "replaced",
}


class StreamMessage(NamedTuple):
    """What a follower is told.

    Attributes:
        kind: `event`, `words` or `gone`.
        id: Where to go on; empty where that is nowhere.
        data: The rest, as JSON.
    """

    kind: str
    id: str
    data: bytes


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
            # Its text may name servers, or quote what somebody wrote: that is for our log.
            logger.warning("error=<%s> | a stream of a session ended", error)
            yield StreamMessage(GONE, "", orjson.dumps({"reason": _reason(error)}))

    def _told(self, item: Recorded | Delta) -> StreamMessage | None:
        if isinstance(item, Recorded):
            found = self._encode(item)
            return None if found is None else StreamMessage(EVENT, self._place(item.id), _dumped(found))
        line = {**item.line._asdict(), "revision": item.revision}
        return StreamMessage(WORDS, self._place(item.id), _dumped(line))

    def _place(self, id_: EventId) -> str:
        return str(self._tail.position) if isinstance(self._tail, LiveTail) else str(id_)


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
    try:
        begin = await to_thread.run_sync(_begin, log, session_id, after, words, wait)
        tail = log.live(session_id, begin) if words else log.tail(session_id, begin, types, agent)  # type: ignore[arg-type]
    except (SessionNotFoundError, RevisionNotFoundError) as error:
        if isinstance(error, SessionNotFoundError) and not wait:
            raise HTTPException(404, "There is no such session.") from error
        raise HTTPException(410, "The session does not have the event after which to go on: begin anew.") from error
    except (InvalidPointError, ValueError) as error:
        raise HTTPException(400, "The id of the session, or of the event after which to go on, is none.") from error
    except SessionLogError as error:
        logger.warning("error=<%s> | no stream of a session", error)
        raise HTTPException(503, "The log cannot be read for now.", {"Retry-After": "1"}) from error
    return SessionStream(tail, encode)


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


def _reason(error: SessionLogError) -> str:
    return next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), "unreadable")


def _dumped(found: Any) -> bytes:
    return orjson.dumps(found, default=str, option=orjson.OPT_NON_STR_KEYS)
