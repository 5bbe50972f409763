"""Where a snapshot is kept: a hash beside the session. What is in it is opaque here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from ..codec import RawEntry
from ..codec.sealed import is_sealed
from ..encryption import Cipher
from ..errors import EncryptionError, ServerRefusedError
from ..ids import EventId
from ..scripts import LOAD, SAVE
from ..server import Store

_ENTRIES = 320
_ENTRY_BYTES = 4 * 1024 * 1024
SEGMENT_BYTES = 8 * 1024 * 1024
_LISTED_BYTES, _BLOB_BYTES = 65_536, 32 * 1024 * 1024
"""As load.lua has them."""
_PURPOSE = b"snapshot"
_POINTS = re.compile(rb"\b([0-9]{1,16})-([0-9]{1,16})\b")


class LoadedSnapshot(NamedTuple):
    """What one round trip brings of a session.

    Attributes:
        erased: The head's erased ranges.
        listed: The snapshot's list of its points, as it stands there.
        point: The one that was taken; None when there is none.
        manifest: What stands there.
        segments: Its segments by name, as far as they fit.
        entries: The events from that point on, the point's own first; all from the beginning without a point.
        more: Whether more events follow.
    """

    erased: bytes
    listed: bytes
    point: EventId | None
    manifest: bytes
    segments: Mapping[str, bytes]
    entries: Sequence[RawEntry]
    more: bool

    @property
    def erased_ranges(self) -> str:
        """The head's erased ranges as text, whatever stands there."""
        return self.erased.decode(errors="replace")

    @property
    def points(self) -> list[EventId]:
        """The points the snapshot has, oldest first; what is none is passed over."""
        return _points(self.listed)


class SnapshotPoint(NamedTuple):
    """A point to save.

    Attributes:
        id: Where it stands.
        link: The hash chain there, base64url.
        manifest: What to keep.
        needs: The names of the segments it needs, newest first.
    """

    id: EventId
    link: str
    manifest: bytes
    needs: Sequence[str]


class SnapshotWrite(NamedTuple):
    """One attempt to save.

    Attributes:
        erased: The head's erased ranges when the events were read.
        known: The snapshot's list of points then.
        points: The points it is to have.
        added: Those of them that are new.
        segments: New segments by name.
        has_key: Whether they are authenticated; those that are not never take the place of those that are.
        stored: How many messages come along with the newest of its points.
    """

    erased: bytes
    known: bytes
    points: Sequence[EventId]
    added: Sequence[SnapshotPoint]
    segments: Mapping[str, bytes]
    has_key: bool = False
    stored: int = 0

    @property
    def size(self) -> int:
        """How many bytes are written."""
        points = sum(len(point.manifest) + len(" ".join(point.needs)) for point in self.added)
        return points + sum(map(len, self.segments.values())) + len(_words(self.points))


class SnapshotStore:
    """The snapshots of one namespace.

    Args:
        store: Where.
        cipher: Encrypts what is saved, if content is encrypted.
    """

    def __init__(self, store: Store, cipher: Cipher) -> None:
        self._store, self._cipher = store, cipher

    def load(
        self,
        session_id: str,
        until: EventId | None,
        *,
        point: EventId | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> LoadedSnapshot | None:
        """The newest point up to an id, and the events after it; None when the session has no head.

        Args:
            session_id: The session.
            until: The id; its revision is 0 when only its time counts. None for all there is.
            point: Up to this id instead.
            segment_bytes: How much of what agents held there may come along, the newest first.
        """
        end = "-".join(filter(None, _parts(until))) or "+"
        arguments = (end, *_parts(point or until), _ENTRIES, _ENTRY_BYTES, segment_bytes)
        reply = self._store.run(LOAD, self._keys(session_id), arguments)
        if not reply:
            return None
        erased, listed, taken, manifest, flat, entries, more = reply
        at = EventId.parse(taken) if taken else None
        if at is not None:
            manifest = self._opened(session_id, f"point:{at}", manifest)
        named = ((name.decode(errors="replace"), blob) for name, blob in zip(flat[::2], flat[1::2], strict=True))
        segments = {name: self._opened(session_id, f"segment:{name}", blob) for name, blob in named}
        return LoadedSnapshot(erased, listed, at, manifest, segments, entries, bool(more))

    def save(self, session_id: str, save: SnapshotWrite) -> bool:
        """Save points, unless somebody else was quicker or something was erased.

        Returns:
            Whether it was saved.
        """
        seal = partial(self._sealed, session_id)
        points = (
            (str(one.id), one.link, seal(f"point:{one.id}", one.manifest), " ".join(one.needs)) for one in save.added
        )
        segments = ((name, seal(f"segment:{name}", blob)) for name, blob in save.segments.items())
        # Nor does anything take the place of what is encrypted that is not.
        has_key = save.has_key or self._cipher.is_active
        arguments: list[Any] = [
            *(save.erased, save.known, _words(save.points), len(save.added), int(has_key)),
            *chain.from_iterable(points),
            *chain.from_iterable(segments),
        ]
        return bool(self._store.run(SAVE, self._keys(session_id), arguments))

    def segment(self, session_id: str, name: str) -> bytes | None:
        """One segment; None when it is gone."""
        found = self._field(session_id, f"segment:{name}")
        return found if found is None else self._opened(session_id, f"segment:{name}", found)

    def manifest(self, session_id: str, point: EventId) -> bytes | None:
        """What stands at a point; None when it is gone."""
        found = self._field(session_id, f"point:{point}")
        return found if found is None else self._opened(session_id, f"point:{point}", found)

    def points(self, session_id: str) -> list[EventId]:
        """The points there are; none where something else is in the place of the snapshot, or of its list of points."""
        try:
            return _points(self._field(session_id, "points", _LISTED_BYTES) or b"")
        except ServerRefusedError:
            return []

    def drop(self, session_id: str, has_key: bool = True) -> None:
        """Throw the snapshot of a session away; it is made anew.

        Args:
            session_id: The session.
            has_key: Otherwise one that is authenticated stays: whoever cannot make it anew must not throw it away.
        """
        key = self._store.keyspace.session(session_id).snapshot
        if has_key or self._cipher.is_active or self._field(session_id, "authenticated") is None:
            self._store.command("UNLINK", key)

    def _sealed(self, session_id: str, field: str, blob: bytes) -> bytes:
        return self._cipher.seal(session_id, _PURPOSE, (field.encode(),), blob)

    def _opened(self, session_id: str, field: str, blob: bytes) -> bytes:
        """What a field holds; nothing, which is not taken, where it cannot be opened or others wrote it."""
        if self._cipher.is_active and not is_sealed(blob):
            return b""
        try:
            return self._cipher.open(session_id, _PURPOSE, (field.encode(),), blob)
        except EncryptionError:
            return b""

    def _field(self, session_id: str, name: str, most: int = _BLOB_BYTES) -> bytes | None:
        """A field of the hash; None when it is gone, or larger than any that is ever stored."""
        key = self._store.keyspace.session(session_id).snapshot
        if self._store.command("HSTRLEN", key, name) > most:
            return None
        found: bytes | None = self._store.command("HGET", key, name)
        return found

    def _keys(self, session_id: str) -> tuple[str, str, str]:
        keys = self._store.keyspace.session(session_id)
        return keys.events, keys.head, keys.snapshot


def _parts(until: EventId | None) -> tuple[str, str]:
    """Its milliseconds and its revision; empty where there is no end."""
    return ("", "") if until is None else (str(until.ms), str(until.revision) if until.revision else "")


def _points(listed: bytes) -> list[EventId]:
    return list(dict.fromkeys(EventId(int(ms), int(revision)) for ms, revision in _POINTS.findall(listed)))


def _words(points: Sequence[EventId]) -> str:
    return " ".join(map(str, points))
