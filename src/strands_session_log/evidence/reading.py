"""Reading what a bundle holds, once it was verified: its sessions, and their events as they stood on the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ..codec import FIELDS, RawEntry
from .verifier.archive import ArchiveReader
from .verifier.bundle import manifest_in
from .verifier.texts import WITHHELD, event_of, json_of, lines_of

_NAMES = [name.decode() for name in FIELDS[:-1]]


class BundleReader:
    """A bundle that is open.

    Args:
        file: Opened for reading bytes; it can seek.

    Attributes:
        manifest: What it says that it has.

    Raises:
        UnreadableBundleError: When it is none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = ArchiveReader(file)
        self.manifest = manifest_in(self._archive)
        self._members = {member.name: member for member in self._archive.members}

    def about(self, listed: Mapping[str, Any]) -> dict[str, Any]:
        """The `session.json` of a session that the manifest lists."""
        raw = b"".join(self._archive.read(self._members[f"{listed['path']}/session.json"]))
        found: dict[str, Any] = json_of(raw)
        return found

    def entries(self, listed: Mapping[str, Any]) -> Iterator[RawEntry]:
        """Its events as the server would send them."""
        for line in lines_of(self._archive.read(self._members[f"{listed['path']}/events.jsonl"])):
            yield entry_of(line)


def entry_of(line: bytes) -> RawEntry:
    """A line of events as the entry it was, to the byte.

    Raises:
        ValueError: When it is none, or its content was withheld.
    """
    fields, body, state = event_of(line)
    if state == WITHHELD:
        raise ValueError("its content was withheld")
    flat = list[bytes]()
    for name in _NAMES:
        flat += name.encode(), fields[name].encode()
    return fields["id"].encode(), [*flat, b"body", body]
