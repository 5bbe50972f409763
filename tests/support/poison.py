"""Snapshots as somebody writes them who can write to the server: all that needs no key is right about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strands_session_log import SessionLog
from strands_session_log.ids import EventId
from strands_session_log.server import text
from strands_session_log.snapshot import Authenticator, SnapshotPlace
from strands_session_log.snapshot.blobs import compress, decompress, digest, pack, unpack
from support.clients import client_of

NOWHERE = SnapshotPlace("", "", EventId(0, 0), "", "")

Fields = dict[str, bytes]


def snapshot_key_of(log: SessionLog, session: str = "s") -> str:
    """The key of a session's snapshot."""
    return log._events.keyspace.session(session).snapshot


def fields_of(log: SessionLog, session: str = "s") -> Fields:
    """The fields of a session's snapshot."""
    key = snapshot_key_of(log, session)
    return {
        text(name): log.client.execute_command("HGET", key, name, NEVER_DECODE=True)
        for name in client_of(log).hkeys(key)
    }


def put(log: SessionLog, fields: Fields, session: str = "s") -> None:
    """Put these fields in the place of those there are."""
    key = snapshot_key_of(log, session)
    log.client.execute_command("DEL", key)
    if fields:
        log.client.execute_command("HSET", key, *(part for pair in fields.items() for part in pair))


def opened(manifest: bytes) -> Any:
    """What a manifest says."""
    return unpack(Authenticator().open(NOWHERE, manifest))


def sealed(data: Any) -> bytes:
    """A manifest that says this, with the right digest."""
    return Authenticator().seal(NOWHERE, pack(data))


def repacked(fields: Fields, change: Callable[[bytes], bytes]) -> Fields:
    """The fields with the text of every segment changed, and all that is computed from it."""
    names = [name for name in fields if name.startswith("segment:")]
    changed = {name: compress(change(decompress(fields[name]))) for name in names}
    digests = {digest(fields[name]): digest(blob) for name, blob in changed.items()}
    points = {}
    for name, blob in fields.items():
        if name.startswith("point:"):
            data = opened(blob)
            for agent in data["agents"]:
                agent["parts"] = [[part[0], digests.get(part[1], part[1]), *part[2:]] for part in agent["parts"]]
            points[name] = sealed(data)
    return {**fields, **changed, **points}
