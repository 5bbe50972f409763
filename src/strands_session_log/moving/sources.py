"""A source as users name it: `file-session:./sessions`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ServerUnavailableError
from ..server import connect, masked, release
from .errors import SourceError, SourceUnavailableError
from .files import FileSessions
from .snapshots import Snapshots
from .stored import Source
from .valkey_sessions import ValkeySessions

_URL_SIGNS = re.compile("//|[@?&;=]")
KINDS = "valkey-session-manager:URL, file-session:DIR or snapshots:DIR"


@contextmanager
def open_source(name: str, retry_for: float = 10.0) -> Iterator[Source]:
    """Open the store that a name stands for, and close it afterwards.

    Args:
        name: `valkey-session-manager:URL` with a URL as for `SessionLog.connect`, `file-session:DIR` or
            `snapshots:DIR`.
        retry_for: For how many seconds a server that is away is waited for.

    Raises:
        SourceError: When it is none of these, or there is no such directory.
        SourceUnavailableError: When the server cannot be reached.
        InvalidUrlError: When the URL is none.
    """
    kind, colon, place = name.partition(":")
    match kind if colon and place else "":
        case FileSessions.origin:
            yield FileSessions(place)
        case Snapshots.origin:
            yield Snapshots(place)
        case ValkeySessions.origin:
            with _sessions_at(place, retry_for) as sessions:
                yield sessions
        case _:
            # Somebody may have left out the kind before a URL, or misspelt it.
            shown = masked(name) if _URL_SIGNS.search(name) else name
            raise SourceError(shown, f"not a place to import from; give {KINDS}")


@contextmanager
def _sessions_at(url: str, retry_for: float) -> Iterator[ValkeySessions]:
    try:
        client = connect(url)
    except ServerUnavailableError as error:
        raise SourceUnavailableError(error.reason) from error
    try:
        yield ValkeySessions(client, retry_for)
    finally:
        release(client)
