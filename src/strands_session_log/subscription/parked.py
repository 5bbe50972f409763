"""Dead letters: events that a group gave up on, with the error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import CorruptEntryError, ParkedNotFoundError
from ..event_log.connection import connection_to
from ..feed import Envelope, envelope
from ..ids import EventId
from ..keys import GroupKeys, Keyspace
from ..scripts import GROUP_PARKED
from ..server.border import Client, insist
from .taken import feed_id

_PAGE = 500


class ParkedEvent(NamedTuple):
    """An event that a group gave up on.

    Attributes:
        parked_id: What it is called here: `<partition>:<ms>-<n>`.
        envelope: What the feed said of it; its session id is empty if somebody else had written there.
        attempts: How often it was tried.
        error: Why it failed the last time.
        is_replayed: Whether it waits to be tried again.
    """

    parked_id: str
    envelope: Envelope
    attempts: int
    error: str
    is_replayed: bool

    @property
    def session_id(self) -> str:
        """The session."""
        return self.envelope.session_id

    @property
    def id(self) -> EventId:
        """The event."""
        return self.envelope.id


class ParkedEvents:
    """What a group gave up on, in all partitions.

    Args:
        client: Any sync client.
        keyspace: How the namespace is laid out.
        group: The group.
        retry_for: For how many seconds a server that is away is waited for.
    """

    def __init__(self, client: Client, keyspace: Keyspace, group: str, retry_for: float) -> None:
        self._client, self._keyspace, self._group, self._retry_for = client, keyspace, group, retry_for

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
        return _parked(partition, found[0], self._replayed(partition))

    def replay(self, parked_ids: Iterable[str]) -> int:
        """Have them tried again by whoever reads the group; they leave here once they are handled.

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
        start, replayed = "-", self._replayed(partition)
        while page := self._command(b"XRANGE", self._keys(partition).parked, start, "+", "COUNT", _PAGE):
            for entry in page:
                yield _parked(partition, entry, replayed)
            start = f"({page[-1][0].decode()}"

    def _settle(self, how: str, parked_ids: Iterable[str]) -> int:
        found = self._found(how, dict.fromkeys(parked_ids))
        calls = [(self._keys(partition)[1:], [how, *ids]) for partition, ids in found.items()]
        return sum(insist(lambda: GROUP_PARKED.many(self._client, calls), self._retry_for)) if calls else 0

    def _found(self, how: str, parked_ids: Iterable[str]) -> dict[int, list[str]]:
        """The ids of their entries, by partition."""
        found: dict[int, list[str]] = {}
        for parked_id in parked_ids:
            partition, stream_id = self._parse(parked_id)
            found.setdefault(partition, []).append(stream_id)
        for partition, ids in found.items():
            self._check(how, partition, ids)
        return found

    def _check(self, how: str, partition: int, ids: Sequence[str]) -> None:
        for stream_id, entries in zip(ids, self._entries(partition, ids), strict=True):
            parked_id = f"{partition}:{stream_id}"
            if not entries:
                raise ParkedNotFoundError(self._group, parked_id)
            if how == "replay" and not _parked(partition, entries[0], ()).session_id:
                raise CorruptEntryError(parked_id, "somebody else wrote it to the feed, it can only be dropped")

    def _entries(self, partition: int, ids: Sequence[str]) -> list[Any]:
        key = self._keys(partition).parked

        def read() -> list[Any]:
            with connection_to(self._client, key) as node:
                pipeline = node.pipeline(transaction=False)
                for id_ in ids:
                    # The name as bytes: the driver then leaves the reply as it comes.
                    pipeline.execute_command(b"XRANGE", key, id_, id_, NEVER_DECODE=True)
                return list(pipeline.execute())

        return insist(read, self._retry_for)

    def _parse(self, parked_id: str) -> tuple[int, str]:
        partition, _, stream_id = parked_id.partition(":")
        try:
            number, id_ = int(partition), EventId.parse(stream_id)
        except ValueError as error:
            raise ParkedNotFoundError(self._group, parked_id) from error
        if not 0 <= number < self._keyspace.partitions:
            raise ParkedNotFoundError(self._group, parked_id)
        return number, str(id_)

    def _replayed(self, partition: int) -> Sequence[str]:
        return (self._command(b"HGET", self._keys(partition).group, "replay") or b"").decode().split()

    def _keys(self, partition: int) -> GroupKeys:
        return self._keyspace.group(partition, self._group)

    def _command(self, name: bytes, key: str, *arguments: Any) -> Any:
        def send() -> Any:
            with connection_to(self._client, key) as node:
                return node.execute_command(name, key, *arguments, NEVER_DECODE=True)

        return insist(send, self._retry_for)


def _parked(partition: int, entry: Any, replayed: Sequence[str]) -> ParkedEvent:
    stream_id, fields = entry[0].decode(), entry[1]
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    of = _envelope(partition, named[b"feed"], fields[:12])
    error = named[b"error"].decode("utf-8", "replace")
    return ParkedEvent(f"{partition}:{stream_id}", of, int(named[b"attempts"]), error, stream_id in replayed)


def _envelope(partition: int, place: bytes, fields: Sequence[bytes]) -> Envelope:
    try:
        return envelope(partition, place, fields)
    except CorruptEntryError:
        return Envelope(feed_id(partition, place), "", EventId(0, 0), "", "", "", b"")
