"""Where keys come from: a file for the one that signs, text or a file for those that check."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import SealKeyError
from ..files import create_file, open_named
from .note import SigningKey, VerifierKey

_LONGEST = 64_000


def signing_key(file: str | Path) -> SigningKey:
    """The key in a file: one line, as `make_key_file` writes it.

    Raises:
        SealKeyError: When it cannot be read, or has no private key.
    """
    lines = _lines(str(file))
    if len(lines) != 1:
        raise SealKeyError(str(file), "it has not one key, in one line; `session-log seal --new-key FILE` makes one")
    try:
        return SigningKey.parse(lines[0])
    except SealKeyError as error:
        raise SealKeyError(str(file), error.reason) from error


def make_key_file(file: str | Path, name: str) -> SigningKey:
    """Make a key that signs, in a file that nobody else can read.

    Args:
        file: The file, which is not there yet.
        name: The name of the key, and of the log it will sign; like `example.com/agents`.

    Raises:
        SealKeyError: When the file is there already, or cannot be written, or the name cannot be one.
    """
    key, path = SigningKey.make(name), Path(file).expanduser()
    try:
        is_new = create_file(path, f"{key.to_text()}\n".encode(), 0o600)
    except OSError as error:
        raise SealKeyError(str(file), f"cannot be written: {error.strerror or error}") from error
    if not is_new:
        raise SealKeyError(str(file), "it is there already; a key that is gone cannot be made again")
    return key


def verifier_keys(given: Iterable[str]) -> tuple[VerifierKey, ...]:
    """The keys that check, from their texts or from files that have one a line.

    Raises:
        SealKeyError: When one of them is none, and no file either.
    """
    return tuple(key for one in given for key in _verifiers(one))


def _verifiers(given: str) -> list[VerifierKey]:
    if given.count("+") >= 2 and not Path(given).is_file():
        return [VerifierKey.parse(given)]
    lines = _lines(given)
    if not lines:
        raise SealKeyError(given, "it has no key")
    return [_verifier(line, given) for line in lines]


def _verifier(line: str, file: str) -> VerifierKey:
    try:
        return SigningKey.parse(line).verifier if line.startswith("PRIVATE+") else VerifierKey.parse(line)
    except SealKeyError as error:
        raise SealKeyError(file, error.reason) from error


def _lines(file: str) -> list[str]:
    """What a file has, but for empty lines and those that begin with `#`."""
    try:
        with open_named(Path(file).expanduser()) as opened:
            text = opened.read(_LONGEST).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SealKeyError(file, f"cannot be read: {reason}") from error
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
