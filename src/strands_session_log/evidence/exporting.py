"""Writing evidence bundles: one pass over each session and over the file, a page of events in memory.

What is erased while a session is read is the one thing that could make an untouched session look forged: events read
before have their content, events read after have none, and the event that tells why is appended later than all that the
bundle has. So the head is read first, and says what was erased by then; content that went later is withheld, if the
session does tell of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from heapq import nlargest
from itertools import chain, count, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

import orjson

from .. import __version__
from ..audit.checker import Checker
from ..audit.head import SessionStanding
from ..audit.lineage import Descent, Lineage, retained_of
from ..codec import FIELDS, Entry, RawEntry, fields_of, id_of, parse, rows
from ..errors import (
    BundleTooLargeError,
    CorruptEntryError,
    EncryptionError,
    InvalidSettingError,
    LogForkedError,
    SessionNotFoundError,
    refuse_unknown,
)
from ..event_log import EventLog, Progress
from ..event_log.chained_batch import Position
from ..event_log.diagnosis import diagnosed
from ..event_log.reader import start_after
from ..events import PayloadErased, SessionForked
from ..ids import START, EventId, Point, Ranges, check_id
from ..scripts import session
from ..seals import SealedLog
from .archive import ArchiveWriter, Member, OpensMore, Sink, archive, copied
from .bundled import BundledSession, BundleSummary, SealSource
from .lines import line_of
from .sealed import SealedBefore, is_of_this_life
from .selecting import Filters, Selection
from .transcript import TranscriptPage
from .verifiers import verifier_files

FORMAT, VERSION = "strands-session-log/bundle", 1
_HERE = Path(__file__).parent
_STEP = 1000
MOST_SESSIONS, MOST_TOMBSTONES = 40_000, 50_000
MOST_MANIFEST = 60 << 20
"""A manifest is read as a whole, and by browsers, too: the verifiers that are in bundles take no longer one."""
_SPOOL_BYTES, _BESIDE = 1 << 20, 8


@refuse_unknown
def export(
    log: EventLog,
    session_ids: str | Iterable[str] | None,
    file: Sink,
    *,
    after: Point | None = None,
    until: Point | None = None,
    types: str | Sequence[str] | None = None,
    agent: str | None = None,
    redact_bodies: bool = False,
    decrypt: bool = False,
    seals: SealSource | None = None,
    since: SealedLog | tuple[SealedLog, int] | None = None,
    more: OpensMore | None = None,
    progress: Progress = lambda done, total: None,
) -> BundleSummary:
    """Write sessions to an evidence bundle: one ZIP file that is verified without this server and this library.

    With filters, it has the content of the events that all of them let through. Of all others the content is withheld:
    what proves them is there, and the chain verifies.

    Args:
        log: Where the sessions are.
        session_ids: The session; or several; None for a backup of all there are, as far as nobody deletes one before
            its turn comes, and of what is left of those that were deleted.
        file: Opened for writing bytes, and written in one pass. It is whole once this returns.
        after: Only the content of what follows this point: a revision, event id, datetime, ISO text or relative time.
        until: Only up to and including this point.
        types: Only of these types; `message.*` means all that begin with `message.`.
        agent: Only this agent's.
        redact_bodies: No content at all.
        decrypt: Show encrypted content in the transcripts, where the log has the key: readable there for ever, also
            once the key is shredded.
        seals: Finds the seals that cover them, `SealedLog(…).find`.
        since: Of a backup, only sessions that do not stand where this seal says, or an older one of so many records.
        more: Opens a further file, by its number from 2 on, for sessions that have no room in those before.
        progress: Called for each page of events of a session, with how many are written, and of how many.

    Raises:
        SessionNotFoundError: When there is no such session; nothing is written if it is the first.
        RevisionNotFoundError: When a filter names an event that a session does not have.
        CorruptEntryError: When an entry cannot be written as a line; `verify` tells what else is wrong there.
        BundleTooLargeError: When there are more sessions than fit, and no further file: about 40,000.
        SealMismatchError: When the seals are of another namespace.
    """
    filters = Filters(after, until, types, agent, redact_bodies).settled(partial(log.now_ms, "-"))
    before = _sealed_before(log, session_ids, since)
    if session_ids is None:
        names = before.changed() if before else log.listing.session_ids()
    else:
        names = iter([session_ids] if isinstance(session_ids, str) else session_ids)
    found = (check_id("session_id", name) for name in _once(names))
    written, left = list[BundleSummary](), [*islice(found, 1)]
    while left or not written:
        opening = nullcontext(file) if not written else cast(OpensMore, more)(len(written) + 1)
        with SpooledTemporaryFile(_SPOOL_BYTES) as members, opening as sink:
            writing = _Bundle(log, sink, members, filters, decrypt, seals, progress)
            told = {"is_first": not written, "has_more": more is not None}
            written.append(writing.write(chain(left, found), session_ids is None, before, **told))
        left = [*islice(found, 1)]
    return replace(written[0], more=tuple(written[1:]))


def _sealed_before(
    log: EventLog, session_ids: object, since: SealedLog | tuple[SealedLog, int] | None
) -> SealedBefore | None:
    if since is None:
        return None
    if session_ids is not None:
        raise InvalidSettingError("since", since, "None where sessions are named: it is about a backup of all")
    return SealedBefore(log, *(since if isinstance(since, tuple) else (since,)))


class _Bundle:
    """One bundle being written."""

    def __init__(
        self,
        log: EventLog,
        file: Sink,
        members: IO[bytes],
        filters: Filters,
        decrypts: bool,
        seals: SealSource | None,
        progress: Progress,
    ) -> None:
        self._decrypts = decrypts
        self._log, self._file, self._members, self._filters = log, file, members, filters
        self._made, self._seals, self._progress = datetime.now(timezone.utc), seals, progress
        self._sessions, self._missing, self._listed = list[BundledSession](), list[str](), 0

    def write(
        self, names: Iterator[str], is_backup: bool, before: SealedBefore | None, *, is_first: bool, has_more: bool
    ) -> BundleSummary:
        """Write it, until it is full. The first session is looked for before anything is written."""
        first = [*islice(begun := self._begun(names, is_backup), 1)]
        deleted, known = self._deleted() if is_backup and is_first else ([], 0)
        self._listed = sum(len(orjson.dumps(one)) + _BESIDE for one in deleted)
        with archive(self._file, self._made, self._wrote) as writer:
            for name, content in (("README.txt", (_HERE / "README.txt").read_bytes()), *verifier_files()):
                writer.add(name, [content])
            for reading in chain(first, begun):
                self._sessions.append(self._write_session(writer, reading))
                if self._is_full():
                    break
            if not has_more and next(begun, None) is not None:
                raise BundleTooLargeError(len(self._sessions))
            writer.add("manifest.json", self._manifest(deleted, before))
        found = tuple(self._sessions), tuple(self._missing)
        return BundleSummary(self._made, *found, len(deleted), known - len(deleted))

    def _is_full(self) -> bool:
        """Whether one more might make a manifest that no verifier reads."""
        self._listed += len(orjson.dumps(self._sessions[-1].to_json())) + _BESIDE
        return len(self._sessions) >= MOST_SESSIONS or self._listed + self._members.tell() > MOST_MANIFEST

    def _deleted(self) -> tuple[list[dict[str, Any]], int]:
        """What is left of deleted sessions, the newest, and how much there is."""
        counted = count()
        lives = (life for _, life in zip(counted, self._log.restorer.tombstones.all_lives(), strict=False))
        return nlargest(MOST_TOMBSTONES, lives, key=lambda life: int(life["deleted"])), next(counted) - 1

    def _begun(self, names: Iterator[str], skip_missing: bool) -> Iterator[_Reading]:
        for name in names:
            try:
                yield _Reading(self._log, name, self._filters, self._decrypts, self._progress)
            except SessionNotFoundError:
                if not skip_missing:
                    raise
                self._missing.append(name)

    def _write_session(self, writer: ArchiveWriter, reading: _Reading) -> BundledSession:
        path = f"sessions/{len(self._sessions) + 1:04}"
        with SpooledTemporaryFile(_SPOOL_BYTES) as spool:
            writer.add(f"{path}/events.jsonl", reading.lines(spool))
            writer.add(f"{path}/session.json", [orjson.dumps(reading.to_json(), option=_PRETTY)])
            writer.add(f"{path}/transcript.html", copied(spool))
        seal = self._seals(reading.session_id) if self._seals else None
        if seal is not None and not is_of_this_life(seal, reading.lives):
            seal = None
        if seal is not None:
            writer.add(f"{path}/seal.tlog-proof", [seal.to_text().encode()])
            writer.add(f"{path}/seal.json", [seal.record.rstrip(b"\n") + b"\n"])
        return reading.bundled(path, None if seal is None else _size_of(seal.checkpoint))

    def _wrote(self, member: Member) -> None:
        told = orjson.dumps({"sha256": member.sha256, "bytes": member.bytes})
        self._members.write(
            b"%b\n    %b: %b" % (b"," if self._members.tell() else b"", orjson.dumps(member.name), told)
        )

    def _manifest(self, deleted: Iterable[Mapping[str, Any]], before: SealedBefore | None) -> Iterator[bytes]:
        """Piece by piece, since there may be very many sessions."""
        about = {
            "format": FORMAT,
            "version": VERSION,
            "created_at": _time_text(self._made),
            "created_by": f"strands-session-log {__version__}",
            "namespace": self._log.keyspace.namespace,
            "filters": self._filters.to_json(),
        }
        yield orjson.dumps(about, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "sessions": ['
        for number, one in enumerate(self._sessions):
            yield (b",\n    " if number else b"\n    ") + orjson.dumps(one.to_json())
        yield b'\n  ],\n  "deleted": ['
        for number, life in enumerate(deleted):
            yield (b",\n    " if number else b"\n    ") + orjson.dumps(life)
        since = orjson.dumps(before.to_json() if before else None)
        yield b'\n  ],\n  "since": ' + since + b',\n  "files": {'
        yield from copied(self._members)
        yield b"\n  }\n}\n"


class _Reading:
    """A session that is being read for a bundle, up to where it stood when that began.

    Raises:
        SessionNotFoundError: When there is no such session.
        RevisionNotFoundError: When a filter names an event that it does not have.
    """

    def __init__(self, log: EventLog, session_id: str, filters: Filters, decrypts: bool, progress: Progress) -> None:
        with diagnosed(log.store, session_id):
            head, entries, _ = session.standing(log.store, session_id, "-", 1)
        if not head and not entries:
            raise SessionNotFoundError(session_id)
        self._log, self.session_id, self._decrypts, self._progress = log, session_id, decrypts, progress
        self._standing = SessionStanding(head or {}, session.Scores(), "" if head else "the session has no head")
        self._selection = Selection(filters, log, session_id)
        self._lineage = Lineage(session_id, lambda: self._standing.descent)
        self._checker = Checker(self._lineage)
        self.lives = log.restorer.tombstones.lives(session_id)
        self._told, self._first, self._last = dict[str, Any](), START, START
        self._events, self._erased, self._withheld, self._since = 0, 0, 0, list[EventId]()
        self._problems = list[str]()

    def lines(self, spool: IO[bytes]) -> Iterator[bytes]:
        """The lines of its events; what they say in words goes to a file."""
        position = self._standing.position
        last = position.id if isinstance(position, Position) else None
        total, erased = last.revision if last else 0, _ranges(self._standing.text("erased"))
        transcript = TranscriptPage(self.session_id, spool.write)
        try:
            for page in self._log.pages(self.session_id, "-", str(last) if last else "+"):
                self._check(page)
                yield from map(partial(self._line, erased, transcript), page, self._readable(page))
                self._progress(self._events, max(self._events, total))
        except LogForkedError:
            at = id_of(self._checker.last) if self._checker.last else START
            self._problems.append(f"the session was deleted or replaced while it was exported, after event {at}")
        self._conclude(position)
        transcript.close(self._last.revision, self._checker.link, self._withheld, self._erased)

    def _readable(self, page: Sequence[RawEntry]) -> Sequence[RawEntry]:
        """The same as the transcript has it: opened only if that was asked for, as it outlives the key."""
        if not self._decrypts:
            return page
        try:
            self._log.cipher.learn(self.session_id, self.root)
            return self._log.cipher.opened(self.session_id, page, is_strict=False)
        except EncryptionError:
            return page

    def _check(self, page: Sequence[RawEntry]) -> None:
        for entry in page:
            if entry[1][::2] != _NAMES:
                raise CorruptEntryError(entry[0].decode(errors="replace"), "it has other fields than an entry has")
            if entry[1][1] == _FORKED:
                found = retained_of(_parsed(entry))
                self._told = {name: found.get(name) for name in ("at", "link")}
        self._checker.read(page)
        if page:
            self._first = self._first if self._events else id_of(page[0][0])
            self._last = id_of(page[-1][0])

    def _line(self, erased: Ranges, transcript: TranscriptPage, entry: RawEntry, readable: RawEntry) -> bytes:
        is_gone, is_withheld = not entry[1][_SALT], False
        if is_gone:
            is_withheld = self._went_since(erased, id_of(entry[0]))
        elif self._selection.is_any:
            is_withheld = self._selection.withholds(entry)
        self._events += 1
        self._withheld += is_withheld
        self._erased += is_gone and not is_withheld
        transcript.add(readable, is_gone, is_withheld)
        return line_of(entry, is_withheld)

    def _went_since(self, erased: Ranges, id_: EventId) -> bool:
        """Whether content was erased since the head was read, by an event that comes behind all that the bundle has."""
        if id_.revision in erased or not self._tells_of(id_):
            return False
        self._since.append(id_)
        return True

    def _tells_of(self, id_: EventId) -> bool:
        """Whether an event behind all that the bundle has says that the content was erased."""
        position = self._standing.position
        after = position.id if isinstance(position, Position) else START
        pages = self._log.pages(self.session_id, start_after(after), "+")
        for _, type_, _, data, _, _ in chain.from_iterable(rows(page, (), (PayloadErased.TYPE,)) for page in pages):
            if type_ == PayloadErased.TYPE and type(data) is dict and id_ in PayloadErased(data).erased:
                return True
        return False

    def _conclude(self, position: Position | str | None) -> None:
        checker = self._checker
        self._problems[:0] = checker.problems.lines
        self._problems += [line for id_, line in checker.unexplained_problems() if id_ not in self._since]
        if problem := self._lineage.name_problem() if checker.count else "":
            self._problems.append(problem)
        if problem := checker.compare(position):
            self._problems.append(problem)

    @property
    def _descent(self) -> Descent:
        return self._standing.descent

    @property
    def root(self) -> str:
        """The session id its chain begins with."""
        return self._descent.root or self.session_id

    def to_json(self) -> dict[str, Any]:
        """Its `session.json`."""
        descent = self._descent
        lineage = {"parent": descent.parent, "ancestors": descent.line, "at": None, "link": None, **self._told}
        return {
            "session_id": self.session_id,
            "root": self.root,
            "revision": self._last.revision,
            "link": self._checker.link,
            "created_at": _time_text(self._first.time),
            "last_event_at": _time_text(self._last.time),
            "lineage": lineage if descent.parent else None,
            "predecessor": self._standing.text("predecessor") or None,
            "tombstones": self.lives,
            "withheld": self._withheld,
            "erased": self._erased,
        }

    def bundled(self, path: str, sealed: int | None) -> BundledSession:
        """What the manifest says of it."""
        at = self._last.revision, self._checker.link
        counts = self._events, self._withheld, self._erased
        return BundledSession(path, self.session_id, self.root, *at, *counts, sealed, tuple(self._problems))


_NAMES, _SALT = list(FIELDS), 2 * FIELDS.index(b"salt") + 1
_FORKED = SessionForked.TYPE.encode()
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def _parsed(entry: RawEntry) -> Entry:
    return parse(entry[0], fields_of(entry[1]))


def _ranges(text: str) -> Ranges:
    with suppress(ValueError):
        return Ranges.parse(text)
    return Ranges()


def _time_text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _size_of(checkpoint: str) -> int:
    """The second line of a checkpoint."""
    return int(checkpoint.split("\n", 2)[1])


def _once(names: Iterable[str]) -> Iterator[str]:
    known = set[str]()
    for name in names:
        if name not in known:
            known.add(name)
            yield name
