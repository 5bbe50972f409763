"""The chain of a session: how much lands at once, batches laid onto it, and whether an entry follows.

The server does nothing else while one script call appends a batch. Sending that again cannot store anything twice: its
last link follows from random salts.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import orjson

from .. import chain
from ..codec import FIELDS, Encoded, Entry, RawEntry, encode
from ..encryption import Sealer
from ..errors import EncodingError
from ..events import Event, Fact, SessionAnnotated, SessionHeld, SessionReleased
from ..events.content import SUBJECTS
from ..ids import START, EventId
from ..state.summary import LOOKS_AT, SummaryChange, change_of, delta
from .expected import Expected

MOST_EVENTS = 1_000
"""How many events a batch has at most."""
MOST_BYTES = 16 * 1024 * 1024
"""How many bytes the bodies of a batch have together at most, if it has more than `FEW_EVENTS`."""
FEW_EVENTS = 16
"""So many may be appended at once whatever their size: a turn with its images lands whole."""
_BATCH_EVENTS, _BATCH_BYTES = 200, 1_000_000


def check_batch(batch: Sequence[Encoded]) -> None:
    """Refuse what would hold up the server for too long.

    Raises:
        EncodingError: When there are too many events in it, or too much content.
    """
    if len(batch) <= FEW_EVENTS:
        return
    if len(batch) > MOST_EVENTS:
        raise EncodingError("events", f"{len(batch):,} are more than {MOST_EVENTS:,}: append them in several batches")
    size = sum(len(one.body) for one in batch)
    if size > MOST_BYTES:
        problem = f"{size:,} bytes in one batch are more than {MOST_BYTES:,}: append them in several batches"
        raise EncodingError("events", problem)


_NOTED_ELSEWHERE = frozenset((SessionHeld.TYPE, SessionReleased.TYPE, SessionAnnotated.TYPE))
"""With the event alone, a session would look held, or be about somebody, and not be found so."""


def encode_users(event: Event) -> Encoded:
    """Encode an event that users append; not one that only a script may write, which notes it elsewhere, too.

    Raises:
        EncodingError: When it is such a one, or cannot be stored.
    """
    if event.type in _NOTED_ELSEWHERE:
        _check_is_users(event)
    return encode(event)


def _check_is_users(event: Event) -> None:
    if event.type != SessionAnnotated.TYPE:
        raise EncodingError("type", f"{event.type!r} is written by log.retention.hold and release only")
    if isinstance(event.data, Mapping) and SUBJECTS in event.data:
        raise EncodingError(SUBJECTS, "whom a session is about is said with log.subjects.annotate, which hashes it")


def batches(events: Sequence[Encoded]) -> Iterator[Sequence[Encoded]]:
    """Events that need not land together, in batches that hold up nobody."""
    start = 0
    while start < len(events):
        end = start + first_batch(events[start : start + _BATCH_EVENTS])
        yield events[start:end]
        start = end


def first_batch(events: Sequence[Encoded], least: int = 1) -> int:
    """How many of the first of some events make a batch that holds up nobody; so many at least, if there are."""
    if len(events) <= least:
        return len(events)
    size = 0
    for count, one in enumerate(events[:_BATCH_EVENTS]):
        size += len(one.body)
        if count >= least and size > _BATCH_BYTES:
            return count
    return min(len(events), _BATCH_EVENTS)


_new = tuple.__new__
_DELTA = 5
"""Where it stands among the arguments what the batch changes of the session's summary."""
_LINK = -4
"""Where the last link stands among the arguments: before body, facts and whose resuming changes."""


class Position(NamedTuple):
    """A place in a session that a batch can follow.

    Attributes:
        id: The last event before the batch; `START` for a new session.
        link: The hash chain at that event, base64url. For a new session, the token of the deletion of the one that had
            its id before; empty when none had.
    """

    id: EventId = START
    link: str = ""


class ChainedBatch(NamedTuple):
    """One call of the append script. Sending it again cannot store anything twice.

    Attributes:
        batch: The events.
        base: The position they follow.
        arguments: The script's arguments.
        root: The session whose key the content is encrypted with; empty if it is not.
    """

    batch: Sequence[Encoded]
    base: Position
    arguments: list[bytes]
    root: bytes = b""

    @property
    def link(self) -> str:
        """The hash chain at the last of them, base64url; with random salts, only this very call can have it."""
        return self.arguments[_LINK].decode()


def chain_batch(
    session_id: str, batch: Sequence[Encoded], expected: Expected, base: Position, sealer: Sealer | None = None
) -> ChainedBatch:
    """Chain a batch onto a position; with a sealer, its content is encrypted anew each time, bound to that place."""
    first, base_id = base.id.revision + 1, b"%d-%d" % base.id
    base_link = base.link.encode()
    arguments = [b"%d" % first, base_link, base_id, session_id.encode(), expected.argument.encode(), b""]
    changes: list[tuple[int, SummaryChange]] = []
    link = chain.from_text(base_link) if first > 1 else chain.genesis(session_id)
    for revision, (header, kept, body, facts, index, event) in enumerate(batch, first):
        clear = (*header, kept)
        if sealer:
            body = sealer.body(link, b"%d" % revision, base_id, clear, body)
        salt, link, told = chain.salted(link, base_id, b"%d" % revision, clear, body)
        if index is not None:
            # A message moves its agent, and changes nothing of the summary.
            arguments += (*clear, salt, told, body, facts, b"%d" % index)
            continue
        arguments += (*clear, salt, told, body, facts, event.moves.encode())
        if event.type in LOOKS_AT:
            changes.append((revision, _change(event, facts)))
    if changes:
        arguments[_DELTA] = delta(changes)
    return _new(ChainedBatch, (batch, base, arguments, sealer.root if sealer else b""))


def _change(event: Event, facts: bytes) -> SummaryChange:
    told = orjson.loads(facts) if isinstance(event, Fact) else event.data
    return change_of(event.type, event.agent, told)


_NAMES = list(FIELDS)
_SALT_TEXT = len(chain.to_text(bytes(chain.SALT_BYTES)))
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


class Chained(NamedTuple):
    """An event as the next one knows it.

    Attributes:
        id: Where it stands; `START` before the first.
        base: What its batch follows; empty where nobody has looked, which is before the first of a batch only.
        link: The hash chain there, base64url; of `START`, the beginning of the chain.
    """

    id: EventId
    base: str
    link: str

    @classmethod
    def start(cls, root: str) -> Chained:
        """Before the first event of a session whose chain begins with this session id."""
        return cls(START, "", chain.to_text(chain.genesis(root)).decode())

    @classmethod
    def of(cls, entry: Entry) -> Chained:
        """An entry, as it stands there."""
        return cls(entry.id, entry.base, entry.link)

    def continues(self, entry: Entry) -> bool:
        """Whether an entry has a base it can have here: this event, or what this event's batch follows.

        All of a batch have the same time. So whoever changes the time of one event has to change a base, too, and
        with it a link.
        """
        return entry.base == str(self.id) or (entry.base == self.base and entry.id.ms == self.id.ms)

    def links(self, entry: Entry) -> bool:
        """Whether an entry has the link that follows from this one and what stands in it."""
        clear = [part.encode() for part in (*entry.header, entry.retained)]
        previous, base = chain.exactly(self.link, chain.LINK_BYTES), entry.base.encode()
        link = chain.link(previous, base, entry.id.revision, clear, commitment_of(entry))
        return entry.link == chain.to_text(link).decode()


class ChainFollower:
    """Goes along a chain, raw entry by raw entry: what `Chained` says of them, in a fifth of the time.

    Args:
        at: Where to begin.
    """

    __slots__ = ("_base", "_id", "_link", "_ms", "_revision")

    def __init__(self, at: Chained) -> None:
        self.go_to(at)

    @property
    def at(self) -> Chained:
        """The event gone to last."""
        return Chained(EventId(self._ms, self._revision), self._base.decode(), chain.to_text(self._link).decode())

    def go_to(self, at: Chained) -> None:
        """Go on from this event, whatever was before."""
        (self._ms, self._revision), self._id = at.id, str(at.id).encode()
        self._base, self._link = at.base.encode(), chain.exactly(at.link, chain.LINK_BYTES)

    def follows(self, entry: RawEntry) -> bool:
        """Whether an entry is in every respect what must come next, and was not erased; only then it is gone to."""
        entry_id, flat = entry
        if flat[::2] != _NAMES or len(flat[17]) != _SALT_TEXT or len(self._link) != chain.LINK_BYTES:
            return False
        type_, agent, event, time, version, trace, base, retained, salt, link, body = flat[1::2]
        ms, _, revision = entry_id.partition(b"-")
        is_of_batch = base == self._base and int(ms) == self._ms
        if int(revision) != self._revision + 1 or not (base == self._id or is_of_batch) or int(ms) < self._ms:
            return False
        try:
            raw_salt = a2b_base64(salt.translate(_FROM_URL) + b"==")
        except ValueError:
            return False
        # Of the spellings of a salt only one counts, see `chain.exactly`.
        if b2a_base64(raw_salt, newline=False).translate(_TO_URL, b"=") != salt:
            return False
        clear = (type_, agent, event, time, version, trace, retained)
        found = chain.link(self._link, base, self._revision + 1, clear, sha256(raw_salt + body).digest())
        if b2a_base64(found, newline=False).translate(_TO_URL, b"=") != link:
            return False
        self._ms, self._revision, self._id, self._base, self._link = int(ms), int(revision), entry_id, base, found
        return True


def commitment_of(entry: Entry) -> bytes:
    """What stands for the body of an entry in the chain, 32 bytes; none where it has no proper salt.

    With part of the body as salt, or of the salt as body, the hash would be the same.
    """
    if entry.is_erased:
        return chain.exactly(entry.body, chain.LINK_BYTES)
    salt = chain.exactly(entry.salt, chain.SALT_BYTES)
    return chain.commitment(salt, entry.body) if salt else b""
