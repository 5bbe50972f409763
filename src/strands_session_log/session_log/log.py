"""SessionLog: the one object users hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Literal, overload

from .. import audit, evidence, seals, subscription
from .. import tail as tails
from ..encryption import KeyProvider, provider
from ..errors import (
    GroupNotFoundError,
    NotCopied,
    SessionNotFoundError,
    refuse_unknown,
    with_settings_of,
)
from ..event_log import ANY, EventLog, Expected, Progress, Tombstone
from ..event_log.chained_batch import Position
from ..event_log.listing import Wanted
from ..event_log.namespace import open_namespace
from ..events import Event, Recorded, SessionInfo, selector
from ..feed import FeedRetention
from ..ids import START, EventId, Point, check_id
from ..keys import DEFAULT_NAMESPACE, check_namespace
from ..replay import Replay, rewind, then_and_now, unanswered
from ..server import Client, Durability, ServerReport, connect, release
from ..snapshot import SnapshotKey, SnapshotSettings
from ..snapshot.keys import authenticator
from ..state import SessionDiff, SessionState, diff
from . import erasing
from .erasing import ErasurePlan
from .points import event_at, sketch_at, state_at, states_at
from .retention import Retention
from .settings import Archive, LogSettings, check_archive, check_settings, with_keys_of
from .subject_keys import SubjectKeys
from .subjects import Subjects

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from typing_extensions import Unpack

    from ..audit import Anchor, Audited, CheckedEvents, Expect, SessionChecker, Verification
    from ..evidence import BundleSummary, ExportOptions, ImportedSession, ImportOptions, Sink
    from ..seals import Seals
    from ..subscription import Gap, GapResolution, GroupStatus, ParkedEvents
    from ..tail import FeedPosition, FeedTail, LivePoint, LiveTail, Tail

DEFAULT_SNAPSHOTS = SnapshotSettings()
DEFAULT_FEED = FeedRetention()


class SessionLog(NotCopied):
    """An append-only log of agent sessions on one Valkey or Redis server.

    Safe to share between threads; holds nothing but the client and a few positions.

    Args:
        client: Any sync valkey-py client: `valkey.Valkey` or `valkey.ValkeyCluster`, decoding or not, RESP2 or RESP3.
            It stays yours: closing the log leaves it open. It needs connections for several threads, so not
            `single_connection_client=True`; and a `socket_timeout`, or tails wait for a dead server for ever.
        namespace: First part of every key; logs in different namespaces never see each other.
        partitions: Partitions of a namespace that does not exist yet (16 if left out). It cannot be changed later, and
            a count that differs from the namespace's own is refused.
        durability: What an append waits for: `memory`, `replicated:N` or `fsync`, or a `Durability`.
        retry_for: For how many seconds a server that is away, stands still or refuses for now is waited for; a call
            then fails within half a second. 0 means one attempt, which the client's own time-outs bound.
        allow_eviction: Accept a server that may silently delete sessions when memory runs out.
        snapshots: When snapshots are saved, and how; None to do without.
        snapshot_key: A secret of at least 32 bytes, or several (the first signs, all verify), with which snapshots are
            authenticated: one that was written without it is dropped, and the log read instead. If left out,
            those in the file that `SESSION_LOG_SNAPSHOT_KEY_FILE` names, if it is set; `()` for none.
        subject_key: Likewise for `subjects`, which hashes persons with the first; `SESSION_LOG_SUBJECT_KEY_FILE`.
        feed: For how long the feed is kept, which subscriptions read; the sessions themselves are kept until deleted.
        verify_on_resume: Whether session managers of this log refuse to resume from what is not what was written.
        compress: `zstd` compresses the bodies written from now on, which are no text then. Readers need no setting.
        encryption: A `KeyProvider`, or `LocalKeys` by directory: encrypts content; else `SESSION_LOG_ENCRYPTION_KEYS`.
        archive: Brings sessions back that are not there any more when an agent resumes them, see docs/archive.md.

    Attributes:
        client: The client.
        namespace: The namespace.
        verify_on_resume: As given.
        retention: How long sessions stay: times to live, policies by label, and holds, under which nothing goes.
        subjects: Whom sessions are about: finds, exports and erases what is about a person.

    Raises:
        UnusableClientError: When no log can be kept on the client.
        InvalidSettingError: When one of the settings cannot be.
        UnknownArgumentError: When there is no argument of this name.
        UnsupportedServerError: When the server is older than Valkey 7.2 or Redis 7.0.
        EvictionPolicyError: When the server evicts keys of any kind.
        NamespaceMismatchError: When the namespace has another partition count or format.
        ServerUnavailableError: When the server cannot be reached.
    """

    _INSTEAD = "share it between threads, and connect anew in another process"

    @refuse_unknown
    def __init__(
        self,
        client: Client,
        namespace: str = DEFAULT_NAMESPACE,
        *,
        partitions: int | None = None,
        durability: Durability | str = "memory",
        retry_for: float = 10.0,
        allow_eviction: bool = False,
        snapshots: SnapshotSettings | None = DEFAULT_SNAPSHOTS,
        snapshot_key: SnapshotKey | None = None,
        subject_key: SnapshotKey | None = None,
        feed: FeedRetention = DEFAULT_FEED,
        verify_on_resume: bool = False,
        compress: Literal["zstd"] | None = None,
        encryption: KeyProvider | str | None = None,
        archive: Archive | None = None,
    ) -> None:
        check_namespace(namespace)
        durability = check_settings(
            durability,
            retry_for,
            snapshots,
            feed,
            compress,
            allow_eviction=allow_eviction,
            verify_on_resume=verify_on_resume,
        )
        sealing, keys = authenticator(snapshot_key), provider(encryption)
        self._owns_client, self.verify_on_resume, self.archive = False, verify_on_resume, check_archive(archive)
        store = open_namespace(client, namespace, partitions, retry_for, durability, allow_eviction)
        self.client = client
        self.namespace = namespace
        self._events = EventLog(store, feed, compresses=compress is not None, keys=keys)
        self._replay = Replay(self._events, snapshots, sealing)
        self.retention = Retention(self._events)
        self.subjects = Subjects(self._events, self._replay, SubjectKeys(subject_key), self)
        self._multiplexer = tails.Multiplexer(store)
        # A tail waits for a server by itself, and for as long as it takes.
        self._impatient = cache(lambda: EventLog(store.with_retry_for(0), keys=keys))

    @classmethod
    @refuse_unknown
    @with_settings_of(__init__)
    def connect(cls, url: str, namespace: str = DEFAULT_NAMESPACE, **settings: Unpack[LogSettings]) -> SessionLog:
        """Connect to a server by URL; `close` then ends the connections, as does leaving a `with` block.

        Args:
            url: `valkey://`, `valkeys://`, `redis://`, `rediss://`, `unix://path`, `valkey+cluster://h:p`,
                `valkey+sentinel://h:p,h:p/service`, `embedded:///dir` or `embedded:///./dir` (a server of your own,
                kept) or `embedded:` (a temporary one). `?snapshot_key_file=`, `?subject_key_file=` name key files.
            namespace: As for `SessionLog`.
            settings: As for `SessionLog`; a `snapshot_key` counts before that which the URL names.

        Raises:
            InvalidUrlError: When the URL is none of these.
            UnknownArgumentError: When there is no argument of this name.
        """
        settings = with_keys_of(url, settings)
        client = connect(url)
        try:
            log = cls(client, namespace, **settings)
        except BaseException:
            release(client)
            raise
        log._owns_client = True
        return log

    def close(self) -> None:
        """End all tails and close the connections that `connect` made; an embedded server without other users stops.

        A client that was passed in may have other users, and stays open.
        """
        self._multiplexer.close()
        self._replay.close()
        self._events.close()
        if self._owns_client:
            release(self.client)

    def __enter__(self) -> SessionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sessions(
        self,
        limit: int = 50,
        before: SessionInfo | datetime | str | None = None,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        failed: bool = False,
        waiting: bool = False,
        agent: str | None = None,
        labels: Mapping[str, str] | None = None,
        ascending: bool = False,
        last_message: bool = False,
    ) -> list[SessionInfo]:
        """The sessions, most recently active first, with what the log sums up of each: what agents do, errors, tokens.

        Times are a datetime, ISO text or, by the server's clock, relative (`-5m`). Only the fullest are read.

        Args:
            limit: How many at most.
            before: The last line of the page before, or its `cursor`; or a time.
            since: Only those that were last active then, or later.
            until: Only those that were last active then, or before.
            failed: Only those with an agent whose last call failed; with `waiting`, either.
            waiting: Only those with an agent that waits for a person's answer.
            agent: Only those with this agent, graph or swarm.
            labels: Only those that are annotated with all of these; what is no text is compared as JSON.
            ascending: Those first that were active longest ago.
            last_message: Read what was said last in each of them.

        Raises:
            InvalidPointError: When a text is neither a time nor a cursor; an `InvalidIdError` when the agent is no id.
        """
        at = (SessionInfo.at_cursor(before) or before) if isinstance(before, str) else before
        wanted = Wanted(failed, waiting, "" if agent is None else check_id("agent", agent), labels or {}, last_message)
        return self._events.listing.sessions(limit, wanted, before=at, since=since, until=until, ascending=ascending)

    def session(self, session_id: str) -> SessionInfo:
        """What is known of one session without reading it, and what was said last; two round trips or three.

        Args:
            session_id: The session.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        found = self._events.listing.session(session_id)
        if found is None:
            raise SessionNotFoundError(session_id)
        return found

    def session_ids(self, since: datetime | str | None = None) -> Iterator[str]:
        """The ids of all sessions, most recently active first, read page by page as they are consumed.

        Each comes once, none that is written to meanwhile is left out, nor those whose damaged head `sessions` skips.

        Args:
            since: Only of those that had an event at or after this time, as for `count_sessions`.
        """
        return self._events.listing.session_ids(since)

    @property
    def partitions(self) -> int:
        """How many partitions the namespace has; a group stands in each of them on its own."""
        return self._events.keyspace.partitions

    def count_sessions(self, since: datetime | str) -> int:
        """How many sessions had an event at or after a time, by the server's clock; cheap, however many there are.

        Args:
            since: A datetime, ISO text, or a relative time (`-5m`), which is relative to the server's clock, too.
        """
        return self._events.listing.count(since)

    def servers(self) -> list[ServerReport]:
        """What the server says about itself: memory, persistence, eviction; of a cluster, every primary.

        Raises:
            ServerUnavailableError: When one of them cannot be reached.
        """
        return self._events.store.reports()

    def append(
        self,
        session_id: str,
        events: Event | Sequence[Event],
        expected: Expected = ANY,
        *,
        once: bool = False,
    ) -> EventId:
        """Append events to a session: all of them or none, and never twice.

        Args:
            session_id: The session; its first event creates it.
            events: What happened, in order.
            expected: `NO_SESSION`, `SessionAt(revision)` or `AgentAt(agent, …)` fences the append; `ANY` always lands.
            once: Leave out events that are among the session's last 1,000, whichever process appended them: they are
                known by their `event_id`, which you then give them yourself. What is not there yet is appended if it
                comes behind what is; nothing is expected of a session that has all of them.

        Returns:
            The id of the last event.

        Raises:
            EncodingError: When a value cannot be stored; names it. And when there are more than 1,000 events,
                or more than 16 with more than 16 MiB together: while they land, the server does nothing else.
            ConcurrentWriteError: When what was expected is not so.
            EventOrderError: When it was to be once, and some of the events are there, but not those before them.
            UnknownOutcomeError: When no answer came; appending the same events again settles it.
            ServerRefusedError: When the server refuses; nothing was written. It is a `ServerNotReadyError`, such as
                `OutOfMemoryError` or `ReadOnlyServerError`, if it went on refusing for as long as it was waited for.
        """
        batch = [events] if isinstance(events, Event) else events
        return self._events.append(session_id, batch, expected, once=once)[-1]

    def read(
        self,
        session_id: str,
        after: Point | None = None,
        until: Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> Iterator[Recorded]:
        """The events of a session in order, lazily.

        Args:
            session_id: The session; one that does not exist has no events.
            after: Only what follows this point (a revision, event id, datetime, ISO text or relative time).
            until: Only up to and including this point.
            types: Only events of these types; `message.*` means all that begin with `message.`.
            agent: Only events of this agent.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        wanted = None if types is None and agent is None else selector(types, agent)
        return self._events.read(session_id, *self._between(session_id, after, until), wanted)

    def read_checked(self, session_id: str, after: Point | None = None, until: Point | None = None) -> CheckedEvents:
        """The events of a session in order, lazily, each held against the hash chain before it is given.

        Iterate over it; its `integrity` then tells whether those that were given are what was written.

        Args:
            session_id: The session; one that does not exist has no events.
            after: As for `read`.
            until: As for `read`.
        """
        return audit.CheckedEvents(self._events, session_id, *self._between(session_id, after, until))

    def checker(self, session_id: str, *, expect: Iterable[Expect] = ()) -> SessionChecker:
        """Check the hash chain of a session step by step, and go on when there are more events.

        What is checked once is not checked again, so that who shows a session that goes on can say all the while
        whether it is intact; `verify` checks all there is, beside the events, too, and begins anew each time.

        Args:
            session_id: The session.
            expect: As for `verify`.
        """
        return audit.SessionChecker(self._events, session_id, expect)

    def _between(self, session_id: str, after: Point | None, until: Point | None) -> tuple[EventId, EventId | None]:
        start = START if after is None else self.resolve(session_id, after)
        return start, None if until is None else self.resolve(session_id, until)

    def head(self, session_id: str) -> EventId:
        """The last event of a session; its revision is how many there are. One round trip.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        return self._position(session_id).id

    def _position(self, session_id: str) -> Position:
        found = self._events.head(session_id)
        if found is None:
            raise SessionNotFoundError(session_id)
        return found

    def event(self, session_id: str, point: Point) -> Recorded:
        """One event of a session.

        Args:
            session_id: The session.
            point: Its revision or id.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it does not have that event.
            InvalidPointError: When it is a time, not an event.
        """
        return event_at(self._events, session_id, point)

    def resolve(self, session_id: str, point: Point) -> EventId:
        """Find the event id a point stands for; revision 0 in it means a time between events.

        A relative time is relative to the server's clock, from which events have their time.

        Raises:
            InvalidPointError: When it is no point in time.
            RevisionNotFoundError: When the session does not have that revision.
        """
        return self._events.resolve(session_id, point)

    def state(self, session_id: str, at: Point | None = None) -> SessionState:
        """The session as its events left it, now or at a point.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            LogForkedError: When it was deleted or replaced while it was read.
        """
        return state_at(self._events, self._replay, session_id, at)

    def diff(self, session_id: str, a: Point, b: Point | None = None) -> SessionDiff:
        """What differs between two points: messages, redactions, agent state, and what the agents hold.

        Args:
            session_id: The session.
            a: The one point.
            b: The other; now if left out. It may be the earlier one.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
        """
        return diff(*states_at(self._events, self._replay, session_id, a, b))

    @overload
    def tail(
        self,
        session_id: str,
        after: Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> Tail[Recorded]: ...

    @overload
    def tail(
        self,
        session_id: None = None,
        after: FeedPosition | Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> FeedTail: ...

    def tail(
        self,
        session_id: str | None = None,
        after: FeedPosition | Point | None = None,
        types: str | Sequence[str] | None = None,
        agent: str | None = None,
    ) -> Tail[Recorded] | FeedTail:
        """Follow one session, or all: what happens as it happens, in order, for ever.

        Loop over it with `async for`, or with `for` in a thread. Any number of tails share two threads and one
        connection of the client's pool, in a cluster one a partition; each holds a bounded part of what its consumer
        has not taken yet. Nothing is kept on the server.

        Args:
            session_id: The session; one that does not exist yet is waited for. Left out, the whole feed is followed: an
                `Envelope` for every event of every session, in order within each session, without content.
            after: Only what follows this point: a revision, event id, datetime, ISO text, relative time, or `"now"`.
                Left out, from the beginning. Of the feed: a time, `"now"`, or a `FeedPosition`; else all it holds.
            types: Only these types; `message.*` means all that begin with `message.`.
            agent: Only this agent's.

        Raises:
            InvalidPointError: When `after` is none.
            InvalidIdError: When the session id cannot be one.
        """
        if session_id is None:
            return tails.tail_feed(self._multiplexer, self._impatient(), after, types, agent)
        point = str(after) if isinstance(after, tails.FeedPosition) else after
        return tails.tail_session(self._multiplexer, self._impatient(), session_id, point, types, agent)

    def live(self, session_id: str, after: LivePoint | str | None = None, types: str | Sequence[str] = ()) -> LiveTail:
        """Follow what is being said in a session: pieces of messages, and each message once it is in the log.

        Needs `LiveTokens` on the agent. Nothing is promised of the pieces; the messages are those of the log.

        Args:
            session_id: The session; one that does not exist yet is waited for.
            after: The `position` of a tail, also as text: goes on there, in the middle of a message too, and gives the
                messages that were finished since. An event's id: the messages after it, and all there is of those
                being said. A piece's id: what follows it, and messages of that time once more. Left out, what is
                being said now from its beginning.
            types: Of which types other events are to come, in their place among the messages.

        Raises:
            InvalidPointError: When `after` is no position and no id.
            InvalidIdError: When the session id cannot be one.
        """
        return tails.tail_live(self._multiplexer, self._impatient(), session_id, after, types)

    def fork(
        self,
        session_id: str,
        at: Point | None,
        into: str,
        *,
        allow_unanswered: bool = False,
        progress: Progress = lambda done, total: None,
        by: str = "",
    ) -> EventId:
        """Begin a new session as a copy of another, up to a point; from there on, each goes its own way.

        The copy is complete: the other one may be deleted. What is erased in the other one is erased in its forks, too,
        as far as they have it; what is erased in a fork still stands in the session it was made of.

        Args:
            session_id: The session to copy.
            at: The last event to copy, or the time up to which; None for all there is.
            into: The id of the new session.
            allow_unanswered: Go on from there even if an agent waited for a tool then.
            progress: Called after each step with how many events are copied, and of how many.
            by: Who forks, for the event that records it.

        Returns:
            The id of the `SessionForked` event, the first that is the new session's own.

        Raises:
            SessionExistsError: When there is a session of that id already.
            SessionNotFoundError: When there is none to copy; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            UnansweredToolCallsError: When an agent waited for a tool then.
            ServerUnavailableError: When no answer came; if it was made all the same, forking again says that it exists.
        """
        there = sketch_at(self._events, self._replay, session_id, at)
        if not allow_unanswered:
            unanswered.check(self._events, session_id, there)
        return self._events.fork(session_id, there.position, into, progress, by)

    @overload
    def rewind(
        self,
        session_id: str,
        to: Point,
        *,
        allow_unanswered: bool = False,
        by: str = "",
        dry_run: Literal[False] = False,
    ) -> EventId: ...

    @overload
    def rewind(
        self, session_id: str, to: Point, *, allow_unanswered: bool = False, by: str = "", dry_run: Literal[True]
    ) -> SessionDiff: ...

    def rewind(
        self, session_id: str, to: Point, *, allow_unanswered: bool = False, by: str = "", dry_run: bool = False
    ) -> EventId | SessionDiff:
        """Let the agents resume from an earlier point; the log keeps what was said since.

        An event records it, and from where, so that it can be undone by rewinding to there. Live agents of the session
        are refused from then on, with `ConcurrentWriteError`; those that resume hold what they held at that point.

        Args:
            session_id: The session.
            to: The point.
            allow_unanswered: Go there even if an agent waited for a tool then.
            by: Who rewinds, for the event that records it.
            dry_run: Write nothing, only tell what would change.

        Returns:
            The id of the `SessionRewound` event; in a dry run, what differs from now on.

        Raises:
            SessionNotFoundError: When there is no such session; a `SessionNotBegunError` when it had not begun by then.
            RevisionNotFoundError: When it does not have that event.
            UnansweredToolCallsError: When an agent waited for a tool then.
            ContentionError: When others wrote during every attempt.
        """
        check = unanswered.accept if allow_unanswered else partial(unanswered.check, self._events, session_id)
        past = partial(sketch_at, self._events, self._replay, session_id, check=dry_run)
        if not dry_run:
            return rewind(self._events, self._replay, session_id, to, past, check, by)
        there, now = then_and_now(self._events, self._replay, session_id, partial(past, to), verified=True)
        check(there)
        # What is the session's own stays as it is.
        return diff(now, replace(there, session=now.session, labels=now.labels))

    def erase(
        self,
        session_id: str,
        event: Point | Iterable[Point],
        reason: str,
        progress: Progress = lambda done, total: None,
        by: str = "",
        *,
        leave_held: bool = False,
    ) -> EventId | None:
        """Erase what events hold, in the stream and in everything derived from it; the hash chain still verifies.

        A message goes wherever the session holds what it says: in what an agent has in store while it waits for a
        person, results of tools among it; in what people were asked and answered about it; in errors that quote it; in
        an agent that is a tool of another; in windows; in what a graph or swarm keeps of its nodes. What agents resume
        with is written anew without it, which moves them as any writer does.

        The stream is rewritten in steps of a few milliseconds while others go on reading and appending; then those of
        the session's forks are, as far as they have the events. If that fails half-way, erase again. In the session
        this one was forked from, nothing is erased. Copies in the server's append-only file, RDB files and backups
        stay until these are rewritten or thrown away.

        Args:
            session_id: The session.
            event: The event's id or revision; or several.
            reason: Why; kept in the `PayloadErased` event that records the erasure.
            progress: Called after each step with how many events are copied, and of how many.
            by: Who erases; kept in that event, too.
            leave_held: Go on where a fork is held that has the same, which stays there: `plan_erasure` tells.

        Returns:
            The id of the event that records it; None when everything was erased before.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it does not have one of the events; nothing is erased.
            InvalidPointError: When one of them is a time, not an event.
            ContentionError: When others wrote or erased during every attempt.
            SessionHeldError: When the session is held, or a fork that has the same; nothing is erased.
        """
        return erasing.erase(self._events, self._replay, session_id, event, reason, progress, by, leave_held)

    def plan_erasure(self, session_id: str, event: Point | Iterable[Point]) -> ErasurePlan:
        """What `erase` of the same would erase here and in forks, and what would stay; nothing is written."""
        return erasing.plan_erasure(self._events, self._replay, session_id, event)

    def delete(self, session_id: str, *, reason: str = "", by: str = "") -> int:
        """Remove every key of a session; nothing of any other.

        A tombstone stays, see `tombstones`, and the feed tells of the deletion as `session.deleted`.

        Args:
            session_id: The session.
            reason: Why; kept in the tombstone, and in the feed for as long as that is.
            by: Who deletes it; likewise.

        Returns:
            How many events it had.

        Raises:
            SessionNotFoundError: When there is no such session.
            SessionHeldError: When it is held.
        """
        revision = self._events.delete(session_id, reason, by)
        if revision is None:
            raise SessionNotFoundError(session_id)
        return revision

    def tombstones(self, session_id: str | None = None) -> Iterator[Tombstone]:
        """What is left of deleted sessions: their links, when, by whom and why they were deleted; never content.

        A partition keeps the newest 10,000, and all of the last hour, but at most 65,536; of one id the last 16.

        Args:
            session_id: Of this id only, oldest first; else of all, in no order.
        """
        return self._events.tombstones(session_id)

    def reduce_tombstone(self, session_id: str) -> int:
        """Put SHA-256 hashes in place of the session's id, of who deleted it and why, in what is left of it.

        The links stay, so one who knows the id can still show what was deleted. The feed has it until it is trimmed.

        Returns:
            How many lives of the id were reduced.

        Raises:
            SessionNotFoundError: When nothing is left of such a session.
        """
        reduced = self._events.reduce_tombstone(session_id)
        if not reduced:
            raise SessionNotFoundError(session_id)
        return reduced

    def verify(
        self,
        session_id: str,
        progress: Progress = lambda done, total: None,
        *,
        expect: Iterable[Expect] = (),
        feed: bool = False,
        against: Seals | None = None,
    ) -> Verification:
        """Recompute the hash chain of a session, and hold head, directory, feed and snapshot against it.

        Args:
            session_id: The session.
            progress: Called with how many events are checked, and of how many, for every thousandth.
            expect: Links that were noted elsewhere, see `anchor`: `(7, "LINK")`, `"7:LINK"`, or an `Anchor`.
            feed: Also find events that the feed should tell of and does not.
            against: Seals, or their directory: what was sealed must be there still; see docs/seals.md.

        Raises:
            SessionNotFoundError: When there is no such session.
            LogForkedError: When it was deleted or replaced while it was read.
            InvalidAnchorError: When something expected is no revision with a link.
        """
        keys = self._replay.authenticator
        return seals.verify(self._events, session_id, progress, against, expect, feed, keys)

    def verify_all(
        self,
        progress: Progress = lambda done, total: None,
        *,
        expect: Iterable[Anchor] = (),
        feed: bool = False,
        against: Seals | None = None,
    ) -> Iterator[Audited]:
        """Verify every session, also such as the directory does not list; each feed is read once.

        A session that cannot be verified is told as broken, and does not end it. What is wrong beside the sessions,
        with a feed or a directory, comes with None for a session.

        Args:
            progress: As for `verify`, of one session after the other.
            expect: Links that were noted elsewhere.
            feed: Also find events that the feed should tell of and does not, and gaps in it.
            against: As for `verify`; the seals themselves are checked as a whole, too.

        Raises:
            ServerUnavailableError: When the server cannot be reached.
        """
        return seals.verify_all(self._events, progress, against, expect, feed, self._replay.authenticator)

    def export(
        self, session_ids: str | Iterable[str] | None, file: Sink, **options: Unpack[ExportOptions]
    ) -> BundleSummary:
        """Write sessions, or with None all there are, to an evidence bundle; options as for `evidence.export`."""
        return evidence.export(self._events, session_ids, file, **options)

    def import_(self, file: str | Path | IO[bytes], **options: Unpack[ImportOptions]) -> list[ImportedSession]:
        """Bring sessions back from an evidence bundle, byte for byte; options as for `evidence.import_bundle`."""
        return evidence.import_bundle(self._events, file, **options)

    def recount(self, session_id: str) -> bool:
        """Sum up a session anew from its events, where what `sessions` tells of it is absent or wrong.

        That is so of sessions that began before heads summed up anything, and where `verify` notes it.

        Args:
            session_id: The session.

        Returns:
            Whether all is known: not where the content of events was erased that tell of calls, errors or tokens.

        Raises:
            SessionNotFoundError: When there is no such session.
            ContentionError: When others wrote during every attempt.
        """
        return self._events.recount(session_id)

    def anchor(self, session_id: str) -> Anchor:
        """Where a session stands now. Noted elsewhere, it proves later that nothing before was changed.

        Args:
            session_id: The session.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        position = self._position(session_id)
        return audit.Anchor(session_id, position.id.revision, position.link)

    def groups(self) -> list[GroupStatus]:
        """How the subscriptions of this log stand: one line a group and partition, in their order."""
        return subscription.groups(self._events.store)

    def parked(self, group: str) -> ParkedEvents:
        """What a subscription gave up on: iterate over it, `replay` or `drop` it.

        Args:
            group: Its name.
        """
        return subscription.ParkedEvents(self._events.store, group)

    def settle_gaps(self, group: str, how: GapResolution) -> list[Gap]:
        """Settle what is gone from the feed and was not delivered to a group, as every consumer of it is told.

        Args:
            group: Its name.
            how: `catch_up`: consumers of the group read the events of that time from the sessions, those they had
                already among them; or `skip`: the group goes on without them.

        Returns:
            What was missing, by partition; nothing when there was no gap.

        Raises:
            GroupNotFoundError: When there is no such group.
        """
        gaps = subscription.settle_gaps(self._events.store, group, how)
        if not gaps:
            subscription.check_group(self._events.store, group)
        return gaps

    def delete_group(self, group: str) -> None:
        """Remove a group: where it stands, what it was given and has not settled, and what it has parked.

        Stop its consumers first: one that still reads makes the group anew, where that consumer is.

        Args:
            group: Its name.

        Raises:
            GroupNotFoundError: When there is no such group.
        """
        if not subscription.delete_group(self._events.store, group):
            known = {one.group for one in self.groups()}
            raise GroupNotFoundError(group, sorted(known))
