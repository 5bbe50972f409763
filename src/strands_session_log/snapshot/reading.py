"""A state from a manifest and its segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ..errors import SessionLogError
from ..ids import EventId
from ..state import AgentState, Held, MessageRecord, Messages, Segment, SessionState
from .blobs import DamagedError, digest, unpack, unseal
from .writing import VERSION


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
        digests: Digests of its stored segments by name.
    """

    state: SessionState
    digests: Mapping[str, bytes]


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
    return Restored(state, reader.digests)


class _Reader:
    """Reads one manifest."""

    def __init__(self, segments: Mapping[str, bytes], fetch: Fetch) -> None:
        self.digests: dict[str, bytes] = {}
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
        for name, digest_, count, first, last in parts:
            again = partial(_replayed, self._fetch, agent_id, start, start + count)
            load = partial(self._records, name, bytes.fromhex(digest_), again) if name else again
            if name in self._segments and digest(self._segments[name]) != bytes.fromhex(digest_):
                raise DamagedError(f"segment {name} is another")
            if name:
                self.digests[name] = bytes.fromhex(digest_)
            yield Segment(first, last, count, load, name)
            start += count

    def _records(
        self, name: str, expected: bytes, again: Callable[[], Sequence[MessageRecord]]
    ) -> Sequence[MessageRecord]:
        """The records of a stored segment; from the log if it is gone or damaged."""
        blob = self._segments.get(name) or self._fetch.segment(name)
        if blob is None or digest(blob) != expected:
            return again()
        return [
            MessageRecord(message, index, redaction, created, updated, EventId(ms, revision), erased)
            for message, index, redaction, created, updated, ms, revision, erased in unpack(blob)
        ]


def _replayed(fetch: Fetch, agent_id: str, start: int, end: int) -> Sequence[MessageRecord]:
    return fetch.replayed(agent_id)[start:end]


def _held(items: Sequence[Any], removed: int, next_index: int) -> Held:
    kept = tuple(item["message"] if isinstance(item, Mapping) else (item[0], item[1]) for item in items)
    return Held(kept, removed, next_index)
