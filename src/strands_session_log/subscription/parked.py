"""Dead letters: events that a group gave up on, with the error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..codec import RawEntry, fields_of
from ..errors import CorruptEntryError, ParkedNotFoundError, ServerRefusedError
from ..event_log.diagnosis import CURES, naming
from ..feed import FIELDS, Envelope, FeedId, envelope
from ..ids import EventId
from ..keys import GroupKeys, Keyspace
from ..scripts import groups
from ..scripts.group_protocol import is_stream_id
from ..server import Store, number
from .failure import whole

_PAGE = 500
"""How many are read, or told of, at once."""
_KINDS = {
    b"XRANGE": ("stream", CURES["parked"]),
    b"ZMSCORE": ("zset", CURES["replay"]),
    b"HMGET": ("hash", CURES["group"]),
}
"""Of the keys that are asked so: which type they have, and what to do about another."""
_PARKED_ID = re.compile(r"([0-9]{1,4}):([0-9]{1,20}-[0-9]{1,20})")


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a group gave up on.

    Attributes:
        parked_id: What it is called here: `<partition>:<ms>-<n>`.
        envelope: What the feed said of it; its session id is empty if another program had written there.
        attempts: How often it was tried.
        error: Why it failed the last time: the exception's type and place, with its text if the group keeps it
            (`keep_errors="full"`); or the reason that was given, until that is gone with the session's content.
        is_replayed: Whether it waits to be tried again.
    """

    parked_id: str
    envelope: Envelope
    attempts: int
    error: str
    is_replayed: bool

    @classmethod
    def parse(
        cls, keyspace: Keyspace, partition: int, entry: RawEntry, is_replayed: bool = False, text: bytes | None = None
    ) -> ParkedEvent:
        """Read an entry of the parked stream, whatever it holds, and the text kept beside it."""
        stream_id, fields = entry[0].decode(), entry[1]
        named = fields_of(fields)
        error = named.get(b"error", b"").decode("utf-8", "replace")
        try:
            of = parked_envelope(keyspace, partition, fields)
        except CorruptEntryError as corrupt:
            place = named.get(b"feed_id", b"")
            feed_id = FeedId.parse(partition, place if is_stream_id(place) else b"0-0")
            of, error = Envelope(feed_id, "", EventId(0, 0), "", "", "", b""), error or str(corrupt)
        attempts = number(named.get(b"attempts"))
        error = whole(error, (text or b"").decode("utf-8", "replace"))
        return cls(f"{partition}:{stream_id}", of, attempts, error, is_replayed)

    @property
    def session_id(self) -> str:
        """The session."""
        return self.envelope.session_id

    @property
    def id(self) -> EventId:
        """The event."""
        return self.envelope.id

    @property
    def parked_at(self) -> datetime:
        """When it was parked, by the server's clock, in UTC."""
        return EventId(int(self.parked_id.partition(":")[2].partition("-")[0]), 0).time


class ParkedEvents:
    """What a group gave up on, in all partitions.

    Args:
        store: Where they are.
        group: The group.
    """

    def __init__(self, store: Store, group: str) -> None:
        self._store, self._keyspace, self._group = store, store.keyspace, group

    def __iter__(self) -> Iterator[ParkedEvent]:
        """All of them, those of a partition in the order in which they were parked."""
        for partition in range(self._keyspace.partitions):
            yield from self._of_partition(partition)

    def get(self, parked_id: str) -> ParkedEvent:
        """One of them.

        Raises:
            ParkedNotFoundError: When there is none of this name.
        """
        partition, stream_id = self._parse(parked_id)
        found = self._command(b"XRANGE", self._keys(partition).parked, stream_id, stream_id)
        if not found:
            raise ParkedNotFoundError(self._group, parked_id)
        return self._parsed(partition, found)[0]

    def replay(self, parked_ids: Iterable[str]) -> int:
        """Have them tried again by the group's consumers; they leave here once they are handled.

        Returns:
            How many.

        Raises:
            ParkedNotFoundError: When one is not there; then none is replayed.
            CorruptEntryError: When one is not about an event; then none is.
        """
        return self._settle("replay", parked_ids)

    def drop(self, parked_ids: Iterable[str]) -> int:
        """Forget them for good. The events themselves stay in their sessions.

        Returns:
            How many.

        Raises:
            ParkedNotFoundError: When one is not there; then none is dropped.
        """
        return self._settle("drop", parked_ids)

    def _of_partition(self, partition: int) -> Iterator[ParkedEvent]:
        start, key, page = "-", self._keys(partition).parked, [None] * _PAGE
        while len(page) == _PAGE:
            page = self._command(b"XRANGE", key, start, "+", "COUNT", _PAGE)
            if page:
                yield from self._parsed(partition, page)
                start = f"({page[-1][0].decode()}"

    def _settle(self, how: str, parked_ids: Iterable[str]) -> int:
        found = self._found(how, dict.fromkeys(parked_ids))
        return sum(self._tell(how, partition, ids) for partition, all_ids in found.items() for ids in _pages(all_ids))

    def _tell(self, how: str, partition: int, ids: Sequence[str]) -> int:
        keys = self._keys(partition)
        with naming(self._store, {keys.replay: _KINDS[b"ZMSCORE"], keys.parked: _KINDS[b"XRANGE"]}):
            return groups.settle_parked(self._store, self._group, partition, how, ids)

    def _found(self, how: str, parked_ids: Iterable[str]) -> dict[int, list[str]]:
        """The ids of their entries, by partition."""
        found: dict[int, list[str]] = {}
        for parked_id in parked_ids:
            partition, stream_id = self._parse(parked_id)
            found.setdefault(partition, []).append(stream_id)
        for partition, all_ids in found.items():
            for ids in _pages(all_ids):
                self._check(how, partition, ids)
        return found

    def _check(self, how: str, partition: int, ids: Sequence[str]) -> None:
        key = self._keys(partition).parked
        found = self._store.pipeline([(b"XRANGE", key, id_, id_) for id_ in ids])
        for stream_id, entries in zip(ids, found, strict=True):
            parked_id = f"{partition}:{stream_id}"
            if not entries:
                raise ParkedNotFoundError(self._group, parked_id)
            if how == "replay" and not ParkedEvent.parse(self._keyspace, partition, entries[0]).session_id:
                raise CorruptEntryError(parked_id, "another program wrote it to the feed, it can only be dropped")

    def _texts(self, partition: int, page: Sequence[RawEntry]) -> Sequence[bytes | None]:
        """What handlers said of them; where that is no hash, nothing."""
        names = [b"%b %b %b" % (self._group.encode(), id_, (*fields[1:2], b"")[0]) for id_, fields in page]
        try:
            return self._command(b"HMGET", self._keys(partition).texts, *names) if names else ()
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            return [None] * len(names)

    def _parse(self, parked_id: str) -> tuple[int, str]:
        found = _PARKED_ID.fullmatch(parked_id)
        if not found or int(found[1]) >= self._keyspace.partitions or not is_stream_id(found[2].encode()):
            raise ParkedNotFoundError(self._group, parked_id)
        return int(found[1]), found[2]

    def _parsed(self, partition: int, entries: Sequence[RawEntry]) -> list[ParkedEvent]:
        places = self._command(b"ZMSCORE", self._keys(partition).replay, *(id_ for id_, _ in entries))
        return [
            ParkedEvent.parse(self._keyspace, partition, entry, place is not None, text)
            for entry, place, text in zip(entries, places, self._texts(partition, entries), strict=True)
        ]

    def _keys(self, partition: int) -> GroupKeys:
        return self._keyspace.group(partition, self._group)

    def _command(self, name: bytes, key: str, *arguments: Any) -> Any:
        with naming(self._store, {key: _KINDS[name]}):
            return self._store.command(name, key, *arguments)


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))


def parked_envelope(keyspace: Keyspace, partition: int, fields: Sequence[bytes]) -> Envelope:
    """What the feed said of an event that was parked.

    Raises:
        CorruptEntryError: When the entry is not about an event.
    """
    place = fields_of(fields).get(b"feed_id", b"")
    if not is_stream_id(place):
        raise CorruptEntryError(place.decode("utf-8", "replace"), "it does not say where in the feed it stood")
    return envelope(keyspace, partition, place, fields[: 2 * len(FIELDS)])
