"""Sealed records held against the sessions: whether what was written down is still history, many in one round trip.

A record that does not stand any more is no problem if the session was deleted since, as a tombstone tells, or the seals
themselves, which outlive tombstones. Everything else is: a history that was rewritten, cut off, taken away, or put
back after it was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from ..event_log import EventLog, Progress, Tombstone
from ..event_log.deleter import lives_in
from ..ids import milliseconds
from ..scripts.links import LinksReply, links
from .record import DELETED, SealRecord, hashed, parse_leaf
from .sealed_log import SealedLog, SealedRecord

_AT_ONCE = 1_000
"""So many records are held against the sessions in one round trip."""


class HasEvents(Protocol):
    """A `SessionLog`, which stands above this package."""

    @property
    def _events(self) -> EventLog: ...


@dataclass(slots=True)
class SealComparison:
    """What holding the records of one session against it found.

    Attributes:
        session_id: The session.
        records: How many there are.
        deleted: How many of them are of a session of this id that was deleted since.
        problems: One line for each kind of problem.
    """

    session_id: str
    records: int = 0
    deleted: int = 0
    _found: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not hold any more; of each kind of problem the first, and how many more there are."""
        more = (f" (and {count - 1:,} records more)" if count > 1 else "" for _, count in self._found.values())
        return tuple(line + rest for (line, _), rest in zip(self._found.values(), more, strict=True))

    def add(self, kind: str, line: str) -> None:
        """One more problem."""
        first, count = self._found.get(kind, (line, 0))
        self._found[kind] = first, count + 1


class Deletions:
    """The deletions that a log of seals tells of.

    Attributes:
        upto: How many of its records were looked at.
    """

    def __init__(self) -> None:
        self._records = dict[str, list[SealedRecord]]()
        self.upto = 0

    def read(self, sealed: SealedLog) -> None:
        """Read what there is more than before."""
        for start, leaves in sealed.bundles(self.upto):
            for place, raw in enumerate(leaves, start):
                if place >= self.upto and raw.endswith(DELETED):
                    leaf = parse_leaf(raw, f"record {place}")
                    assert isinstance(leaf, SealRecord)
                    self.add([SealedRecord(place, leaf)])
        self.upto = len(sealed)

    def add(self, records: Iterable[SealedRecord]) -> None:
        """Take some that were read already."""
        for one in records:
            self._records.setdefault(one.record.session_id, []).append(one)

    def of(self, session_id: str) -> list[SealedRecord]:
        """Those of one id; also of one whose tombstone was reduced when it was sealed."""
        return [*self._records.get(session_id, ()), *self._records.get(hashed(session_id), ())]


def compare(
    log: EventLog,
    records: Iterable[SealedRecord],
    deletions: Deletions,
    into: dict[str, SealComparison],
    progress: Progress = lambda done, total: None,
    total: int = 0,
) -> None:
    """Hold sealed records against the sessions.

    Args:
        log: Where the sessions are.
        records: The records.
        deletions: All that were sealed.
        into: Takes what was found, by session.
        progress: Called with how many were held, and of how many.
        total: How many there are.
    """
    rest, done = iter(records), 0
    while page := list(islice(rest, _AT_ONCE)):
        by_session = dict[str, list[SealedRecord]]()
        for one in page:
            by_session.setdefault(one.record.session_id, []).append(one)
        # Of a reduced tombstone, there is nothing to ask for: whose it is, the server does not tell.
        asked = [(name, ids_of(found)) for name, found in by_session.items() if not _is_hash(name)]
        for (name, _), reply in zip(asked, links(log.store, asked), strict=True):
            one_session = into.setdefault(name, SealComparison(name))
            _hold(by_session[name], reply, deletions.of(name), one_session)
        done += len(page)
        progress(done, total)


def compare_records(log: HasEvents, records: Iterable[SealedRecord], deletions: Deletions) -> dict[str, SealComparison]:
    """Hold some sealed records against the sessions.

    Args:
        log: Where the sessions are.
        records: The records.
        deletions: All that were sealed.

    Returns:
        What was found, by session.
    """
    found = dict[str, SealComparison]()
    compare(log._events, records, deletions, found)
    return found


def ids_of(found: Sequence[SealedRecord]) -> list[str]:
    """The ids of events that records are of; of deletions as well, lest the places shift."""
    return [str(one.record.id) for one in found]


def compare_session(log: EventLog, session_id: str, sealed: SealedLog) -> SealComparison:
    """Hold all that was sealed of one session against it."""
    records, deletions, into = sealed.records_of(session_id), Deletions(), dict[str, SealComparison]()
    deletions.add(one for one in records if one.record.is_deleted)
    compare(log, (one for one in records if one.record.session_id == session_id), deletions, into)
    return into.get(session_id, SealComparison(session_id))


def _is_hash(name: str) -> bool:
    return name.startswith("sha256:") and len(name) == len(hashed(""))


def _hold(
    records: Sequence[SealedRecord], reply: LinksReply, deletions: Sequence[SealedRecord], into: SealComparison
) -> None:
    lives = lives_in(reply.tombstone)
    for one, link in zip(records, reply.links, strict=True):
        into.records += 1
        if one.record.is_deleted:
            _hold_deletion(one, lives, into)
        elif link == one.record.link:
            _hold_life(one, reply, lives, deletions, into)
        else:
            _explain(one, link, reply, lives, deletions, into)


def _hold_deletion(one: SealedRecord, lives: Sequence[Tombstone], into: SealComparison) -> None:
    """A tombstone may be dropped, or reduced; never changed."""
    into.deleted += 1
    for life in lives:
        is_it = milliseconds(life.deleted_at) == one.record.id.ms
        if is_it and (life.revision, life.link) != (one.record.revision, one.record.link):
            into.add("tombstone", f"the tombstone says another end of it than was sealed {_when(one)}")


def _hold_life(
    one: SealedRecord,
    reply: LinksReply,
    lives: Sequence[Tombstone],
    deletions: Sequence[SealedRecord],
    into: SealComparison,
) -> None:
    """What was deleted, and stands there, was put back; unless a fork has brought its events, under its id."""
    if not deletions or reply.predecessor or any(_ended(life, one.record) for life in lives):
        return
    ended = next((other for other in deletions if _covers(other.record, one.record)), None)
    if ended:
        into.add("back", f"it was deleted, as was sealed {_when(ended)}, but its events are there again")


def _explain(
    one: SealedRecord,
    link: str,
    reply: LinksReply,
    lives: Sequence[Tombstone],
    deletions: Sequence[SealedRecord],
    into: SealComparison,
) -> None:
    """Why a record does not stand any more."""
    record, told = one.record, f"it had {one.record.revision:,} events when it was sealed {_when(one)}"
    ends = [(life.revision, life.link) for life in lives if _ended(life, record)]
    ends += [(other.record.revision, other.record.link) for other in deletions if _covers(other.record, record)]
    if link:
        # Of a session that was deleted since as well: the next one of its id begins later, so this is no event of that.
        into.add("link", f"event {record.id} has another link than was sealed {_when(one)}: {link}, not {record.link}")
    elif ends:
        into.deleted += 1
        if all(revision == record.revision and at != record.link for revision, at in ends):
            into.add("tombstone", f"it was deleted, but with another link than was sealed {_when(one)}")
    elif not reply.revision:
        into.add("gone", f"{told}, but is not there, and no tombstone tells that it was deleted")
    elif reply.revision < record.revision:
        into.add("short", f"{told}, but ends at revision {reply.revision:,}")
    else:
        into.add("other", f"event {record.id}, which was sealed {_when(one)}, is not in it: it has another history")


def _when(one: SealedRecord) -> str:
    return f"at {one.record.time} (record {one.index})"


def _ended(life: Tombstone, record: SealRecord) -> bool:
    """Whether a deletion that a tombstone tells of took an event away."""
    return milliseconds(life.deleted_at) >= record.id.ms and life.revision >= record.revision


def _covers(deletion: SealRecord, record: SealRecord) -> bool:
    """The same of a deletion that was sealed."""
    return deletion.id.ms >= record.id.ms and deletion.revision >= record.revision
