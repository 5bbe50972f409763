"""The script that publishes what is being said: its call, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..errors import SessionEncryptedError
from ..keys import Keyspace
from ..server import Argument, Call, text


class LiveReply(NamedTuple):
    """Which session pieces were to be published for.

    Attributes:
        revision: Where it stands.
        life: Which one it is, see `Life`.
        erased: SHA-1 of what of it was erased.
        deleted_ago: How many seconds ago the last session of this id was deleted; None if none is known of.
    """

    revision: int
    life: str
    erased: str
    deleted_ago: float | None


def call(
    keyspace: Keyspace,
    session_id: str,
    pieces: Iterable[Sequence[Argument]],
    *,
    known: tuple[str, str],
    stay: tuple[int, int],
    forgets: bool,
    is_encrypted: bool,
) -> Call:
    """The call of `LIVE` that publishes pieces of what is being said, if the session is the one that is known.

    Args:
        keyspace: That of the session.
        session_id: The session.
        pieces: Each with its kind, agent, message, sequence, block, tool use id, text, and the revision it follows.
        known: Its life and what of it was erased; empty for any.
        stay: For how many milliseconds a piece stays, and how many stay, about.
        forgets: Whether what is there goes first.
        is_encrypted: Whether the text of the pieces is encrypted.
    """
    keys, how = keyspace.session(session_id), f"{int(forgets)}{int(is_encrypted)}"
    arguments: list[Argument] = [*stay, how, session_id, *known]
    arguments += chain.from_iterable(pieces)
    return (keys.head, keys.live, keys.tombstones), arguments


def reply_of(session_id: str, reply: Any) -> LiveReply | None:
    """What the server answers it; None where there is no session.

    Raises:
        SessionEncryptedError: When content of the session is encrypted, and the text of the pieces is not.
    """
    if reply is None:
        return None
    if reply == b"sealed":
        raise SessionEncryptedError(session_id)
    revision, life_, erased, ago = map(text, reply)
    return LiveReply(int(revision), life_, erased, float(ago) / 1000 if ago else None)
