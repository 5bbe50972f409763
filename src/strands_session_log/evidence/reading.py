"""Reading what a bundle holds, once it was verified: its sessions, and their events as they stood on the server."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO

import orjson

from ..codec import FIELDS, RawEntry
from ..errors import BundleNotIntactError
from ..event_log.chained_batch import Position
from ..event_log.lineage import ForkNote
from ..event_log.restorer import Restoration
from ..ids import EventId
from .verifier.archive import ArchiveReader
from .verifier.bundle import manifest_in
from .verifier.texts import event_of, json_of, lines_of

_NAMES = [name.decode() for name in FIELDS[:-1]]


@dataclass(frozen=True, slots=True)
class SessionInBundle:
    """A session that a bundle has.

    Attributes:
        session_id: Its id.
        path: Where it stands in the bundle.
        position: Where it ends.
        first: The link of its first event, base64url.
        events: How many events it has.
        withheld: Of how many the content is not in the bundle.
        about: Its `session.json`.
    """

    session_id: str
    path: str
    position: Position
    first: str
    events: int
    withheld: int
    about: Mapping[str, Any]

    @property
    def parent(self) -> str:
        """The session it was forked from; empty if from none."""
        return str((self.about["lineage"] or {}).get("parent", ""))

    @property
    def ancestors(self) -> tuple[str, ...]:
        """All from the root to the parent, oldest first."""
        return tuple((self.about["lineage"] or {}).get("ancestors", ()))

    def restoration(self, forks: Sequence[ForkNote]) -> Restoration:
        """What is to be brought back of it, with sessions here that were made of it."""
        at = EventId.parse(self.about["lineage"]["at"]) if self.parent else None
        line = self.about["root"], self.parent, self.ancestors, at
        return Restoration(self.session_id, self.position, self.first, *line, self.about["tombstones"], forks)


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

    def session(self, listed: Mapping[str, Any]) -> SessionInBundle:
        """A session that the manifest lists."""
        path = listed["path"]
        about = json_of(b"".join(self._archive.read(self._members[f"{path}/session.json"])))
        first, last = self._ends(path)
        position = Position(last, listed["link"])
        return SessionInBundle(listed["session_id"], path, position, first, listed["events"], listed["withheld"], about)

    def _ends(self, path: str) -> tuple[str, EventId]:
        """The link of the first event, and the id of the last one."""
        first, last = "", b""
        for line in self._lines(path):
            if not first:
                first = event_of(line)[0]["link"]
            last = line
        return first, EventId.parse(event_of(last)[0]["id"])

    def entries(self, one: SessionInBundle) -> Iterator[RawEntry]:
        """Its events as the server would send them.

        Raises:
            BundleNotIntactError: When they are not those of the manifest: the file has changed since it was verified.
        """
        for line in self._lines(one.path):
            yield entry_of(line)

    def link_at(self, one: SessionInBundle, revision: int) -> str:
        """The link of one of its events."""
        for number, line in enumerate(self._lines(one.path), 1):
            if number == revision:
                return event_of(line)[0]["link"]
        return ""

    def _lines(self, path: str) -> Iterator[bytes]:
        name, digest = f"{path}/events.jsonl", sha256()

        def pieces() -> Iterator[bytes]:
            for piece in self._archive.read(self._members[name]):
                digest.update(piece)
                yield piece

        yield from lines_of(pieces())
        if digest.hexdigest() != self.manifest["files"][name]["sha256"]:
            raise BundleNotIntactError(f"{name} has changed while the bundle was read")


def entry_of(line: bytes) -> RawEntry:
    """A line of events that was verified as the entry it was, to the byte."""
    found = orjson.loads(line)
    body = found["body"].encode() if "body" in found else b64decode(found["body_base64"])
    values = [found[name].encode() for name in _NAMES]
    return found["id"].encode(), [part for pair in zip(FIELDS, (*values, body), strict=True) for part in pair]
