"""Sessions of Strands' `FileSessionManager`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import SourceError
from .records import agent_record, checked_ids, load, message_record, repository_agent, session_record
from .stored import StoredAgent, StoredSession

_SESSION, _AGENT, _MULTI_AGENT = "session_", "agent_", "multi_agent_"
_MESSAGE = re.compile(r"message_(.*)\.json")
_INDEX = re.compile(r"-?[0-9]{1,16}")


class FileSessions:
    """The sessions in a directory of Strands' `FileSessionManager`.

    Args:
        directory: Its `storage_dir`.

    Raises:
        SourceError: When there is no such directory.
    """

    origin = "file-session"

    def __init__(self, directory: str | Path) -> None:
        self._directory = existing(directory)
        if (self._directory / "session.json").exists():
            raise SourceError(directory, "this is one session; name the directory it stands in, and it with --session")

    def session_ids(self) -> Sequence[str]:
        """The sessions in the directory."""
        return [name for name, _ in _named(self._directory, _SESSION)]

    def read(self, session_id: str) -> StoredSession:
        """Read one of them.

        Raises:
            SourceError: When a file of it cannot be read; names the file.
        """
        checked_ids(self._directory, session_id)
        place = self._directory / f"{_SESSION}{session_id}"
        record = session_record(read_json(place / "session.json"), session_id, place / "session.json")
        agents = [_agent(session_id, agent_id, path) for agent_id, path in _agents(place)]
        return StoredSession(session_id, self.origin, record, agents, _multi_agents(session_id, place))


def existing(directory: str | Path) -> Path:
    """A directory that exists.

    Raises:
        SourceError: When it does not.
    """
    path = Path(directory)
    if not path.is_dir():
        raise SourceError(directory, "not a directory" if path.exists() else "there is no such directory")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; as Strands does, never through a symbolic link.

    Raises:
        SourceError: When there is none.
    """
    if path.is_symlink():
        raise SourceError(path, "a symbolic link, which Strands would not follow either")
    try:
        return load(path.read_bytes(), path)
    except FileNotFoundError as error:
        raise SourceError(path, "the file is missing") from error
    except OSError as error:
        raise SourceError(path, f"cannot be read: {error.strerror}") from error


def _agents(place: Path) -> list[tuple[str, Path]]:
    """Those that were begun: to Strands, a directory without a record is no agent."""
    found = _named(place / "agents", _AGENT)
    return [(name, path) for name, path in found if (path / "agent.json").exists() or any(_messages(path / "messages"))]


def _agent(session_id: str, agent_id: str, place: Path) -> StoredAgent:
    record = agent_record(read_json(place / "agent.json"), session_id, agent_id, place / "agent.json")
    paths = dict(sorted(_messages(place / "messages")))
    return repository_agent(record, [message_record(read_json(path), index, path) for index, path in paths.items()])


def _messages(place: Path) -> Iterator[tuple[int, Path]]:
    for path in place.iterdir() if place.is_dir() else ():
        if found := _MESSAGE.fullmatch(path.name):
            if not _INDEX.fullmatch(found[1]):
                raise SourceError(path, "a message's file is named after its index: message_0.json")
            yield int(found[1]), path


def _multi_agents(session_id: str, place: Path) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, path in _named(place / "multi_agents", _MULTI_AGENT):
        checked_ids(path, session_id, name)
        if (path / "multi_agent.json").exists():
            # Strands hands this one to the graph or swarm as it stands there, encoded bytes included.
            found[name] = read_json(path / "multi_agent.json")
    return found


def _named(place: Path, prefix: str) -> list[tuple[str, Path]]:
    if not place.is_dir():
        return []
    found = (path for path in place.iterdir() if path.name.startswith(prefix) and path.is_dir())
    return sorted((path.name[len(prefix) :], path) for path in found)
