"""Sessions of Strands' `FileSessionManager`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import Folder
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
        if "session.json" in names(self._directory):
            raise SourceError(directory, "this is one session; name the directory it stands in, and it with --session")

    def session_ids(self) -> Sequence[str]:
        """The sessions in the directory."""
        return [name for name, _ in _named(self._directory, _SESSION)]

    def read(self, session_id: str) -> StoredSession:
        """Read one of them.

        Raises:
            SourceError: When a file of it cannot be read; names the file.
        """
        checked_ids(self._directory.path, session_id)
        place = self._directory / f"{_SESSION}{session_id}"
        record = session_record(read_json(place, "session.json"), session_id, place.path / "session.json")
        agents = [_agent(session_id, agent_id, found) for agent_id, found in _agents(place)]
        return StoredSession(session_id, self.origin, record, agents, _multi_agents(session_id, place))


def existing(directory: str | Path) -> Folder:
    """A directory that exists.

    Raises:
        SourceError: When it does not.
    """
    path = Path(directory)
    if not path.is_dir():
        raise SourceError(directory, "not a directory" if path.exists() else "there is no such directory")
    return Folder(path)


def names(folder: Folder) -> list[str]:
    """What is in a directory; nothing if there is none.

    Raises:
        SourceError: When it cannot be read, or is a link.
    """
    with _readable(folder.path):
        return folder.names()


def folders(folder: Folder, prefix: str = "") -> list[str]:
    """The directories in one.

    Raises:
        SourceError: When it cannot be read, or is a link.
    """
    with _readable(folder.path):
        return [name for name in folder.folders() if name.startswith(prefix)]


def read_json(folder: Folder, name: str) -> dict[str, Any]:
    """The JSON object in a file; as Strands does, never through a symbolic link.

    Raises:
        SourceError: When there is none.
    """
    path = folder.path / name
    with _readable(path):
        content = folder.read(name)
    return load(content, path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(path, "the file is missing") from error
    except OSError as error:
        raise SourceError(path, f"cannot be read: {error.strerror}") from error


def _agents(place: Folder) -> list[tuple[str, Folder]]:
    """Those that were begun: to Strands, a directory without a record is no agent."""
    found = _named(place / "agents", _AGENT)
    return [(name, one) for name, one in found if "agent.json" in names(one) or any(_messages(one / "messages"))]


def _agent(session_id: str, agent_id: str, place: Folder) -> StoredAgent:
    record = agent_record(read_json(place, "agent.json"), session_id, agent_id, place.path / "agent.json")
    said = place / "messages"
    files = dict(sorted(_messages(said)))
    messages = [message_record(read_json(said, name), index, said.path / name) for index, name in files.items()]
    return repository_agent(record, messages)


def _messages(place: Folder) -> Iterator[tuple[int, str]]:
    for name in names(place):
        if found := _MESSAGE.fullmatch(name):
            if not _INDEX.fullmatch(found[1]):
                raise SourceError(place.path / name, "a message's file is named after its index: message_0.json")
            yield int(found[1]), name


def _multi_agents(session_id: str, place: Folder) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, folder in _named(place / "multi_agents", _MULTI_AGENT):
        checked_ids(folder.path, session_id, name)
        if "multi_agent.json" in names(folder):
            # Strands hands this one to the graph or swarm as it stands there, encoded bytes included.
            found[name] = read_json(folder, "multi_agent.json")
    return found


def _named(place: Folder, prefix: str) -> list[tuple[str, Folder]]:
    return [(name[len(prefix) :], place / name) for name in folders(place, prefix)]
