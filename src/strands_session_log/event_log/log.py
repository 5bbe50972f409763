"""EventLog: everything that touches the session streams of one namespace."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from ..codec import Encoded, RawEntry, fields_of, id_of, kind_of, recorded
from ..concurrency import Background
from ..encryption import KeyProvider
from ..errors import ForbiddenError, LogForkedError, RevisionNotFoundError, SessionLogError
from ..errors.quoting import frames_of
from ..events import Event, Recorded
from ..feed import FeedRetention
from ..feed.trimming import Trimmed, trim
from ..ids import START, EventId, Instant, Point, Revision, parse_point
from ..instrumentation.hooks import hooks
from ..scripts import session
from ..scripts.session import Life
from ..server import ANSWERED_WITHIN, Store
from ..snapshot.store import SnapshotStore
from .appender import Appender, OnceAppender
from .chained_batch import Position
from .deleter import Deleter, Tombstone
from .diagnosis import CURES, diagnosed, naming, parsed, position_of, raise_diagnosed
from .eraser import Eraser, PlannedErasure, Progress
from .erasure_scope import Find, nothing_more, record_of
from .expected import ANY, Expected
from .forker import Forker, Then
from .instrumented import instrumented_append
from .listing import Listing
from .namespace import Layout
from .provisions import Provisions
from .reader import EventReader, end_at, start_after
from .recounting import recount
from .restorer import Restorer
from .retaining import Retainer
from .scripted_append import ScriptedAppend
from .subject_index import SubjectIndex

logger = logging.getLogger(__name__)

DEFAULT_RETENTION = FeedRetention()
_TRIM_EVERY = 1000
"""The feed stays within its cap though it has no subscriber: about every so many appends it is trimmed, in any process:
also one that lives too short to count so far does its part."""


class EventLog:
    """The sessions of one namespace on one server; share it between threads.

    Args:
        store: Where it stands.
        retention: For how long the feed is kept.
        compresses: Whether the bodies of what is appended are compressed.
        keys: Where the keys are with which content is encrypted; None to encrypt nothing.

    Attributes:
        store: The same.
        cipher: Encrypts what is written, and opens what is read.
        opened_pages: See `EventReader`.
        keyspace: How the namespace is laid out.
        retention: The same.
        snapshots: Where snapshots are kept.
        listing: Lists the sessions.
        restorer: Brings sessions back.
        retainer: Says how long they stay.
        subjects: Finds what is about whom.
        provisions: What they are to have as soon as they are there.
        remember: Notes where a session was seen to stand, which saves the next append a round trip.
        on_append: Those who are told the session, its new revision and the events after each append, of a fork and an
            erasure without events; they must be quick.
    """

    def __init__(
        self,
        store: Store,
        retention: FeedRetention = DEFAULT_RETENTION,
        *,
        compresses: bool = False,
        keys: KeyProvider | None = None,
    ) -> None:
        self.store, self.keyspace, self.retention = store, store.keyspace, retention
        layout = Layout(store)
        self._reader = EventReader(store, keys)
        self.cipher, self.opened_pages = self._reader.cipher, self._reader.opened_pages
        self._appender = Appender(store, layout, self.cipher, compresses)
        self.remember = self._appender.remember
        self._eraser = Eraser(store, layout, self.cipher)
        self._forker = Forker(store, layout, self._reader.pages, self.cipher)
        self._deleter = Deleter(store)
        self.restorer = Restorer(store, layout, self._deleter, self._reader.pages, self.clock, self.cipher)
        scripted = ScriptedAppend(store, layout, self.cipher, self.head, self._appended)
        self.retainer, self.subjects = Retainer(store, self._deleter, scripted), SubjectIndex(store, scripted)
        self._once = OnceAppender(store, self._appender, self._reader, self.head, self.locate)
        self.listing = Listing(store, self.clock, self.pages, self.cipher)
        self.snapshots, self.provisions = SnapshotStore(store, self.cipher), Provisions()
        self.on_append: list[Callable[[str, int, Sequence[Event | Encoded]], object]] = []
        self._trimming = Background("trimming")

    def append(
        self, session_id: str, events: Sequence[Event | Encoded], expected: Expected = ANY, *, once: bool = False
    ) -> list[EventId]:
        """Append a batch: all of it, or nothing, and never twice.

        Args:
            session_id: The session; its first event creates it.
            events: What happened, in order; encoded already where that had to be done earlier.
            expected: What the session must be like for this to be right.
            once: Only those that the session does not have yet, as told by their event ids.

        Returns:
            The ids of the events.

        Raises:
            EncodingError: When a value cannot be stored, or there are too many to land at once.
            ConcurrentWriteError: When what was expected is not so, or a message index is taken.
            EventOrderError: When it was to be once, and some of the events are there, but not those before them.
            UnknownOutcomeError: When the server stayed away; append the same events again to settle it.
            ServerRefusedError: When the server refuses, `OutOfMemoryError` among others.
            CorruptKeyError: When a key of the session holds what this library does not write there.
        """
        append = self._once.append if once else self._appender.append
        try:
            ids = (instrumented_append(append) if hooks.active else append)(session_id, events, expected)
        except Exception as error:
            raise_diagnosed(error, self.store, session_id)
        self._tell_appended(session_id, ids[-1].revision, events)
        self.provisions.appended(session_id, ids[0].revision == 1)
        return ids

    def _appended(self, session_id: str, position: Position) -> None:
        self._appender.remember(session_id, position)
        self._tell_appended(session_id, position.id.revision)

    def _tell_appended(self, session_id: str, revision: int, events: Sequence[Event | Encoded] = ()) -> None:
        """One that fails keeps nobody else from hearing it: the events are written, and the writer must hear so."""
        for listener in self.on_append:
            try:
                listener(session_id, revision, events)
            except Exception as error:
                logger.warning(
                    "session_id=<%s>, error=<%s> | a listener to appends failed", session_id, frames_of(error)
                )
        if random.random() * _TRIM_EVERY < 1:
            partition = self.keyspace.partition(session_id)
            self._trimming.submit(str(partition), lambda: self._trim(partition))

    def _trim(self, partition: int) -> None:
        try:
            self.trim_feed(partition)
        except SessionLogError as error:
            logger.warning("partition=<%d>, error=<%s> | the feed was not trimmed", partition, error)

    def close(self) -> None:
        """Give back the connection that appends hold, and trim no more in passing; the log stays usable."""
        self._trimming.close()
        self.store.release()

    def read(
        self,
        session_id: str,
        after: EventId = START,
        until: EventId | None = None,
        wanted: Callable[[str, str], bool] | None = None,
    ) -> Iterator[Recorded]:
        """The events of a session in order, read page by page as they are consumed.

        Args:
            session_id: The session; one that does not exist has no events.
            after: Read what follows this id; its revision is 0 when only its time counts.
            until: The last id to read.
            wanted: Only events of whose type and agent it says so; the others are not decoded. None for all.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        last = after
        pages = self.opened_pages(session_id, start_after(after), end_at(until), is_strict=False)
        for entry in chain.from_iterable(pages):
            found = recorded(entry) if wanted is None or wanted(*kind_of(entry)) else None
            id_ = id_of(entry[0]) if found is None else found.id
            if last.revision and id_.revision != last.revision + 1:
                raise LogForkedError(session_id, last)
            last = id_
            if found is not None:
                yield found

    def entries(self, session_id: str, start: str = "-", end: str = "+") -> Iterator[tuple[Any, Any]]:
        """The raw entries of a session stream: ids with their fields, as bytes.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        for page in self.pages(session_id, start, end):
            for entry_id, flat in page:
                yield entry_id, fields_of(flat)

    def pages(self, session_id: str, start: str = "-", end: str = "+") -> Iterator[Sequence[RawEntry]]:
        """The raw entries of a session stream, page by page: ids, each with field names and values in turn.

        Every page but the first is read together with the last entry of the page before: as long as that is there, what
        follows belongs to the same history.

        Raises:
            LogForkedError: When it is not there any more.
            CorruptKeyError: When the key is no stream.
        """
        return self._reader.pages(session_id, start, end)

    def locate(self, session_id: str, revision: int) -> EventId | None:
        """The id of a revision, found on the server in one round trip; None when there is no such revision."""
        if revision == 0:
            return START
        key = self.keyspace.session(session_id).events
        with diagnosed(self.store, session_id):
            return session.locate(self.store, key, revision)

    def resolve(self, session_id: str, point: Point) -> EventId:
        """Find the event id a point stands for; revision 0 in it means a time between events.

        A relative time is relative to the server's clock, from which events have their time.

        Raises:
            InvalidPointError: When it is no point in time.
            RevisionNotFoundError: When the session does not have that revision.
        """
        is_relative = isinstance(point, str) and point.strip().startswith("-")
        match parse_point(point, now_ms=self.now_ms(session_id) if is_relative else None):
            case EventId() as event_id:
                return event_id
            case Instant(ms):
                return EventId(ms, 0)
            case Revision(number):
                found = self.locate(session_id, number)
                if found is None:
                    raise RevisionNotFoundError(session_id, number)
                return found

    def seen(self, session_id: str) -> Position | None:
        """Where a session was seen to stand last, by whoever shares this log; None if nobody has seen it."""
        return self._appender.positions.get(session_id)

    def head(self, session_id: str) -> Position | None:
        """Where a session stands; None when there is none.

        Raises:
            CorruptKeyError: When the head does not tell.
        """
        key = self.keyspace.session(session_id).head
        with diagnosed(self.store, session_id):
            reply = self.store.fields(key, "revision", "link", "ms")
        return position_of(key, reply)

    def moved(self, session_id: str, multi_agent: str) -> EventId:
        """The event with which a graph or swarm moved last, see `MultiAgentAt`; `START` when it never did.

        Raises:
            CorruptKeyError: When the head does not tell.
        """
        key, field = self.keyspace.session(session_id).head, f"multi_agent:{multi_agent}:moved"
        with diagnosed(self.store, session_id):
            (found,) = self.store.fields(key, field)
        at: EventId = parsed(key, field, found or "0-0", EventId.parse)
        return at

    def life(self, session_id: str) -> Life:
        """Which of the sessions that have had this id stands there now, or would begin there; in one round trip."""
        with diagnosed(self.store, session_id):
            return session.life(self.store, session_id)

    def now_ms(self, session_id: str) -> int:
        """The clock that the session's events get their time from, in milliseconds since the epoch."""
        return self.clock(self.keyspace.session(session_id).head)

    def clock(self, key: str) -> int:
        """The clock of the server that holds a key, in milliseconds since the epoch; else this machine's."""
        try:
            seconds, microseconds = self.store.command(b"TIME", at=key)
        except ForbiddenError:
            return round(time.time() * 1000)
        return int(seconds) * 1000 + int(microseconds) // 1000

    def erase(
        self,
        session_id: str,
        ids: Iterable[EventId],
        reason: str,
        progress: Progress = lambda done, total: None,
        by: str = "",
        find: Find = nothing_more,
        leave_held: bool = False,
    ) -> EventId | None:
        """Erase the bodies of events, also in the session's forks; their place in the hash chain stays.

        Args:
            session_id: The session.
            ids: The events.
            reason: Why, for the `PayloadErased` event.
            progress: Called after each step.
            by: Who erases, for that event.
            find: Finds what else is to be erased, here and in the forks.
            leave_held: Leave forks as they are that are held.

        Returns:
            The id of the event that records it; None when everything was erased before.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it lacks one of the events; nothing is erased.
            ContentionError: When others wrote or erased during every attempt.
            SessionHeldError: When it is held, which `check_erasable` tells before; or a fork is: the rest is erased.
        """
        with diagnosed(self.store, session_id):
            recorded = self._eraser.erase(session_id, ids, record_of(reason, by), progress, find, leave_held)
        if recorded is None:
            return None
        self._appended(session_id, recorded)
        return recorded.id

    def check_erasable(self, session_id: str, ids: Iterable[EventId], find: Find, leave_held: bool = False) -> None:
        """Refuse what a hold would refuse, before anything is written; see `erase`.

        Raises:
            SessionHeldError: When the session is held, or a fork that has what is to be erased, unless that is left.
        """
        with diagnosed(self.store, session_id):
            self._eraser.check(session_id, ids, find, leave_held)

    def plan_erasure(self, session_id: str, ids: Iterable[EventId], find: Find = nothing_more) -> PlannedErasure:
        """What `erase` would erase, and what of it would stay; nothing is written. It raises what `erase` does."""
        with diagnosed(self.store, session_id):
            return self._eraser.plan(session_id, ids, find)

    def fork(
        self,
        session_id: str,
        at: EventId,
        into: str,
        progress: Progress = lambda done, total: None,
        by: str = "",
        then: Then = tuple,
    ) -> EventId:
        """Begin a session with a copy of another one's events up to one of them; see `SessionLog.fork`.

        Returns:
            The id of the `SessionForked` event that follows the copy, before those it is to begin with.
        """
        with diagnosed(self.store, session_id, into):
            position, forked = self._forker.fork(session_id, at, into, progress, by, then)
        self._appended(into, position)
        return forked

    def delete(self, session_id: str, reason: str = "", by: str = "") -> int | None:
        """Remove every key of a session, and of no other; a tombstone stays.

        Args:
            session_id: The session.
            reason: Why, for the tombstone.
            by: Who deletes it, for the tombstone.

        Returns:
            How many events it had; None when there was no such session.

        Raises:
            SessionHeldError: When it is held.
        """
        with diagnosed(self.store, session_id):
            revision = self._deleter.delete(session_id, reason, by)
        self._appender.forget(session_id)
        return revision

    def recount(self, session_id: str) -> bool:
        """Sum up a session anew from its events; see `recounting.recount`."""
        return recount(self.store, self.pages, session_id, self.cipher)

    def tombstones(self, session_id: str | None = None) -> Iterator[Tombstone]:
        """What is left of the deleted sessions of an id, oldest first; or of all."""
        return self._deleter.all() if session_id is None else iter(self._deleter.of_session(session_id))

    def reduce_tombstone(self, session_id: str, but_for: str = "") -> int:
        """Put hashes in place of what may be personal in the tombstones of an id; how many lives they tell of."""
        return self._deleter.reduce(session_id, but_for)

    def trim_feed(self, partition: int, *, exactly: bool = False, is_patient: bool = True) -> Trimmed:
        """Remove from the feed of a partition what its groups do not need any more, see `FeedRetention`.

        Args:
            partition: The partition, from 0.
            exactly: Not only as far as whole nodes of the stream can be dropped, which is much cheaper.
            is_patient: Wait for a server that is away; else try once.
        """
        store = self.store if is_patient else self.store.with_retry_for(0, within=ANSWERED_WITHIN)
        with naming(store, {self.keyspace.feed(partition): ("stream", CURES["feed"])}):
            return store.retrying(lambda: trim(store, partition, self.retention, exactly=exactly))
