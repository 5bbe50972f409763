"""States as manifests and the segments they need.

Only what the agents hold is stored. What a stored segment has is not stored again; a small segment is joined with what
follows it, so that there are never many, and a message is written about once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..ids import EventId
from ..state import AgentState, Held, Messages, SessionState
from .authentication import Authenticator, SnapshotPlace
from .blobs import TEXT_BYTES, compress, digest, pack
from .parts import Part, parts_of
from .segments import text_of
from .settings import SnapshotSettings


class Whose(NamedTuple):
    """Whose snapshot it is, and since when.

    Attributes:
        namespace: Of the log.
        session_id: The session.
        erased: The head's erased ranges when the events were read.
    """

    namespace: str
    session_id: str
    erased: str

    def place(self, point: EventId, link: str) -> SnapshotPlace:
        """Where a point of it stands."""
        return SnapshotPlace(self.namespace, self.session_id, point, link, self.erased)


class Draft:
    """Points to be saved, and the segments they need.

    Args:
        whose: Whose they are.
        digests: Digests of the segments that are stored, by name.
        settings: How snapshots are kept.
        authenticator: Seals them.

    Attributes:
        segments: New segments by name.
        stored: How many messages come along with the point added last.
    """

    def __init__(
        self, whose: Whose, digests: Mapping[str, str], settings: SnapshotSettings, authenticator: Authenticator
    ) -> None:
        self.segments: dict[str, bytes] = {}
        self.stored = 0
        self._whose, self._digests, self._settings = whose, dict(digests), settings
        self._authenticator = authenticator
        self._names: dict[Part, Sequence[Stored]] = {}

    def add(self, state: SessionState) -> tuple[bytes, Sequence[str]]:
        """One more point.

        Returns:
            Its manifest, and the names of the segments it needs, newest first.

        Raises:
            TooLargeError: When there is too much in it beside messages.
        """
        needs: list[str] = []
        self.stored = 0
        manifest = {
            "session": self._whose.session_id,
            "position": str(state.position),
            "link": state.link,
            "erased": self._whose.erased,
            "record": state.session,
            "labels": state.labels,
            "multi_agents": state.multi_agents,
            "agents": [self._agent(agent, state.revision, needs) for agent in state.agents.values()],
        }
        place = self._whose.place(state.position, state.link)
        return self._authenticator.seal(place, pack(manifest)), needs[::-1]

    def _agent(self, agent: AgentState, revision: int, needs: list[str]) -> Mapping[str, Any]:
        parts = parts_of(agent, self._settings.segment)
        return {
            "id": agent.agent_id,
            "record": agent.record,
            "held": None if agent.held is None else _held(agent.held),
            "unerased": [[index, str(id_)] for index, id_ in agent.unerased.items()],
            "moved": str(agent.moved),
            "parts": [list(one) for part in parts for one in self._part(agent.messages, part, revision, needs)],
        }

    def _part(self, messages: Messages, part: Part, revision: int, needs: list[str]) -> Sequence[Stored]:
        """What is stored of it, as a rule as one segment."""
        if not part.is_held:
            return [Stored.at(messages, part.start, part.end)]
        if part.name:
            found: Sequence[Stored] = [Stored.at(messages, part.start, part.end, part.name, self._digests[part.name])]
        elif part in self._names:
            found = self._names[part]
        else:
            found = list(self._store(messages, part.start, part.end, revision))
            if part.whole is not None:
                self._names[part] = found
        needs += [one.name for one in found if one.name]
        self.stored += sum(one.size for one in found if one.name)
        return found

    def _store(self, messages: Messages, start: int, end: int, revision: int) -> Iterator[Stored]:
        """In halves where it is too long; a single message that is too long is read from the log when it is needed."""
        text = text_of(messages[start:end])
        if len(text) <= TEXT_BYTES:
            name, blob = f"{revision}.{len(self.segments)}", compress(text)
            self.segments[name], self._digests[name] = blob, digest(blob)
            yield Stored.at(messages, start, end, name, self._digests[name])
        elif end - start == 1:
            yield Stored.at(messages, start, end)
        else:
            middle = (start + end) // 2
            yield from self._store(messages, start, middle, revision)
            yield from self._store(messages, middle, end, revision)


class Stored(NamedTuple):
    """A stretch of messages, as a manifest has it.

    Attributes:
        name: The segment they are stored in; empty where they are not.
        digest: Its digest, likewise.
        size: How many they are.
        first: Index of the first.
        last: Index of the last.
    """

    name: str
    digest: str
    size: int
    first: int
    last: int

    @property
    def place(self) -> tuple[int, int, int]:
        """What must be true of the messages, wherever they are read."""
        return self.size, self.first, self.last

    @classmethod
    def at(cls, messages: Messages, start: int, end: int, name: str = "", digest: str = "") -> Stored:
        """Those from one position to another."""
        return cls(name, digest, end - start, messages.index_at(start), messages.index_at(end - 1))


def _held(held: Held) -> list[Any]:
    items = [{"message": item} if isinstance(item, Mapping) else list(item) for item in held.items]
    return [items, held.removed, held.next]
