"""Who has written a snapshot: with a key, nobody else can write one that is taken.

Without a key the digest tells damage only. Whoever can write to the server can then write a snapshot that says what was
never said; `verify` finds it, since the log says otherwise. See ADR 0023.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from ..errors import SessionLogError
from ..ids import EventId
from .blobs import DamagedError, OtherVersionError, UnauthenticatedError

SnapshotKey: TypeAlias = "bytes | Sequence[bytes]"
"""One key, or several: the first signs, and what any of them signed is taken."""

VERSION = 5
"""Of what is stored and of the fold it comes from: whoever changes what a fold makes of events raises it."""
KEY_BYTES = 32
"""As many as HMAC-SHA-256 has to offer: a shorter key could be tried out."""

_PLAIN, _SIGNED = b"%dd" % VERSION, b"%dm" % VERSION
_SIZE = sha256().digest_size
_PURPOSE = b"strands-session-log snapshot"


class SnapshotPlace(NamedTuple):
    """Where a point of a snapshot stands; what is signed for one is not taken anywhere else.

    Attributes:
        namespace: Of the log.
        session_id: The session.
        point: The event it is the state at.
        link: The hash chain there, base64url.
        erased: The head's erased ranges: one from before an erasure must not be put back.
    """

    namespace: str
    session_id: str
    point: EventId
    link: str
    erased: str


class Authenticator:
    """Seals what is written, and opens what is read.

    Args:
        keys: The first signs, all verify; none to take what anybody has written.

    Raises:
        SessionLogError: When one of them can be no key; none is ever shown.
    """

    def __init__(self, keys: SnapshotKey = ()) -> None:
        several = isinstance(keys, (list, tuple))
        self._keys = tuple(map(check_key, keys if several else [keys]))

    @property
    def has_key(self) -> bool:
        """Whether what it opens was written by somebody who has the key."""
        return bool(self._keys)

    def seal(self, place: SnapshotPlace, blob: bytes) -> bytes:
        """A blob behind `5d` and its SHA-256, or `5m`, its SHA-256 and the HMAC-SHA-256 of place and digest."""
        found = sha256(blob).digest()
        return _SIGNED + found + _mac(self._keys[0], place, found) + blob if self._keys else _PLAIN + found + blob

    def open(self, place: SnapshotPlace, sealed: bytes) -> bytes:
        """The blob that was sealed.

        Raises:
            OtherVersionError: When another version has sealed it.
            UnauthenticatedError: When nobody with one of the keys has sealed it for this place.
            DamagedError: When it is another.
        """
        kind, rest = sealed[: len(_PLAIN)], sealed[len(_PLAIN) :]
        if kind not in (_PLAIN, _SIGNED):
            raise OtherVersionError(f"it begins with {kind!r}, not with {_PLAIN!r} or {_SIGNED!r}")
        found, rest = rest[:_SIZE], rest[_SIZE:]
        mac, blob = (rest[:_SIZE], rest[_SIZE:]) if kind == _SIGNED else (b"", rest)
        if self._keys and not any(hmac.compare_digest(mac, _mac(key, place, found)) for key in self._keys):
            raise UnauthenticatedError("no snapshot key has signed it for this place")
        if sha256(blob).digest() != found:
            raise DamagedError("the digest differs")
        return blob


def _mac(key: bytes, place: SnapshotPlace, found: bytes) -> bytes:
    texts = (str(VERSION), place.namespace, place.session_id, str(place.point), place.link, place.erased)
    parts = (_PURPOSE, *map(str.encode, texts), found)
    # Each behind its length, so that no two places are written alike.
    return hmac.digest(key, b"".join(b"%d:%b" % (len(part), part) for part in parts), "sha256")


def check_key(key: object, name: str = "snapshot_key") -> bytes:
    """Accept a secret that cannot be found by trying.

    Raises:
        SessionLogError: When it is none; names what it was given as, and never shows it.
    """
    if not isinstance(key, (bytes, bytearray)):
        raise SessionLogError(f"{name}: a key is bytes, not {type(key).__name__}: give os.urandom({KEY_BYTES})")
    if len(key) < KEY_BYTES:
        cure = f"take at least {KEY_BYTES} random ones: openssl rand -base64 {KEY_BYTES}"
        raise SessionLogError(f"{name}: a key of {len(key)} bytes can be found by trying; {cure}")
    return bytes(key)
