"""A log of seals that is there: its checkpoints, its records, and what proves that they are in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ..errors import SealDamagedError, SealMismatchError, SealNotFoundError
from . import merkle
from .checkpoint import Checkpoint, SealProof
from .note import VerifierKey, encoded
from .record import SealMark, SealRecord, beginning, hashed, parse_leaf, session_of
from .store import SealDirectory, SealStore
from .tiles import WIDTH, Tiles

CHECKPOINT = "checkpoint"
LENGTH_BYTES = 4
"""Of the length of a checkpoint in what is pending."""
_NUMBER = re.compile("[1-9][0-9]{0,14}")
Place: TypeAlias = "SealStore | str | Path"
"""Where seals are: a directory, or a store."""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record of a log of seals.

    Attributes:
        index: Its number there, from 0.
        record: What it says.
    """

    index: int
    record: SealRecord


def store_at(place: Place) -> SealStore:
    """The store of a place."""
    return SealDirectory(place) if isinstance(place, (str, Path)) else place


def archived_name(size: int) -> str:
    """Where the checkpoint of a size stays, when others follow."""
    return f"checkpoints/{size}"


def set_back(store: SealStore, keys: Iterable[VerifierKey] = ()) -> list[str]:
    """Checkpoints with more records than `checkpoint` has: there are none, unless that was set back.

    But for the one of a seal that is not finished: it stands there before `checkpoint` does.

    Args:
        store: Where they are.
        keys: Those that may have signed what is not finished.
    """
    # In this order: what is sealed meanwhile has another checkpoint by then.
    names = [name for name in store.names("checkpoints") if _NUMBER.fullmatch(name)]
    raw = store.read(CHECKPOINT)
    size = 0 if raw is None else Checkpoint.parse(raw).size
    later = sorted(number for number in map(int, names) if number > size)
    if later and later == [_pending_size(store, size, tuple(keys))]:
        return []
    return [archived_name(number) for number in later]


def _pending_size(store: SealStore, size: int, keys: tuple[VerifierKey, ...]) -> int | None:
    """How many records there are once what is pending is done, if its checkpoint is signed."""
    raw = store.read(pending_name(size))
    try:
        found = Checkpoint.parse(packed_checkpoint(raw)) if raw is not None else None
        is_signed = found is not None and (not keys or bool(found.signed_by(keys)))
    except SealDamagedError:
        return None
    return found.size if found is not None and is_signed else None


def pending_name(size: int) -> str:
    """Where stands what is to be added to so many records."""
    return f"pending/{size}"


def packed_checkpoint(pending: bytes) -> bytes:
    """The checkpoint in what is pending, which stands there behind its length."""
    return pending[LENGTH_BYTES : LENGTH_BYTES + int.from_bytes(pending[:LENGTH_BYTES], "big")]


class SealedLog:
    """A log of seals, as of its newest checkpoint; what is read of it is held against that.

    Args:
        place: Where it is: a directory, or a store.
        keys: Those that may have signed it. With none, its signatures are not looked at.

    Attributes:
        checkpoint: The checkpoint.
        signed_by: Those of the keys that have signed it.
        mark: Of which namespace it is, and when it was sealed.

    Raises:
        SealNotFoundError: When there is none.
        SealDamagedError: When it is not what was sealed, or signed by none of the keys.
    """

    def __init__(self, place: Place, keys: Iterable[VerifierKey] = ()) -> None:
        self.store, self.keys = store_at(place), tuple(keys)
        raw = self.store.read(CHECKPOINT)
        if raw is None:
            raise SealNotFoundError(self.store.place)
        self.checkpoint = Checkpoint.parse(raw)
        self.signed_by = self._checked(self.checkpoint, CHECKPOINT)
        self._tiles = Tiles(self.store.read, self.checkpoint.size)
        if self._tiles.root() != self.checkpoint.root:
            raise SealDamagedError(CHECKPOINT, "the tree of the records that are there has another root")
        self.mark = self.mark_at(self.checkpoint.size)
        self._newest: dict[bytes, int] | None = None
        self._standing: dict[str, int] | None = None

    def __len__(self) -> int:
        return self.checkpoint.size

    def check_namespace(self, namespace: str) -> None:
        """Refuse to hold it against another log.

        Raises:
            SealMismatchError: When it is of another namespace.
        """
        if self.mark.namespace != namespace:
            raise SealMismatchError(self.store.place, "namespace", namespace, self.mark.namespace)

    def _checked(self, found: Checkpoint, name: str) -> tuple[VerifierKey, ...]:
        signers = found.signed_by(self.keys, name) if self.keys else ()
        if self.keys and not signers:
            wanted = ", ".join(f"{key.name}+{key.id.hex()}" for key in self.keys)
            raise SealDamagedError(name, f"it is not signed by {wanted}")
        return signers

    def mark_at(self, size: int) -> SealMark:
        """The record that ends the seal after which there were so many."""
        if size:
            leaves = self._tiles.bundle((size - 1) // WIDTH)
            found = parse_leaf(leaves[(size - 1) % WIDTH], f"record {size - 1}")
            if isinstance(found, SealMark) and found.after < size:
                return found
        raise SealDamagedError(f"record {size - 1}", "a seal of this log ends with its namespace and time")

    def sizes(self) -> Iterator[int]:
        """The sizes at which it was signed, newest first."""
        size = len(self)
        while size:
            yield size
            size = self.mark_at(size).after

    def bundles(self, first: int = 0) -> Iterator[tuple[int, list[bytes]]]:
        """Its records as they stand there, a bundle at a time with the number of its first one; each was sealed.

        Args:
            first: From the bundle on that has this record.
        """
        for number in range(first // WIDTH, self._tiles.bundles):
            yield number * WIDTH, self._tiles.bundle(number)

    def records(self, first: int = 0) -> Iterator[SealedRecord]:
        """The records of sessions, oldest first, each held against the checkpoint.

        Args:
            first: The number of the first that is wanted.

        Raises:
            SealDamagedError: When one is not what was sealed.
        """
        for start, leaves in self.bundles(first):
            for place, raw in enumerate(leaves, start):
                leaf = parse_leaf(raw, f"record {place}") if place >= first else None
                if isinstance(leaf, SealRecord):
                    yield SealedRecord(place, leaf)

    def records_of(self, session_id: str) -> list[SealedRecord]:
        """Those of one session, oldest first."""
        begin, found = (beginning(session_id), beginning(hashed(session_id))), []
        for start, leaves in self.bundles():
            for place, raw in enumerate(leaves, start):
                if raw.startswith(begin) and isinstance(leaf := parse_leaf(raw, f"record {place}"), SealRecord):
                    found.append(SealedRecord(place, leaf))
        return found

    def _index_of(self, session_id: str) -> int | None:
        """The number of the newest record of a session; all are looked for once, and kept."""
        if self._newest is None:
            places = (
                (session_of(raw), start + at) for start, leaves in self.bundles() for at, raw in enumerate(leaves)
            )
            self._newest = dict(places)
        found = (self._newest.get(beginning(name)) for name in (session_id, hashed(session_id)))
        return max((index for index in found if index is not None), default=None)

    def leaf(self, index: int) -> bytes:
        """A record as it stands there."""
        return self._tiles.bundle(index // WIDTH)[index % WIDTH]

    def proof(self, session_id: str, index: int | None = None) -> SealProof:
        """What proves that a record of a session is in the log, to somebody who has nothing else of it.

        Args:
            session_id: The session.
            index: Which of its records; the newest if left out.

        Raises:
            SealNotFoundError: When it has none.
        """
        number = self._index_of(session_id) if index is None else index
        if number is None:
            raise SealNotFoundError(self.store.place, f"record of session {session_id!r}")
        if not 0 <= number < self.checkpoint.size:
            raise SealNotFoundError(self.store.place, f"record {number}")
        hashes = merkle.inclusion_proof(number, self.checkpoint.size, self._tiles.node)
        return SealProof(self.leaf(number), number, tuple(hashes), self.checkpoint.note)

    def find(self, session_id: str) -> SealProof | None:
        """What proves where a session stood last; None if that is not known. Bundles take it (`export(seals=…)`).

        Not that it was deleted: a seal notes deletions last, also of a session whose id is another's by then.
        """
        if self._standing is None:
            standing = (one for one in self.records() if not one.record.is_deleted)
            self._standing = {placed.record.session_id: placed.index for placed in standing}
        known = self._standing.get(session_id)
        return None if known is None else self.proof(session_id, known)

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """What proves that records were only added between two sizes, see `merkle.extends`.

        Args:
            old: The size of the one checkpoint.
            new: That of the other; that of the newest if left out.

        Raises:
            SealNotFoundError: When the log never had so many records.
        """
        last = self.checkpoint.size if new is None else new
        if not 0 <= old <= last <= self.checkpoint.size:
            raise SealNotFoundError(self.store.place, f"{max(old, last)} records, but {self.checkpoint.size}")
        return merkle.consistency_proof(old, last, self._tiles.node)

    def consistency_text(self, old: int) -> str:
        """The same up to the newest checkpoint, with that, as C2SP's tlog-witness takes it."""
        lines = (f"old {old}", *map(encoded, self.consistency(old)), "")
        return "\n".join(lines) + f"\n{self.checkpoint.note}"

    def root_at(self, size: int) -> bytes:
        """The root of the tree when it had so many records."""
        return merkle.root(size, self._tiles.node)

    def checkpoint_at(self, size: int) -> Checkpoint:
        """The checkpoint that was signed at a size, held against the records.

        Raises:
            SealNotFoundError: When none was signed then, or it is gone.
            SealDamagedError: When it is not signed, or of another history.
        """
        name = archived_name(size)
        raw = self.store.read(name)
        if raw is None:
            raise SealNotFoundError(self.store.place, name)
        found = Checkpoint.parse(raw, name)
        self._checked(found, name)
        self.check(found, name)
        return found

    def check(self, other: Checkpoint, name: str) -> None:
        """Hold a checkpoint that was kept elsewhere against the log: whether the log only had records added since.

        Args:
            other: The checkpoint.
            name: What it is called in errors.

        Raises:
            SealDamagedError: When the log has another history.
        """
        if other.origin != self.checkpoint.origin:
            raise SealMismatchError(self.store.place, "the log", other.origin, self.checkpoint.origin)
        if other.size > self.checkpoint.size:
            raise SealDamagedError(
                CHECKPOINT, f"it has {self.checkpoint.size} records, and {name} {other.size}: records were taken away"
            )
        if self.root_at(other.size) != other.root:
            raise SealDamagedError(
                CHECKPOINT, f"its first {other.size} records are not those of {name}: the history was rewritten"
            )


Seals: TypeAlias = "Place | SealedLog"
"""Seals, or where they are."""
