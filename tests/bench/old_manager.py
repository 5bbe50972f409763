"""strands-valkey-session-manager as it is on PyPI, on a server that has no JSON module."""

from __future__ import annotations

from typing import Any

from strands_valkey_session_manager import ValkeySessionManager as OldManager

_PLAIN = {"JSON.GET": "GET", "JSON.SET": "SET"}


class WithoutJson:
    """A client on which the two JSON commands of the old manager are those of plain strings.

    That is in its favour: a plain string is quicker to write and to read than a document of the JSON module.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.scan, self.exists, self.delete = client.scan, client.exists, client.delete

    def execute_command(self, name: str, key: str, *rest: str) -> Any:
        """GET or SET; the path of JSON.SET, always the root, is left out."""
        return self._client.execute_command(_PLAIN[name], key, *rest[1:])


def old_manager(session_id: str, client: Any) -> OldManager:
    """The old manager on any server."""
    without: Any = WithoutJson(client)
    return OldManager(session_id, without)
