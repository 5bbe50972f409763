"""A data key: what the content of one session, and of its forks, is encrypted with."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from ..codec.sealed import KEY_ID_BYTES, NONCE_BYTES, Frame, framed
from ..errors import MissingExtraError
from ..randomness import random_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES = 32
"""AES-256."""
_LENGTHS = [b"%d:" % length for length in range(512)]


def aes(secret: bytes) -> AESGCM:
    """AES-256-GCM with a key.

    Raises:
        MissingExtraError: When `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtraError("encryption", "encryption") from error
    return AESGCM(secret)


def place(purpose: bytes, parts: Sequence[bytes]) -> bytes:
    """Where something encrypted stands, so that it opens nowhere else: each part behind its length."""
    try:
        return purpose + b"".join([_LENGTHS[len(part)] + part for part in parts])
    except IndexError:
        return purpose + b"".join([b"%d:%b" % (len(part), part) for part in parts])


class DataKey:
    """A key, ready to encrypt and decrypt with; neither `repr` nor pickling shows it.

    Args:
        session_id: The session it belongs to; forks of it are encrypted with it, too.
        id: 16 bytes, which stand in the clear beside everything that it encrypts.
        secret: 32 bytes.

    Attributes:
        session_id: The same.
        id: The same.
    """

    __slots__ = ("_aes", "id", "session_id")

    def __init__(self, session_id: str, id: bytes, secret: bytes) -> None:
        if len(id) != KEY_ID_BYTES or len(secret) != SECRET_BYTES:
            raise ValueError(f"a data key has an id of {KEY_ID_BYTES} bytes and a secret of {SECRET_BYTES}")
        self.session_id, self.id, self._aes = session_id, id, aes(secret)

    def seal(self, place: bytes, content: bytes) -> bytes:
        """Encrypt content for one place, under a nonce of its own: of the same content, never the same bytes twice."""
        # A nonce that comes twice would give away what it hides. Should a machine be copied while it runs, and both
        # copies have the same random bytes, it comes twice for the same content in the same place only.
        nonce = sha256(random_bytes() + place + content).digest()[:NONCE_BYTES]
        return framed(self.id, nonce, self._aes.encrypt(nonce, content, place))

    def open(self, place: bytes, frame: Frame) -> bytes | None:
        """The content that was encrypted for this place; None when it was not, or not with this key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aes.decrypt(frame.nonce, frame.ciphertext, place)
        except InvalidTag:
            return None

    def __repr__(self) -> str:
        return f"<data key {self.id.hex()} of session {self.session_id!r}>"

    def __reduce__(self) -> str:
        raise TypeError("a data key does not travel to other processes: open the key store there")


class KeyProvider(Protocol):
    """Where data keys come from. It keeps them outside Valkey, and may be asked from several threads at once.

    A key that it gives out for a session stays the key of what was encrypted with it, under its id, until it is
    shredded. `LocalKeys` and `WrappedKeys` are such providers.
    """

    def current(self, session_id: str) -> DataKey | None:
        """The key that new content of a session is encrypted with; None when it has none yet.

        Raises:
            KeyShreddedError: When its keys were shredded, and it was given no new one.
            EncryptionError: When it cannot be had.
        """

    def create(self, session_id: str) -> DataKey:
        """Give a session that has no key its first; whoever is slower gets that of the one who was quicker.

        Raises:
            EncryptionError: When it cannot be kept.
        """

    def find(self, session_id: str, key_id: bytes) -> DataKey | None:
        """A key of a session by its id; None when it has no such key.

        Raises:
            KeyShreddedError: When it was shredded.
            WrongKeyError: When it is there, but cannot be opened.
            EncryptionError: When it cannot be had.
        """
