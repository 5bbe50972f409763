"""The session directory: one sorted set a partition, by last activity.

Anything may stand in it. A member that is no id, or whose session is not there, is passed over; a score that is no time
counts as the nearest time there is, so that its session is still listed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..errors import InvalidIdError, ServerRefusedError
from ..ids import MAX_MS, check_id
from ..server import Store, pairs
from .diagnosis import CURES, wrong_type

logger = logging.getLogger(__name__)

_PAGE = 1_000
_SMALL = 100
"""So many lines of a partition are read at once, if there are; of a large page, its share and as many more."""
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


class DirectoryRange(NamedTuple):
    """Part of the directory, and in which order.

    Attributes:
        since: Last active at this millisecond or later.
        until: Last active at this millisecond or before.
        place: Only what comes after this line.
        ascending: Those first that were active longest ago.
    """

    since: int = 0
    until: int = MAX_MS
    place: DirectoryLine | None = None
    ascending: bool = False

    def command(self, key: str, count: int) -> tuple[Any, ...]:
        """What asks one partition for the first so many of it, but for those of the same time as the place."""
        # Scores that are no times stand for the nearest there are.
        first, last = str(self.since) if self.since else "-inf", str(self.until) if self.until < MAX_MS else "+inf"
        if self.place and self.ascending:
            first = f"({self.place.ms}"
        elif self.place:
            last = f"({self.place.ms}"
        ends = (first, last, "BYSCORE") if self.ascending else (last, first, "BYSCORE", "REV")
        return ("ZRANGE", key, *ends, "LIMIT", 0, count, "WITHSCORES")

    def has(self, line: DirectoryLine) -> bool:
        """Whether a line is of it."""
        if not self.since <= line.ms <= self.until:
            return False
        return self.place is None or (line > self.place if self.ascending else line < self.place)

    def is_before(self, line: DirectoryLine, cut: Sequence[int]) -> bool:
        """Whether a line comes before all times at which partitions were cut off."""
        return not cut or (line.ms < min(cut) if self.ascending else line.ms > max(cut))


class Directory:
    """The directory of one namespace.

    Args:
        store: See `EventLog`.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._keyspace = store, store.keyspace

    def session_ids(self, since: int, now_ms: int) -> Iterator[str]:
        """See `SessionLog.session_ids`. What is written to meanwhile goes to the top, which is read again."""
        given, count = set[bytes](), -1
        while count < len(given):
            count = len(given)
            yield from self._fresh(DirectoryRange(since), given)
            since = max(since, now_ms - _CLOCKS_DIFFER_MS)

    def _fresh(self, within: DirectoryRange, given: set[bytes]) -> Iterator[str]:
        """Those of a range that were not given yet; they are then."""
        for line in chain.from_iterable(self.pages(_PAGE, within)):
            if line.member not in given:
                given.add(line.member)
                yield from filter(None, [line.session_id])

    def count(self, since: int) -> int:
        """See `EventLog.count_sessions`."""
        keys = [self._keyspace.sessions(partition) for partition in range(self._keyspace.partitions)]
        return sum(self._asked(keys, [("ZCOUNT", key, since, "+inf") for key in keys]))

    def pages(self, size: int, within: DirectoryRange) -> Iterator[Sequence[DirectoryLine]]:
        """The lines of a range in its order, about so many at a time; one round trip each, however many partitions."""
        while page := self._page(size, within):
            yield page
            within, size = within._replace(place=page[-1]), max(size, _PAGE)

    def _page(self, size: int, within: DirectoryRange) -> Sequence[DirectoryLine]:
        """Of each partition its share of a page, and as much again: of a large page most would be read for nothing."""
        share = min(size, max(_SMALL, 2 * size // self._keyspace.partitions))
        while True:
            found, are_more = self._read(size, share, within)
            if found or not are_more:
                return found
            share *= 2

    def _read(self, size: int, share: int, within: DirectoryRange) -> tuple[Sequence[DirectoryLine], bool]:
        """The first lines of a range, but for those beyond which a partition may have some that were not read.

        Returns:
            Them; and whether there are more.
        """
        every = [self._keyspace.sessions(partition) for partition in range(self._keyspace.partitions)]
        commands: list[tuple[Any, ...]] = [within.command(key, share) for key in every]
        place, tied = within.place, list[str]()
        if place and place.member:
            tied = every
            commands += [("ZRANGE", key, *_tied(place), "BYSCORE", "WITHSCORES") for key in tied]
        replies = [list(_lines(reply)) for reply in self._asked([*every, *tied], commands)]
        cut = [lines[-1].ms for lines in replies[: len(every)] if len(lines) >= share < size]
        found = {line for lines in replies for line in lines if within.has(line) and within.is_before(line, cut)}
        return sorted(found, reverse=not within.ascending)[:size], bool(cut)

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


def _tied(place: DirectoryLine) -> tuple[str, str]:
    """The scores that stand for the time of a line."""
    return ("-inf" if place.ms == 0 else str(place.ms), "+inf" if place.ms == MAX_MS else f"({place.ms + 1}")


def _lines(reply: Any) -> Iterator[DirectoryLine]:
    """Members with scores."""
    for member, score in pairs(reply):
        yield DirectoryLine(int(min(max(float(score), 0.0), MAX_MS)), member)
