"""Proof that a session is what was written, from all that stands on the server: stream, head, directory and feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..codec import Entry, RawEntry, id_of, recorded
from ..errors import CorruptEntryError, LogForkedError, ServerRefusedError, SessionNotFoundError
from ..event_log import EventLog, Progress, Tombstone
from ..event_log.deleter import KEPT
from ..event_log.reader import place
from ..ids import START, EventId, check_id, milliseconds
from ..scripts import session
from ..server import text
from ..snapshot import Authenticator
from .anchors import Expect, Expectations
from .checker import Checker, is_erased, time_problem
from .contents import SealedContents
from .head import NO_DIRECTORY, HeadFacts, SessionStanding, directory_problem, life_problems, retention_problems
from .lineage import Lineage
from .snapshots import snapshot_problems
from .witness import Witness

_STEP = 1000
_PAGE = 256
_LOOKS = 100
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a session found.

    Attributes:
        ok: Whether there is no problem.
        revision: How many events there are.
        link: The chain at the last of them, base64url. Noted elsewhere, it proves later that nothing was changed.
        problems: One line each, naming the event; a thousand at most, and how many more.
        parent: The session it was forked from, and the last event the two have in common; None when it is no fork.
        witnessed: The revisions of the first and the last event that the feed still tells of; None if of none. What is
            older was trimmed from the feed, or copied by a fork.
        expected: How many links that were noted elsewhere it was held against.
        deleted: Sessions that had its id before, and were deleted; the newest 16, oldest first.
        notes: What lists of sessions say otherwise than the events: no problem of these, see `SessionLog.recount`.
        sealed: How many sealed records it was held against; None if it was held against no seals.
    """

    ok: bool
    revision: int
    link: str
    problems: tuple[str, ...]
    parent: tuple[str, EventId] | None = None
    witnessed: tuple[int, int] | None = None
    expected: int = 0
    deleted: tuple[Tombstone, ...] = ()
    notes: tuple[str, ...] = ()
    sealed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log verify --json` has it; `parent` in forks only."""
        parent = self.parent and {"parent": {"session_id": self.parent[0], "at": str(self.parent[1])}}
        return {
            "ok": self.ok,
            "revision": self.revision,
            "link": self.link,
            "problems": list(self.problems),
            "witnessed": self.witnessed and list(self.witnessed),
            "expected": self.expected,
            "deleted": [life.to_json() for life in self.deleted],
            "notes": list(self.notes),
            **({} if self.sealed is None else {"sealed": self.sealed}),
            **(parent or {}),
        }


def verify(
    log: EventLog,
    session_id: str,
    progress: Progress = lambda done, total: None,
    *,
    expect: Iterable[Expect] = (),
    feed: bool = False,
    witness: Witness | None = None,
    authenticator: Authenticator | None = None,
) -> Verification:
    """Recompute the chain of a session, and hold against it what head, directory, feed and snapshot say.

    The chain of a fork begins with its root's first event. Its parent, if there still is one, must share its history.

    Args:
        log: Where it is.
        session_id: The session.
        progress: Called for every thousandth event.
        expect: Links that were noted elsewhere.
        feed: Also find events that the feed should tell of, and does not.
        witness: What the feed of its partition tells, if that was read already.
        authenticator: Has the keys for its snapshot, if there are any.

    Raises:
        SessionNotFoundError: When there is no such session.
        LogForkedError: When it was deleted or replaced while it was read.
        InvalidAnchorError: When something expected is no revision with a link.
    """
    check_id("session_id", session_id)
    expect, before, sealing, last = list(expect), None, authenticator or Authenticator(), START
    for _ in range(_ATTEMPTS):
        # First the feed: what it tells of was appended before the session is read, so it must stand there.
        told = witness or Witness.read_or_tell(log, log.keyspace.partition(session_id), only=session_id)
        examination = _Examination(log, session_id, Expectations(expect), told, feed, sealing)
        examination.walk(progress)
        if witness is None:
            # Of a whole partition they are told once, not of each session.
            for problem in (*told.problems.lines, *examination.directory_problems()):
                examination.checker.problems.add(problem)
        deleted = examination.deleted_since
        if deleted is None or deleted == before:
            return examination.verdict()
        before, witness, last = deleted, None, examination.checker.at.id
    raise LogForkedError(session_id, last)


class _Examination:
    """One session being verified."""

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        expectations: Expectations,
        witness: Witness,
        is_strict: bool,
        authenticator: Authenticator,
    ) -> None:
        self._log, self._session_id, self._witness, self._is_strict = log, session_id, witness, is_strict
        self._authenticator = authenticator
        self._expectations, self._testimony = expectations, witness.of(session_id)
        self._standing = self._look()[0]
        self._lineage = Lineage(session_id, lambda: self._standing.descent)
        self.checker, self._facts = Checker(self._lineage), HeadFacts(self._standing)
        self._own, self._untold, self._lives = START, list[EventId](), tuple[Tombstone, ...]()
        self._last: tuple[Any, Any] = (b"", b"")
        self._contents = SealedContents(log.cipher, session_id)
        self._notes: tuple[str, ...] = ()

    @property
    def deleted_since(self) -> datetime | None:
        """When the session was deleted, if that was after the feed was read, which would explain what was found."""
        newest = self._lives[-1].deleted_at if self._lives and self.checker.problems else None
        is_later = newest is not None and milliseconds(newest) >= self._witness.newest.ms
        return newest if is_later else None

    def directory_problems(self) -> Iterator[str]:
        """What is wrong with the directory itself."""
        if self._standing.scores.listed == NO_DIRECTORY:
            yield f"the directory of partition {self._witness.partition} cannot be read: it is no sorted set"

    def walk(self, progress: Progress) -> None:
        """Check all there is; a key that is no stream holds no events."""
        try:
            self._walk(progress)
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            self.checker.problems.add(f"its events cannot be read: {error.reason}")

    def _walk(self, progress: Progress) -> None:
        """Check every event, and then what else is said of the session at the moment when the last was checked."""
        total = position.id.revision if isinstance(position := self._standing.position, tuple) else 0
        self._read(self._log.pages(self._session_id), progress, total)
        for _ in range(_LOOKS):
            self._standing, entries = self._look(text(self.checker.last) if self.checker.count else "-", _PAGE)
            following = self._after_last(entries)
            self._read([following], progress, total)
            if len(entries) < _PAGE:
                break
            self._read(self._following(), progress, total)
        self._lives = tuple(self._log.tombstones(self._session_id))
        if self.checker.count or self._standing.head or self._standing.problem:
            self._conclude()
        else:
            self._miss()

    def verdict(self) -> Verification:
        """What was found."""
        problems, at, told = self.checker.problems, self.checker.at, self._testimony
        witnessed = (told.first, told.last) if told.first else None
        facts = (self._lineage.parent, witnessed, self._expectations.count, self._lives, self._notes)
        return Verification(not problems, at.id.revision, self.checker.link, problems.lines, *facts)

    def _look(self, start: str = "-", count: int = 0) -> tuple[SessionStanding, Sequence[RawEntry]]:
        head, entries, scores = session.standing(self._log.store, self._session_id, start, count)
        problem = "the session's head cannot be read: it is no hash" if head is None else ""
        return SessionStanding(head or {}, scores, problem), entries

    def _read(self, pages: Iterable[Sequence[RawEntry]], progress: Progress, total: int) -> None:
        for page in pages:
            for entry in page:
                self._check(entry)
                if self.checker.count % _STEP == 0:
                    progress(self.checker.count, max(self.checker.count, total))

    def _following(self) -> Iterator[Sequence[RawEntry]]:
        pages = self._log.pages(self._session_id, text(self.checker.last))
        yield self._after_last(next(pages))
        yield from pages

    def _after_last(self, entries: Sequence[RawEntry]) -> Sequence[RawEntry]:
        """What follows the entry checked last, which must still be there."""
        if not self.checker.count:
            return entries
        if not entries or place(entries[0]) != self._last:
            raise LogForkedError(self._session_id, id_of(self.checker.last))
        return entries[1:]

    def _check(self, entry: RawEntry) -> None:
        self._last, before = place(entry), len(self.checker.problems)
        found = self.checker.check(entry)
        if found is None:
            self._facts.miss()
            self._testimony.skip(self.checker.at.id.revision)
            return
        add = self.checker.problems.add
        unreadable = _unreadable(entry) if len(self.checker.problems) == before else ""
        content = self._contents.problem(entry, found) if len(self.checker.problems) == before else ""
        expected = self._expectations.check(found.id, found.link)
        for problem in (unreadable, content, time_problem(found), expected):
            if problem:
                add(problem, found.id)
        for problem in (*self._testimony.check(found), self._testimony.import_problem(found)):
            if problem:
                add(problem, found.id)
        self._facts.add(found)
        self._note(found)

    def _note(self, found: Entry) -> None:
        """Which event is the first that was appended here, and which of those the feed does not tell of."""
        parent = self._lineage.parent
        if parent is not None and parent[1].revision + 1 == found.id.revision:
            # What was copied is told of by no feed, or by another one.
            self._own, self._untold = found.id, []
        elif self._own == START:
            self._own = found.id
        should_be_told = self._is_strict and found.id.revision > self._testimony.imported
        if should_be_told and self._witness.lacks(found.id) and not self._testimony.tells_of(found.id.revision):
            self._untold.append(found.id)

    def _conclude(self) -> None:
        """Look at the session as a whole."""
        checker, add, last = self.checker, self.checker.problems.add, self.checker.at.id
        checker.finish()
        self._look_again()
        if name_problem := self._lineage.name_problem():
            add(name_problem)
        problem = checker.compare(self._standing.position)
        if problem:
            add(problem)
        if self._standing.head:
            for problem in self._facts.problems(self._standing, self._lineage):
                add(problem)
            if problem := self._contents.head_problem(self._standing.text("sealed"), self._lineage.root):
                add(problem)
            self._notes = tuple(self._facts.notes(self._standing))
            told = self._standing, self._own, self._lives, self._testimony.deletion
            for problem in life_problems(*told, self._may_be_dropped()):
                add(problem)
        for problem in self._others(last):
            add(problem)

    def _miss(self) -> None:
        """There is no such session; but something else may tell that there should be."""
        add, told, lives = self.checker.problems.add, self._testimony, self._lives
        if self._standing.scores.listed not in ("", NO_DIRECTORY):
            add("the directory lists the session, but neither events nor a head are there")
        if told.first and not any(life.revision >= told.last for life in lives):
            add(f"the feed tells of it up to revision {told.last}, but it is not there, and no tombstone tells of it")
        for problem in self._expectations.left(START, [(life.revision, life.link) for life in lives]):
            add(problem)
        if not self.checker.problems:
            raise SessionNotFoundError(self._session_id)

    def _may_be_dropped(self) -> bool:
        if not self._standing.text("predecessor"):
            return True
        key = self._log.keyspace.session(self._session_id).tombstones
        return bool(self._log.store.command("HLEN", key) >= KEPT)

    def _others(self, last: EventId) -> Iterator[str]:
        """What is wrong with what stands elsewhere."""
        if problem := directory_problem(self._standing, last):
            yield problem
        yield from retention_problems(self._standing)
        yield from self._lineage.family_problems(self._log, self._standing.descent)
        yield from self._testimony.left(last)
        yield from self._expectations.left(last, [(life.revision, life.link) for life in self._lives])
        if self._untold:
            others = f", nor of {more:,} others" if (more := len(self._untold) - 1) else ""
            yield f"the feed does not tell of event {self._untold[0]}{others}"
        yield from snapshot_problems(self._log, self._session_id, self._authenticator)

    def _look_again(self) -> None:
        """At content that was read though an event says that it was erased: meanwhile, or it was put back."""
        for id_, told_by in self.checker.resurrected.items():
            for page in self._log.pages(self._session_id, str(id_), str(id_)):
                for entry in page:
                    if is_erased(entry):
                        self._facts.erase(id_)
                    else:
                        problem = f"event {id_} has content, which event {told_by} says was erased"
                        self.checker.problems.add(problem, id_)


def _unreadable(entry: RawEntry) -> str:
    """Why readers cannot read an entry that stands in the chain as it should, if they cannot."""
    try:
        recorded(entry)
    except CorruptEntryError as error:
        return str(error)
    return ""
