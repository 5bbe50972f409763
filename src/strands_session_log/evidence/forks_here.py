"""Which sessions of a log were forked from one that is brought back: its head must know of them.

An erasure finds the forks of a session by what its head says. That of a session which was not here when they were made,
or was lost, says nothing: so the heads of all forks are looked at, once, and only if something is brought back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import islice

from ..codec import rows
from ..event_log import EventLog
from ..event_log.lineage import ForkNote
from ..events import SessionForked
from ..ids import EventId

_PAGE = 500


class ForksHere:
    """The forks in a log, by session that they come from.

    Args:
        log: The log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def of(self, session_id: str) -> Sequence[ForkNote]:
        """The forks of a session that is not here, and theirs, as its head is to name them."""
        return list(self._notes(session_id))

    def _notes(self, session_id: str) -> Iterator[ForkNote]:
        for fork, parent in self._by_ancestor.get(session_id, ()):
            if at := self._point(fork):
                token = sha256(f"{session_id} {fork}".encode()).hexdigest()[:32]
                yield ForkNote(at, token, parent == session_id, fork)

    @cached_property
    def _by_ancestor(self) -> dict[str, list[tuple[str, str]]]:
        found = dict[str, list[tuple[str, str]]]()
        names = self._log.listing.session_ids()
        while page := list(islice(names, _PAGE)):
            keys = [self._log.keyspace.session(name).head for name in page]
            replies = self._log.store.pipeline([("HMGET", key, "parent", "ancestors") for key in keys], is_lenient=True)
            for name, reply in zip(page, replies, strict=True):
                if isinstance(reply, Sequence) and None not in reply:
                    parent, ancestors = (value.decode(errors="replace") for value in reply)
                    for ancestor in ancestors.split("\n"):
                        found.setdefault(ancestor, []).append((name, parent))
        return found

    def _point(self, fork: str) -> EventId | None:
        """The last event that a fork has of its parent."""
        at = None
        for page in self._log.pages(fork):
            for _, type_, _, data, _, _ in rows(page, (), (SessionForked.TYPE,)):
                if type_ == SessionForked.TYPE and isinstance(data, dict):
                    at = EventId.parse(str(data.get("at")))
        return at
