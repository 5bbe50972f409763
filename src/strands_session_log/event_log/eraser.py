"""Erasing what events hold: their bodies and salts leave the server's memory, their commitments stay.

A stream entry cannot be changed, so the session is copied entry by entry into a new stream, which then takes the place
of the old one. Each step is one script call that copies a bounded number of entries; others append and read meanwhile.
The last step copies what was appended, puts the new stream into place and records the erasure, all at once. See ADR
0007. What was copied into forks is erased there, too, see ADR 0010.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import uuid4

import orjson

from ..codec import Entry, fields_of, parse
from ..concurrency import Backoff
from ..encryption import Cipher, Sealer, encode_beside
from ..errors import (
    ContentionError,
    CorruptKeyError,
    RevisionNotFoundError,
    SessionHeldError,
    SessionNotFoundError,
)
from ..events import PayloadErased
from ..ids import START, EventId, Ranges
from ..scripts import session
from ..scripts.retention import holds_in
from ..scripts.session import Copied, Deleted, Landed, RewriteHeld
from ..server import Store, text
from .chained_batch import Position, chain_batch
from .diagnosis import CURES, diagnosed, erased_of, parsed, position_of
from .erasure_scope import ErasureTarget, Find, left_of, nothing_more
from .expected import ANY
from .lineage import ForkNote, ancestors_of, copy_key, forks_of
from .namespace import Layout

STEP_ENTRIES = 128
STEP_BYTES = 256 * 1024
PATIENCE_MS = 5_000
"""For how long a rewrite outlives its last step; one whose process died is gone after that, by itself."""

_NO_KEY = -2
_MAX_ATTEMPTS = 1_000
_MAX_RESTARTS = 100
_FETCHED_AT_ONCE = 16


Record: TypeAlias = "Mapping[str, str]"
"""What is to be on record of an erasure: `reason` and, if given, `by`."""


class Progress(Protocol):
    """Told after each step how far an erasure has come."""

    def __call__(self, done: int, total: int, /) -> object:
        """So many events of so many are copied."""


class PlannedErasure(NamedTuple):
    """What an erasure would do.

    Attributes:
        erased: By session, the events whose content would go: the session's first, then those of its forks.
        kept: By session that it was forked from, those of the first in which the same would still stand.
        held: By session that is held, itself or a fork, those that would go if it were not.
    """

    erased: Mapping[str, tuple[EventId, ...]]
    kept: Mapping[str, tuple[EventId, ...]]
    held: Mapping[str, tuple[EventId, ...]]


class RewriteProgress(NamedTuple):
    """How far a rewrite is, and where its session stands.

    Attributes:
        copied: The id copied last; `START` before the first.
        head: The session's last event.
    """

    copied: EventId
    head: Position


class _Seen(NamedTuple):
    """Sessions that were erased in, and why others were not."""

    sessions: set[str]
    held: list[SessionHeldError]


class Eraser:
    """Erases events of the sessions of one namespace; one for any number of threads."""

    def __init__(self, store: Store, layout: Layout, cipher: Cipher) -> None:
        """See `EventLog`."""
        self._store, self._keyspace, self._layout, self._cipher = store, store.keyspace, layout, cipher

    def erase(
        self,
        session_id: str,
        ids: Iterable[EventId],
        record: Record,
        progress: Progress,
        find: Find = nothing_more,
        leave_held: bool = False,
    ) -> Position | None:
        """See `EventLog.erase`.

        Args:
            session_id: The session.
            ids: The events.
            record: What the `PayloadErased` event says beside them: why, and by whom.
            progress: Called after each step.
            find: Finds what else is to be erased, here and in the forks.
            leave_held: Leave forks as they are that are held; else one is raised for once the rest is erased.

        Returns:
            The event that records the erasure; None when there was nothing left to erase.
        """
        wanted, seen = set(ids), _Seen({session_id}, [])
        recorded, targets = self._erase_all(session_id, wanted, record, progress, find)
        if targets:
            # Also when nothing was left to erase here: whoever erased it may have died before this.
            self._erase_in_forks(session_id, targets, record, seen, find)
        if seen.held and not leave_held:
            # Held since it was looked at.
            raise seen.held[0]
        return recorded

    def check(self, session_id: str, wanted: Iterable[EventId], find: Find, leave_held: bool) -> None:
        """See `EventLog.check_erasable`."""
        if held := self._held([session_id]):
            raise SessionHeldError(session_id, held[session_id])
        if leave_held or not self._forks(session_id):
            return
        for fork, holds in self._held(self.plan(session_id, wanted, find).held).items():
            raise SessionHeldError(fork, holds)

    def _held(self, session_ids: Iterable[str]) -> dict[str, tuple[EventId, ...]]:
        """Of these the ones that are held, each with the events that hold it."""
        names = list(session_ids)
        with diagnosed(self._store, *names):
            replies = self._store.pipeline([("HGET", self._keyspace.session(name).head, "held") for name in names])
        return {name: holds_in(text(held)) for name, held in zip(names, replies, strict=True) if held is not None}

    def plan(self, session_id: str, ids: Iterable[EventId], find: Find) -> PlannedErasure:
        """See `EventLog.plan_erasure`."""
        self._head(session_id)
        targets = self._targets(session_id, sorted({*ids, *find(session_id, START)}))
        forks = self._planned_in_forks(session_id, targets, {session_id}, find)
        left = {name: left_of(found) for name, found in ((session_id, targets), *forks)}
        holds = self._held(left)
        erased = {name: found for name, found in left.items() if name not in holds}
        held = {name: left[name] for name in holds if left[name]}
        return PlannedErasure(erased, self._kept_in_ancestors(session_id, targets), held)

    def _planned_in_forks(
        self, session_id: str, targets: Sequence[ErasureTarget], seen: set[str], find: Find
    ) -> Iterator[tuple[str, Sequence[ErasureTarget]]]:
        for fork in (note.session_id for note in self._forks(session_id) if note.session_id not in seen):
            seen.add(fork)
            with diagnosed(self._store, fork):
                shared = self._shared(fork, targets)
            if shared:
                with suppress(SessionNotFoundError, RevisionNotFoundError):
                    ids = {target.id for target in shared}
                    found = self._targets(fork, sorted({*ids, *find(fork, START)}))
                    yield fork, found
                    yield from self._planned_in_forks(fork, found, seen, find)

    def _kept_in_ancestors(
        self, session_id: str, targets: Sequence[ErasureTarget]
    ) -> Mapping[str, tuple[EventId, ...]]:
        key = self._keyspace.session(session_id).head
        (found,) = self._store.fields(key, "ancestors")
        names = () if found is None else parsed(key, "ancestors", found, ancestors_of)
        kept = {name: self._shared(name, targets, unless_erased=True) for name in names}
        return {name: tuple(target.id for target in found) for name, found in kept.items() if found}

    def _erase_all(
        self, session_id: str, wanted: set[EventId], record: Record, progress: Progress, find: Find
    ) -> tuple[Position | None, Sequence[ErasureTarget]]:
        """Erase in one session, also what was appended meanwhile."""
        head, _ = self._head(session_id)
        recorded, targets = self._erase(session_id, sorted({*wanted, *find(session_id, START)}), record, progress)
        while later := sorted(find(session_id, head.id)):
            head, _ = self._head(session_id)
            last, more = self._erase(session_id, later, record, progress)
            recorded, targets = last or recorded, [*targets, *more]
        return recorded, targets

    def _erase(
        self, session_id: str, wanted: Sequence[EventId], record: Record, progress: Progress
    ) -> tuple[Position | None, Sequence[ErasureTarget]]:
        """Erase in one session. The event that records it, and what was to be erased."""
        for _ in range(_MAX_RESTARTS):
            head, erased = self._head(session_id)
            targets = self._targets(session_id, wanted)
            left = [target for target in targets if target.commitment]
            if not left:
                self._wait_until_safe(session_id)
                return None, targets
            rewrite = _Rewrite(session_id, left, record, erased, self._cipher.sealer_beside(session_id))
            recorded = self._carry_out(rewrite, RewriteProgress(START, head), progress)
            if recorded:
                return recorded, targets
            self._wait_for_others(session_id)
        raise ContentionError(session_id, _MAX_RESTARTS)

    def _erase_in_forks(
        self, session_id: str, targets: Sequence[ErasureTarget], record: Record, seen: _Seen, find: Find
    ) -> None:
        """Erase what the forks of a session have of it, and theirs, parents first, as `forker` relies on.

        A session names the forks of its forks, too: they are left over where the one between was deleted.
        """
        forks = self._forks(session_id)
        for fork in forks:
            key = copy_key(self._keyspace.session(fork.session_id), fork.token)
            self._store.command("UNLINK", key)
        for fork in forks:
            if fork.session_id not in seen.sessions:
                seen.sessions.add(fork.session_id)
                with diagnosed(self._store, fork.session_id):
                    self._erase_in_fork(fork.session_id, targets, record, seen, find)

    def _erase_in_fork(
        self, fork: str, targets: Sequence[ErasureTarget], record: Record, seen: _Seen, find: Find
    ) -> None:
        shared = self._shared(fork, targets)
        if shared:
            wanted = {target.id for target in shared}
            # Unless it is deleted just now.
            with suppress(SessionNotFoundError, RevisionNotFoundError):
                try:
                    shared = self._erase_all(fork, wanted, record, lambda done, total: None, find)[1]
                except SessionHeldError as error:
                    # Its own forks need not be.
                    seen.held.append(error)
            self._erase_in_forks(fork, shared, record, seen, find)

    def _shared(
        self, other: str, targets: Sequence[ErasureTarget], unless_erased: bool = False
    ) -> Sequence[ErasureTarget]:
        """Those that are in the other session, too: their links tell, whatever else may be under its name now."""
        found = zip(targets, self._found(other, [target.id for target in targets]), strict=True)
        same = ((target, entry) for target, entry in found if entry and entry.link == target.link)
        return [target for target, entry in same if not (unless_erased and entry.is_erased)]

    def _carry_out(self, rewrite: _Rewrite, standing: RewriteProgress, progress: Progress) -> Position | None:
        """Step by step to the end; None when someone else came first and the targets must be looked at again."""
        contended = 0
        while contended < _MAX_ATTEMPTS:
            match session.erase_step(self._store, rewrite.session_id, *rewrite.arguments(standing)):
                case Landed([id_], link, begins_feed):
                    if begins_feed:
                        self._layout.confirm(self._keyspace.partition(rewrite.session_id))
                    recorded = Position(id_, link)
                    progress(recorded.id.revision, recorded.id.revision)
                    return recorded
                case Copied(upto, head):
                    before = standing.copied
                    standing = RewriteProgress(upto, Position(*head))
                    contended = 0 if standing.copied > before else contended + 1
                    progress(standing.copied.revision, standing.head.id.revision)
                case Deleted():
                    raise SessionNotFoundError(rewrite.session_id)
                case RewriteHeld(since):
                    raise SessionHeldError(rewrite.session_id, holds_in(since))
                case _:
                    return None
        raise ContentionError(rewrite.session_id, _MAX_ATTEMPTS)

    def _wait_until_safe(self, session_id: str) -> None:
        """Until what was erased before is as safe as what is erased now: whoever did may not have come to wait."""
        if self._store.durability.command:
            session.touch(self._store, session_id)

    def _head(self, session_id: str) -> tuple[Position, str]:
        """Where the session stands, and which revisions were erased before, as ranges."""
        key = self._keyspace.session(session_id).head
        reply = self._store.fields(key, "revision", "link", "ms", "erased")
        position = position_of(key, reply[:3])
        if position is None:
            raise SessionNotFoundError(session_id)
        return position, erased_of(key, reply[3])

    def _forks(self, session_id: str) -> Sequence[ForkNote]:
        key = self._keyspace.session(session_id).head
        (found,) = self._store.fields(key, "forks")
        return () if found is None else parsed(key, "forks", found, forks_of)

    def _targets(self, session_id: str, ids: Sequence[EventId]) -> list[ErasureTarget]:
        """What is to be erased, as it stands there now."""
        targets = list[ErasureTarget]()
        for id_, entry in zip(ids, self._found(session_id, ids), strict=True):
            if entry is None:
                self._head(session_id)
                raise RevisionNotFoundError(session_id, id_.revision, id_)
            targets.append(ErasureTarget.of(entry))
        return targets

    def _found(self, session_id: str, ids: Iterable[EventId]) -> Iterator[Entry | None]:
        """The entries with these ids; None in place of one that is not there."""
        key, left = self._keyspace.session(session_id).events, iter(ids)
        while page := list(islice(left, _FETCHED_AT_ONCE)):
            for found in self._store.pipeline([(b"XRANGE", key, str(id_), str(id_)) for id_ in page]):
                yield parse(found[0][0], fields_of(found[0][1])) if found else None

    def _wait_for_others(self, session_id: str) -> None:
        """Until no other rewrite is under way; one whose process died ends by itself.

        Raises:
            CorruptKeyError: When what is there will not: every step of a rewrite says when it is to go.
        """
        key = self._keyspace.session(session_id).rewrite
        backoff = Backoff(0.02, 0.1)
        while left := self._ends_in(key):
            if not 0 < left <= PATIENCE_MS:
                raise CorruptKeyError(key, "it does not expire, so no erasure has written it", CURES["rewrite"])
            time.sleep(backoff.pause())

    def _ends_in(self, key: str) -> int:
        """After how many milliseconds a key goes away; 0 when it is not there, negative when it never will."""
        left = int(self._store.command("PTTL", key))
        return 0 if left == _NO_KEY else left or 1


class _Rewrite:
    """One attempt to erase: the arguments of its steps."""

    def __init__(
        self,
        session_id: str,
        targets: Sequence[ErasureTarget],
        record: Record,
        erased: str,
        sealer: Sealer | None,
    ) -> None:
        self.session_id, self._targets, self._token, self._sealer = session_id, targets, uuid4().hex, sealer
        erased_ids = [str(target.id) for target in targets]
        self._event = encode_beside(PayloadErased({"erased": erased_ids, **record}), sealer)
        self._known = erased
        self._erased = str(Ranges.parse(erased) | Ranges.of(target.id.revision for target in targets))

    def arguments(self, standing: RewriteProgress) -> tuple[list[bytes], bytes]:
        """Those of the next step: the event that records the erasure, once the end may be near, and what to do."""
        is_near = standing.head.id.revision - standing.copied.revision <= STEP_ENTRIES
        if not is_near:
            return [], orjson.dumps(self._options(standing))
        event = chain_batch(self.session_id, [self._event], ANY, standing.head, self._sealer).arguments
        return event, orjson.dumps(self._options(standing))

    def _options(self, standing: RewriteProgress) -> dict[str, Any]:
        sealed = {"sealed": self._sealer.root.decode()} if self._sealer else {}
        last = self._targets[-1]
        first = bisect_right(self._targets, standing.copied, key=lambda target: target.id)
        return {
            "token": self._token,
            "copied": "" if standing.copied == START else str(standing.copied),
            "entries": STEP_ENTRIES,
            "bytes": STEP_BYTES,
            "patience": PATIENCE_MS,
            "bodies": {str(target.id): target.commitment for target in self._targets[first : first + STEP_ENTRIES]},
            "last": [str(last.id), last.link],
            "known": self._known,
            "erased": self._erased,
            **sealed,
        }
