"""A session that people look at: stretches of it, its index and its states, each read once for all who look.

Nothing here runs on an event loop: all of it reads from the server, and folding takes its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from strands_session_log import Anchor, Recorded, SessionLog, SessionState
from strands_session_log.errors import (
    CorruptEntryError,
    LogForkedError,
    RevisionNotFoundError,
    SessionNotFoundError,
)

from ..recent import Recent
from .checking import CheckStatus, RunningCheck
from .index import BLOCK, ErasureNote, IndexBlock, Jump, TurnStart
from .salvage import SalvagedEvents
from .talk import STRETCH, Stretch, first_of, items_of, stretch_of

_STRETCHES: Final = 64
_STATES: Final = 8
_YIELD: Final = 1_000
"""After so many events, whoever waits for an index may have a look at what there is of it."""


@dataclass(frozen=True)
class Point:
    """A revision of a session, as an address names it.

    Attributes:
        revision: Which one.
        head: The last there is.
        follows: Whether the page follows what comes, as no point was named.
    """

    revision: int
    head: int
    follows: bool


class Conversation:
    """One session, read as far as anybody has looked.

    Args:
        log: Where it is.
        session_id: The session.
    """

    def __init__(self, log: SessionLog, session_id: str) -> None:
        self._log, self.session_id = log, session_id
        self._blocks, self._lock = dict[int, IndexBlock](), Lock()
        self._stretches = Recent[tuple[int, str], Stretch](_STRETCHES)
        self._states = Recent[int, SessionState](_STATES)
        self._erasing = 0
        self._check = RunningCheck(log, session_id, self.forget)

    def head(self) -> Anchor:
        """Where it stands.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        return self._log.anchor(self.session_id)

    def forget(self) -> None:
        """Read everything anew: it was deleted or replaced."""
        with self._lock:
            self._blocks.clear()
        self._stretches.clear()
        self._states.clear()

    @property
    def checked(self) -> CheckStatus | None:
        """How far its events are checked; None before anybody asked."""
        return self._check.status

    def check(self, head: int) -> CheckStatus:
        """Check its events for a while, from where that stood.

        Args:
            head: The last revision there is.
        """
        return self._check.advance(head)

    def _events(self, after: int, until: int) -> tuple[list[Recorded], str]:
        """The events behind a revision, up to and including another one; and why they are not what was written."""
        salvaged = SalvagedEvents(self._log, self.session_id, after, until, is_checked=True)
        return list(salvaged), salvaged.problem

    def block(self, number: int, head: int) -> IndexBlock:
        """The index of a fixed stretch of revisions, with all there is of it.

        Args:
            number: Which one.
            head: The last revision there is.

        Raises:
            LogForkedError: When the session was deleted or replaced.
        """
        with self._lock:
            block = self._blocks.get(number) or self._blocks.setdefault(number, IndexBlock(number))
            until = min(block.until, head)
            if block.first + len(block) <= until:
                self._extend(block, until)
            return block

    def _extend(self, block: IndexBlock, until: int) -> None:
        reached = block.first + len(block) - 1
        after = block.last if block.last and block.last.revision == reached else reached
        erased = len(block.erasures)
        try:
            for recorded in SalvagedEvents(self._log, self.session_id, after, until):
                block.add(recorded)
        except LogForkedError:
            self._blocks.clear()
            raise
        if len(block.erasures) > erased:
            # What was shown before is not to be shown again.
            self._stretches.clear()
            self._states.clear()
            self._erasing += 1

    def indexed(self, head: int) -> Iterator[IndexBlock]:
        """All blocks, the newest first."""
        for number in range((head - 1) // BLOCK, -1, -1):
            yield self.block(number, head)

    def erasures(self) -> dict[int, ErasureNote]:
        """Where it stands, as far as the session was indexed, that the content of events was erased."""
        with self._lock:
            return {at: note for block in self._blocks.values() for at, note in block.erasures.items()}

    def jumps(self) -> list[Jump]:
        """Where it was rewound, as far as it was indexed."""
        with self._lock:
            return sorted(jump for block in self._blocks.values() for jump in block.jumps)

    def turns(self) -> list[TurnStart]:
        """Where agents were called, as far as it was indexed."""
        with self._lock:
            return sorted(turn for block in self._blocks.values() for turn in block.turns)

    def stretch(self, number: int, head: int) -> Stretch:
        """What happened in some revisions, as it is shown.

        Args:
            number: Which stretch.
            head: The last revision there is.
        """
        first, last = first_of(number), min(first_of(number + 1) - 1, head)
        events, problem = self._events(max(0, first - 1 - STRETCH), min(last + STRETCH, head))
        link = next((one.link for one in reversed(events) if one.id.revision <= last), "")
        # The events were read just now: what was erased since is never shown from what is kept.
        erased = sum(one.event.is_erased for one in events)
        key = (number, f"{link}{events[-1].id if events else ''}{self._erasing} {erased}")
        found = self._stretches.get(key)
        if found is None:
            items = items_of(events, first, last, self.erasures(), self._amended)
            found = self._stretches.put(key, Stretch(number, first, last, items, link))
        return found._replace(problem=problem or self._check.contradiction(last, link))

    def around(self, revision: int, head: int) -> Sequence[Stretch]:
        """The stretches a page begins with: that of a revision, and one before and behind."""
        here = stretch_of(revision)
        return [self.stretch(one, head) for one in range(max(0, here - 1), min(here + 1, stretch_of(head)) + 1)]

    def _amended(self, agent: str, message_id: int) -> Sequence[Recorded]:
        with self._lock:
            found = sorted(
                one.revision
                for block in self._blocks.values()
                for one in block.changes
                if one.agent == agent and one.message_id == message_id
            )
        return [self._log.event(self.session_id, revision) for revision in found]

    def link(self, revision: int) -> str:
        """The link of an event; empty if that is missing, or cannot be read."""
        try:
            return self._log.event(self.session_id, revision).link
        except (CorruptEntryError, RevisionNotFoundError):
            return ""

    def state(self, revision: int) -> SessionState:
        """What the session was at a revision."""
        known = self._states.get(revision)
        return known or self._states.put(revision, self._log.state(self.session_id, revision))


class OpenConversations:
    """The sessions people look at; those nobody looked at for longest are forgotten.

    Args:
        log: Where they are.
        most: How many are kept.
    """

    def __init__(self, log: SessionLog, most: int = 64) -> None:
        self._log, self._kept = log, Recent[str, Conversation](most)

    def open(self, session_id: str) -> Conversation:
        """One of them.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        return self._kept.get(session_id) or self._kept.put(session_id, Conversation(self._log, session_id))

    def point(self, session_id: str, at: str | None) -> tuple[Conversation, Point]:
        """A session, and the point of it that an address names.

        Args:
            session_id: The session.
            at: A revision, an id, a time; None for now.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it does not have that revision.
            InvalidPointError: When it is no point.
        """
        found = self.open(session_id)
        head = found.head().revision
        if not head:
            raise SessionNotFoundError(session_id)
        if at is None:
            return found, Point(head, head, follows=True)
        revision = int(at) if at.isascii() and at.isdigit() and len(at) < 15 else 0
        if not 0 < revision <= head:
            revision = self._revision(session_id, at)
        return found, Point(max(1, revision), head, follows=False)

    def _revision(self, session_id: str, at: str) -> int:
        id_ = self._log.resolve(session_id, at)
        if id_.revision:
            return id_.revision
        # A time between events: what stood there.
        return self._log.state(session_id, id_).revision
