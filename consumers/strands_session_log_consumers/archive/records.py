"""What an archive says of a session beside its bundle: a small file that is written once the bundle was read back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from strands_session_log import EventId

FORMAT, VERSION = "strands-session-log/archived-session", 1
BUNDLE, RECORD, GONE = ".zip", ".json", ".gone"
MOST_BYTES = 64 * 1024
"""The largest record that is read."""

_LINK = "[A-Za-z0-9_-]{43}"
_NAME = re.compile(rf"([0-9a-f]{{2}})/([0-9a-f]{{64}})/([0-9]{{14}})-([0-9]{{14}})\.({_LINK})\.json")
_LONGEST = 120


@dataclass(frozen=True, slots=True, order=True)
class ArchivedName:
    """What the name of a record tells: of which session, by a hash of its id, and up to where.

    Attributes:
        at: The last event.
        link: The hash chain there.
        session_hash: SHA-256 of the session's id, hexadecimal.
    """

    at: EventId
    link: str
    session_hash: str

    @classmethod
    def parse(cls, name: str) -> ArchivedName | None:
        """Read the name of a record, from the folder of its namespace on; None if it is none."""
        found = _NAME.fullmatch(name)
        if found is None or found[1] != found[2][:2]:
            return None
        return cls(EventId(int(found[3]), int(found[4])), found[5], found[2])

    @property
    def folder(self) -> str:
        """Where all is that the archive has of the session."""
        return f"{self.session_hash[:2]}/{self.session_hash}"

    @property
    def stem(self) -> str:
        """The name without what tells bundle from record; those of one session come in the order of time."""
        return f"{self.folder}/{self.at.ms:014}-{self.at.revision:014}.{self.link}"

    @property
    def bundle(self) -> str:
        """The name of the bundle."""
        return self.stem + BUNDLE

    @property
    def record(self) -> str:
        """The name of the record."""
        return self.stem + RECORD

    @property
    def gone(self) -> str:
        """The name of a file that says that neither counts any more, where they cannot be removed."""
        return self.stem + GONE


def hash_of(session_id: str) -> str:
    """What stands for a session in names: its id may hold anything, and whom it names is nobody's business."""
    return sha256(session_id.encode()).hexdigest()


def folder_of(namespace: str) -> str:
    """The folder of a namespace: its name where that can be one."""
    quoted = quote(namespace, safe="").replace(".", "%2E").replace("~", "%7E")
    return quoted if len(quoted) <= _LONGEST else sha256(namespace.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ArchivedSession:
    """A session that an archive has.

    Attributes:
        session_id: Its id.
        revision: How many events it had.
        link: The hash chain at the last of them.
        first_link: The hash chain at the first: it tells one life of the id from another.
        last_event: The id of the last.
        created_at: When it began.
        archived_at: When it was archived.
        erased: Of how many events the content had been erased.
        size: How large the bundle is, in bytes.
        is_encrypted: Whether the content is encrypted in it.
        subjects: Whom it is about, by keyed hash, with `~` before it where only some events are; None where nobody
            has noted that.
    """

    session_id: str
    revision: int
    link: str
    first_link: str
    last_event: EventId
    created_at: datetime
    archived_at: datetime
    erased: int
    size: int
    is_encrypted: bool
    subjects: tuple[str, ...] | None = None

    @property
    def name(self) -> ArchivedName:
        """What its files are called."""
        return ArchivedName(self.last_event, self.link, hash_of(self.session_id))

    @property
    def last_event_at(self) -> datetime:
        """When it was last active."""
        return self.last_event.time

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        times = {name: getattr(self, name).isoformat() for name in ("created_at", "archived_at", "last_event_at")}
        return {**asdict(self), "last_event": str(self.last_event), **times, "bundle": self.name.bundle}

    def to_bytes(self) -> bytes:
        """As it is stored."""
        told = {"format": FORMAT, "version": VERSION, **self.to_json()}
        return json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> ArchivedSession | None:
        """Read one; None of what is none, which somebody else has put there."""
        try:
            found = json.loads(content)
        except ValueError:
            return None
        match found:
            case {
                "version": 1,
                "session_id": str(session_id),
                "revision": int(revision),
                "link": str(link),
                "first_link": str(first_link),
                "last_event": str(last_event),
                "created_at": str(created_at),
                "archived_at": str(archived_at),
                "erased": int(erased),
                "size": int(size),
                "is_encrypted": bool(is_encrypted),
            } if found.get("format") == FORMAT:
                pass
            case _:
                return None
        try:
            at, began, then = EventId.parse(last_event), _time(created_at), _time(archived_at)
            session_id.encode()
        except ValueError:
            return None
        about = _texts(found.get("subjects"))
        told = cls(session_id, revision, link, first_link, at, began, then, erased, size, is_encrypted, about)
        return told if at.revision == revision else None


def _texts(found: Any) -> tuple[str, ...] | None:
    is_that = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return tuple(found) if is_that else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(timezone.utc)
