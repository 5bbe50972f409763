"""How long sessions stay: a time to live of their own, and holds, under which nothing of them goes.

Nothing of it is on an append's way. A time to live stands in the session's head, and when it is over in a sorted set of
the partition; whoever sweeps looks there, and the script that deletes compares with the session's last event. A hold is
an event of the session, noted in its head, where the scripts that delete and erase look. See docs/adr/0049.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..errors import (
    InvalidIdError,
    InvalidSettingError,
    SessionHeldError,
    SessionNotFoundError,
    SessionNotHeldError,
)
from ..events import Event, SessionHeld, SessionReleased
from ..events.event import check_text
from ..ids import MAX_MS, EventId, check_id
from ..scripts import retention
from ..scripts.retention import KeptInstead, NotHeld, due_at, holds_in, still_there
from ..scripts.session import AppendReply, Deleted
from ..server import Store, number, pairs, text
from .deleter import Deleter
from .diagnosis import CURES, diagnosed, naming
from .scripted_append import ScriptedAppend

_ATTEMPTS = 100
_PAGE = 1000
LONGEST_TTL = timedelta(days=36_500)
"""A hundred years: longer means that somebody has mistaken the unit."""

Lines = Iterator["tuple[str, int]"]
"""Sessions, each with a time in milliseconds."""


class Retainer:
    """Says of the sessions of one namespace how long they stay; one for any number of threads.

    Args:
        store: See `EventLog`.
        deleter: Deletes sessions.
        append: Appends with a script.
    """

    def __init__(self, store: Store, deleter: Deleter, append: ScriptedAppend) -> None:
        self._store, self._keyspace, self._deleter, self._append = store, store.keyspace, deleter, append

    def hold(self, session_id: str, reason: str, by: str) -> EventId:
        """Hold a session; the event that does.

        Raises:
            SessionNotFoundError: When there is no such session.
            EncryptionError: When its content is encrypted, and why it is held cannot be.
        """
        return self._write(session_id, SessionHeld(_record(reason, by)), ())

    def release(self, session_id: str, holds: Sequence[EventId], reason: str, by: str) -> EventId:
        """End holds of a session; the event that does.

        Raises:
            SessionNotFoundError: When there is no such session.
            SessionNotHeldError: When one of them does not hold it.
        """
        released = SessionReleased({"holds": [str(one) for one in holds], **_record(reason, by)})
        return self._write(session_id, released, holds)

    def _write(self, session_id: str, event: Event, ended: Sequence[EventId]) -> EventId:
        def run(arguments: Sequence[bytes], root: bytes) -> AppendReply | Exception | None:
            reply = retention.hold(self._store, session_id, arguments, root, ended)
            if isinstance(reply, NotHeld):
                return SessionNotHeldError(session_id, ended, self.held(session_id) or ())
            return reply

        return self._append(session_id, event, run)

    def held(self, session_id: str) -> tuple[EventId, ...] | None:
        """The events that hold a session; None if it is not held."""
        keys = self._keyspace.session(session_id)
        with diagnosed(self._store, session_id):
            held, revision = self._store.fields(keys.head, "held", "revision")
        if held is None:
            # Where the head is lost, the list of holds knows.
            return () if revision is None and self._listed(keys.holds, session_id) else None
        return holds_in(text(held))

    def _listed(self, key: str, session_id: str) -> bool:
        return self._store.command("ZSCORE", key, session_id) is not None

    def check_not_held(self, session_id: str) -> None:
        """Refuse to go on with what a hold would refuse later.

        Raises:
            SessionHeldError: When the session is held.
        """
        if (held := self.held(session_id)) is not None:
            raise SessionHeldError(session_id, held)

    def holds(self) -> Lines:
        """The sessions that are held, each with since when, partition by partition."""
        for partition in range(self._keyspace.partitions):
            yield from self._lines(self._keyspace.holds(partition), "holds", "+inf")

    def set_ttl(self, session_id: str, ttl: timedelta | None) -> EventId | None:
        """Say after how long without an event a session may be deleted; None for never.

        Returns:
            When that is as things stand, with revision 0; None if never, or not while it is held.

        Raises:
            InvalidSettingError: When it cannot be so long.
            SessionNotFoundError: When there is no such session.
        """
        ttl_ms = None if ttl is None else ttl_in_ms(ttl)
        with diagnosed(self._store, session_id):
            due = retention.set_ttl(self._store, session_id, ttl_ms)
        if isinstance(due, Deleted):
            raise SessionNotFoundError(session_id)
        return due

    def ttl(self, session_id: str) -> tuple[timedelta | None, datetime | None]:
        """The time to live of a session, and when it was last active, server time; both None where there is none."""
        ttl, last = map(number, self._store.fields(self._keyspace.session(session_id).head, "ttl", "ms"))
        return timedelta(milliseconds=min(ttl, MAX_MS)) if ttl else None, EventId(last, 0).time if last else None

    def delete_due(self, session_id: str, clock_ms: int, reason: str, by: str) -> int | None:
        """Delete a session if its time to live is over, by the server's clock and by this one.

        Returns:
            How many events it had; None where it stays, or is gone.

        Raises:
            SessionHeldError: When it is held.
        """
        return self._delete_if(due_at(clock_ms), session_id, reason, by)

    def delete_unmoved(self, session_id: str, at: EventId, reason: str, by: str) -> int | None:
        """Delete a session if this is its last event; the same is returned and raised."""
        return self._delete_if(still_there(at), session_id, reason, by)

    def _delete_if(self, condition: str, session_id: str, reason: str, by: str) -> int | None:
        with diagnosed(self._store, session_id):
            deleted = self._deleter.delete_if(condition, session_id, reason, by)
        return None if isinstance(deleted, KeptInstead) else deleted

    def due(self, clock_ms: int) -> Lines:
        """The sessions whose time to live may be over by a clock, each with when it was to be, partition by partition.

        What is deleted meanwhile, or has another time by then, is not looked at twice.
        """
        for partition in range(self._keyspace.partitions):
            yield from self._lines(self._keyspace.due(partition), "due", str(clock_ms))

    def _lines(self, key: str, name: str, last: str) -> Lines:
        after = "-inf"
        while page := self._range(key, name, after, last, _PAGE):
            newest = page[-1][1]
            if len(page) == _PAGE:
                # There may be more of the same time than fit.
                page = [line for line in page if line[1] != newest] + self._range(key, name, newest, newest, -1)
            for member, score in page:
                if (session_id := _session(member)) is not None:
                    yield session_id, _ms(score)
            after = f"({newest}"

    def _range(self, key: str, name: str, first: str, last: str, count: int) -> list[tuple[bytes, str]]:
        with naming(self._store, {key: ("zset", CURES[name])}):
            reply = self._store.command(b"ZRANGE", key, first, last, "BYSCORE", "LIMIT", 0, count, "WITHSCORES")
        return [
            (member, text(score) if isinstance(score, (bytes, str)) else repr(score)) for member, score in pairs(reply)
        ]


def ttl_in_ms(ttl: timedelta) -> int:
    """A time to live in milliseconds.

    Raises:
        InvalidSettingError: When it is none, or too long.
    """
    cure = f"give a timedelta of a second at least, and of {LONGEST_TTL.days:,} days at most"
    if not isinstance(ttl, timedelta) or not timedelta(seconds=1) <= ttl <= LONGEST_TTL:
        raise InvalidSettingError("ttl", ttl, cure)
    return ttl // timedelta(milliseconds=1)


def _record(reason: str, by: str) -> dict[str, str]:
    check_text("reason", reason)
    check_text("by", by)
    return {"reason": reason, "by": by}


def _ms(score: str) -> int:
    """A time that anybody may have written."""
    return int(min(max(float(score), 0.0), MAX_MS))


def _session(member: bytes) -> str | None:
    try:
        return check_id("session_id", member.decode())
    except (UnicodeDecodeError, InvalidIdError):
        return None
