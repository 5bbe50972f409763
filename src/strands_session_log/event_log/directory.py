"""The session directory: one sorted set a partition, by last activity.

Anything may stand in it. A member that is no id, or whose session is not there, is passed over; a score that is no time
counts as the nearest time there is, so that its session is still listed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, takewhile
from typing import Any, NamedTuple

from ..errors import CorruptKeyError, InvalidIdError, ServerRefusedError
from ..events import SessionInfo
from ..ids import MAX_MS, EventId, check_id, milliseconds
from ..server import Store, pairs
from .diagnosis import CURES, parsed, whole, wrong_type

logger = logging.getLogger(__name__)

_PAGE = 1_000
_CLOCKS_DIFFER_MS = 60_000
"""By how much the clocks of a cluster's nodes, or those before and after a failover, may."""


class DirectoryLine(NamedTuple):
    """A line of the directory, and a place in it; orders as the directory does.

    Attributes:
        ms: When it was last active.
        member: What should be a session id, UTF-8: ids order as bytes, the way the server orders them.
    """

    ms: int
    member: bytes

    @property
    def session_id(self) -> str | None:
        """The session; None where it is no id of one."""
        try:
            return check_id("session_id", self.member.decode())
        except (UnicodeDecodeError, InvalidIdError):
            return None


class Directory:
    """The directory of one namespace.

    Args:
        store: See `EventLog`.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._keyspace = store, store.keyspace

    def newest(self, limit: int, before: SessionInfo | datetime | None) -> list[SessionInfo]:
        """See `EventLog.sessions`; two round trips unless much of what stands there is no session."""
        found: list[SessionInfo] = []
        for page in self._pages(limit, _place(before)) if limit > 0 else ():
            found += self._infos(page)
            if len(found) >= limit:
                break
        return found[:limit]

    def session_ids(self, since: datetime | None, now_ms: int) -> Iterator[str]:
        """See `EventLog.session_ids`. What is written to meanwhile goes from below to the top, which is read again."""
        given, floor = set[bytes](), 0 if since is None else milliseconds(since)
        count = -1
        while count < len(given):
            count = len(given)
            yield from self._fresh(floor, given)
            floor = max(floor, now_ms - _CLOCKS_DIFFER_MS)

    def _fresh(self, floor: int, given: set[bytes]) -> Iterator[str]:
        """Those that were active at a time or later, and were not given yet; they are then."""
        for line in takewhile(lambda one: one.ms >= floor, chain.from_iterable(self._pages(_PAGE, None))):
            if line.member not in given:
                given.add(line.member)
                yield from filter(None, [line.session_id])

    def count(self, since: datetime) -> int:
        """See `EventLog.count_sessions`."""
        keys = [self._keyspace.sessions(partition) for partition in range(self._keyspace.partitions)]
        return sum(self._asked(keys, [("ZCOUNT", key, milliseconds(since), "+inf") for key in keys]))

    def _pages(self, size: int, place: DirectoryLine | None) -> Iterator[Sequence[DirectoryLine]]:
        """The lines below a place, newest first."""
        while page := self._page(size, place):
            yield page
            place, size = page[-1], max(size, _PAGE)

    def _page(self, size: int, place: DirectoryLine | None) -> Sequence[DirectoryLine]:
        """So many of them; one round trip, whatever the number of partitions."""
        keys, commands = list[str](), list[tuple[Any, ...]]()
        for partition in range(self._keyspace.partitions):
            key = self._keyspace.sessions(partition)
            below = f"({place.ms}" if place else "+inf"
            keys.append(key)
            commands.append(("ZRANGE", key, below, "-inf", "BYSCORE", "REV", "LIMIT", 0, size, "WITHSCORES"))
            if place and place.member:
                keys.append(key)
                commands.append(("ZRANGE", key, *_tied(place), "BYSCORE", "WITHSCORES"))
        lines = {line for reply in self._asked(keys, commands) for line in _lines(reply)}
        return sorted((line for line in lines if place is None or line < place), reverse=True)[:size]

    def _infos(self, page: Sequence[DirectoryLine]) -> Iterator[SessionInfo]:
        """What the heads say; nothing of what is no session, or was deleted meanwhile."""
        listed = [(line, session_id) for line in page if (session_id := line.session_id) is not None]
        if len(listed) < len(page):
            logger.warning("members=<%d> | passed over what is no session id", len(page) - len(listed))
        for (line, session_id), reply in zip(listed, self._heads([one for _, one in listed]), strict=True):
            try:
                info = _info(self._keyspace.session(session_id).head, line, session_id, reply)
            except CorruptKeyError as error:
                logger.warning("session_id=<%s>, error=<%s> | session not listed", session_id, error)
            else:
                if info is not None:
                    yield info

    def _heads(self, session_ids: Sequence[str]) -> Sequence[Any]:
        keys = [self._keyspace.session(session_id).head for session_id in session_ids]
        commands = [("HMGET", key, "revision", "created", "ms") for key in keys]
        return self._store.pipeline(commands, is_lenient=True)

    def _asked(self, keys: Sequence[str], commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask the directories.

        Raises:
            CorruptKeyError: When one of them is none: without it, the answer would be short of sessions.
        """
        replies = self._store.pipeline(commands, is_lenient=True)
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, ServerRefusedError):
                raise wrong_type(reply, self._store, {key: ("zset", CURES["sessions"])}) from reply
        return replies


def _place(before: SessionInfo | datetime | None) -> DirectoryLine | None:
    match before:
        case None:
            return None
        case datetime():
            return DirectoryLine(milliseconds(before), b"")
    return DirectoryLine(milliseconds(before.last_event_at), before.session_id.encode())


def _tied(place: DirectoryLine) -> tuple[str, str]:
    """The scores that stand for the time of a line."""
    return ("-inf" if place.ms == 0 else str(place.ms), "+inf" if place.ms == MAX_MS else f"({place.ms + 1}")


def _lines(reply: Any) -> Iterator[DirectoryLine]:
    """Members with scores."""
    for member, score in pairs(reply):
        yield DirectoryLine(int(min(max(float(score), 0.0), MAX_MS)), member)


def _info(key: str, line: DirectoryLine, session_id: str, reply: Any) -> SessionInfo | None:
    if isinstance(reply, ServerRefusedError):
        raise CorruptKeyError(key, "it is no hash", "delete the session")
    if all(value is None for value in reply):
        return None
    fields = ("revision", "created", "ms")
    revision, created, _ = (parsed(key, name, value, whole) for name, value in zip(fields, reply, strict=True))
    return SessionInfo(session_id, revision, EventId(created, 0).time, EventId(line.ms, 0).time)
