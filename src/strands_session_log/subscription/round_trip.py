"""What a consumer that is busy has with the server at once: it settles, reads on, and fetches content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codec import RawEntry
from ..errors import ServerRefusedError
from ..scripts import groups
from ..scripts.group_protocol import FeedEntry, GroupConsumer, SettleReply, SettleRequest
from ..server import Command, Store, pairs


@dataclass(slots=True)
class RoundTrip:
    """Several commands and their replies. What has come counts, also where the connection was lost before the rest did.

    Attributes:
        settle: What is said of deliveries.
        partitions: What is new in these is read.
        most: How many of each at most.
        ranges: The commands that fetch content.
        settled: The answers to `settle`; None where not all have come. Of a partition that is broken, the error.
        news: What is new, by partition; None where that has not come.
        contents: The answers to `ranges`; None where not all have come. Of a key that is no stream, the error.
        error: What went wrong, if anything did.
    """

    settle: Sequence[SettleRequest]
    partitions: Sequence[int]
    most: int
    ranges: Sequence[Command] = ()
    settled: list[SettleReply | ServerRefusedError] | None = None
    news: dict[int, list[FeedEntry]] | None = None
    contents: list[Sequence[RawEntry] | ServerRefusedError] | None = None
    error: Exception | None = None
    _replies: list[Any] = field(default_factory=list)

    def make(self, store: Store, me: GroupConsumer, meanwhile: Callable[[], object]) -> None:
        """Send all of it, in one attempt.

        Args:
            store: Where to.
            me: On whose behalf.
            meanwhile: Done while the server is busy.
        """
        feeds = {store.keyspace.feed(partition): partition for partition in self.partitions}
        # News before contents: these may be too much for the time there is.
        commands = [*groups.settling(store, me, self.settle), reading(me, list(feeds), self.most), *self.ranges]
        try:
            store.overlap(commands, self._replies, meanwhile)
        except Exception as error:
            self.error = error
        at = len(self.settle)
        self.settled = self._told(self._replies[:at], at, SettleReply.parse)
        if self._replies[at:]:
            self.news = self._read(self._replies[at], feeds)
        self.contents = self._told(self._replies[at + 1 :], len(self.ranges), _as_it_is)

    def _told(self, replies: Sequence[Any], count: int, parse: Callable[[Any], Any]) -> list[Any] | None:
        """Each reply as it reads; None where one is missing, or is an error that is not about its key alone."""
        found: list[Any] = []
        for reply in replies:
            if not isinstance(reply, Exception):
                found.append(parse(reply))
            elif isinstance(reply, ServerRefusedError) and reply.is_wrong_type:
                found.append(reply)
            else:
                self.error = self.error or reply
        return found if len(found) == count else None

    def _read(self, reply: Any, feeds: dict[str, int]) -> dict[int, list[FeedEntry]] | None:
        if isinstance(reply, Exception):
            self.error = self.error or reply
            return None
        return news_of(reply, feeds)


def reading(me: GroupConsumer, feeds: Sequence[str], most: int) -> tuple[bytes | str | int, ...]:
    """The command that reads what is new in some feeds."""
    return (b"XREADGROUP", "GROUP", me.group, me.consumer, "COUNT", most, "STREAMS", *feeds, *([">"] * len(feeds)))


def news_of(reply: Any, feeds: dict[str, int]) -> dict[int, list[FeedEntry]]:
    """What it answers, by partition."""
    return {feeds[feed.decode()]: FeedEntry.first_given(entries) for feed, entries in pairs(reply)}


def _as_it_is(reply: Sequence[RawEntry]) -> Sequence[RawEntry]:
    return reply
