"""Where the key for snapshots comes from: as bytes, or from a file that the URL or the environment names.

Never the key itself in either of them: URLs and environments are logged, and shown in lists of processes.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SessionLogError
from ..files import open_named
from ..server import key_file_of
from .authentication import Authenticator, SnapshotKey, check_key

KEY_FILE_VARIABLE = "SESSION_LOG_SNAPSHOT_KEY_FILE"


def authenticator(given: SnapshotKey | None) -> Authenticator:
    """What snapshots are sealed and opened with.

    Args:
        given: The keys; None for those in the file the environment names, if it does.

    Raises:
        SessionLogError: When there is no such file, or something in it can be no key.
    """
    if given is not None:
        return Authenticator(given)
    file = os.environ.get(KEY_FILE_VARIABLE)
    return Authenticator(keys_in(file, KEY_FILE_VARIABLE) if file else ())


def keys_for(url: str) -> SnapshotKey | None:
    """The keys in the file a URL names (`?snapshot_key_file=/path`); None if it names none.

    Raises:
        SessionLogError: When there is no such file, or something in it can be no key.
    """
    file = key_file_of(url)
    return keys_in(file, "snapshot_key_file") if file else None


def keys_in(file: str, named_by: str, name: str = "snapshot_key") -> list[bytes]:
    """The keys in a file, one a line; the first signs. Empty lines, and those that begin with `#`, do not count.

    Args:
        file: Its path.
        named_by: What names it, for the error.
        name: What the keys are, likewise.

    Raises:
        SessionLogError: When it cannot be read, has no key, or one that can be none.
    """
    try:
        with open_named(Path(file).expanduser()) as opened:
            lines = [line.strip() for line in opened.read().splitlines()]
    except OSError as error:
        raise SessionLogError(f"{named_by}={file!r} cannot be read: {error.strerror or error}") from error
    keys = [line for line in lines if line and not line.startswith(b"#")]
    if not keys:
        raise SessionLogError(f"{named_by}={file!r} has no key: write one a line (openssl rand -base64 32 > {file})")
    try:
        for key in keys:
            check_key(key, name)
    except SessionLogError as error:
        raise SessionLogError(f"{named_by}={file!r}: {error}") from error
    return keys
