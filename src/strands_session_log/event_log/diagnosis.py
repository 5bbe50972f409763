"""What a server holds under our keys: read strictly, or refused with the key, what is wrong, and a cure.

A server may hold anything there. Who reads a session's head or the namespace's `config` must neither go on with junk,
nor fail without a name. Scripts and commands answer junk with words that name no key: which one it is, is looked for
only then, so that what goes well costs nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from ..errors import (
    CorruptKeyError,
    InvalidPointError,
    ServerNotReadyError,
    ServerRefusedError,
    SessionLogError,
    WrongTypeError,
    shown,
)
from ..ids import EventId, Ranges
from ..server import Store, pairs, text
from .chained_batch import Position
from .lineage import ancestors_of, forks_of

T = TypeVar("T")

CURE = "restore it from a backup, or delete the session"

# Lua writes whole numbers below 10^14 out in full; no script goes on from a larger one.
_WHOLE = re.compile(r"[0-9]{1,14}")
_LINK = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST_SHOWN = 60


def parsed(key: str, field: str, value: Any, parse: Callable[[str], T], cure: str = CURE) -> T:
    """Read a field of a hash.

    Args:
        key: The hash.
        field: The field.
        value: What it holds, decoded or not; None when there is none.
        parse: Reads its text; raises `ValueError` where it is not what it should be.
        cure: What to do about it then.

    Raises:
        CorruptKeyError: When the field is missing or cannot be read.
    """
    if value is None:
        raise CorruptKeyError(key, f"it has no field {field!r}", cure)
    try:
        return parse(text(value))
    except ValueError as error:
        held = shown(value)[:_LONGEST_SHOWN]
        raise CorruptKeyError(key, f"its field {field!r} holds {held} ({error})", cure) from error


def whole(value: str) -> int:
    """A whole number from 0 on.

    Raises:
        ValueError: When it is none, or one that no script could go on from.
    """
    if not _WHOLE.fullmatch(value):
        raise ValueError("not a whole number below 10**14")
    return int(value)


def link(value: str) -> str:
    """A link of the hash chain.

    Raises:
        ValueError: When it is not 32 bytes in base64url.
    """
    if not _LINK.fullmatch(value):
        raise ValueError("not 43 characters of base64url")
    return value


def position_of(key: str, reply: Sequence[Any]) -> Position | None:
    """Where a head stands, from its `revision`, `link` and `ms`; None where there is no head.

    Raises:
        CorruptKeyError: When one of them cannot be read.
    """
    if all(value is None for value in reply):
        return None
    revision, at, ms = reply
    id_ = EventId(parsed(key, "ms", ms, whole), parsed(key, "revision", revision, whole))
    return Position(id_, parsed(key, "link", at, link))


def erased_of(key: str, value: Any) -> str:
    """A head's `erased` field, as it stands there; empty where there is none.

    Raises:
        CorruptKeyError: When it is not what it should be.
    """
    if value is None:
        return ""
    parsed(key, "erased", value, Ranges.parse)
    return text(value)


_TYPES = {
    "events": "stream",
    "head": "hash",
    "snapshot": "hash",
    "live": "stream",
    "rewrite": "stream",
    "feed": "stream",
    "sessions": "zset",
    "tombstones": "hash",
    "due": "zset",
    "holds": "zset",
    "subjects": "zset",
}
"""What the keys of a session are; the feed's position may be anything, and is made anew."""
CURES = {
    "snapshot": "delete the key: a snapshot is made anew",
    "live": "delete the key: it holds nothing that lasts",
    "rewrite": "delete the key: an erasure that needs it begins anew",
    "feed": "restore it from a backup, or delete the key: the sessions stay, and the feed begins anew",
    "tombstones": "restore it from a backup, or delete the key: what was deleted before is then forgotten",
    "due": "restore it from a backup, or delete the key and set the times to live anew",
    "holds": "restore it from a backup, or delete the key: what is held stays so, but is not listed",
    "subjects": "restore it from a backup, or delete the key and run `session-log subject reindex`",
    "sessions": "restore it from a backup, or delete the key: a session is listed again with its next event",
    "group": "restore it from a backup, or delete the group, which then begins anew",
    "replay": "delete the key, and have what is parked tried again anew",
    "parked": "restore it from a backup, or delete the key: what was parked is then forgotten",
}
_HEAD = {
    "revision": whole,
    "ms": whole,
    "created": whole,
    "link": link,
    "erased": Ranges.parse,
    "forks": forks_of,
    "ancestors": ancestors_of,
    "parent": str,
    "root": str,
}
_NEEDED = ("revision", "ms", "link")


@contextmanager
def diagnosed(store: Store, *session_ids: str) -> Iterator[None]:
    """Let a call that fails over junk say which key of these sessions holds it.

    Raises:
        CorruptKeyError: Instead of the error, when there is one.
    """
    try:
        yield
    except (ServerRefusedError, ValueError) as error:
        raise_diagnosed(error, store, *session_ids)


def raise_diagnosed(error: Exception, store: Store, *session_ids: str) -> NoReturn:
    """Raise what is wrong with the keys of these sessions, if a call may have failed so over them; else the error."""
    if may_be_junk(error):
        raise_if_corrupt(error, store, *session_ids)
    raise error


def may_be_junk(error: Exception) -> bool:
    """Whether a call may have failed so because of what the keys hold."""
    if isinstance(error, SessionLogError):
        return isinstance(error, (ServerRefusedError, InvalidPointError)) and not isinstance(error, ServerNotReadyError)
    return isinstance(error, ValueError)


def raise_if_corrupt(error: Exception, store: Store, *session_ids: str) -> None:
    """Raise what is wrong with the keys of these sessions, if anything is.

    Raises:
        CorruptKeyError: From the error.
    """
    for session_id in session_ids:
        found = _examine(store.with_retry_for(0), session_id)
        if found is not None:
            raise found from error


@contextmanager
def naming(store: Store, keys: Mapping[str, tuple[str, str]]) -> Iterator[None]:
    """Let a call that fails over a key of another type say which of these it is.

    Args:
        store: Where.
        keys: By key, its type and what to do if it has another.

    Raises:
        WrongTypeError: Instead of the error.
    """
    try:
        yield
    except ServerRefusedError as error:
        found = wrong_type(error, store, keys) if error.is_wrong_type else error
        if found is error:
            raise
        raise found from error


def wrong_type(error: ServerRefusedError, store: Store, keys: Mapping[str, tuple[str, str]]) -> ServerRefusedError:
    """The error, or one that names the key if one of these has another type.

    Args:
        error: What was raised.
        store: Where.
        keys: By key, its type and what to do if it has another.
    """
    with suppress(SessionLogError):
        for key, (type_, cure) in keys.items():
            found = text(store.with_retry_for(0).command("TYPE", key))
            if found not in (type_, "none"):
                return WrongTypeError(key, found, type_, cure)
    return error


def _examine(store: Store, session_id: str) -> CorruptKeyError | None:
    keys = store.keyspace.session(session_id)._asdict()
    try:
        for name, type_ in _TYPES.items():
            found = text(store.command("TYPE", keys[name]))
            if found not in (type_, "none"):
                return WrongTypeError(keys[name], found, type_, CURES.get(name, CURE))
        _check_head(store, keys["head"])
        _check_end(store, keys["events"], CURE)
        _check_end(store, keys["feed"], CURES["feed"])
    except CorruptKeyError as corrupt:
        return corrupt
    except SessionLogError:
        # The server is away by now.
        pass
    return None


def _check_head(store: Store, key: str) -> None:
    held = {name.decode(errors="replace"): value for name, value in pairs(store.command(b"HGETALL", key))}
    for field in _NEEDED if held else ():
        parsed(key, field, held.get(field), str)
    for field, value in held.items():
        parsed(key, field, value, _reader(field))


def _reader(field: str) -> Any:
    if field.startswith("agent:") and field.endswith(":messages"):
        return Ranges.parse
    if field.startswith(("agent:", "multi_agent:")) and field.endswith(":moved"):
        return EventId.parse
    return _HEAD.get(field, str)


def _check_end(store: Store, key: str, cure: str) -> None:
    """Nothing can follow an id with a time that no clock has, and no script can count with it."""
    for entry_id, _ in store.command(b"XREVRANGE", key, "+", "-", "COUNT", 1):
        try:
            _ = [whole(part) for part in text(entry_id).split("-")]
        except ValueError as error:
            raise CorruptKeyError(key, f"it ends with the entry {text(entry_id)} ({error})", cure) from error
