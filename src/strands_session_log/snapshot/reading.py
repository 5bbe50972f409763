"""A state from a manifest and its segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from ..codec import from_json
from ..errors import SessionLogError
from ..ids import EventId
from ..state import AgentState, Columns, Held, MessageRecord, Messages, Segment, SessionState, columns_of
from . import segments as stored
from .blobs import DamagedError, checksum, decompress, unpack, unseal
from .writing import VERSION

T = TypeVar("T")
Again: TypeAlias = "Callable[[], Sequence[MessageRecord]]"
"""Reads from the log what is not stored."""


class Fetch(Protocol):
    """Where what did not come along is fetched, once somebody asks for it."""

    def segment(self, name: str) -> bytes | None:
        """A stored segment; None when it is gone."""

    def replayed(self, agent_id: str) -> Messages:
        """All messages the agent had at the snapshot's position, from the log."""


class Restored(NamedTuple):
    """What a snapshot holds.

    Attributes:
        state: The state.
        checksums: Checksums of its stored segments by name.
    """

    state: SessionState
    checksums: Mapping[str, int]


def restore(session_id: str, manifest: bytes, segments: Mapping[str, bytes], fetch: Fetch) -> Restored:
    """Read a snapshot.

    Args:
        session_id: The session it must be of.
        manifest: What stands at the point.
        segments: Segments that came along, by name.
        fetch: Where the others are.

    Raises:
        DamagedError: When it is damaged, of another session, or of another version.
    """
    data = unpack(unseal(manifest))
    try:
        if (data["version"], data["session"]) != (VERSION, session_id):
            raise DamagedError(f"version {data['version']} of session {data['session']}")
        reader = _Reader(segments, fetch)
        agents = {raw["id"]: reader.agent(raw) for raw in data["agents"]}
        position = EventId.parse(data["position"])
        state = SessionState(data["record"], agents, data["multi_agents"], position, data["link"])
    except (LookupError, TypeError, ValueError, AttributeError, SessionLogError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    return Restored(state, reader.checksums)


class _Reader:
    """Reads one manifest."""

    def __init__(self, segments: Mapping[str, bytes], fetch: Fetch) -> None:
        self.checksums: dict[str, int] = {}
        self._segments, self._fetch = segments, fetch

    def agent(self, raw: Mapping[str, Any]) -> AgentState:
        return AgentState(
            raw["id"],
            raw["record"],
            Messages(list(self._parts(raw["id"], raw["parts"]))),
            None if raw["held"] is None else _held(*raw["held"]),
            {index: EventId.parse(id_) for index, id_ in raw["unerased"]},
            EventId.parse(raw["moved"]),
        )

    def _parts(self, agent_id: str, parts: Sequence[Any]) -> Iterator[Segment]:
        start = 0
        for name, checksum_, count, first, last in parts:
            again = partial(_replayed, self._fetch, agent_id, start, start + count)
            start += count
            if not name:
                yield Segment(first, last, count, again)
                continue
            self.checksums[name] = checksum_
            if name in self._segments and checksum(self._segments[name]) != checksum_:
                raise DamagedError(f"segment {name} is another")
            give = partial(self._columns, name, again)
            yield Segment(first, last, count, partial(self._records, name, again), name, give)

    def _records(self, name: str, again: Again) -> Sequence[MessageRecord]:
        """The records of a stored segment; from the log if it is gone or damaged."""
        found = self._read(name, stored.records_of)
        return again() if found is None else found

    def _columns(self, name: str, again: Again) -> Columns:
        """The same as columns, with Python values that nobody else has."""
        found = self._read(name, stored.columns_of)
        return columns_of(again(), from_json) if found is None else found

    def _read(self, name: str, parse: Callable[[bytes], T]) -> T | None:
        """A segment; one that came along was checked when it came."""
        blob = self._segments.get(name)
        if blob is None:
            blob = self._fetch.segment(name)
            if blob is None or checksum(blob) != self.checksums[name]:
                return None
        try:
            return parse(decompress(blob))
        except (DamagedError, LookupError, TypeError, ValueError):
            return None


def _replayed(fetch: Fetch, agent_id: str, start: int, end: int) -> Sequence[MessageRecord]:
    return fetch.replayed(agent_id)[start:end]


def _held(items: Sequence[Any], removed: int, next_index: int) -> Held:
    kept = tuple(item["message"] if isinstance(item, Mapping) else (item[0], item[1]) for item in items)
    return Held(kept, removed, next_index)
