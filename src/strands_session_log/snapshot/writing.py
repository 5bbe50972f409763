"""States as manifests and the segments they need.

Only what the agents hold is stored. What a stored segment has is not stored again; a small segment is joined with what
follows it, so that there are never many, and a message is written about once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..state import AgentState, Held, Messages, SessionState
from .blobs import checksum, pack, seal
from .parts import Part, parts_of
from .segments import packed
from .settings import SnapshotSettings

VERSION = 2
"""Of what is stored and of the fold it comes from: whoever changes what a fold makes of events raises it."""


class Draft:
    """Points to be saved, and the segments they need.

    Args:
        session_id: The session.
        checksums: Checksums of the segments that are stored, by name.
        settings: How snapshots are kept.

    Attributes:
        segments: New segments by name.
    """

    def __init__(self, session_id: str, checksums: Mapping[str, int], settings: SnapshotSettings) -> None:
        self.segments: dict[str, bytes] = {}
        self._session_id, self._checksums, self._settings = session_id, dict(checksums), settings
        self._names: dict[Part, str] = {}

    def add(self, state: SessionState) -> tuple[bytes, Sequence[str]]:
        """One more point.

        Returns:
            Its manifest, and the names of the segments it needs, newest first.
        """
        needs: list[str] = []
        manifest = {
            "version": VERSION,
            "session": self._session_id,
            "position": str(state.position),
            "link": state.link,
            "record": state.session,
            "multi_agents": state.multi_agents,
            "agents": [self._agent(agent, state.revision, needs) for agent in state.agents.values()],
        }
        return seal(pack(manifest)), needs[::-1]

    def _agent(self, agent: AgentState, revision: int, needs: list[str]) -> Mapping[str, Any]:
        parts = parts_of(agent, self._settings.segment)
        return {
            "id": agent.agent_id,
            "record": agent.record,
            "held": None if agent.held is None else _held(agent.held),
            "unerased": [[index, str(id_)] for index, id_ in agent.unerased.items()],
            "moved": str(agent.moved),
            "parts": [self._part(agent.messages, part, revision, needs) for part in parts],
        }

    def _part(self, messages: Messages, part: Part, revision: int, needs: list[str]) -> Sequence[Any]:
        """Name and checksum, empty and 0 where nothing is stored; count, first and last index."""
        place = [part.end - part.start, messages.index_at(part.start), messages.index_at(part.end - 1)]
        if not part.is_held:
            return ["", 0, *place]
        name = part.name or self._names.get(part) or self._store(messages, part, revision)
        needs.append(name)
        return [name, self._checksums[name], *place]

    def _store(self, messages: Messages, part: Part, revision: int) -> str:
        name = f"{revision}.{len(self.segments)}"
        blob = packed(messages[part.start : part.end])
        self.segments[name], self._checksums[name] = blob, checksum(blob)
        if part.whole is not None:
            self._names[part] = name
        return name


def _held(held: Held) -> list[Any]:
    items = [{"message": item} if isinstance(item, Mapping) else list(item) for item in held.items]
    return [items, held.removed, held.next]
