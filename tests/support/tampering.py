"""What an attacker does who may write anything to the server: entries changed, sessions moved, chains recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from strands_session_log import SessionLog, chain
from strands_session_log.codec import FIELDS
from strands_session_log.server import text

Fields = dict[str, bytes]
"""The fields of an entry by name."""

_CLEAR = ("type", "agent", "event", "time", "v", "trace", "retained")


def entries_of(log: SessionLog, session_id: str = "s") -> list[tuple[str, Fields]]:
    """The entries of a session."""
    found = log._events.entries(session_id)
    return [(text(id_), {text(name): bytes(value) for name, value in fields.items()}) for id_, fields in found]


def put(log: SessionLog, key: str, entries: Iterable[tuple[str, Mapping[str, bytes] | Sequence[Any]]]) -> None:
    """Put a stream in place of the one that is there; fields may be names and values in turn."""
    log.client.execute_command("DEL", key)
    for id_, fields in entries:
        flat = [part for pair in fields.items() for part in pair] if isinstance(fields, Mapping) else fields
        log.client.execute_command("XADD", key, id_, *flat)


def tamper(
    log: SessionLog, revision: int, change: Callable[[Fields], Mapping[str, bytes]], session_id: str = "s"
) -> None:
    """Rewrite one entry, and nothing else."""
    changed = [
        (id_, change(fields) if number == revision else fields)
        for number, (id_, fields) in enumerate(entries_of(log, session_id), 1)
    ]
    put(log, log._events.keyspace.session(session_id).events, changed)


def forge_erased(fields: Fields, body: bytes) -> Fields:
    """An entry with another body, passed off as erased; `%s` in it is the real commitment."""
    if fields["salt"]:
        real = chain.to_text(chain.commitment(chain.from_text(fields["salt"]), fields["body"]))
    else:
        real = fields["body"]
    return {**fields, "salt": b"", "body": body.replace(b"%s", real)}


def rechained(entries: Sequence[tuple[str, Fields]], root: str = "s") -> list[tuple[str, Fields]]:
    """The entries with the links that follow from what they hold, bases included, as a forger makes them."""
    link, before, base, made = chain.genesis(root), "0-0", "0-0", list[tuple[str, Fields]]()
    for revision, (id_, fields) in enumerate(entries, 1):
        is_of_batch = bool(made) and fields["base"] == entries[revision - 2][1]["base"]
        base = base if is_of_batch else before
        clear = [fields[name] for name in _CLEAR]
        salt = chain.from_text(fields["salt"])
        commitment = chain.commitment(salt, fields["body"]) if salt else chain.from_text(fields["body"])
        link = chain.link(link, base.encode(), revision, clear, commitment)
        made.append((id_, {**fields, "base": base.encode(), "link": chain.to_text(link)}))
        before = id_
    return made


def forge_all(log: SessionLog, entries: Sequence[tuple[str, Fields]], session_id: str = "s") -> None:
    """Put entries in place of a session, chained anew, with a head and a directory that fit; the feed is left alone."""
    made, keys = rechained(entries, session_id), log._events.keyspace.session(session_id)
    put(log, keys.events, made)
    ms, _, revision = made[-1][0].partition("-")
    head = {"revision": revision, "ms": ms, "link": made[-1][1]["link"], "created": made[0][0].partition("-")[0]}
    log.client.execute_command("HSET", keys.head, *(part for pair in head.items() for part in pair))
    log.client.execute_command("ZADD", keys.sessions, ms, session_id)


def moved_by(ms: int, entries: Sequence[tuple[str, Fields]]) -> list[tuple[str, Fields]]:
    """The entries at another time, by the server's clock."""
    return [(f"{int(id_.partition('-')[0]) + ms}-{id_.partition('-')[2]}", fields) for id_, fields in entries]


def flat(fields: Mapping[str, bytes]) -> list[Any]:
    """Names and values in turn."""
    assert [name.encode() for name in fields] == list(FIELDS)
    return [part for pair in fields.items() for part in pair]
