"""Making a session out of another: it begins with a copy of that one's events, under the same ids. See ADR 0010.

The two may lie in different slots, so no script can do it at once. The copy is made beside the new session, in a stream
that goes away by itself; then one script call puts it into place, with a head and the event that tells of it.

What is erased in the parent meanwhile must not survive in the copy. So a note in the parent's head tells of the fork
*before* the first event is read, and who erases looks there *after* the content has gone from the parent, takes away a
copy under way, and erases in a fork that has got that far (`erasure.Eraser`). If the note comes first, the erasure sees
the fork; if the erasure does, what is read here is erased already. And where an eraser died in between, or the copy was
begun again by a call that came late, the parent's `erased` field is not what it was before the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import NamedTuple
from uuid import uuid4

import orjson

from ..codec import RawEntry, encode, rows, sealed_facts
from ..encryption import Cipher, Sealer
from ..errors import (
    ContentionError,
    RevisionNotFoundError,
    ServerUnavailableError,
    SessionEncryptedError,
    SessionExistsError,
    SessionLogError,
    SessionNotFoundError,
)
from ..events import Event, PayloadErased, SessionForked
from ..ids import EventId
from ..scripts import session
from ..scripts.session import Landed
from ..server import Store
from .chained_batch import Position, chain_batch
from .diagnosis import erased_of, parsed, whole
from .eraser import Progress
from .expected import ANY
from .lineage import CopySummary, ForkNote, ancestors_of, copy_key
from .namespace import Layout
from .reader import SMALL_FIELDS, start_after

PATIENCE_MS = 60_000
"""For how long a copy outlives what was added to it last; one whose process died is gone after that, by itself."""
COPY_ENTRIES = 500
COPY_BYTES = 1024 * 1024

_MAX_RESTARTS = 100

Pages = Callable[[str, str, str], Iterator[Sequence[RawEntry]]]
Then = Callable[[], Sequence[Event]]
"""What a fork begins with after the copy; asked once the parent knows of it, so that what is erased is seen."""


class Forker:
    """Makes sessions out of others in one namespace; one for any number of threads.

    Args:
        store: See `EventLog`.
        layout: Told when a partition's feed begins anew.
        pages: Reads the raw entries of a session from one id to another.
        cipher: Opens what of them has to be read.
    """

    def __init__(self, store: Store, layout: Layout, pages: Pages, cipher: Cipher) -> None:
        self._store, self._keyspace, self._layout, self._pages = store, store.keyspace, layout, pages
        self._cipher = cipher

    def fork(
        self, session_id: str, at: EventId, into: str, progress: Progress, by: str, then: Then = tuple
    ) -> tuple[Position, EventId]:
        """See `EventLog.fork`.

        Returns:
            Where the new session stands, and the id of its `SessionForked` event.
        """
        if self._layout.laid_out_anew is not None:
            self._layout.refuse()
        if into == session_id or self._exists(into):
            raise SessionExistsError(into)
        for _ in range(_MAX_RESTARTS):
            attempt = _Attempt(session_id, *self._origin(session_id), at, into, uuid4().hex, by, then)
            match self._carry_out(attempt, progress):
                case Landed(ids, link, begins_feed):
                    if begins_feed:
                        self._layout.confirm(self._keyspace.partition(into))
                    return Position(ids[-1], link), ids[0]
                case True:
                    self._take_back(attempt)
                    raise SessionExistsError(into)
            self._take_back(attempt)
        raise ContentionError(session_id, _MAX_RESTARTS)

    def _carry_out(self, attempt: _Attempt, progress: Progress) -> Landed | bool:
        """Where the fork stands; whether there is such a session, when it could not be made."""
        try:
            arguments = self._prepare(attempt, progress)
        except ServerUnavailableError:
            # Taking it back would wait for the server once more; the copy goes away by itself, notes harm nobody.
            raise
        except BaseException:
            with suppress(SessionLogError):
                self._take_back(attempt)
            raise
        # Whatever happens from here on, nobody knows whether the call has landed: the notes stay.
        return self._put_in_place(attempt, *arguments) if arguments else False

    def _put_in_place(self, attempt: _Attempt, batch: Sequence[bytes], making: bytes) -> Landed | bool:
        return session.fork(self._store, attempt.into, self._copy_of(attempt), batch, making)

    def _prepare(self, attempt: _Attempt, progress: Progress) -> tuple[list[bytes], bytes] | None:
        """Copy. The arguments of the call to come; None when something was erased meanwhile."""
        sealer = self._sealer(attempt.parent)
        erased = self._note(attempt)
        then = attempt.then()
        copied = self._copy(attempt, progress)
        if copied is None:
            return None
        later = list(self._erased_later(attempt, copied.unexplained))
        if self._note(attempt) != erased:
            return None
        if copied.position.id != attempt.at:
            raise RevisionNotFoundError(attempt.parent, attempt.at.revision, attempt.at)
        return attempt.arguments(copied, erased, (*then, *later), sealer)

    def _sealer(self, parent: str) -> Sealer | None:
        """What encrypts the first events of the fork: with the same key as those of the parent, if those are."""
        key = self._keyspace.session(parent).head
        (found,) = self._store.fields(key, "sealed")
        if found is None:
            return None
        if not self._cipher.is_active:
            raise SessionEncryptedError(parent)
        self._cipher.learn(parent, parsed(key, "sealed", found, str))
        return self._cipher.sealer(parent)

    def _copy(self, attempt: _Attempt, progress: Progress) -> CopySummary | None:
        """Copy page by page; None when the copy was taken away."""
        copied = CopySummary(partial(self._cipher.opened, attempt.parent, is_strict=True))
        for page in self._pages(attempt.parent, "-", str(attempt.at)):
            for part in parts(page):
                if not self._add(attempt, part, copied):
                    return None
                progress(copied.count, max(copied.count, attempt.at.revision))
        return copied

    def _add(self, attempt: _Attempt, part: Sequence[RawEntry], copied: CopySummary) -> bool:
        begins = not copied.count
        return session.add_to_copy(self._store, self._copy_of(attempt), begins, part, PATIENCE_MS, copied.add)

    def _erased_later(self, attempt: _Attempt, unexplained: set[EventId]) -> Iterator[PayloadErased]:
        """Tell why content is missing where the parent does so only after the point."""
        pages = self._pages(attempt.parent, start_after(attempt.at), "+") if unexplained else ()
        opened = (self._cipher.opened(attempt.parent, page, is_strict=True) for page in pages)
        for _, type_, _, data, _, _ in chain.from_iterable(rows(page, (PayloadErased.TYPE,)) for page in opened):
            is_erasure = type_ == PayloadErased.TYPE and type(data) is dict
            named = sorted(unexplained.intersection(PayloadErased(data).erased)) if is_erasure else []
            if named:
                unexplained.difference_update(named)
                record = {name: data[name] for name in ("reason", "by") if name in data}
                yield PayloadErased({"erased": [str(id_) for id_ in named], "reason": "", **record})

    def _copy_of(self, attempt: _Attempt) -> str:
        return copy_key(self._keyspace.session(attempt.into), attempt.token)

    def _exists(self, session_id: str) -> bool:
        keys = self._keyspace.session(session_id)
        return bool(self._store.command("EXISTS", keys.events, keys.head))

    def _origin(self, session_id: str) -> tuple[tuple[str, ...], str]:
        """What a session was made of, and its time to live."""
        key = self._keyspace.session(session_id).head
        revision, ancestors, ttl = self._store.fields(key, "revision", "ancestors", "ttl")
        if revision is None:
            raise SessionNotFoundError(session_id)
        line = () if ancestors is None else parsed(key, "ancestors", ancestors, ancestors_of)
        return line, "" if ttl is None else str(parsed(key, "ttl", ttl, whole))

    def _note(self, attempt: _Attempt) -> str:
        """Tell the parent of the fork, and those before it, lest it be deleted. The parent's erased ranges."""
        for ancestor in attempt.ancestors:
            session.note_fork(self._store, ancestor, attempt.token, str(attempt.note(is_own=False)))
        erased = session.note_fork(self._store, attempt.parent, attempt.token, str(attempt.note(is_own=True)))
        if erased is None:
            raise SessionNotFoundError(attempt.parent)
        return erased_of(self._keyspace.session(attempt.parent).head, erased)

    def _take_back(self, attempt: _Attempt) -> None:
        for ancestor in (*attempt.ancestors, attempt.parent):
            session.note_fork(self._store, ancestor, attempt.token, "")
        self._store.command("UNLINK", self._copy_of(attempt))


class _Attempt(NamedTuple):
    """One attempt to make a fork.

    Attributes:
        parent: What it is made of.
        ancestors: What that was made of, oldest first.
        ttl: Its time to live in milliseconds; empty if it has none.
        at: The last event to copy.
        into: The fork.
        token: The name of this attempt.
        by: Who forks.
        then: What follows the event that tells of it.
    """

    parent: str
    ancestors: tuple[str, ...]
    ttl: str
    at: EventId
    into: str
    token: str
    by: str
    then: Then

    def note(self, is_own: bool) -> ForkNote:
        """What a head is to say."""
        return ForkNote(self.at, self.token, is_own, self.into)

    def arguments(
        self, copied: CopySummary, erased: str, later: Sequence[Event], sealer: Sealer | None
    ) -> tuple[list[bytes], bytes]:
        """Of the call that puts the copy into place."""
        line = (*self.ancestors, self.parent)
        origin = {"parent": self.parent, "root": line[0]}
        at = {"at": str(self.at), "link": copied.position.link}
        by = {"by": self.by} if self.by else {}
        forked = SessionForked({**origin, **at, "session_id": self.into, **by})
        batch, head = [encode(event) for event in (forked, *later)], {**copied.head(erased), **origin}
        if self.ttl:
            head["ttl"] = self.ttl
        if sealer:
            batch = [one._replace(facts=sealed_facts(one.facts)) for one in batch]
            head["sealed"] = sealer.root.decode()
        sealed = chain_batch(self.into, batch, ANY, copied.position, sealer)
        head["ancestors"] = "\n".join(line)
        return sealed.arguments, orjson.dumps({"count": copied.count, "head": head})


def parts(page: Iterable[RawEntry]) -> Iterator[Sequence[RawEntry]]:
    """Entries in parts for one call each."""
    part, size = list[RawEntry](), 0
    for entry in page:
        if part and (len(part) == COPY_ENTRIES or size > COPY_BYTES):
            yield part
            part, size = [], 0
        part.append(entry)
        size += len(entry[1][-1]) + SMALL_FIELDS
    if part:
        yield part
