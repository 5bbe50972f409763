"""A session that people look at: stretches of it, its index and its states, each read once for all who look.

Nothing here runs on an event loop: all of it reads from the server, and folding takes its time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from threading import Lock
from typing import Final

from markupsafe import Markup

from strands_session_log import Anchor, Recorded, SessionLog, SessionState
from strands_session_log.errors import (
    CorruptEntryError,
    LogForkedError,
    RevisionNotFoundError,
    SessionNotFoundError,
)

from ..recent import Recent
from .checking import CheckStatus, RunningCheck
from .index import BLOCK, ErasureNote, IndexBlock, Jump, ListedTurns, TurnStart
from .salvage import SalvagedEvents
from .talk import STRETCH, Stretch, first_of, items_of, stretch_of

_DRAWN_CHARACTERS: Final = 32_000_000
"""Of what was drawn of all sessions; about 130,000 of each stretch."""
_STATES: Final = 8
_TURNS: Final = 100
"""How many turns are listed at once: a session of 100,000 events has ten thousand."""
Drawn = Recent[tuple[str, int, str, str], Markup]
"""What was drawn, by session, stretch, its version, and the address that its links begin with."""


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
        drawn: What was drawn of any session; its own if it is None.
    """

    def __init__(self, log: SessionLog, session_id: str, drawn: Drawn | None = None) -> None:
        self._log, self.session_id = log, session_id
        self._blocks, self._lock = dict[int, IndexBlock](), Lock()
        self._drawn = Drawn(_DRAWN_CHARACTERS, len) if drawn is None else drawn
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
        self._forget_drawn()

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
        block = self._blocks.get(number) or self._blocks.setdefault(number, IndexBlock(number))
        until = min(block.until, head)
        if block.first + len(block) <= until:
            with self._lock:
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
            self._forget_drawn()
            self._erasing += 1

    def _forget_drawn(self) -> None:
        self._drawn.forget(lambda key: key[0] == self.session_id)
        self._states.forget()

    def indexed(self, head: int) -> Iterator[IndexBlock]:
        """All blocks, the newest first."""
        for number in range((head - 1) // BLOCK, -1, -1):
            yield self.block(number, head)

    def erasures(self) -> dict[int, ErasureNote]:
        """Where it stands, as far as the session was indexed, that the content of events was erased."""
        return {at: note for block in self._indexed() for at, note in dict(block.erasures).items()}

    def jumps(self) -> list[Jump]:
        """Where it was rewound, as far as it was indexed."""
        return sorted(jump for block in self._indexed() for jump in list(block.jumps))

    def turns(self) -> list[TurnStart]:
        """Where agents were called, as far as it was indexed."""
        return [turn for block in self._indexed() for turn in list(block.turns)]

    def turns_near(self, revision: int) -> ListedTurns:
        """The part of them that a revision stands in, as far as it was indexed."""
        turns = self.turns()
        here = max(0, bisect_right([one.revision for one in turns], revision) - 1)
        return _listed(turns, here // _TURNS)

    def turn_lists(self) -> Sequence[ListedTurns]:
        """All parts, one after the other."""
        turns = self.turns()
        return [_listed(turns, part) for part in range((max(1, len(turns)) - 1) // _TURNS + 1)]

    def _indexed(self) -> Sequence[IndexBlock]:
        """The blocks there are, in order; copied at once, as others may be added meanwhile."""
        blocks = list(self._blocks.values())
        return sorted(blocks, key=attrgetter("number"))

    def stretch(self, number: int, head: int) -> Stretch:
        """What happened in some revisions, as it is shown.

        Args:
            number: Which stretch.
            head: The last revision there is.
        """
        (found,) = self.stretches(range(number, number + 1), head)
        return found

    def around(self, revision: int, head: int) -> Sequence[Stretch]:
        """The stretches a page begins with: that of a revision, and one before and behind."""
        here = stretch_of(revision)
        return self.stretches(range(max(0, here - 1), min(here + 1, stretch_of(head)) + 1), head)

    def stretches(self, numbers: range, head: int) -> Sequence[Stretch]:
        """Several that follow each other, read at once."""
        first, last = first_of(numbers[0]), min(first_of(numbers[-1] + 1) - 1, head)
        events, problem = self._events(max(0, first - 1 - STRETCH), min(last + STRETCH, head))
        return [self._stretch(number, head, events, problem) for number in numbers]

    def _stretch(self, number: int, head: int, events: Sequence[Recorded], problem: str) -> Stretch:
        first, last = first_of(number), min(first_of(number + 1) - 1, head)
        near = [one for one in events if first - STRETCH <= one.id.revision <= last + STRETCH]
        link = next((one.link for one in reversed(near) if one.id.revision <= last), "")
        # The events were read just now: what was erased since is never shown from what is kept.
        erased = sum(one.event.is_erased for one in near)
        version = f"{link} {near[-1].id if near else ''} {self._erasing} {erased}"
        read = partial(items_of, near, first, last, self.erasures(), self._amended)
        return Stretch(number, first, last, version, read, problem or self._check.contradiction(last, link))

    def drawn(self, stretch: Stretch, base: str, draw: Callable[[Stretch], Markup]) -> Markup:
        """A stretch as a page has it: drawn once for all who look at it at the same address."""
        if stretch.problem:
            return draw(stretch)
        key = (self.session_id, stretch.number, stretch.version, base)
        return self._drawn.get(key) or self._drawn.put(key, draw(stretch))

    def _amended(self, agent: str, message_id: int) -> Sequence[Recorded]:
        found = sorted(
            one.revision
            for block in self._indexed()
            for one in list(block.changes)
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


def _listed(turns: Sequence[TurnStart], part: int) -> ListedTurns:
    first, end = part * _TURNS, (part + 1) * _TURNS
    before = turns[first - 1].revision if part else 0
    since = turns[first].revision if part else 0
    until = turns[end].revision if end < len(turns) else 0
    return ListedTurns(turns[first:end], first + 1, len(turns), before, since, until)


class OpenConversations:
    """The sessions people look at; those nobody looked at for longest are forgotten.

    Args:
        log: Where they are.
        most: How many are kept.
    """

    def __init__(self, log: SessionLog, most: int = 64) -> None:
        self._log, self._kept = log, Recent[str, Conversation](most)
        self._drawn = Drawn(_DRAWN_CHARACTERS, len)

    def open(self, session_id: str) -> Conversation:
        """One of them.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        return self._kept.get(session_id) or self._kept.put(
            session_id, Conversation(self._log, session_id, self._drawn)
        )

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
