"""What a test leaves behind on a server: which keys there are, and how they go away again."""

from __future__ import annotations

from collections.abc import Iterable

from support.clients import Client


class Keyspace:
    """All keys of one server or cluster, as a test's housekeeping sees them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def keys(self, pattern: str = "*") -> set[bytes]:
        """The keys that match, on every primary: SCAN, never KEYS, as the server may be somebody's."""
        return set(self._client.scan_iter(match=pattern, count=1000))

    def under(self, namespace: str) -> set[bytes]:
        return self.keys(f"{namespace}:*")

    def delete(self, keys: Iterable[bytes]) -> None:
        """Delete key by key: keys of a cluster share no slot."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.unlink(key)
            pipeline.execute()
