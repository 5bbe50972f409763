"""What is kept of the keys of a session, outside Valkey: wrapped keys, and which ones were shredded."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from ..codec.sealed import KEY_ID_BYTES
from ..events.event import now

FORMAT, VERSION = "strands-session-log/keys", 1
_MOST_WRAPPED = 65_536


class KeyRecords(Protocol):
    """Where the records of keys are kept, one for each session: `KeyDirectory`, or a table of your own.

    It must not be in the Valkey that holds the log: a wrapped key there would live on in its files and backups.
    """

    def load(self, session_id: str) -> bytes | None:
        """The record of a session; None when it has none."""

    def replace(self, session_id: str, known: bytes | None, record: bytes) -> bool:
        """Put a record in place of another, and leave nothing of that; durable when it returns.

        Args:
            session_id: The session.
            known: What was loaded; None where there was nothing.
            record: What is to be there.

        Returns:
            False, and nothing changed, when something else is there by now.
        """

    def version(self, session_id: str) -> object:
        """What changes whenever the record does, and is cheap to ask; None to have records read anew after a while."""

    def session_ids(self) -> Iterator[str]:
        """The sessions that have a record."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is kept.

    Attributes:
        id: 16 bytes.
        wrapped: The key, encrypted by the wrapping key.
        wrapper: Which wrapping key that was, as far as the provider names them.
        created_at: When it was made, RFC 3339.
    """

    id: bytes
    wrapped: bytes = field(repr=False)
    wrapper: str
    created_at: str


@dataclass(frozen=True, slots=True)
class ShreddedKey:
    """What is left of a data key that was shredded.

    Attributes:
        id: 16 bytes.
        shredded_at: When, RFC 3339.
        reason: Why.
        by: Who did.
    """

    id: bytes
    shredded_at: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """The keys of one session.

    Attributes:
        session_id: The session.
        keys: Oldest first; the last one encrypts.
        shredded: Those that are gone.
    """

    session_id: str
    keys: Sequence[WrappedKey] = ()
    shredded: Sequence[ShreddedKey] = ()

    @classmethod
    def parse(cls, session_id: str, record: bytes) -> KeyRecord:
        """Read a record.

        Raises:
            ValueError: When it is none, or that of another session.
        """
        try:
            found = orjson.loads(record)
            if (found["format"], found["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is {found['format']!r} of version {found['version']!r}, not {FORMAT!r} {VERSION}")
            if found["session_id"] != session_id:
                raise ValueError(f"it is the record of session {found['session_id']!r}")
            keys = tuple(
                WrappedKey(_id(one), _wrapped(one), *_texts(one, "wrapper", "created_at")) for one in found["keys"]
            )
            shredded = tuple(
                ShreddedKey(_id(one), *_texts(one, "shredded_at", "reason", "by")) for one in found["shredded"]
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no record of keys ({type(error).__name__}: {error})") from error
        ids = [*(one.id for one in keys), *(one.id for one in shredded)]
        if len(set(ids)) != len(ids):
            raise ValueError("it has a key twice")
        return cls(session_id, keys, shredded)

    @property
    def text(self) -> bytes:
        """The record."""
        keys = [
            {"id": one.id.hex(), "wrapped": b64encode(one.wrapped).decode()}
            | {"wrapper": one.wrapper, "created_at": one.created_at}
            for one in self.keys
        ]
        shredded = [
            {"id": one.id.hex(), "shredded_at": one.shredded_at, "reason": one.reason, "by": one.by}
            for one in self.shredded
        ]
        head = {"format": FORMAT, "version": VERSION, "session_id": self.session_id}
        return orjson.dumps(head | {"keys": keys, "shredded": shredded}, option=orjson.OPT_INDENT_2) + b"\n"

    def find(self, key_id: bytes) -> WrappedKey | ShreddedKey | None:
        """A key by its id."""
        found: list[WrappedKey | ShreddedKey] = [*self.keys, *self.shredded]
        return next((one for one in found if one.id == key_id), None)

    def with_key(self, id: bytes, wrapped: bytes, wrapper: str) -> KeyRecord:
        """The same with one more, which encrypts from now on."""
        return replace(self, keys=(*self.keys, WrappedKey(id, wrapped, wrapper, now())))

    def without_keys(self, reason: str, by: str) -> KeyRecord:
        """The same with all of them shredded."""
        at = now()
        gone = (ShreddedKey(one.id, at, reason, by) for one in self.keys)
        return replace(self, keys=(), shredded=(*self.shredded, *gone))


def _id(one: dict[str, Any]) -> bytes:
    found = bytes.fromhex(one["id"])
    if len(found) != KEY_ID_BYTES:
        raise ValueError(f"a key has an id of {len(found)} bytes, not {KEY_ID_BYTES}")
    return found


def _wrapped(one: dict[str, Any]) -> bytes:
    found = b64decode(one["wrapped"], validate=True)
    if not 0 < len(found) <= _MOST_WRAPPED:
        raise ValueError(f"a wrapped key has {len(found)} bytes")
    return found


def _texts(one: dict[str, Any], *names: str) -> list[str]:
    found = [one[name] for name in names]
    if not all(isinstance(value, str) for value in found):
        raise TypeError(f"one of {', '.join(names)} is no text")
    return found
