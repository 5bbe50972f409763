"""What can be wrong with the place sessions are moved from, or to."""

from __future__ import annotations

from pathlib import Path

from ..errors import SessionLogError


class SourceError(SessionLogError, ValueError):
    """Something another store holds cannot be read as what it should be.

    Attributes:
        where: The file, directory or key.
        reason: What is wrong with it.
    """

    def __init__(self, where: object, reason: str) -> None:
        self.where, self.reason = str(where), reason
        super().__init__(f"{where}: {reason}")


class SourceUnavailableError(SessionLogError):
    """The server that sessions are to be imported from cannot be used."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the server to import from cannot be used: {reason}; check that it runs, and its URL")


class DirectoryExistsError(SessionLogError):
    """There is a directory already where a session was to be exported to."""

    def __init__(self, session_id: str, path: Path) -> None:
        self.session_id, self.path = session_id, path
        super().__init__(f"session {session_id!r} was not exported: {path} exists already; nothing was overwritten")


class ExportError(SessionLogError):
    """A session could not be written to files; nothing of it was left behind."""

    def __init__(self, session_id: str, reason: str) -> None:
        self.session_id, self.reason = session_id, reason
        super().__init__(f"session {session_id!r} cannot be exported: {reason}")
