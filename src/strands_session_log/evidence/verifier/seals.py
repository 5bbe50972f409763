"""That a session stands in a log of seals: C2SP tlog-proof, inclusion by RFC 6962, Ed25519 by RFC 8032."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256, sha512
from typing import NamedTuple

from .archive import UnreadableBundleError
from .texts import padded_bytes_of, quoted

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_SIGNATURE = re.compile("— ([^ +\n]+) ([A-Za-z0-9+/]+=*)")
_ED25519 = 1
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]


class SealKey(NamedTuple):
    """Who may have signed: a name, the four bytes that a signature begins with, and the public key."""

    name: str
    mark: bytes
    public: bytes


class Inclusion(NamedTuple):
    """What a proof proves: that a record stands in the tree of a checkpoint of this size.

    Attributes:
        size: How many records the tree has.
        signed_by: Which of the given keys signed the checkpoint; None where none was given, or none of them did.
    """

    size: int
    signed_by: str | None


def key_of(text: str) -> SealKey:
    """Read a verifier key, `<name>+<hash>+<key>`, see c2sp.org/signed-note.

    Raises:
        UnreadableBundleError: When it is none.
    """
    try:
        name, mark, encoded = text.split("+", 2)
        raw = padded_bytes_of(encoded)
        key = SealKey(name, sha256(name.encode() + b"\n" + raw).digest()[:4], raw[1:])
        if not name or key.mark.hex() != mark or len(raw) != 33 or raw[0] != _ED25519:
            raise ValueError
    except ValueError:
        raise UnreadableBundleError("argument", f"{quoted(text)} is no verifier key") from None
    return key


def included(proof: bytes, record: bytes, keys: Sequence[SealKey]) -> Inclusion:
    """Check a proof that a record stands in a log.

    Raises:
        ValueError: When it proves nothing.
    """
    told, _, checkpoint = proof.decode().partition("\n\n")
    first, *lines = told.split("\n")
    if lines[:1] and lines[0].startswith("extra "):
        lines.pop(0)
    note, _, signatures = checkpoint.rpartition("\n\n")
    _, size, root, *_ = [*note.split("\n"), "", "", ""]
    index = lines[0][6:] if lines and lines[0].startswith("index ") else ""
    is_one = first == "c2sp.org/tlog-proof@v1" and _NUMBER.fullmatch(index) and _NUMBER.fullmatch(size)
    if not is_one or not signatures.endswith("\n"):
        raise ValueError
    path = [padded_bytes_of(line) for line in lines[1:]]
    if root_of(sha256(b"\0" + record).digest(), int(index), int(size), path) != padded_bytes_of(root):
        raise ValueError
    return Inclusion(int(size), signer(note.encode() + b"\n", signatures[:-1].split("\n"), keys))


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of a tree of so many leaves that one leaf and the hashes beside its way up lead to.

    Raises:
        ValueError: When they lead to none.
    """
    if index >= size:
        raise ValueError
    last, found = size - 1, leaf
    for beside in path:
        if not last or len(beside) != 32:
            raise ValueError
        if index % 2 or index == last:
            found = sha256(b"\1" + beside + found).digest()
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            found = sha256(b"\1" + found + beside).digest()
        index, last = index // 2, last // 2
    if last or index:
        raise ValueError
    return found


def signer(note: bytes, lines: Sequence[str], keys: Sequence[SealKey]) -> str | None:
    """Which of the keys has signed a note; of each, its first signature counts.

    Raises:
        ValueError: When a line is no signature.
    """
    signed = dict[tuple[str, bytes], bytes]()
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise ValueError
        raw = padded_bytes_of(match[2])
        signed.setdefault((match[1], raw[:4]), raw[4:])
    for key in keys:
        if is_signed(key.public, note, signed.get((key.name, key.mark), b"")):
            return key.name
    return None


@lru_cache(maxsize=64)
def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is that of the holder of a key."""
    end = int.from_bytes(signature[32:], "little")
    key, start = _point_of(public), _point_of(signature[:32])
    if len(signature) != 64 or end >= _L or key is None or start is None:
        return False
    factor = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % _L
    base = _point_of((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    one, other = _times(end, base or key), _sum(start, _times(factor, key))
    return all((one[i] * other[2] - other[i] * one[2]) % _P == 0 for i in (0, 1))


def _point_of(raw: bytes) -> _Point | None:
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number % 2**255
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT % _P
    if len(raw) != 32 or y >= _P or x * x % _P != square or (not x and sign):
        return None
    x = _P - x if x % 2 != sign else x
    return x, y, 1, x * y % _P


def _sum(one: _Point, other: _Point) -> _Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]), (one[1] + one[0]) * (other[1] + other[0])
    c, d = 2 * one[3] * other[3] * _D, 2 * one[2] * other[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, point: _Point) -> _Point:
    found: _Point = (0, 1, 1, 0)
    while factor:
        if factor % 2:
            found = _sum(found, point)
        point, factor = _sum(point, point), factor // 2
    return found
