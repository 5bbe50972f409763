"""A state from a manifest and its segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import orjson

from ..codec import MARK, from_json
from ..errors import SessionLogError
from ..ids import EventId
from ..state import AgentState, Held, MessageRecord, Messages, Segment, SessionState
from .blobs import DamagedError, decompress, digest, unpack, unseal
from .writing import VERSION

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
            start += count
            if not name:
                yield Segment(first, last, count, again)
                continue
            self.digests[name] = bytes.fromhex(digest_)
            if name in self._segments and digest(self._segments[name]) != self.digests[name]:
                raise DamagedError(f"segment {name} is another")
            give = partial(self._python_values, name, again)
            yield Segment(first, last, count, partial(self._records, name, again), name, give)

    def _records(self, name: str, again: Again) -> Sequence[MessageRecord]:
        """The records of a stored segment; from the log if it is gone or damaged."""
        text = self._text(name)
        return again() if text is None else _built(text)

    def _python_values(self, name: str, again: Again) -> Sequence[MessageRecord]:
        """The same, not to be shared, with values JSON does not have."""
        text = self._text(name)
        records = again() if text is None else _built(text)
        if text is not None and MARK.encode() not in text:
            return records
        return [
            record._replace(message=from_json(record.message), redact_message=from_json(record.redact_message))
            for record in records
        ]

    def _text(self, name: str) -> bytes | None:
        blob = self._segments.get(name) or self._fetch.segment(name)
        return None if blob is None or digest(blob) != self.digests[name] else decompress(blob)


def _built(text: bytes) -> Sequence[MessageRecord]:
    new = tuple.__new__
    return [
        new(MessageRecord, (message, index, redaction, created, updated, new(EventId, (ms, revision)), erased))
        for message, index, redaction, created, updated, ms, revision, erased in orjson.loads(text)
    ]


def _replayed(fetch: Fetch, agent_id: str, start: int, end: int) -> Sequence[MessageRecord]:
    return fetch.replayed(agent_id)[start:end]


def _held(items: Sequence[Any], removed: int, next_index: int) -> Held:
    kept = tuple(item["message"] if isinstance(item, Mapping) else (item[0], item[1]) for item in items)
    return Held(kept, removed, next_index)
