"""Checkpoints and proofs as C2SP has them: what a log of seals amounts to, signed, and that a record is in it.

See https://c2sp.org/tlog-checkpoint and https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import SealDamagedError
from . import merkle
from .note import SignedNote, SigningKey, VerifierKey, decoded, encoded

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_PROOF = "c2sp.org/tlog-proof@v1"
_LONGEST_PROOF, _MOST_HASHES = 200_000, 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How many records a log of seals had once, and the hash of all of them.

    Attributes:
        origin: The name of the log.
        size: How many records it had.
        root: The root of the Merkle tree of them, 32 bytes.
        note: The signed note that says so; empty where it is not signed yet.
    """

    origin: str
    size: int
    root: bytes
    note: str = ""

    @classmethod
    def parse(cls, raw: bytes, name: str = "checkpoint") -> Checkpoint:
        """Read one; that it is signed by whom it should be, `signed_by` tells.

        Args:
            raw: The signed note.
            name: What it is called in errors.

        Raises:
            SealDamagedError: When it is none.
        """
        note = SignedNote.parse(raw, name)
        origin, size, root, *_ = [*note.text.split("\n"), "", ""]
        hashed = decoded(root)
        if not origin or not _NUMBER.fullmatch(size) or hashed is None or len(hashed) != merkle.HASH_BYTES:
            raise SealDamagedError(name, "it is no checkpoint: a name, a size and a hash, a line each")
        return cls(origin, int(size), hashed, raw.decode())

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encoded(self.root)}\n"

    def signed(self, key: SigningKey) -> Checkpoint:
        """The same, signed."""
        return Checkpoint(self.origin, self.size, self.root, key.sign(self.text))

    def signed_by(self, keys: Iterable[VerifierKey], name: str = "checkpoint") -> tuple[VerifierKey, ...]:
        """Those of some keys that have signed it, see `SignedNote.signed_by`."""
        return SignedNote.parse(self.note.encode(), name).signed_by(keys, name)


@dataclass(frozen=True, slots=True)
class SealProof:
    """That a record is in a log of seals; needs nothing else of that log to be checked.

    Attributes:
        record: The record, byte for byte.
        index: Its number in the log, from 0.
        hashes: What leads from it to the root, 32 bytes each.
        checkpoint: The signed checkpoint with that root.
    """

    record: bytes
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def to_text(self, with_record: bool = False) -> str:
        """The proof as C2SP's tlog-proof has it.

        Args:
            with_record: Whether the record stands in it, as extra data; else that stands elsewhere.
        """
        extra = [f"extra {encoded(self.record)}"] if with_record else []
        lines = (_PROOF, *extra, f"index {self.index}", *map(encoded, self.hashes), "")
        return "\n".join(lines) + f"\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str, record: bytes | None = None, name: str = "the proof") -> SealProof:
        """Read what `to_text` wrote.

        Args:
            text: The proof.
            record: What it is to prove, where that does not stand in it.
            name: What it is called in errors.

        Raises:
            SealDamagedError: When it is no proof.
        """
        above, blank, checkpoint = text[:_LONGEST_PROOF].partition("\n\n")
        version, *lines = above.split("\n")
        if lines and lines[0].startswith("extra "):
            extra = decoded(lines.pop(0).removeprefix("extra "))
            record = extra if record is None else record
        number = (lines or [""])[0].removeprefix("index ")
        hashes = [decoded(line) or b"" for line in lines[1 : 1 + _MOST_HASHES]]
        is_one = version == _PROOF and blank and lines and lines[0] == f"index {number}" and _NUMBER.fullmatch(number)
        if (
            record is None
            or not is_one
            or len(lines) > 1 + _MOST_HASHES
            or any(len(one) != merkle.HASH_BYTES for one in hashes)
        ):
            raise SealDamagedError(name, "it is no proof as https://c2sp.org/tlog-proof has it")
        return cls(record, int(number), tuple(hashes), checkpoint)

    def verify(self, keys: Iterable[VerifierKey] = (), name: str = "the proof") -> Checkpoint:
        """Check that the record is in the log, and the checkpoint signed.

        Args:
            keys: Those that are trusted; with none, the signature is not looked at.
            name: What it is called in errors.

        Returns:
            The checkpoint.

        Raises:
            SealDamagedError: When it proves nothing.
        """
        found, trusted = Checkpoint.parse(self.checkpoint.encode(), name), tuple(keys)
        if not merkle.includes(merkle.leaf_hash(self.record), self.index, found.size, self.hashes, found.root):
            raise SealDamagedError(name, f"it does not lead from the record to the root of the log {found.origin}")
        if trusted and not found.signed_by(trusted, name):
            raise SealDamagedError(name, "it is signed by none of the keys that are trusted")
        return found
