"""Signed notes as C2SP has them (https://c2sp.org/signed-note): text, and lines with Ed25519 signatures under it.

Keys are written as Go's `golang.org/x/mod/sumdb/note` writes them, so that other tools read them:
`PRIVATE+KEY+<name>+<id>+<base64>` and, to be given to everybody, `<name>+<id>+<base64>`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from os import urandom
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError, SealDamagedError, SealKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\1"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_ID_BYTES = 4
_PRIVATE = "PRIVATE+KEY+"
_LONGEST_KEY, _LONGEST_NOTE, _MOST_SIGNATURES = 1_000, 100_000, 100
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE = re.compile(r"\u2014 (\S+) (\S+)")


def decoded(text: str) -> bytes | None:
    """The bytes of base64 (RFC 4648, section 4) in its one spelling; None where it is none, or has another."""
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return None
    return found if b64encode(found).decode() == text else None


def encoded(raw: bytes) -> str:
    """Base64 as RFC 4648, section 4, has it."""
    return b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """What everybody may have: checks the signatures of one key.

    Attributes:
        name: The name of the key, which is that of the log it signs.
        public: The Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The first 4 bytes of a hash of all of it; with the name, it tells keys apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `<name>+<id>+<base64>`.

        Raises:
            SealKeyError: When it is none.
        """
        return cls(*_parts(text.strip(), "a verifier key", "<name>+<id>+<base64>", lambda name, raw: cls(name, raw).id))

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encoded(_ED25519 + self.public)}"

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether a signature of this text is this key's."""
        ed25519 = _ed25519()
        from cryptography.exceptions import InvalidSignature

        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """What signs; keep it where no administrator of the server can read it.

    Attributes:
        name: The name of the key, which becomes that of the log it signs.
        seed: The Ed25519 private key, 32 bytes.
    """

    name: str
    seed: bytes

    @classmethod
    def make(cls, name: str) -> SigningKey:
        """A new one.

        Raises:
            SealKeyError: When the name cannot be one.
        """
        if not _NAME.fullmatch(name):
            raise SealKeyError(repr(name), "no name for a key: it has a blank, a plus or nothing; like example.com/log")
        return cls(name, urandom(_KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read `PRIVATE+KEY+<name>+<id>+<base64>`.

        Raises:
            SealKeyError: When it is none; the text is not told.
        """
        form, text = f"{_PRIVATE}<name>+<id>+<base64>", text.strip()
        if not text.startswith(_PRIVATE):
            raise SealKeyError("the key", f"no private key: it is one line, {form}")
        found = _parts(text.removeprefix(_PRIVATE), "a private key", form, lambda *one: cls(*one).verifier.id, True)
        return cls(*found)

    @property
    def verifier(self) -> VerifierKey:
        """What checks its signatures."""
        return VerifierKey(self.name, self._private().public_key().public_bytes_raw())

    def to_text(self) -> str:
        """One line, as it stands in its file."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{encoded(_ED25519 + self.seed)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def sign(self, text: str) -> str:
        """The note of a text that ends with a line end."""
        signature = self.verifier.id + self._private().sign(text.encode())
        return f"{text}\n\u2014 {self.name} {encoded(signature)}\n"

    def _private(self) -> Ed25519PrivateKey:
        private: Ed25519PrivateKey = _ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)
        return private


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note that was read; what it says counts only if a key that is trusted has signed it.

    Attributes:
        text: What was signed, with its last line end.
        signatures: Name and id of each key that is said to have signed, and the signature.
    """

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, raw: bytes, name: str) -> SignedNote:
        """Read a note.

        Args:
            raw: All of it.
            name: What it is called in errors.

        Raises:
            SealDamagedError: When it is none.
        """
        try:
            whole = raw.decode() if len(raw) <= _LONGEST_NOTE else ""
        except UnicodeDecodeError:
            whole = ""
        text, blank, below = whole.rpartition("\n\n")
        lines = below.split("\n")
        if not blank or lines.pop() or not 0 < len(lines) <= _MOST_SIGNATURES or _CONTROL.search(whole):
            raise SealDamagedError(name, "it is no signed note: text, an empty line, and signatures")
        return cls(f"{text}\n", tuple(_signature(line, name) for line in lines))

    def signed_by(self, keys: Iterable[VerifierKey], name: str) -> tuple[VerifierKey, ...]:
        """Those of some keys that have signed it; signatures of others say nothing.

        Args:
            keys: Those that are trusted.
            name: What the note is called in errors.

        Raises:
            SealDamagedError: When a signature says that it is by one of them, and is not.
        """
        known = {(key.name, key.id): key for key in keys}
        found = []
        for signer, key_id, signature in self.signatures:
            key = known.get((signer, key_id))
            if key is not None and not key.has_signed(self.text.encode(), signature):
                raise SealDamagedError(name, f"the signature is not by {key}, as it says")
            found += [key] if key is not None else []
        return tuple(found)


def _signature(line: str, name: str) -> tuple[str, bytes, bytes]:
    found = _LINE.fullmatch(line)
    raw = decoded(found[2]) if found else None
    if found is None or raw is None or len(raw) <= _ID_BYTES or not _NAME.fullmatch(found[1]):
        raise SealDamagedError(name, "a line below its text is no signature")
    return found[1], raw[:_ID_BYTES], raw[_ID_BYTES:]


def _parts(
    text: str, what: str, form: str, id_of: Callable[[str, bytes], bytes], is_secret: bool = False
) -> tuple[str, bytes]:
    """Name and bytes of a key."""
    source = "the key" if is_secret or len(text) > _LONGEST_KEY else repr(text)
    name, _, rest = text.partition("+")
    key_id, _, data = rest.partition("+")
    raw = decoded(data) if len(text) <= _LONGEST_KEY else None
    if raw is None or not _NAME.fullmatch(name):
        raise SealKeyError(source, f"not {what}: it is one line, {form}")
    if raw[:1] != _ED25519 or len(raw) != 1 + _KEY_BYTES:
        raise SealKeyError(source, f"{what} of another kind: only Ed25519 is known (type 1, 32 bytes)")
    if id_of(name, raw[1:]).hex() != key_id:
        raise SealKeyError(source, f"not {what}: its id is not that of its name and bytes; was it cut off?")
    return name, raw[1:]


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cryptography":
            raise
        raise MissingExtraError("seal", "signing, and checking signatures") from error
    return ed25519
