"""Seals made by hand as C2SP and RFC 6962 have them, to show that a verifier knows what these say, not what we do."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    """Who signs: the same key for the same name, every time."""

    name: str

    @property
    def key(self) -> Ed25519PrivateKey:
        """The private key."""
        return Ed25519PrivateKey.from_private_bytes(sha256(self.name.encode()).digest())

    @property
    def public(self) -> bytes:
        """The public key, behind the byte that says of which kind it is."""
        return b"\1" + self.key.public_key().public_bytes_raw()

    @property
    def mark(self) -> bytes:
        """What its signatures begin with."""
        return sha256(self.name.encode() + b"\n" + self.public).digest()[:4]

    @property
    def verifier_key(self) -> str:
        """What others are given."""
        return f"{self.name}+{self.mark.hex()}+{b64encode(self.public).decode()}"

    def sign(self, note: str) -> str:
        """The line of a signature."""
        return f"— {self.name} {b64encode(self.mark + self.key.sign(note.encode())).decode()}\n"


def record(session: str, revision: int, id_: str, link: str) -> bytes:
    """What is sealed of a session."""
    found = {"session": session, "revision": revision, "id": id_, "link": link, "time": "2026-01-01T00:10:00.000Z"}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree of some records, by the definition in RFC 6962."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    half = _half(leaves)
    return sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def path_to(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from a record up to the root, by the definition in RFC 6962."""
    if len(leaves) == 1:
        return []
    half = _half(leaves)
    if index < half:
        return [*path_to(leaves[:half], index), root_of(leaves[half:])]
    return [*path_to(leaves[half:], index - half), root_of(leaves[:half])]


def checkpoint(leaves: Sequence[bytes], *signers: Signer, origin: str = "") -> str:
    """A log of so many records, signed."""
    note = f"{origin or signers[0].name}\n{len(leaves)}\n{b64encode(root_of(leaves)).decode()}\n"
    return f"{note}\n{''.join(signer.sign(note) for signer in signers)}"


def proof(leaves: Sequence[bytes], index: int, signed: str, extra: bytes = b"") -> bytes:
    """That a record stands in a log, as tlog-proof has it."""
    lines = ["c2sp.org/tlog-proof@v1", *([f"extra {b64encode(extra).decode()}"] if extra else []), f"index {index}"]
    return "\n".join([*lines, *(b64encode(one).decode() for one in path_to(leaves, index)), "", signed]).encode()


def _half(leaves: Sequence[bytes]) -> int:
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return half
