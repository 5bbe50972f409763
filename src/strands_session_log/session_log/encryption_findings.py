"""How the content of a namespace is encrypted, and whether its keys are there; no content is opened for that."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from ..codec import FIELDS, RawEntry
from ..codec.sealed import Frame
from ..encryption import KeyProvider, LocalKeys, is_encrypted, provider
from ..errors import EncryptionError, KeyShreddedError, SessionLogError, WrongKeyError
from ..event_log import EventLog
from ..keys import Keyspace, config_key
from ..server import Finding, Store, text

_Ends: TypeAlias = "tuple[RawEntry | None, RawEntry | None]"

_SALT = 2 * FIELDS.index(b"salt") + 1
_MOST, _PAGE = 10_000, 200
_KEYS, _OTHERS = "session keys", 0o077
_GIVE = "name it with --encryption-keys DIR, or SESSION_LOG_ENCRYPTION_KEYS"


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found of sessions: how many there are, and by the session whose key each has those that are encrypted.

    Attributes:
        total: How many were looked at.
        sealed: How many are encrypted.
        began_clear: Those of them that began in the clear.
        key_ids: By whose key it is, the key of the last event; nothing where that was erased.
    """

    total: int = 0
    sealed: int = 0
    began_clear: list[str] = field(default_factory=list)
    key_ids: dict[str, bytes] = field(default_factory=dict)


def encryption_findings(store: Store, given: KeyProvider | str | None) -> Iterator[Finding]:
    """What there is to say; nothing where neither keys nor encrypted sessions are.

    Args:
        store: The server, and the namespace on it.
        given: Where the keys are, see `encryption.provider`.
    """
    try:
        keys = provider(given)
    except (EncryptionError, SessionLogError) as error:
        yield Finding("error", "key store", str(error))
        keys = None
    if isinstance(keys, LocalKeys):
        yield _key_store(keys)
    try:
        looked = _looked_at(store)
    except SessionLogError as error:
        if keys is not None:
            yield Finding("ok", "encryption", f"unknown: the sessions cannot be looked at: {error}")
        return
    if looked.sealed or (keys is not None and looked.total):
        yield from _encryption(looked)
    if looked.sealed and keys is None:
        yield Finding("warn", _KEYS, "unknown: there is no key store", _GIVE)
    elif keys is not None and looked.key_ids:
        yield from _session_keys(keys, looked.key_ids)


def _key_store(keys: LocalKeys) -> Finding:
    if open_ := [str(path) for path in (keys.path, *sorted(keys.path.rglob("*"))) if _is_open(path, keys.path)]:
        return Finding("error", "key store", f"others may read {_named(open_)}", f"chmod -R go= {keys.path}")
    return Finding("ok", "key store", f"{keys.path}, which only its owner may read")


def _is_open(path: Path, top: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        # Who writes there removes what it has put aside.
        return False
    return bool(mode & _OTHERS) and not stat.S_ISLNK(mode) and (path == top or not stat.S_ISDIR(mode))


def _encryption(looked: _Looked) -> Iterator[Finding]:
    more = f" of those {_MOST:,} that were looked at" if looked.total == _MOST else ""
    clear = looked.total - looked.sealed
    if not clear:
        yield Finding("ok", "encryption", f"all {looked.total:,} sessions are encrypted{more}")
    found = f"{looked.sealed:,} of {looked.total:,} sessions are encrypted, {clear:,} in the clear{more}"
    cure = "give every writer the key store; what they have written stays in the clear until it is erased or deleted"
    if clear:
        yield Finding("warn", "encryption", found, cure)
    if looked.began_clear:
        found = f"{_sessions(looked.began_clear)} began in the clear, and what was said before stands there still"
        yield Finding("warn", "plaintext", found, "erase these events, or delete the sessions")


def _session_keys(keys: KeyProvider, key_ids: dict[str, bytes]) -> Iterator[Finding]:
    judged: dict[str, list[str]] = {"there": [], "missing": [], "shredded": [], "wrong": [], "unknown": []}
    for root, key_id in key_ids.items():
        judged[_judged(keys, root, key_id)].append(root)
    if there := judged["there"]:
        yield Finding("ok", _KEYS, f"those of {_count(there)} are there, and open")
    if shredded := judged["shredded"]:
        yield Finding("ok", _KEYS, f"those of {_sessions(shredded)} were shredded: nobody can read them any more")
    if missing := judged["missing"]:
        cure = "open the key store that they were written with, or restore it from a copy"
        yield Finding("warn", _KEYS, f"those of {_sessions(missing)} are missing here", cure)
    if wrong := judged["wrong"]:
        cure = "restore the master key, or the key store, from a copy"
        yield Finding("error", _KEYS, f"those of {_sessions(wrong)} cannot be opened", cure)
    if unknown := judged["unknown"]:
        yield Finding(
            "error", _KEYS, f"those of {_sessions(unknown)} cannot be had", "look at the key store or service"
        )


def _judged(keys: KeyProvider, root: str, key_id: bytes) -> str:
    try:
        found = keys.find(root, key_id) if key_id else keys.current(root)
    except KeyShreddedError:
        return "shredded"
    except WrongKeyError:
        return "wrong"
    except EncryptionError:
        return "unknown"
    return "missing" if found is None else "there"


def _looked_at(store: Store) -> _Looked:
    namespace = store.keyspace.namespace
    (partitions,) = store.fields(config_key(namespace), "partitions")
    if partitions is None or not partitions.isdigit():
        return _Looked()
    log = EventLog(Store(store.client, Keyspace(namespace, int(partitions)), 0))
    names, looked = islice(log.listing.session_ids(), _MOST), _Looked()
    total = sealed = 0
    while page := list(islice(names, _PAGE)):
        total += len(page)
        heads = log.store.pipeline(
            [("HGET", log.keyspace.session(one).head, "sealed") for one in page], is_lenient=True
        )
        of_page = {one: text(head) for one, head in zip(page, heads, strict=True) if isinstance(head, bytes)}
        sealed += len(of_page)
        _look_into(log, of_page, looked)
    return _Looked(total, sealed, looked.began_clear, looked.key_ids)


def _look_into(log: EventLog, roots: dict[str, str], looked: _Looked) -> None:
    for session_id, (first, last) in _ends_of(log, roots).items():
        # Of what was erased a commitment stands there, and no salt.
        if first is not None and not is_encrypted(first) and first[1][_SALT]:
            looked.began_clear.append(session_id)
        looked.key_ids.setdefault(roots[session_id], b"")
        if last is not None and is_encrypted(last):
            with suppress(ValueError):
                looked.key_ids[roots[session_id]] = Frame.of(last[1][-1]).key_id


def _ends_of(log: EventLog, names: Iterable[str]) -> dict[str, _Ends]:
    """The first and the last entry of each; in a cluster, one slot after the other."""
    together, found = dict[int, list[str]](), dict[str, _Ends]()
    for name in names:
        together.setdefault(log.keyspace.partition(name) if log.store.is_cluster else 0, []).append(name)
    for of_slot in together.values():
        keys = [log.keyspace.session(one).events for one in of_slot]
        asked = [(name, key, start, end, "COUNT", 1) for key in keys for name, start, end in _ENDS]
        replies = map(_entry, log.store.pipeline(asked, is_lenient=True))
        found |= {one: (next(replies), next(replies)) for one in of_slot}
    return found


_ENDS = ((b"XRANGE", "-", "+"), (b"XREVRANGE", "+", "-"))


def _entry(reply: Any) -> RawEntry | None:
    return (reply[0][0], reply[0][1]) if isinstance(reply, list) and reply and reply[0][1] else None


def _sessions(names: list[str]) -> str:
    return f"{_count(names)} ({_named(map(repr, names))})"


def _count(names: list[str]) -> str:
    return f"{len(names):,} session{'' if len(names) == 1 else 's'}"


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3:,} more" if len(listed) > 3 else "")
