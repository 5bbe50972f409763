"""The hash chain that lets anyone prove what was said, also after content was erased.

    commitment = SHA-256(salt ‖ body)
    link       = SHA-256(previous link ‖ base ‖ revision ‖ type ‖ agent ‖ event ‖ time ‖ v ‖ trace ‖ retained ‖
                         commitment)

Every part of a link is preceded by its length in bytes (8 bytes, big endian), so no two inputs collide. The first
link of a session follows SHA-256 of the session id. The base is the id of the event that the batch follows: the
server's time, which nobody knows before the append, is proved by the next batch. A body is covered by its commitment
only: removing body and salt and keeping the commitment leaves the chain intact, and the salt keeps short bodies from
being guessed. See docs/adr/0020.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from hashlib import sha256

from .randomness import random_bytes

SALT_BYTES = 16
LINK_BYTES = 32
_LENGTHS = [length.to_bytes(8, "big") for length in range(256)]
"""Most parts of a link are short."""
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


def genesis(session_id: str) -> bytes:
    """The 32 bytes the first link of a session follows."""
    return sha256(session_id.encode()).digest()


def new_salt() -> bytes:
    """16 random bytes, which no other event has."""
    return random_bytes()


def commitment(salt: bytes, body: bytes) -> bytes:
    """What stands for a body in the chain: 32 bytes."""
    return sha256(salt + body).digest()


def link(previous: bytes, base: bytes, revision: int, clear: Iterable[bytes], body_commitment: bytes) -> bytes:
    """The chain up to and including one event.

    Args:
        previous: The link before it, 32 bytes.
        base: The id of the event that its batch follows, `<ms>-<revision>`.
        revision: Its 1-based position.
        clear: `type, agent, event, time, v, trace, retained` as they stand in the entry, UTF-8.
        body_commitment: See `commitment`.

    Returns:
        32 bytes.
    """
    parts = (previous, base, b"%d" % revision, *clear, body_commitment)
    try:
        return sha256(b"".join([_LENGTHS[len(part)] + part for part in parts])).digest()
    except IndexError:
        return sha256(b"".join([len(part).to_bytes(8, "big") + part for part in parts])).digest()


def salted(
    previous: bytes, base: bytes, revision: bytes, clear: Iterable[bytes], body: bytes
) -> tuple[bytes, bytes, bytes]:
    """An event that is to follow, with a salt that no other has: see `link`. Every message waits for this.

    Returns:
        The salt as it stands in its entry, and the link: its bytes, and as it stands there.
    """
    salt = random_bytes()
    parts = (previous, base, revision, *clear, sha256(salt + body).digest())
    try:
        found = sha256(b"".join([_LENGTHS[len(part)] + part for part in parts])).digest()
    except IndexError:
        found = link(previous, base, int(revision), clear, parts[-1])
    return (
        b2a_base64(salt, newline=False).translate(_TO_URL, b"="),
        found,
        b2a_base64(found, newline=False).translate(_TO_URL, b"="),
    )


def to_text(raw: bytes) -> bytes:
    """Base64url without padding (RFC 4648, section 5), as salts and links stand in an entry."""
    return b2a_base64(raw, newline=False).translate(_TO_URL, b"=")


def from_text(text: str | bytes) -> bytes:
    """The reverse of `to_text`.

    Raises:
        ValueError: When the text is not base64url.
    """
    padded = (text.encode() if isinstance(text, str) else text) + b"=="
    return a2b_base64(padded.translate(_FROM_URL))


def exactly(text: str | bytes, size: int) -> bytes:
    """The bytes that `to_text` would write as this very text, if they are so many; else none, which is no salt or link.

    Base64 has several spellings of the same bytes. Only one of them counts, lest an entry be changed unnoticed.
    """
    encoded = text.encode() if isinstance(text, str) else text
    try:
        found = from_text(encoded)
    except ValueError:
        return b""
    return found if len(found) == size and to_text(found) == encoded else b""
