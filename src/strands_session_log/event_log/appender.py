"""The append protocol: one script call, all or nothing, exactly once.

The chain makes every call specific to the position it follows. When the session has moved meanwhile, the script says
where it stands now, and the batch is chained again (unfenced) or refused (fenced). When no reply came, the identical
call is repeated; the script recognises it, if it has landed, by its last link. A batch that had to be chained again
after that may be there by any of its calls: all of them are asked for before it is chained once more.

Appending once, whoever tries and however often, knows events by the ids that their writers gave them: it is for those
who bring ids of their own, an outbox for example. A hash beside the session has its newest event ids. These appends
alone keep it, so that others do not pay for it; it catches up by reading what others wrote. See docs/adr/0022.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, islice
from typing import NamedTuple

from ..codec import Encoded, RawEntry, compressed, fields_of, parse, sealed_facts
from ..encryption import Cipher
from ..errors import (
    ContentionError,
    EncodingError,
    EventOrderError,
    InvalidPointError,
    LogForkedError,
    ServerUnavailableError,
    SessionDeletedError,
    SessionEncryptedError,
    SessionLogError,
    UnknownOutcomeError,
)
from ..events import Event
from ..ids import START, EventId
from ..instrumentation import Rechained
from ..instrumentation.hooks import hooks
from ..scripts import session
from ..scripts.session import AppendReply, Behind, Conflict, Landed, Moved, PartlyThere, SealedBy
from ..server import Store, may_have_written
from .chained_batch import (
    FEW_EVENTS,
    MOST_EVENTS,
    ChainedBatch,
    Position,
    chain_batch,
    check_batch,
    encode_users,
)
from .expected import Expected, conflict
from .namespace import Layout
from .reader import EventReader

_new = tuple.__new__
_MIN_ATTEMPTS = 100
_ATTEMPTS_IN_A_ROW = 5
_MAX_PAUSE = 0.02
_MOST_POSITIONS = 4096
KEPT = MOST_EVENTS
"""How many of a session's newest events are known by their event ids, at least: a whole batch."""

_ADDED_AT_ONCE = 500


class Call(NamedTuple):
    """As much of a call as tells it from every other: its last link follows from random salts.

    Attributes:
        base: The id of the event it follows.
        events: How many it has.
        link: The hash chain at the last of them, base64url.
    """

    base: str
    events: int
    link: str


class Unsettled(NamedTuple):
    """A batch of which nobody knows whether it has landed.

    Attributes:
        event_ids: Its events.
        calls: All calls that may have brought it there; each stands on a history of its own.
    """

    event_ids: Sequence[str]
    calls: list[Call]


class Appender:
    """Appends to the sessions of one namespace; one for any number of threads.

    Attributes:
        positions: Where the sessions that were appended to last are thought to stand.
    """

    def __init__(self, store: Store, layout: Layout, cipher: Cipher, compresses: bool = False) -> None:
        """See `EventLog`."""
        self._store, self._layout, self._compresses, self._cipher = store, layout, compresses, cipher
        # Operations of a dict are atomic, so threads may share it.
        self.positions: OrderedDict[str, Position] = OrderedDict()
        # As long as nobody appends them again, they stay: a few hundred bytes each, without the content.
        self._unsettled: dict[tuple[str, str], list[Unsettled]] = {}

    def remember(self, session_id: str, position: Position) -> None:
        """Note where a session stands, which saves the next append a round trip."""
        positions = self.positions
        positions[session_id] = position
        positions.move_to_end(session_id)
        while len(positions) > _MOST_POSITIONS:
            positions.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session."""
        self.positions.pop(session_id, None)

    def append(self, session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        """See `EventLog.append`."""
        batch = self.checked(events)
        reply: AppendReply | None = None
        if self._unsettled:
            reply = self._outcome(session_id, self._unsettled_of(session_id, batch))
        give_up = time.monotonic() + self._store.retry_for
        for attempt in count(1):
            if reply is None or isinstance(reply, (Moved, SealedBy)):
                reply = self.settle(session_id, self.chained(session_id, batch, expected))
                if self._unsettled and isinstance(reply, (Moved, Conflict, SealedBy)):
                    reply = self._unless_landed_before(session_id, batch, reply)
            if ids := self.answer(session_id, batch, expected, reply):
                return ids
            if attempt >= _MIN_ATTEMPTS and time.monotonic() > give_up:
                raise ContentionError(session_id, attempt)
            if attempt % _ATTEMPTS_IN_A_ROW == 0:
                # What was just learned goes stale in a pause; the next attempt learns it anew, those after it use it.
                # A pause that doubles, as everywhere else, let fewer appends of eight writers through (measured).
                time.sleep(random.uniform(0, min(_MAX_PAUSE, 0.0005 * attempt)))
        raise AssertionError("unreachable")

    def chained(self, session_id: str, batch: Sequence[Encoded], expected: Expected) -> ChainedBatch:
        """A batch as it follows where the session is thought to stand."""
        base = self.positions.get(session_id) or Position()
        return chain_batch(session_id, batch, expected, base, self._cipher.sealer(session_id))

    def checked(self, events: Sequence[Event | Encoded]) -> Sequence[Encoded]:
        """Events that can be appended, encoded."""
        if not events:
            raise ValueError("there is no event to append")
        if self._layout.laid_out_anew is not None:
            self._layout.refuse()
        batch: list[Encoded] = list(events)  # type: ignore[arg-type]
        for at, event in enumerate(events):
            if not isinstance(event, Encoded):
                batch[at] = encode_users(event)
        # Not where it is chained: a fork is put in place at once, however many erasures it has to tell of.
        if len(batch) > FEW_EVENTS:
            check_batch(batch)
        # Only here: what a live agent has in line is compared, and may be changed, until it is written.
        if self._compresses:
            batch = [one._replace(body=compressed(one.body)) for one in batch]
        return [one._replace(facts=sealed_facts(one.facts)) for one in batch] if self._cipher.is_active else batch

    def answer(
        self, session_id: str, batch: Sequence[Encoded], expected: Expected, reply: AppendReply
    ) -> list[EventId] | None:
        """What the reply means for the writer; None where the session has moved, which is noted."""
        if type(reply) is Landed:
            ids, link, begins_feed = reply
            self.remember(session_id, _new(Position, (ids[-1], link)))
            if self._unsettled:
                self.settled(session_id, batch)
            if begins_feed:
                # It needs a connection, and this one has nothing to do meanwhile.
                self._store.release()
                self._layout.confirm(self._store.keyspace.partition(session_id))
            return ids
        match reply:
            case Conflict(what, agent, actual):
                raise conflict(session_id, expected, what, agent, actual)
            case Moved():
                hooks.tell(Rechained())
                self.remember(session_id, Position(*reply))
                return None
            case SealedBy(root):
                if not self._cipher.is_active:
                    raise SessionEncryptedError(session_id)
                self._cipher.learn(session_id, root)
                return None
        self.settled(session_id, batch)
        raise SessionDeletedError(session_id, START)

    def _unless_landed_before(
        self, session_id: str, batch: Sequence[Encoded], refusal: Moved | Conflict | SealedBy
    ) -> AppendReply:
        """What came of an earlier call of a batch that was refused, if it may have landed: it may be why it was."""
        outcome = self._outcome(session_id, self._unsettled_of(session_id, batch))
        is_less = outcome is None or (isinstance(outcome, Moved) and not isinstance(refusal, Moved))
        return refusal if outcome is None or is_less else outcome

    def _unsettled_of(self, session_id: str, batch: Sequence[Encoded]) -> Unsettled | None:
        noted, event_ids = self._unsettled.get(_name(session_id, batch), []), _event_ids(batch)
        found = next((one for one in noted if one.event_ids == event_ids), None)
        if noted and found is None:
            raise ValueError("the outcome of a batch that begins with this event is unknown: append exactly that batch")
        return found

    def _outcome(self, session_id: str, unsettled: Unsettled | None) -> Landed | Moved | None:
        """Whether one of these calls has landed, and if not, where the session stands in a history without them."""
        if unsettled is None:
            return None
        try:
            found, is_sealed = session.outcome(self._store, session_id, unsettled.calls)
        except ServerUnavailableError as error:
            raise UnknownOutcomeError(session_id, str(error)) from error
        if isinstance(found, Moved) and (self._cipher.is_active or not is_sealed):
            self.remember(session_id, Position(*found))
        elif isinstance(found, Moved):
            # The next append is told that it is encrypted.
            self.forget(session_id)
        return found

    def settled(self, session_id: str, batch: Sequence[Encoded]) -> None:
        """Forget that the outcome of a batch was unknown; not that of another one that begins like it."""
        name = _name(session_id, batch)
        if noted := self._unsettled.get(name):
            event_ids = _event_ids(batch)
            self._unsettled[name] = left = [one for one in noted if one.event_ids != event_ids]
            if not left:
                del self._unsettled[name]

    def settled_to_the_end(self, session_id: str, batch: Sequence[Encoded]) -> None:
        """The same for what a batch ends with, as its first events were there already."""
        for first in range(len(batch) if self._unsettled else 0):
            self.settled(session_id, batch[first:])

    def settle(self, session_id: str, sealed: ChainedBatch, kept: int = 0) -> AppendReply:
        """Send until there is an answer; a call whose outcome is open is noted.

        Args:
            session_id: The session.
            sealed: The call.
            kept: Append once: how many event ids are known, at least.

        Whatever ends the sending without an answer leaves it open, an interrupt of the process among others. So does an
        attempt without a reply, if what the next one met says that it has not landed: that may be another primary.
        """
        try:
            if kept:
                reply, was_lost = session.append_once(self._store, session_id, sealed.arguments, kept, sealed.root)
            else:
                begins = not sealed.base.id.revision
                reply, was_lost = session.append(self._store, session_id, sealed.arguments, begins, sealed.root)
        except BaseException as error:
            is_open = may_have_written(error)
            if is_open:
                self._note_unsettled(session_id, sealed)
            if is_open and isinstance(error, SessionLogError) and not isinstance(error, UnknownOutcomeError):
                raise UnknownOutcomeError(session_id, str(error)) from error
            raise
        if was_lost and isinstance(reply, (Moved, Conflict, SealedBy)):
            self._note_unsettled(session_id, sealed)
        return reply

    def _note_unsettled(self, session_id: str, sealed: ChainedBatch) -> None:
        batch = sealed.batch
        noted, event_ids = self._unsettled.setdefault(_name(session_id, batch), []), _event_ids(batch)
        found = next((one for one in noted if one.event_ids == event_ids), None)
        if found is None:
            noted.append(found := Unsettled(event_ids, []))
        found.calls.append(Call(str(sealed.base.id), len(batch), sealed.link))


class _Indexed(NamedTuple):
    """What the index is told of an entry."""

    event_id: str
    id: str
    link: str

    @classmethod
    def of(cls, raw: RawEntry) -> _Indexed:
        entry = parse(raw[0], fields_of(raw[1]))
        return cls(entry.header[2], str(entry.id), entry.link)


class OnceAppender:
    """Appends what is not there yet; one for any number of threads.

    Args:
        store: See `EventLog`.
        appender: Sends what is to be appended.
        reader: Reads what others appended.
        head: Where a session stands.
        locate: Finds the id of a revision.
    """

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reader: EventReader,
        head: Callable[[str], Position | None],
        locate: Callable[[str, int], EventId | None],
    ) -> None:
        self._store, self._appender, self._reader = store, appender, reader
        self._head, self._locate = head, locate

    def append(self, session_id: str, events: Sequence[Event | Encoded], expected: Expected) -> list[EventId]:
        """Append the events of a batch that the session does not have, if that keeps their order.

        Raises:
            EventOrderError: When it has one, but not one that comes before it in the batch.
        """
        batch = self._appender.checked(events)
        _check_can_be_known(batch)
        appender, found = self._appender, list[EventId]()
        give_up = time.monotonic() + self._store.retry_for
        for attempt in count(1):
            rest = batch[len(found) :]
            reply = appender.settle(session_id, appender.chained(session_id, rest, expected), KEPT)
            match reply:
                case PartlyThere(ids):
                    found += _prefix(session_id, rest, ids)
                case Behind(upto, link):
                    self._catch_up(session_id, upto, link)
                case _:
                    found += appender.answer(session_id, rest, expected, reply) or ()
            if len(found) == len(batch):
                appender.settled_to_the_end(session_id, batch)
                return found
            if attempt >= _MIN_ATTEMPTS and time.monotonic() > give_up:
                raise ContentionError(session_id, attempt)
        raise AssertionError("unreachable")

    def _catch_up(self, session_id: str, upto: str, link: str) -> None:
        """Add what others have appended to the index; begin it anew where it is of another history or far behind."""
        try:
            entries = self._since(session_id, upto, link)
            if entries is None:
                entries, upto, link = self._newest(session_id), "", ""
            while page := list(islice(entries, _ADDED_AT_ONCE)):
                if not self._add(session_id, upto, link, page):
                    return
                _, upto, link = page[-1]
                self._appender.remember(session_id, Position(EventId.parse(upto), link))
        except LogForkedError:
            # Deleted or replaced while it was read: the next attempt sees what there is.
            return

    def _since(self, session_id: str, upto: str, link: str) -> Iterator[_Indexed] | None:
        """What follows the event the index ends with; None where that does not stand there, or too much follows."""
        try:
            at, head = EventId.parse(upto), self._head(session_id)
        except InvalidPointError:
            return None
        if head is None or not 0 <= head.id.revision - at.revision <= KEPT:
            return None
        entries = self._entries(session_id, upto)
        first = next(entries, None)
        return entries if first and first[1:] == (upto, link) else None

    def _newest(self, session_id: str) -> Iterator[_Indexed]:
        head = self._head(session_id)
        start = head and self._locate(session_id, max(1, head.id.revision - KEPT + 1))
        return self._entries(session_id, str(start)) if start else iter(())

    def _entries(self, session_id: str, start: str) -> Iterator[_Indexed]:
        return map(_Indexed.of, chain.from_iterable(self._reader.pages(session_id, start, "+")))

    def _add(self, session_id: str, upto: str, link: str, page: Sequence[_Indexed]) -> bool:
        ids = {one.event_id: one.id for one in page}
        return session.add_ids(self._store, session_id, (upto, link), page[-1][1:], KEPT, ids)


def _check_can_be_known(batch: Sequence[Encoded]) -> None:
    seen = set[str]()
    for encoded in batch:
        event_id = encoded.event.event_id
        if event_id in seen:
            raise EncodingError("event_id", f"{event_id!r} stands twice in a batch that is to be appended once")
        seen.add(event_id)


def _prefix(session_id: str, batch: Sequence[Encoded], ids: Sequence[str]) -> list[EventId]:
    """Where the first events of a batch stand already, if none of the others does."""
    stand = [EventId.parse(id_) if id_ else None for id_ in ids]
    prefix = [id_ for id_ in stand if id_]
    if stand[: len(prefix)] != sorted(prefix):
        raise EventOrderError(session_id, [(one.event.event_id, id_) for one, id_ in zip(batch, stand, strict=True)])
    return prefix


def _name(session_id: str, batch: Sequence[Encoded]) -> tuple[str, str]:
    return session_id, batch[0].event.event_id


def _event_ids(batch: Sequence[Encoded]) -> list[str]:
    return [one.event.event_id for one in batch]
