"""The feed as a witness: what it told of events when they were appended, held against what stands in sessions now.

Whoever rewrites a session, with all links, has to rewrite the feed as well. A feed is trimmed, so it tells of the
newest events only; copied events of forks are in no feed. It is read once, however many sessions are verified, and what
is kept of it has a bound: 24 bytes an envelope.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from ..codec import Entry, RawEntry
from ..errors import CorruptEntryError, ServerRefusedError
from ..event_log import EventLog
from ..event_log.reader import fetch
from ..feed import Envelope
from ..feed.envelope import DELETED, IMPORTED, envelope
from ..ids import START, EventId
from ..keys import Keyspace
from ..scripts import session
from ..server import number, text
from .problems import Problems

MOST_ENVELOPES = 250_000
"""How many of the newest envelopes of a partition are looked at; feeds are trimmed to far fewer."""
_PAGE = 1000
_DIGEST = 16
_MOST_REVISION = 2**63
SLACK_MS = 60_000
"""How far the server's clock may step back unnoticed."""


class Deletion(NamedTuple):
    """What the feed tells of the deletion of a session.

    Attributes:
        ms: When, by the server's clock.
        revision: How many events it had.
        link: The link of the last of them, base64url.
    """

    ms: int
    revision: int
    link: str


class Testimony:
    """What the feed tells of one session since it began, or was begun anew.

    Attributes:
        first: The revision of the first event it tells of; 0 if it tells of none.
        last: That of the last.
        deletion: The last deletion of the id it tells of.
        imported: The last revision that was there when the session was brought back: of what is before, it never told.
    """

    __slots__ = (
        *("_digests", "_disorder", "_imported_link", "_next", "_revisions"),
        *("deletion", "first", "imported", "last", "last_link"),
    )

    def __init__(self, deletion: Deletion | None = None, imported: Envelope | None = None) -> None:
        self.first, self.deletion, self._disorder = 0, deletion, ""
        self.imported = self.last = imported.id.revision if imported else 0
        self.last_link = self._imported_link = imported.link if imported else ""
        self._revisions, self._digests, self._next = array("Q"), bytearray(), 0

    def add(self, one: Envelope) -> None:
        """One more envelope."""
        if one.id.revision <= self.last and not self._disorder:
            self._disorder = f"the feed tells of event {one.id} ({one.type}) after revision {self.last}"
        self.first, self.last, self.last_link = self.first or one.id.revision, one.id.revision, one.link
        self._revisions.append(one.id.revision)
        self._digests += _digest(str(one.id), one.type, one.agent, one.link)

    def import_problem(self, entry: Entry) -> str:
        """What is wrong with the last event that was brought back: it has the link that the feed told of."""
        if entry.id.revision != self.imported or entry.link == self._imported_link:
            return ""
        return f"event {entry.id} ({entry.header[0]}) is not the one that the feed told of when it was imported"

    def restart(self) -> None:
        """Begin again with the first event it tells of."""
        self._next = 0

    def check(self, entry: Entry) -> Iterator[str]:
        """What is wrong with an event, or with those before it, as the feed tells it."""
        while self._next < len(self._revisions) and self._revisions[self._next] <= entry.id.revision:
            revision, start = self._revisions[self._next], self._next * _DIGEST
            told, self._next = self._digests[start : start + _DIGEST], self._next + 1
            if revision < entry.id.revision:
                yield f"the feed tells of an event with revision {revision}, which there is not"
            elif told != _digest(str(entry.id), entry.header[0], entry.header[1], entry.link):
                yield f"event {entry.id} ({entry.header[0]}) is not the one that the feed told of when it was appended"

    def skip(self, revision: int) -> None:
        """Pass over an event that cannot be read."""
        while self._next < len(self._revisions) and self._revisions[self._next] <= revision:
            self._next += 1

    def tells_of(self, revision: int) -> bool:
        """Whether the event checked last is among them; asked right after it was checked."""
        return 0 < self._next <= len(self._revisions) and self._revisions[self._next - 1] == revision

    def left(self, last: EventId) -> Iterator[str]:
        """What it tells of that does not stand in the session, once all events were checked."""
        if self._disorder:
            yield self._disorder
        surplus = len(self._revisions) - self._next
        if surplus:
            yield (
                f"the feed tells of {surplus:,} more events, up to revision {self.last}, "
                f"but the session ends at {last.revision}"
            )


class Witness:
    """What the feed of one partition tells.

    Attributes:
        partition: The partition.
        problems: What is wrong with the feed itself.
        oldest: Its oldest entry that was looked at; `START` if it is empty.
        newest: Its newest one then.
    """

    def __init__(self, keyspace: Keyspace, partition: int) -> None:
        self._keyspace = keyspace
        self.partition, self.problems, self.oldest, self.newest = partition, Problems(), START, START
        self._sessions: dict[str, Testimony] = {}
        self._gap, self._last = "", 0

    @classmethod
    def read(cls, log: EventLog, partition: int, only: str | None = None) -> Witness:
        """Read a feed, page by page up to where it ends now.

        Args:
            log: Where it is.
            partition: Whose feed.
            only: Keep what it tells of this session.
        """
        witness, key = cls(log.keyspace, partition), log.keyspace.feed(partition)

        def page(start: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
            ends = ("+", "-") if command == b"XREVRANGE" else (start, str(witness.newest))
            return fetch(log.store, key, *ends, count, command)

        # Before the newest entry: they are written together, so that one cannot be counted and not be there.
        counted = _counted(log, partition)
        newest = page("+", 1, b"XREVRANGE")
        if not newest:
            return witness
        witness.newest = _feed_id(newest[0][0])
        if counted > witness.newest.revision:
            witness._gap = f"the feed lacks {counted - witness.newest.revision:,} envelopes after {witness.newest}"
        start, entries = _start(log, key, witness.newest), list[RawEntry]()
        while entries := list(page(start, _PAGE)):
            for entry in entries:
                witness._take(entry, only)
            start = f"({text(entries[-1][0])}"
        return witness

    @classmethod
    def read_or_tell(cls, log: EventLog, partition: int, only: str | None = None) -> Witness:
        """The same; a feed that is none tells nothing, which is a problem."""
        try:
            return cls.read(log, partition, only)
        except ServerRefusedError as error:
            witness = cls(log.keyspace, partition)
            witness.problems.add(f"the feed of partition {partition} cannot be read: {error.reason}")
            return witness

    def of(self, session_id: str) -> Testimony:
        """What it tells of a session, to be held against it from the beginning."""
        told = self._sessions.get(session_id) or Testimony()
        told.restart()
        return told

    @property
    def sessions(self) -> Iterator[str]:
        """Those of which it tells that they are there."""
        return (name for name, told in self._sessions.items() if told.first)

    @property
    def deletions(self) -> Iterator[tuple[str, Deletion]]:
        """The last deletion of each id of which it tells one."""
        return ((name, told.deletion) for name, told in self._sessions.items() if told.deletion is not None)

    @property
    def gap(self) -> str:
        """Where its sequence has a gap, in words; nothing if it has none."""
        return self._gap

    def lacks(self, id_: EventId) -> bool:
        """Whether it should tell of an event of this id, if that was appended here: it goes back farther than that."""
        return self.oldest.ms < id_.ms < self.newest.ms

    def _take(self, entry: RawEntry, only: str | None) -> None:
        entry_id, flat = entry
        id_ = _feed_id(entry_id)
        if self.oldest == START:
            self.oldest = id_
        elif id_.revision != self._last + 1 and not self._gap:
            self._gap = f"the feed lacks {id_.revision - self._last - 1:,} envelopes before {id_}"
        self._last = id_.revision
        if only is not None and flat[1] != only.encode():
            return
        try:
            self._add(envelope(self._keyspace, self.partition, entry_id, flat))
        except CorruptEntryError as error:
            self.problems.add(f"the feed of partition {self.partition}: {error}")

    def _add(self, one: Envelope) -> None:
        if not 0 <= one.id.revision <= _MOST_REVISION:
            raise CorruptEntryError(one.feed_id.stream_id, f"its event is {one.id}")
        told = self._sessions.get(one.session_id)
        if one.type == DELETED:
            self._sessions[one.session_id] = self._ended(one, told)
        elif one.type == IMPORTED:
            # What it told of before was of another life of the id.
            self._sessions[one.session_id] = Testimony(imported=one)
        else:
            self._sessions.setdefault(one.session_id, told or Testimony()).add(one)

    def _ended(self, one: Envelope, told: Testimony | None) -> Testimony:
        """What is known of a session once it was deleted."""
        deletion = Deletion(one.id.ms, one.id.revision, one.link)
        if one.agent:
            self.problems.add(
                f"the feed tells at {one.feed_id} of a deletion by agent {one.agent!r}, which none can be"
            )
        if one.feed_id.ms - one.id.ms > SLACK_MS:
            self.problems.add(f"the feed tells at {one.feed_id} that {one.session_id!r} was deleted at {one.id}")
        if told is not None and told.last > deletion.revision:
            self.problems.add(f"the feed tells that {one.session_id!r} ended at {one.id}, after revision {told.last}")
        elif told is not None and told.last == deletion.revision and told.last_link != deletion.link:
            self.problems.add(f"the feed tells another last link of {one.session_id!r} where it was deleted, {one.id}")
        return Testimony(deletion)


def _feed_id(entry_id: bytes) -> EventId:
    """An id of the feed, also one that no clock would give."""
    ms, _, sequence = entry_id.partition(b"-")
    return EventId(int(ms), int(sequence))


def _counted(log: EventLog, partition: int) -> int:
    """How many envelopes the feed has had, as those who append count them; 0 if that is not known."""
    try:
        return number(log.store.command("GET", log.keyspace.position(partition)))
    except ServerRefusedError:
        return 0


def _start(log: EventLog, key: str, newest: EventId) -> str:
    """Where to begin, lest more be looked at than may be kept."""
    if newest.revision <= MOST_ENVELOPES:
        return "-"
    wanted = newest.revision - MOST_ENVELOPES + 1
    return str(session.locate(log.store, key, wanted) or "-")


def _digest(*parts: str) -> bytes:
    told = b"".join(len(part).to_bytes(4, "big") + part for part in map(str.encode, parts))
    return blake2b(told, digest_size=_DIGEST).digest()
