"""The hash chain of a session, recomputed event by event: for `verify`, and for whoever reads and wants to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from .. import chain
from ..codec import FIELDS, Entry, RawEntry, fields_of, parse
from ..errors import CorruptEntryError
from ..event_log.chained_batch import Chained, ChainFollower, Position
from ..events import PayloadErased, SessionForked
from ..ids import START, EventId, milliseconds
from .lineage import Lineage, retained_of
from .problems import Problems

_NAMES = list(FIELDS)
_DAY_MS: Final = 86_400_000
_TELLING = frozenset(kind.TYPE.encode() for kind in (PayloadErased, SessionForked))
"""Types of events that tell of others."""
_UUID7 = "7"
_VERSION_AT = 14
"""Where a UUID says which one it is."""


class Checker:
    """Walks the chain; after a problem it goes on from what is stored, so that one change is one problem.

    Args:
        lineage: Where the session says that it comes from.
        at: The event before the first that is checked; the beginning of the session if left out.

    Attributes:
        problems: What was found.
        count: How many entries were checked.
        last: The id of the entry checked last, as it stands there; empty before the first.
        resurrected: Events whose content is said to be erased, and was read: erased since, or put back.
    """

    def __init__(self, lineage: Lineage, at: Chained | None = None) -> None:
        self.problems, self.count, self.last, self.lineage = Problems(), 0, b"", lineage
        self.resurrected: dict[EventId, EventId] = {}
        self._follower, self._begun_at = ChainFollower(at or Chained.start(lineage.root)), at
        self._unexplained: dict[EventId, str] = {}
        self._erased = set[EventId]()

    @property
    def at(self) -> Chained:
        """The event checked last."""
        return self._follower.at

    @property
    def link(self) -> str:
        """The hash chain there, base64url; empty before the first."""
        at = self.at
        return at.link if at.id != START else ""

    @property
    def unexplained(self) -> Iterable[tuple[EventId, str]]:
        """Id and type of events whose content was erased, and no `payload.erased` event names them."""
        return self._unexplained.items()

    def read(self, entries: Iterable[RawEntry]) -> None:
        """Check what follows, as cheaply as that can be done."""
        follows = self._follower.follows
        for entry in entries:
            if entry[1][1] in _TELLING or not follows(entry):
                self._look_at(entry)
            self.last = entry[0]
            self.count += 1

    def check(self, entry: RawEntry) -> Entry | None:
        """Check the next entry; what stands there, if it can be read."""
        found = self._look_at(entry)
        self.last = entry[0]
        self.count += 1
        return found

    def finish(self) -> None:
        """Note what is wrong with the events as a whole, once all of them were checked."""
        for id_, problem in self.unexplained_problems():
            self.problems.add(problem, id_)

    def unexplained_problems(self) -> Iterator[tuple[EventId, str]]:
        """What `unexplained` says once all events were checked; an event that tells why comes behind."""
        for id_, type_ in self._unexplained.items():
            yield id_, f"event {id_} ({type_}) was erased, but nothing tells why"

    def compare(self, head: Position | str | None) -> str:
        """What is wrong with the head if the stream ends with the event checked last; nothing if it fits."""
        at = self.at
        if isinstance(head, str):
            return head
        if head is None or head.id.revision != at.id.revision:
            found = "is missing" if head is None else f"stands at revision {head.id.revision}"
            return f"the stream ends at revision {at.id.revision}, but the session's head {found}"
        if head.id != at.id:
            return f"the stream ends with event {at.id}, but the session's head says {head.id}"
        return "" if head.link == self.link else f"the session's head has another link than event {at.id}"

    def _look_at(self, entry: RawEntry) -> Entry | None:
        """Take a closer look at an entry, and go on to it."""
        entry_id, flat = entry
        try:
            found = parse(entry_id, fields_of(flat))
        except CorruptEntryError as error:
            self.problems.add(str(error), _id_of(entry_id))
            self._pass_over(entry)
            return None
        before, link = self.at, self.link
        if not self._goes_on(entry, found):
            for problem in self._problems_of(found, flat, self.at):
                self.problems.add(problem, found.id)
            ms = max(found.id.ms, before.id.ms)
            self._follower.go_to(Chained(EventId(ms, found.id.revision), found.base, found.link))
        self._check_off(found)
        for problem in self.lineage.check(found, before.id, link):
            self.problems.add(problem, found.id)
        return found

    def _goes_on(self, entry: RawEntry, found: Entry) -> bool:
        """Whether it follows; the first event of a fork does so from where the first of its line began."""
        if self._follower.follows(entry):
            return True
        if found.id.revision == 1 and self.at.id == START and self.lineage.look_for_root():
            self._follower.go_to(Chained.start(self.lineage.root))
            return self._follower.follows(entry)
        return False

    @staticmethod
    def _problems_of(found: Entry, flat: Sequence[Any], before: Chained) -> Iterator[str]:
        name = f"event {found.id} ({found.header[0]})"
        if list(flat[::2]) != _NAMES:
            yield f"{name} has other fields than an entry has, or others in their place: {_listed(flat[::2])}"
        if found.id.revision != before.id.revision + 1:
            yield f"revision {before.id.revision + 1} is missing before event {found.id}"
        if found.id.ms < before.id.ms:
            yield f"{name} is older than event {before.id} before it"
        if not found.is_erased and not chain.exactly(found.salt, chain.SALT_BYTES):
            yield f"{name} has no salt of {chain.SALT_BYTES} bytes"
        elif not before.links(found):
            yield f"{name} is not what was written: its link differs"
        elif not before.continues(found) and found.id.ms >= before.id.ms:
            yield f"{name} was written after event {found.base}, but follows {before.id}: a time was changed"

    def _check_off(self, entry: Entry) -> None:
        if entry.is_erased:
            self._unexplained[entry.id] = entry.header[0]
            self._erased.add(entry.id)
        if entry.header[0] == PayloadErased.TYPE:
            for id_ in PayloadErased(retained_of(entry)).erased:
                self._unexplained.pop(id_, None)
                if id_ not in self._erased and self._begun_at is None and id_ < entry.id:
                    self.resurrected[id_] = entry.id

    def _pass_over(self, entry: RawEntry) -> None:
        """Go on behind an entry that cannot be read, with what of it can be."""
        fields, id_ = fields_of(entry[1]), _id_of(entry[0])
        if id_ is not None:
            base, link = (fields.get(name, b"").decode(errors="replace") for name in (b"base", b"link"))
            self._follower.go_to(Chained(id_, base, link))


def time_problem(entry: Entry, day_ms: int = _DAY_MS) -> str:
    """What is wrong with the server's time of an event, held against what its writer says of the time.

    That is its time, and the time in its UUIDv7: writers may give either, so a problem is only what both contradict.
    What was copied keeps its id, and what was imported has the time of the import, whenever it was said.
    """
    told = [ms for ms in (_writers_ms(entry.header[3]), _uuid_ms(entry.header[2])) if ms is not None]
    if not told or any(abs(ms - entry.id.ms) <= day_ms for ms in told):
        return ""
    if len(told) == 1 and told[0] < entry.id.ms:
        # Out of an outbox, under an id of its own: appended later than it happened, as nothing forbids.
        return ""
    return f"event {entry.id} ({entry.header[0]}) has another time than its writer gave it: {entry.header[3]}"


def is_erased(entry: RawEntry) -> bool:
    """Whether the content of an event was erased; what cannot be read is told of otherwise."""
    try:
        return parse(entry[0], fields_of(entry[1])).is_erased
    except CorruptEntryError:
        return True


def _writers_ms(time: str) -> int | None:
    try:
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return milliseconds(moment)


def _uuid_ms(event_id: str) -> int | None:
    """When a UUIDv7 was made, in milliseconds since the epoch."""
    try:
        is_one = event_id[_VERSION_AT : _VERSION_AT + 1] == _UUID7
        return int(event_id[:13].replace("-", ""), 16) if is_one else None
    except ValueError:
        return None


def _id_of(entry_id: bytes) -> EventId | None:
    try:
        return EventId.parse(entry_id)
    except ValueError:
        return None


def _listed(names: Sequence[Any]) -> str:
    return " ".join(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)[:200]
