"""Deleting a session, and what stays of it: a tombstone, which says that it was there, never what was said.

A tombstone stands in a hash of the partition under SHA-1 of the session's id, as JSON: one object for each life of the
id, the newest last. The append script looks there when a session begins, for the first link of the very call that began
the one deleted: a late packet of it must not bring the session back. See docs/adr/0021.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from hashlib import sha1, sha256
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

import orjson

from ..errors import ContentionError, SessionHeldError
from ..events.event import check_text
from ..ids import EventId
from ..scripts import bringing_back, retention
from ..scripts.retention import IN_ANY_CASE, KeptInstead, StillHeld, still_the_same
from ..server import Store
from .chained_batch import Position
from .diagnosis import CURES, naming

KEPT = 10_000
"""How many tombstones a partition keeps at least, whatever their age."""
KEPT_MS = 3_600_000
"""For how many milliseconds more than those are kept: longer than any call is repeated."""
MOST = 65_536
"""How many a partition keeps at most, also where very many sessions are deleted at once."""
LIVES = 16
"""How many lives of one id are told of."""

_REDUCED = re.compile("sha256:[0-9a-f]{64}")
_PERSONAL = ("session", "by", "reason")
_ATTEMPTS = 100
_TOMBSTONES = ("hash", CURES["tombstones"])
_PAGE = 1000
_Replaced: TypeAlias = bool | StillHeld


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted session; never content.

    Attributes:
        session_id: Its id; `sha256:<hex>` of it once the tombstone was reduced, as are `by` and `reason`.
        revision: How many events it had.
        link: The hash chain at the last of them, base64url.
        first_link: The hash chain at the first.
        deleted_at: Server time of the deletion, UTC.
        by: Who deleted it, as given.
        reason: Why, as given.
        subjects: The keyed hashes of whom it was about.
        archived: Where an archive has it; empty if it was deleted for good.
    """

    session_id: str
    revision: int
    link: str
    first_link: str
    deleted_at: datetime
    by: str
    reason: str
    subjects: tuple[str, ...] = ()
    archived: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return {**asdict(self), "deleted_at": self.deleted_at.isoformat()}

    @classmethod
    def parse(cls, life: Any) -> Tombstone | None:
        """Read one life of an id; None where that is none, which somebody has put there."""
        match life:
            case {"revision": int(revision), "link": str(link), "first": str(first), "deleted": int(ms)}:
                texts = [str(life.get(name, "")) for name in _PERSONAL]
                try:
                    at = EventId(ms, 0).time.astimezone(timezone.utc)
                except OverflowError:
                    return None
                about = tuple(dict.fromkeys(one.lstrip("~") for one in str(life.get("subjects", "")).split()))
                archived = life.get("archived", "")
                told = archived if type(archived) is str else ""
                return cls(texts[0], revision, link, first, at, texts[1], texts[2], about, told)
        return None


class ReducedPlace(NamedTuple):
    """Where a tombstone stands that was reduced: what it has in place of the id, its partition, and its field there."""

    name: str
    partition: int
    field: str


class Deleter:
    """Deletes the sessions of one namespace; one for any number of threads."""

    def __init__(self, store: Store) -> None:
        """See `EventLog`."""
        self._store, self._keyspace = store, store.keyspace

    def delete(self, session_id: str, reason: str, by: str) -> int | None:
        """See `EventLog.delete`."""
        deleted = self.delete_if(IN_ANY_CASE, session_id, reason, by)
        return None if isinstance(deleted, KeptInstead) else deleted

    def drop(self, session_id: str, at: Position, forks: str, archived: str, by: str) -> bool | None:
        """See `Dropper.drop`."""
        check_text("archived", archived)
        deleted = self.delete_if(still_the_same(*at, forks), session_id, "archived", by, archived)
        return None if deleted is None else not isinstance(deleted, KeptInstead)

    def delete_if(
        self, condition: str, session_id: str, reason: str, by: str, archived: str = ""
    ) -> int | KeptInstead | None:
        """The same, only if the session is as the condition has it, see `scripts.retention`."""
        check_text("by", by)
        check_text("reason", reason)
        deleted = retention.delete(
            self._store,
            session_id,
            uuid4().hex,
            by,
            reason,
            condition=condition,
            archived=archived,
            stay=KEPT,
            stay_ms=KEPT_MS,
            most=MOST,
            lives=LIVES,
        )
        if isinstance(deleted, StillHeld):
            raise SessionHeldError(session_id, deleted.since)
        return deleted

    def of_session(self, session_id: str) -> list[Tombstone]:
        """The lives of an id that ended, oldest first."""
        found = self._text(self._keyspace.session(session_id).tombstones, _field(session_id))
        return lives_in(found)

    def lives(self, session_id: str) -> list[dict[str, Any]]:
        """The same as they stand there, but for the tokens of the calls that deleted them."""
        return list(map(_without_token, raw_lives(self.text_of(session_id))))

    def text_of(self, session_id: str) -> bytes:
        """The tombstone of an id as it stands there; nothing if there is none."""
        return self._text(self._keyspace.session(session_id).tombstones, _field(session_id))

    def all_lives(self) -> Iterator[dict[str, Any]]:
        """Those of all ids, as `lives` has them."""
        for _, _, tombstone in self._all():
            yield from map(_without_token, raw_lives(tombstone))

    def bring_back(self, session_id: str, lives: Sequence[Mapping[str, Any]]) -> bool:
        """Put lives of an id where they were before a backup, unless there is such a session.

        Returns:
            Whether the tombstone tells of them.
        """
        field, made = _field(session_id), max((int(life.get("clock", life["deleted"])) for life in lives), default=0)
        for _ in range(_ATTEMPTS):
            known = self.text_of(session_id)
            merged, is_more = merged_lives(known, lives)
            new = orjson.dumps(merged) if is_more else known
            if bringing_back.add_tombstone(self._store, session_id, field, known, new, made):
                return True
            if self.text_of(session_id) == known:
                return False
        raise ContentionError(session_id, _ATTEMPTS)

    def all(self) -> Iterator[Tombstone]:
        """All there are, partition by partition."""
        for _, _, tombstone in self._all():
            yield from lives_in(tombstone)

    def _all(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Each with its partition and its field."""
        for partition in range(self._keyspace.partitions):
            key, cursor = self._keyspace.tombstones(partition), 0
            while True:
                cursor, found = self._scan(key, cursor)
                yield from ((partition, *one) for one in zip(found[::2], found[1::2], strict=True))
                if not cursor:
                    break

    def reduce(self, session_id: str, but_for: str = "") -> int:
        """Put hashes in place of the id, of who deleted it and why; the links stay. How many lives were reduced.

        Args:
            session_id: The id.
            but_for: Whom nothing is to be about any more, by keyed hash.

        Raises:
            ContentionError: When others changed the tombstone during every attempt.
            SessionHeldError: When the session that has the id now is held.
        """
        return self._change(session_id, lambda life: _reduced(life, but_for))

    def reduced(self) -> dict[str, list[ReducedPlace]]:
        """Where tombstones stand that were reduced, by what they have in place of the id."""
        found = dict[str, list[ReducedPlace]]()
        for partition, field, tombstone in self._all():
            for name in {one.session_id for one in lives_in(tombstone) if _REDUCED.fullmatch(one.session_id)}:
                found.setdefault(name, []).append(ReducedPlace(name, partition, field.decode(errors="replace")))
        return found

    def reduce_again(self, place: ReducedPlace, but_for: str) -> int:
        """Like `reduce`, where one was before, for somebody else, and nobody knows the id any more."""
        key, replace = self._keyspace.tombstones(place.partition), partial(retention.replace_reduced, self._store)
        replaced = partial(replace, place.partition, place.field)
        return self._change_at(key, place.field, lambda life: _reduced(life, but_for), replaced, place.name)

    def delete_archived(self, session_id: str, reason: str, by: str) -> int:
        """Let the tombstones say that the id's sessions were deleted, no longer that an archive has them: how many.

        Raises:
            ContentionError: When others changed the tombstone during every attempt.
        """
        check_text("by", by)
        check_text("reason", reason)
        found = sum(bool(one.archived) for one in self.of_session(session_id))
        if found:
            self._change(session_id, lambda life: _deleted_for_good(life, reason, by))
        return found

    def _change(self, session_id: str, changed: Callable[[Any], Any]) -> int:
        """Put something else in place of each life of an id: how many there are."""
        key, field = self._keyspace.session(session_id).tombstones, _field(session_id)
        replaced = partial(retention.replace_tombstone, self._store, session_id, field)
        return self._change_at(key, field, changed, replaced, session_id)

    def _change_at(
        self,
        key: str,
        field: str,
        changed: Callable[[Any], Any],
        replaced: Callable[[bytes, bytes], _Replaced],
        name: str,
    ) -> int:
        for _ in range(_ATTEMPTS):
            text = self._text(key, field)
            lives = _lives(text)
            new = orjson.dumps([changed(life) for life in lives])
            if not lives:
                return 0
            outcome = replaced(text, new)
            if isinstance(outcome, StillHeld):
                raise SessionHeldError(name, outcome.since)
            if outcome:
                return len(lives)
        raise ContentionError(name, _ATTEMPTS)

    def _text(self, key: str, field: str) -> bytes:
        with naming(self._store, {key: _TOMBSTONES}):
            return self._store.command("HGET", key, field) or b""

    def _scan(self, key: str, cursor: int) -> tuple[int, Sequence[bytes]]:
        with naming(self._store, {key: _TOMBSTONES}):
            next_cursor, found = self._store.command(b"HSCAN", key, cursor, "COUNT", _PAGE)
        return int(next_cursor), found


def _field(session_id: str) -> str:
    # It finds a tombstone; nothing is proved by it. Lua has no other hash.
    return sha1(session_id.encode(), usedforsecurity=False).hexdigest()


def raw_lives(text: bytes) -> list[dict[str, Any]]:
    """The lives of an id that a tombstone tells of, as they stand there."""
    return [life for life in _lives(text) if Tombstone.parse(life)]


def merged_lives(known: bytes, more: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """All lives of an id, oldest first, those of a tombstone and more; and whether it did not tell of all of them."""
    lives = raw_lives(known)
    there = {(life["deleted"], life["first"]) for life in lives}
    # A call that follows a deletion names its token; that of an old one, nobody has any more.
    added = [{**life, "token": uuid4().hex} for life in more if (life["deleted"], life["first"]) not in there]
    merged = sorted([*lives, *added], key=lambda life: int(life["deleted"]))[-LIVES:]
    return merged, merged != lives


def _without_token(life: Mapping[str, Any]) -> dict[str, Any]:
    return {name: life[name] for name in life if name != "token"}


def _lives(text: bytes) -> list[Any]:
    try:
        found = orjson.loads(text) if text else []
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def lives_in(text: bytes) -> list[Tombstone]:
    """The lives of an id that a tombstone tells of, oldest first."""
    return [one for one in map(Tombstone.parse, _lives(text)) if one is not None]


def _reduced(life: Any, but_for: str) -> Any:
    if not isinstance(life, dict):
        return life
    hashed = {name: _hashed(str(life[name])) for name in _PERSONAL if life.get(name)}
    reduced = {**life, **hashed}
    if about := [one for one in str(life.get("subjects", "")).split() if one.lstrip("~") != but_for]:
        return {**reduced, "subjects": " ".join(about)}
    reduced.pop("subjects", None)
    return reduced


def _deleted_for_good(life: Any, reason: str, by: str) -> Any:
    if not isinstance(life, dict) or not life.get("archived"):
        return life
    kept = {name: value for name, value in life.items() if name != "archived"}
    return {**kept, "by": by, "reason": reason}


def _hashed(text: str) -> str:
    return text if _REDUCED.fullmatch(text) else f"sha256:{sha256(text.encode()).hexdigest()}"
