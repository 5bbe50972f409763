"""A state from a manifest and its segments. Whatever they hold, it is a state, or `DamagedError`, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from ..codec import from_json
from ..errors import SessionLogError
from ..ids import EventId
from ..state import AgentState, Columns, Held, MessageRecord, Messages, Segment, SessionState, columns_of, is_message
from . import segments as stored
from .authentication import Authenticator, SnapshotPlace
from .blobs import TEXT_BYTES, DamagedError, OutdatedError, decompress, digest, unpack
from .writing import Stored

T = TypeVar("T")
Again: TypeAlias = "Callable[[], Sequence[MessageRecord]]"
"""Reads from the log what is not stored."""

_PIECE = 512
"""How many of the newest messages that are not stored are read from the log at once; of earlier ones twice as many."""
_ALL_TEXT_BYTES = 64 * TEXT_BYTES
"""How much text all segments of a snapshot may hold; what is beyond it is read from the log, as it stands there."""


class Fetch(Protocol):
    """Where what did not come along is fetched, once somebody asks for it."""

    def segment(self, name: str) -> bytes | None:
        """A stored segment; None when it is gone."""

    def replayed(self, agent_id: str, start: int, end: int) -> Messages:
        """The messages the agent had at the snapshot's position, those from one position to another from the log."""

    def contradicted(self, agent_id: str) -> SessionLogError:
        """The error for a snapshot that counts other messages than the log has."""


class Restored(NamedTuple):
    """What a snapshot holds.

    Attributes:
        state: The state.
        digests: Digests of its stored segments by name.
        stored: How many messages these have.
    """

    state: SessionState
    digests: Mapping[str, str]
    stored: int = 0


def restore(
    place: SnapshotPlace, manifest: bytes, segments: Mapping[str, bytes], fetch: Fetch, authenticator: Authenticator
) -> Restored:
    """Read a snapshot.

    Args:
        place: Where it stands.
        manifest: What stands there.
        segments: Segments that came along, by name.
        fetch: Where the others are.
        authenticator: Opens it.

    Raises:
        DamagedError: When it is damaged, of another session, history or version, or written by others.
    """
    data = unpack(authenticator.open(place, manifest))
    try:
        _check_place(place, data)
        reader = _Reader(place.point, segments, fetch)
        agents = {raw["id"]: reader.agent(raw) for raw in data["agents"]}
        _check(len(agents) == len(data["agents"]), "an agent is there twice")
        record, multi_agents = _optional(data["record"]), _dict(data["multi_agents"])
        _check(all(type(one) is dict for one in multi_agents.values()), "a graph has no state")
        labels = _dict(data["labels"])
        state = SessionState(record, agents, multi_agents, place.point, place.link, labels=labels)
    except (LookupError, TypeError, ValueError, AttributeError, SessionLogError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    return Restored(state, reader.digests, reader.stored)


def _check_place(place: SnapshotPlace, data: Mapping[str, Any]) -> None:
    """The seal tells nothing of where it stands if there is no key."""
    expected = {"session": place.session_id, "position": str(place.point), "link": place.link, "erased": place.erased}
    for name, value in expected.items():
        if data[name] != value:
            raise OutdatedError(f"its {name} is {data[name]!r}, not {value!r}")


class _Reader:
    """Reads one manifest.

    Args:
        point: The event it is the state at: each message took one event at least.
        segments: What came along.
        fetch: Where the rest is.
    """

    def __init__(self, point: EventId, segments: Mapping[str, bytes], fetch: Fetch) -> None:
        self.digests: dict[str, str] = {}
        self.stored = 0
        self._point, self._segments, self._fetch = point, segments, fetch
        self._messages_left, self._text_left = point.revision, _ALL_TEXT_BYTES

    def agent(self, raw: Mapping[str, Any]) -> AgentState:
        return AgentState(
            _of(str, raw["id"]),
            _optional(raw["record"]),
            Messages(list(self._parts(raw["id"], _of(list, raw["parts"])))),
            None if raw["held"] is None else _held(*raw["held"]),
            {_of(int, index): self._earlier(id_) for index, id_ in raw["unerased"]},
            self._earlier(raw["moved"]),
        )

    def _earlier(self, text: Any) -> EventId:
        found = EventId.parse(_of(str, text))
        _check(found <= self._point, "it names an event that follows it")
        return found

    def _parts(self, agent_id: str, parts: Sequence[Any]) -> Iterator[Segment]:
        start, before = 0, None
        for part in (Stored(*raw) for raw in parts):
            self._check_part(part, before)
            at, start, before = start, start + part.size, part.last
            if not part.name:
                yield from self._unstored(agent_id, at, part)
                continue
            again = partial(self._replayed, agent_id, at, part)
            self.digests[part.name] = part.digest
            self.stored += part.size
            if part.name in self._segments and digest(self._segments[part.name]) != part.digest:
                raise DamagedError(f"segment {part.name} is another")
            give = partial(self._columns, part, again)
            yield Segment(part.first, part.last, part.size, partial(self._records, part, again), part.name, give)

    def _unstored(self, agent_id: str, start: int, part: Stored) -> Iterator[Segment]:
        """In pieces, so that for the newest nobody needs to read them all; as one where indices are missing."""
        is_dense, first = part.last - part.first + 1 == part.size, part.first
        for size in _pieces(part.size) if is_dense else [part.size]:
            piece = Stored("", "", size, first, first + size - 1 if is_dense else part.last)
            yield Segment(piece.first, piece.last, size, partial(self._replayed, agent_id, start, piece))
            start, first = start + size, first + size

    def _check_part(self, part: Stored, before: int | None) -> None:
        _check([*map(type, part)] == [str, str, int, int, int], "a part has another shape")
        self._messages_left -= part.size
        _check(part.size > 0 and self._messages_left >= 0, "it counts more messages than there are events")
        _check(part.last - part.first + 1 >= part.size, "a part has more messages than indices")
        _check(before is None or before < part.first, "its parts are not in order")
        _check(part.name not in self.digests, "a segment is there twice")

    def _records(self, part: Stored, again: Again) -> Sequence[MessageRecord]:
        """The records of a stored segment; from the log if it is gone or damaged."""
        found = self._read(part, stored.records_of)
        is_it = found and (len(found), found[0].message_id, found[-1].message_id) == part.place
        return found if found and is_it else again()

    def _columns(self, part: Stored, again: Again) -> Columns:
        """The same as columns, with Python values that nobody else has."""
        found = self._read(part, stored.columns_of)
        is_it = found and (len(found.indices), found.indices[0], found.indices[-1]) == part.place
        return found if found and is_it else columns_of(again(), from_json)

    def _read(self, part: Stored, parse: Callable[[bytes], T]) -> T | None:
        """A segment; one that came along was checked when it came."""
        blob = self._segments.get(part.name)
        if blob is None:
            blob = self._fetch.segment(part.name)
            if blob is None or digest(blob) != part.digest:
                return None
        try:
            text = decompress(blob, min(TEXT_BYTES, self._text_left))
            self._text_left -= len(text)
            return parse(text)
        except (DamagedError, LookupError, TypeError, ValueError, AttributeError):
            return None

    def _replayed(self, agent_id: str, start: int, part: Stored) -> Sequence[MessageRecord]:
        end = start + part.size
        found = self._fetch.replayed(agent_id, start, end)[start:end]
        if not found or (len(found), found[0].message_id, found[-1].message_id) != part.place:
            raise self._fetch.contradicted(agent_id)
        return found


def _pieces(count: int) -> list[int]:
    """How many of so many messages each piece has, the oldest first."""
    sizes, size = list[int](), _PIECE
    while count > 2 * size:
        sizes.append(size)
        count, size = count - size, 2 * size
    return [count, *sizes[::-1]]


def _held(items: Any, removed: Any, next_index: Any) -> Held:
    kept = [_item(item) for item in _of(list, items)]
    return Held.of(kept, _of(int, removed), _of(int, next_index))


def _item(raw: Any) -> tuple[int, int] | Mapping[str, Any]:
    if type(raw) is dict:
        _check(is_message(raw["message"]), "an agent holds what is no message")
        return dict(raw["message"])
    first, last = raw
    return _of(int, first), _of(int, last)


def _of(kind: type[T], value: Any) -> T:
    _check(type(value) is kind, f"{type(value).__name__} stands where {kind.__name__} should")
    found: T = value
    return found


def _dict(value: Any) -> dict[str, Any]:
    return _of(dict, value)


def _optional(value: Any) -> dict[str, Any] | None:
    return None if value is None else _dict(value)


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise DamagedError(otherwise)
