"""Sealing: the heads of all sessions that changed are added to a log of seals, which is signed anew.

What is to be added is written under `pending/<size>` first, with the checkpoint that is signed for it, whole or not at
all. Who comes next finishes what was begun: a sealer may be killed at any time, and never signs two trees of one size.
The files of the tree follow, and `checkpoint` last; until then, the one before is valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import SealBusyError, SealDamagedError, SealKeyError, SealMismatchError
from ..event_log import Progress
from .changes import Changes, changes_since
from .checkpoint import Checkpoint
from .comparing import HasEvents
from .note import SigningKey, VerifierKey
from .record import SealMark
from .sealed_log import (
    CHECKPOINT,
    LENGTH_BYTES,
    Place,
    SealedLog,
    archived_name,
    packed_checkpoint,
    pending_name,
    set_back,
    store_at,
)
from .store import create_once
from .tiles import Tiles, grown, outgrown, overlaid, packed, unpacked


@dataclass(frozen=True, slots=True)
class SealSummary:
    """What a seal did.

    Attributes:
        checkpoint: The checkpoint now; None where there is nothing that could be sealed, and never was.
        sessions: How many sessions were sealed: those that changed since the seal before.
        deletions: How many deletions were.
        skipped: Sessions whose head cannot be read, so that they were not sealed; see `SessionLog.verify`.
        finished: How many records of an earlier seal were put in place, which had been interrupted.
    """

    checkpoint: Checkpoint | None
    sessions: int = 0
    deletions: int = 0
    skipped: tuple[str, ...] = ()
    finished: int = 0


class SealWriter:
    """Seals the sessions of one log to one place.

    Args:
        log: The log of the sessions.
        place: Where to: a directory, or a store.
        key: Signs; it must have signed what is there already, or one of `trusted` must.
        trusted: Keys that have signed it before this one did.
    """

    def __init__(self, log: HasEvents, place: Place, key: SigningKey, trusted: Iterable[VerifierKey] = ()) -> None:
        self._log, self._store, self._key = log._events, store_at(place), key
        self._trusted = (key.verifier, *trusted)
        self._last: Checkpoint | None = None

    def seal(self, progress: Progress = lambda done, total: None, *, everything: bool = False) -> SealSummary:
        """Seal what changed since the seal before.

        Args:
            progress: Called with how many sessions were looked at, and how many there are to look at.
            everything: Look at all sessions, not only at those that were active since: also finds what was missed
                because clocks went wrong, or because a session was put there by other means than an append.

        Raises:
            SealBusyError: When another one seals there.
            SealMismatchError: When the seals there are of another namespace, or under another name.
            SealDamagedError: When what is there is not what was sealed.
            SealUnwritableError: When the place cannot be used.
        """
        with self._store.locked():
            known = self._known()
            known, finished = self._finished(known)
            self._refuse_set_back(known)
            found = changes_since(self._log, known, progress, everything)
            if found.records:
                known = self._add(known, found)
            sealed = [record.is_deleted for record in found.records]
            self._last = checkpoint = known.checkpoint if known else None
            counts = len(sealed) - sum(sealed), sum(sealed)
            return SealSummary(checkpoint, *counts, found.skipped, finished)

    def _known(self) -> SealedLog | None:
        if self._store.read(CHECKPOINT) is None:
            return None
        known = SealedLog(self._store, self._trusted)
        known.check_namespace(self._log.keyspace.namespace)
        if known.checkpoint.origin != self._key.name:
            raise SealMismatchError(self._store.place, "the key", self._key.name, known.checkpoint.origin)
        return known

    def _refuse_set_back(self, known: SealedLog | None) -> None:
        """To go on from an older checkpoint would be to sign another tree of a size that was signed already."""
        if self._last is None and (later := set_back(self._store, self._trusted)):
            raise SealDamagedError(CHECKPOINT, f"it was set back: {later[0]} tells of more records")
        if self._last is not None and known is None:
            raise SealDamagedError(CHECKPOINT, f"it is gone, and with it {self._last.size} records that were sealed")
        if self._last is not None and known is not None:
            known.check(self._last, "the checkpoint that was signed last")

    def _add(self, known: SealedLog | None, found: Changes) -> SealedLog:
        """Write what changed: first what is to be done, then do it."""
        size, leaves = (len(known) if known else 0), [record.to_bytes() for record in found.records]
        namespace = self._log.keyspace.namespace
        leaves.append(SealMark(namespace, found.time, size, found.clocks).to_bytes())
        checkpoint = self._grown(size, leaves)[0].signed(self._key)
        note = checkpoint.note.encode()
        content = len(note).to_bytes(LENGTH_BYTES, "big") + note + packed(leaves)
        if not self._store.create(pending_name(size), content):
            # Where nobody can be kept from sealing at the same time.
            raise SealBusyError(self._store.place)
        return self._put_in_place(size, checkpoint, leaves)

    def _finished(self, known: SealedLog | None) -> tuple[SealedLog | None, int]:
        """Finish what was begun and not finished: more than once where nothing that is pending can be removed."""
        finished = 0
        while (raw := self._store.read(pending_name(size := len(known) if known else 0))) is not None:
            checkpoint, leaves = self._begun(size, raw)
            known = self._put_in_place(size, checkpoint, leaves)
            finished += len(leaves) - 1
        if known:
            # Of one that was interrupted when all was done but this.
            self._store.discard(pending_name(known.mark.after))
        return known, finished

    def _begun(self, size: int, raw: bytes) -> tuple[Checkpoint, list[bytes]]:
        name, note = pending_name(size), packed_checkpoint(raw)
        checkpoint, leaves = Checkpoint.parse(note, name), unpacked(raw[LENGTH_BYTES + len(note) :], name)
        if not checkpoint.signed_by(self._trusted, name):
            raise SealKeyError(name, "it is signed by another key; give that one as trusted, too")
        expected = self._grown(size, leaves)[0]
        if not leaves or replace(checkpoint, note="") != expected:
            raise SealDamagedError(name, "its records are not those that its checkpoint is of")
        return checkpoint, leaves

    def _grown(self, size: int, leaves: list[bytes]) -> tuple[Checkpoint, dict[str, bytes]]:
        """The checkpoint with some records more, and the files for them."""
        files = grown(Tiles(self._store.read, size), leaves)
        tree = Tiles(overlaid(self._store.read, files), size + len(leaves))
        return Checkpoint(self._key.name, tree.size, tree.root()), files

    def _put_in_place(self, size: int, checkpoint: Checkpoint, leaves: list[bytes]) -> SealedLog:
        for name, content in self._grown(size, leaves)[1].items():
            create_once(self._store, name, content)
        note = checkpoint.note.encode()
        create_once(self._store, archived_name(checkpoint.size), note)
        self._store.replace(CHECKPOINT, note)
        for name in (pending_name(size), *outgrown(size, checkpoint.size)):
            self._store.discard(name)
        return SealedLog(self._store, self._trusted)
