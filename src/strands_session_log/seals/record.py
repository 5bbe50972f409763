"""What a log of seals is made of: a line of JSON for each session that changed, and one at the end of each seal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from .. import chain
from ..errors import InvalidIdError, SealDamagedError
from ..ids import EventId, check_id, milliseconds

VERSION = 1
"""Of the format of records."""
LONGEST = 65_535
"""Bytes of a record: entry bundles have two bytes for its length."""
DELETED = b'"deleted":true}'
"""How those of deletions end."""
MOST_MS = 10**14
"""No time in a record reaches it."""

_SESSION, _AFTER_SESSION = b'{"session":', b',"revision":'
_NUMBER = "(0|[1-9][0-9]{0,13})"
_RECORD = re.compile(
    rf'''\{{"session":("(?:[^"\\]|\\.)+"),"revision":{_NUMBER},"id":"{_NUMBER}-{_NUMBER}",'''.encode()
    + rb""""link":"([A-Za-z0-9_-]{43}|)","time":"([0-9T:.-]{23}Z)"(,"deleted":true)?\}"""
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def is_link(text: str, may_lack: bool) -> bool:
    """Whether something is a link; or, where it may lack, nothing."""
    return bool(chain.exactly(text, chain.LINK_BYTES)) or (may_lack and not text)


def now() -> str:
    """The time of this machine, as it stands in records."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """The same in milliseconds since the epoch."""
    return milliseconds(datetime.now(timezone.utc))


def hashed(session_id: str) -> str:
    """What stands for the id of a session whose tombstone was reduced."""
    return f"sha256:{sha256(session_id.encode()).hexdigest()}"


def beginning(session_id: str) -> bytes:
    """How every record of a session begins."""
    return orjson.dumps({"session": session_id})[:-1] + b","


@dataclass(frozen=True, slots=True)
class SealRecord:
    """Where a session stood when it was sealed; or, once, that it was deleted.

    Attributes:
        session_id: The session; `sha256:<hex>` of it if its tombstone was reduced before it was sealed.
        revision: How many events it had.
        id: The last of them; of a deletion its time, and the revision.
        link: The hash chain there, base64url; empty where a deleted session's head did not tell.
        time: When it was sealed, by the clock of who sealed it: RFC 3339.
        is_deleted: Whether it was deleted then.
    """

    session_id: str
    revision: int
    id: EventId
    link: str
    time: str
    is_deleted: bool = False

    def to_bytes(self) -> bytes:
        """Its one spelling."""
        fields: dict[str, Any] = {"session": self.session_id, "revision": self.revision, "id": str(self.id)}
        fields |= {"link": self.link, "time": self.time}
        return orjson.dumps({**fields, "deleted": True} if self.is_deleted else fields)

    def is_of(self, session_id: str) -> bool:
        """Whether it is about a session."""
        return self.session_id == session_id or (
            self.session_id.startswith("sha256:") and self.session_id == hashed(session_id)
        )


@dataclass(frozen=True, slots=True)
class SealMark:
    """The last record of each seal: of which namespace it is, and up to when its sessions were looked at.

    Attributes:
        namespace: The namespace.
        time: When it was sealed.
        after: How many records there were before.
        clocks: Of each partition, what the clock of its server said before its sessions were looked at.
    """

    namespace: str
    time: str
    after: int
    clocks: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Its one spelling."""
        fields = {"seal": VERSION, "namespace": self.namespace, "time": self.time}
        return orjson.dumps({**fields, "after": self.after, "clocks": list(self.clocks)})


Leaf: TypeAlias = "SealRecord | SealMark"


def parse_leaf(raw: bytes, name: str) -> Leaf:
    """Read a record.

    Args:
        raw: Its bytes.
        name: What it is called in errors.

    Raises:
        SealDamagedError: When it is none, or has another spelling.
    """
    try:
        found = _record(raw) or _mark(raw)
        # Also of members that come twice, in another order, or beside those that are known.
        if found is not None:
            return found
    except (ValueError, TypeError, InvalidIdError):
        pass
    raise SealDamagedError(name, f"{raw[:100]!r} is no record of a seal")


def session_of(raw: bytes) -> bytes:
    """How all records of the same session begin, see `beginning`; nothing of what is no record of one."""
    # No text of JSON has this inside: a quote in it is escaped.
    return raw[: raw.find(_AFTER_SESSION) + 1] if raw.startswith(_SESSION) else b""


def _record(raw: bytes) -> SealRecord | None:
    found = _RECORD.fullmatch(raw)
    if found is None:
        return None
    spelled, revision, ms, number, link, time, deleted = found.groups()
    name, is_deleted = orjson.loads(spelled), deleted is not None
    is_whole = revision == number and is_link(link.decode(), is_deleted) and orjson.dumps(name) == spelled
    id_ = EventId(int(ms), int(number))
    if not is_whole or not _TIME.fullmatch(time.decode()):
        return None
    return SealRecord(check_id("session_id", name), id_.revision, id_, link.decode(), time.decode(), is_deleted)


def _mark(raw: bytes) -> SealMark | None:
    match orjson.loads(raw):
        case {"seal": 1, "namespace": str(name), "time": str(time), "after": int(after), "clocks": list(clocks)}:
            if all(type(ms) is int and 0 <= ms < MOST_MS for ms in clocks) and after >= 0 and _TIME.fullmatch(time):
                found = SealMark(name, time, after, tuple(clocks))
                return found if found.to_bytes() == raw else None
    return None
