"""Bringing a session back: its entries as they stood, put in place at once under an id that nobody has.

The copy is made beside it, as that of a fork is (`forker`), under a name that follows from the last link: who begins
again after a crash finds how far it had come. What sessions here that it was forked from have had erased since must not
come back with it. They are told of it by a note before the first entry is copied, as they are of a fork, so that who
erases there meanwhile takes the copy away; and what was erased before is erased in the copy, too, with an event at its
end that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from .. import chain
from ..codec import FIELDS, RawEntry, encode, fields_of, id_of, rows
from ..encryption import Cipher, Sealer, is_encrypted
from ..errors import ContentionError, SessionExistsError
from ..events import PayloadErased
from ..ids import EventId, Ranges
from ..scripts import bringing_back, session
from ..server import Store
from ..state import GrowingRanges
from .chained_batch import Position
from .deleter import Deleter, merged_lives
from .diagnosis import erased_of
from .eraser import Progress
from .forker import Pages, parts
from .lineage import CopySummary, ForkNote, copy_key
from .namespace import Layout
from .reader import fetch, start_after

PATIENCE_MS = 3_600_000
"""For how long a copy outlives what was added to it last: so long after a crash it goes on where it was."""
_MAX_RESTARTS = 100


@dataclass(frozen=True, slots=True)
class Restoration:
    """A session that is to be brought back.

    Attributes:
        session_id: Its id.
        position: Where it ends.
        first: The link of its first event, base64url.
        root: The session id that its chain begins with.
        parent: The session it was forked from; empty if from none.
        ancestors: All from the root to the parent, oldest first.
        at: The last event that it has of its parent; None where there is no parent.
        lives: What is left of earlier sessions of its id.
        forks: Sessions here that were made of it, as notes for its head.
    """

    session_id: str
    position: Position
    first: str
    root: str
    parent: str
    ancestors: tuple[str, ...]
    at: EventId | None
    lives: Sequence[Mapping[str, Any]]
    forks: Sequence[ForkNote] = ()

    @property
    def token(self) -> str:
        """What the copy is named by: the same whoever brings it back, and no other session's."""
        return chain.from_text(self.position.link).hex()[:32]

    def note(self, ancestor: str) -> ForkNote:
        """What the head of a session here is to say that it was forked from."""
        return ForkNote(self.at or self.position.id, self.token, ancestor == self.parent, self.session_id)


class Restorer:
    """Brings sessions back in one namespace; one for any number of threads.

    Args:
        store: See `EventLog`.
        layout: Told when a partition's feed begins anew.
        deleter: Knows what is left of deleted sessions.
        pages: Reads the raw entries of a session from one id to another.
        clock: The clock of the server that holds a key, in milliseconds.
        cipher: Opens what is encrypted, as far as its keys are at hand.

    Attributes:
        tombstones: What is left of deleted sessions.
    """

    def __init__(
        self, store: Store, layout: Layout, deleter: Deleter, pages: Pages, clock: Callable[[str], int], cipher: Cipher
    ) -> None:
        self._store, self._keyspace, self._layout, self._pages = store, store.keyspace, layout, pages
        self.tombstones, self._clock, self._cipher = deleter, clock, cipher

    def restore(
        self,
        wanted: Restoration,
        entries: Callable[[], Iterable[RawEntry]],
        check: Callable[[Sequence[Mapping[str, Any]]], object],
        progress: Progress,
    ) -> tuple[Position, Sequence[EventId]]:
        """Bring a session back.

        Args:
            wanted: The session.
            entries: Its entries, from the first on, each time it is called.
            check: Told what is left here of sessions of the id; raises when it must not be brought back.
            progress: Called after each step with how many events are copied, and of how many.

        Returns:
            Where it stands; and the events whose content was erased here, and so was not brought back.

        Raises:
            SessionExistsError: When there is such a session.
            ContentionError: When something was erased during every attempt.
        """
        if self._layout.laid_out_anew is not None:
            self._layout.refuse()
        for _ in range(_MAX_RESTARTS):
            known = self.tombstones.text_of(wanted.session_id)
            check(self.tombstones.lives(wanted.session_id))
            self._cipher.learn(wanted.session_id, wanted.root)
            opened = partial(self._cipher.opened, wanted.session_id, is_strict=False)
            making = _Making(wanted, self._note(wanted), opened)
            if not self._copy(making, entries(), progress):
                continue
            if self._note(wanted) != making.erased_here:
                continue
            self._explain(making)
            flags = {"is_told": not merged_lives(known, wanted.lives)[1], "is_held": bool(str(making.copied.holds))}
            key, told = self._key(wanted), making.told(known)
            match bringing_back.bring_back(self._store, wanted.session_id, key, told, **flags):
                case "landed" | "begun" as word:
                    if word == "begun":
                        self._layout.confirm(self._keyspace.partition(wanted.session_id))
                    return making.copied.position, making.blanked
                case "exists":
                    self._store.command("UNLINK", self._key(wanted))
                    raise SessionExistsError(wanted.session_id)
        raise ContentionError(wanted.session_id, _MAX_RESTARTS)

    def _key(self, wanted: Restoration) -> str:
        return copy_key(self._keyspace.session(wanted.session_id), wanted.token)

    def _note(self, wanted: Restoration) -> dict[str, str]:
        """Tell the sessions here that it was forked from, as far as they are there; what was erased in each."""
        found = dict[str, str]()
        for ancestor in wanted.ancestors:
            erased = session.note_fork(self._store, ancestor, wanted.token, str(wanted.note(ancestor)))
            if erased is not None:
                found[ancestor] = erased_of(self._keyspace.session(ancestor).head, erased)
        return found

    def _copy(self, making: _Making, entries: Iterable[RawEntry], progress: Progress) -> bool:
        """Copy what is not there yet; false when the copy was taken away."""
        key, total = self._key(making.wanted), making.wanted.position.id.revision
        copied = self._standing(making.wanted)
        for part in parts(entries):
            left = self._without_erased(making, part)
            there = [entry for entry in left if id_of(entry[0]).revision <= copied.revision]
            if there:
                if there[-1][0] == b"%d-%d" % copied and not self._is_there(key, there[-1]):
                    self._store.command("UNLINK", key)
                    return False
                making.copied.add(there)
            if added := left[len(there) :]:
                begins = not making.copied.count
                if not session.add_to_copy(self._store, key, begins, added, PATIENCE_MS, making.copied.add):
                    return False
            making.note(left)
            progress(making.copied.count, max(making.copied.count, total))
        return True

    def _standing(self, wanted: Restoration) -> EventId:
        """The last entry of a copy that an earlier attempt has left; one that cannot go on is removed."""
        key = self._key(wanted)
        last = fetch(self._store, key, "+", "-", 1, b"XREVRANGE")
        if not last:
            return EventId(0, 0)
        id_ = id_of(last[0][0])
        count = int(self._store.command("XLEN", key))
        if count != id_.revision or id_ > wanted.position.id:
            # What told of erasures stands behind: it is told anew.
            self._store.command("UNLINK", key)
            return EventId(0, 0)
        return id_

    def _is_there(self, key: str, entry: RawEntry) -> bool:
        found = fetch(self._store, key, entry[0].decode(), entry[0].decode(), 1)
        return bool(found) and list(found[0][1]) == list(entry[1])

    def _without_erased(self, making: _Making, part: Sequence[RawEntry]) -> Sequence[RawEntry]:
        """The same, without the content that was erased here in a session that this one was forked from."""
        suspects = [entry for entry in part if making.may_be_erased(entry)]
        if not suspects:
            return part
        gone = set[bytes]()
        for ancestor, ranges in making.erased_in.items():
            key = self._keyspace.session(ancestor).events
            asked = [entry for entry in suspects if id_of(entry[0]).revision in ranges]
            found = self._store.pipeline([(b"XRANGE", key, entry[0], entry[0]) for entry in asked])
            for entry, there in zip(asked, found, strict=True):
                if there and _is_same_and_erased(entry, there[0]):
                    gone.add(entry[0])
        making.blanked += sorted(id_of(entry_id) for entry_id in gone)
        return [_blank(entry) if entry[0] in gone else entry for entry in part]

    def _explain(self, making: _Making) -> None:
        """Add to the copy why content is missing that the bundle has."""
        key, wanted = self._key(making.wanted), making.wanted
        told = [*self._erasures(wanted, {*making.blanked})]
        if not told:
            return
        now = self._clock(self._keyspace.session(wanted.session_id).head)
        position, sealer = making.copied.position, self._cipher.sealer(wanted.session_id) if making.is_sealed else None
        added = list(_chained(position, max(now, position.id.ms), told, sealer))
        session.add_to_copy(self._store, key, False, added, PATIENCE_MS, making.copied.add)

    def _erasures(self, wanted: Restoration, left: set[EventId]) -> Iterator[PayloadErased]:
        """What sessions here that this one was forked from say of erasures, so far as they are about it."""
        for ancestor in reversed(wanted.ancestors):
            for page in self._pages(ancestor, start_after(EventId(0, 0)), "+") if left else ():
                for _, type_, _, data, _, _ in rows(page, (PayloadErased.TYPE,)):
                    named = PayloadErased(data).erased if type_ == PayloadErased.TYPE and type(data) is dict else ()
                    if about := sorted(left.intersection(named)):
                        left.difference_update(about)
                        yield _erasure(about, data)
        if left:
            yield _erasure(sorted(left), {"reason": "erased here before it was imported"})


class _Making:
    """One attempt to bring a session back.

    Attributes:
        wanted: The session.
        erased_here: What was erased in those here that it was forked from, as ranges, by session.
        erased_in: The same, parsed.
        copied: What stands in the copy.
        blanked: Events whose content was left out.
        is_sealed: Whether content of it is encrypted.
    """

    def __init__(
        self,
        wanted: Restoration,
        erased_here: Mapping[str, str],
        opened: Callable[[Sequence[RawEntry]], Sequence[RawEntry]],
    ) -> None:
        self.wanted, self.erased_here = wanted, erased_here
        last = wanted.at.revision if wanted.at else 0
        self.erased_in = {name: Ranges.parse(text).up_to(last) for name, text in erased_here.items() if text}
        self.copied, self.blanked, self._erased = CopySummary(opened), list[EventId](), GrowingRanges()
        self._first_own, self._own_ms, self.is_sealed = last + 1, 0, False

    def may_be_erased(self, entry: RawEntry) -> bool:
        """Whether a session here that it was forked from may have had the content of an entry erased."""
        if not self.erased_in or not fields_of(entry[1])[b"salt"]:
            return False
        revision = id_of(entry[0]).revision
        return any(revision in ranges for ranges in self.erased_in.values())

    def note(self, entries: Sequence[RawEntry]) -> None:
        """Take note of those without content, and of the first that no other session had before."""
        self.is_sealed = self.is_sealed or any(map(is_encrypted, entries))
        for entry_id, flat in entries:
            ms, revision = id_of(entry_id)
            if not flat[_SALT]:
                self._erased.add(revision, revision)
            if revision == self._first_own:
                self._own_ms = ms

    def told(self, known: bytes) -> bytes:
        """What the script is told that puts the copy into place."""
        wanted, (lives, is_more) = self.wanted, merged_lives(known, self.wanted.lives)
        head = self.copied.head(str(self._erased))
        if wanted.parent:
            head |= {"parent": wanted.parent, "root": wanted.root, "ancestors": "\n".join(wanted.ancestors)}
        if self.is_sealed:
            head["sealed"] = wanted.root
            # Whoever has no key of it cannot read whom it is about; what was left of it here tells.
            about = dict.fromkeys([*head.get("subjects", "").split(), *_subjects_left(lives, wanted)])
            head |= {"subjects": " ".join(about)} if about else {}
        if held := str(self.copied.holds):
            head["held"] = held
        if predecessor := _last_before(lives, self._own_ms):
            head["predecessor"] = predecessor
        if wanted.forks:
            head["forks"] = "\n".join(map(str, wanted.forks))
        position = self.copied.position
        facts = orjson.dumps({"revision": position.id.revision, "first": wanted.first}).decode()
        at = {"count": self.copied.count, "last": str(position.id), "link": position.link}
        told = {"known": known.decode(), "lives": (orjson.dumps(lives) if is_more else known).decode()}
        return orjson.dumps({**at, "head": head, "facts": facts, **told})


def _subjects_left(lives: Sequence[Mapping[str, Any]], wanted: Restoration) -> list[str]:
    """Whom a session was about when it was archived, as its tombstone has it."""
    for life in reversed(lives):
        if life["first"] == wanted.first and life["link"] == wanted.position.link:
            return str(life.get("subjects", "")).split()
    return []


_SALT, _LINK, _BODY = (2 * FIELDS.index(name) + 1 for name in (b"salt", b"link", b"body"))


def _last_before(lives: Sequence[Mapping[str, Any]], ms: int) -> str:
    """What a head says of the session that had its id last before it began."""
    before = [life for life in lives if life["deleted"] <= ms]
    return " ".join(str(before[-1][name]) for name in ("deleted", "revision", "link")) if before else ""


def _is_same_and_erased(entry: RawEntry, there: RawEntry) -> bool:
    known = fields_of(there[1])
    return bool(known.get(b"link") == entry[1][_LINK] and known.get(b"salt") == b"")


def _blank(entry: RawEntry) -> RawEntry:
    """An entry without its content."""
    entry_id, flat = entry[0], list(entry[1])
    raw = chain.commitment(chain.exactly(flat[_SALT], chain.SALT_BYTES), flat[_BODY])
    flat[_SALT], flat[_BODY] = b"", chain.to_text(raw)
    return entry_id, flat


def _erasure(ids: Sequence[EventId], told: Mapping[str, Any]) -> PayloadErased:
    record = {name: told[name] for name in ("reason", "by") if name in told}
    return PayloadErased({"erased": list(map(str, ids)), "reason": "", **record})


def _chained(base: Position, ms: int, events: Sequence[PayloadErased], sealer: Sealer | None) -> Iterator[RawEntry]:
    """Events as the entries that follow a position."""
    link, base_id = chain.from_text(base.link), str(base.id).encode()
    for revision, event in enumerate(events, base.id.revision + 1):
        header, kept, body, *_ = encode(event)
        clear = (*header, kept)
        body = sealer.body(link, b"%d" % revision, base_id, clear, body) if sealer else body
        salt, link, told = chain.salted(link, base_id, b"%d" % revision, clear, body)
        values = (*header, base_id, kept, salt, told, body)
        yield b"%d-%d" % (ms, revision), [part for pair in zip(FIELDS, values, strict=True) for part in pair]
