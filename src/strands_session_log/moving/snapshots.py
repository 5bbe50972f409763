"""Sessions of Strands' `SnapshotSessionManager` on its `LocalFileStorage`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import Folder
from ..state import removed_count
from .errors import SourceError
from .files import existing, folders, names, read_json
from .records import agent_record, checked_ids, decoded, message_record, session_record
from .stored import StoredAgent, StoredSession

_NAMESPACE, _SCOPES, _SNAPSHOTS, _LATEST = "session", "scopes", "snapshots", "snapshot_latest.json"
_VERSION = "1.0"
# What a session has no place for, and how to have it nevertheless.
_LEFT_BEHIND = {
    "system_prompt": "its system prompt is not part of a session: give it to the Agent",
    "stash": "what its context manager had stashed is left behind",
}


class Snapshots:
    """The sessions in a directory of Strands' `LocalFileStorage`, as their latest snapshots have them.

    A snapshot has what its agent held, not what was said before, and no time of any message but its own.

    Args:
        directory: The storage's `base_dir`.

    Raises:
        SourceError: When there is no such directory.
    """

    origin = "snapshots"

    def __init__(self, directory: str | Path) -> None:
        base = existing(directory)
        # A storage that was given a namespace of its own has none of Strands' below it.
        below = base / _NAMESPACE
        has_own = any(_SCOPES in _listed(below / name) for name in _listed(below))
        self._base = below if has_own else base

    def session_ids(self) -> Sequence[str]:
        """The sessions that have a latest snapshot."""
        return [name for name in folders(self._base) if self._is_session(name)]

    def read(self, session_id: str) -> StoredSession:
        """Read one of them.

        Raises:
            SourceError: When a snapshot of it cannot be read; names the file.
        """
        checked_ids(self._base.path, session_id)
        agents, warnings, times = [], [], []
        for agent_id, path, snapshot in self._latest(session_id, "agent"):
            agents.append(_agent(session_id, agent_id, path, snapshot))
            warnings += [
                f"agent {agent_id}: {what}" for name, what in _LEFT_BEHIND.items() if snapshot["data"].get(name)
            ]
            times.append(snapshot["created_at"])
        multi_agents = {}
        for name, path, snapshot in self._latest(session_id, "multiAgent"):
            multi_agents[name] = _state(path, snapshot)
            times.append(snapshot["created_at"])
        record = session_record(_times(min(times, default="")), session_id, self._base.path / session_id)
        return StoredSession(session_id, self.origin, record, agents, multi_agents, False, warnings)

    def _latest(self, session_id: str, scope: str) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        for found, name, place in self._places(session_id):
            if found == scope:
                path = place.path / _LATEST
                checked_ids(path, session_id, name)
                yield name, path, _snapshot(place, scope)

    def _is_session(self, name: str) -> bool:
        try:
            return any(self._places(name))
        except SourceError:
            # One that cannot be read fails by itself, and keeps none of the others.
            return True

    def _places(self, session_id: str) -> Iterator[tuple[str, str, Folder]]:
        """Scope, name and directory of each latest snapshot of a session."""
        scopes = self._base / session_id / _SCOPES
        for scope in folders(scopes):
            for name in folders(scopes / scope):
                place = scopes / scope / name / _SNAPSHOTS
                if _LATEST in names(place):
                    yield scope, name, place


def _listed(folder: Folder) -> list[str]:
    try:
        return folders(folder)
    except SourceError:
        return []


def _snapshot(place: Folder, scope: str) -> dict[str, Any]:
    path = place.path / _LATEST
    snapshot = decoded(read_json(place, _LATEST), path)
    if snapshot.get("schema_version") != _VERSION:
        raise SourceError(path, f"its schema version is {snapshot.get('schema_version')!r}, not {_VERSION!r}")
    if snapshot.get("scope") != scope or not isinstance(snapshot.get("data"), dict):
        raise SourceError(path, f"not a snapshot of scope {scope!r}")
    if not isinstance(snapshot.get("created_at"), str):
        raise SourceError(path, "created_at is missing or no text")
    return snapshot


def _agent(session_id: str, agent_id: str, path: Path, snapshot: Mapping[str, Any]) -> StoredAgent:
    data, times = snapshot["data"], _times(snapshot["created_at"])
    internal = {name: data[name] for name in ("interrupt_state", "model_state") if name in data}
    manager = data.get("conversation_manager_state", {})
    state = {"state": data.get("state", {}), "conversation_manager_state": manager, "_internal_state": internal}
    record = agent_record({**state, **times}, session_id, agent_id, path)
    held = data.get("messages", [])
    if not isinstance(held, list):
        raise SourceError(path, "its messages are no list")
    messages = [
        message_record({"message": message, "message_id": index, **times}, index, path)
        for index, message in enumerate(held)
    ]
    return StoredAgent(agent_id, record, messages, _window(len(messages), removed_count(manager)))


def _window(length: int, removed: int) -> dict[str, Any] | None:
    """A snapshot has none of the messages its conversation manager removed, so all it has are held."""
    if not removed:
        return None
    return {"items": [[0, length - 1]] if length else [], "removed": removed, "next": length}


def _state(path: Path, snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    state = snapshot["data"].get("state")
    if not isinstance(state, dict):
        raise SourceError(path, "it has no state of a graph or swarm")
    return state


def _times(moment: str) -> dict[str, Any]:
    return {"created_at": moment, "updated_at": moment}
