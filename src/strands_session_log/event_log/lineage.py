"""Which sessions were made of a session, of which it was made, and what the events a fork begins with come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..codec import RawEntry, Row, kind_of, nameless, rows
from ..encryption import is_encrypted
from ..events import MessageAdded, PayloadErased, SessionAnnotated, SessionHeld, SessionReleased
from ..events.event import moved_by
from ..ids import START, EventId, Ranges, check_id
from ..keys import SessionKeys
from ..state import GrowingRanges, Holds
from ..state.summary import LOOKS_AT, READS, Summary
from .chained_batch import Position

_CLEAR = frozenset((MessageAdded.TYPE, PayloadErased.TYPE, SessionHeld.TYPE, SessionReleased.TYPE))
"""Types of events of which what is retained tells enough."""
_READS = READS | {SessionAnnotated.TYPE}
_NOTED = LOOKS_AT | _CLEAR | _READS
_LINE = re.compile(r"([0-9]+-[0-9]+) ([0-9a-f]+) (fork|further) (.+)")


class ForkNote(NamedTuple):
    """One line of a head's `forks` field: `<at> <token> fork|further <session id>`.

    Attributes:
        at: The last event the fork has of the session it was made of.
        token: Of the attempt to make it; whether that came to its end is not said.
        is_own: Whether it was made of this very session, not of a fork of it.
        session_id: The fork.
    """

    at: EventId
    token: str
    is_own: bool
    session_id: str

    def __str__(self) -> str:
        return f"{self.at} {self.token} {'fork' if self.is_own else 'further'} {self.session_id}"


def forks_of(text: str) -> Sequence[ForkNote]:
    """The lines of a head's `forks` field, those made of this very session first.

    Raises:
        ValueError: When a line is none: an erasure that passed it over would leave the content in that fork.
    """
    found = [_fork(line) for line in text.split("\n") if line]
    return sorted(found, key=lambda fork: not fork.is_own)


def ancestors_of(text: str) -> tuple[str, ...]:
    """A head's `ancestors` field: one a line, the oldest first.

    Raises:
        ValueError: When a line is no id.
    """
    return tuple(check_id("session_id", line) for line in text.split("\n") if line)


def _fork(line: str) -> ForkNote:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("not `<at> <token> fork|further <session id>` in each line")
    at, token, kind, into = found.groups()
    return ForkNote(EventId.parse(at), token, kind == "fork", check_id("session_id", into))


def copy_key(keys: SessionKeys, token: str) -> str:
    """Where the copy stands that an attempt makes for a session."""
    return f"{keys.rewrite}:{token}"


class CopySummary:
    """Events that were copied, told page by page; most of it by what stands in the clear beside their bodies.

    Args:
        opened: Opens what of them is encrypted.

    Attributes:
        count: How many.
        position: Where they end.
        unexplained: Those whose content was erased, and none of the others says why.
        subjects: Whom they are about, as a head notes it.
        holds: Which of them hold the session they are of; a fork of that is not held.
    """

    def __init__(self, opened: Callable[[Sequence[RawEntry]], Sequence[RawEntry]]) -> None:
        self._opened = opened
        self.count, self.position, self.unexplained = 0, Position(), set[EventId]()
        self._created, self._moved, self._messages = START, dict[tuple[str, str], EventId](), dict[str, GrowingRanges]()
        self._summary, self.holds, self.subjects = Summary(), Holds(), dict[str, None]()

    def add(self, entries: Sequence[RawEntry]) -> None:
        """Some more, which may be told of once more.

        Raises:
            CorruptEntryError: When an entry cannot be read.
        """
        known, opened = self.position.id.revision, self._opened(entries)
        are_sealed, are_closed = (list(map(is_encrypted, page)) for page in (entries, opened))
        read = zip(_rows(opened, any(are_closed)), are_sealed, are_closed, strict=True)
        found = [one for one in read if one[0][0].revision > known]
        if not found:
            return
        for (id_, type_, agent, data, _, is_erased), is_sealed, is_closed in found:
            told = data if type(data) is dict else {}
            told = nameless(told) if is_sealed else told
            if moves := moved_by(type_, told):
                self._moved[moves, agent] = id_
            if type_ in _NOTED:
                self._note(id_, type_, agent, told, is_erased or is_closed)
            if is_erased:
                self.unexplained.add(id_)
        self._created = found[0][0][0] if self._created == START else self._created
        self.count, self.position = self.count + len(found), Position(found[-1][0][0], found[-1][0][4])

    def _note(self, id_: EventId, type_: str, agent: str, data: Mapping[str, Any], is_erased: bool) -> None:
        if type_ == MessageAdded.TYPE:
            if type(index := data.get("message_id")) is int:
                self._messages.setdefault(agent, GrowingRanges()).add(index, index)
            return
        self.holds.add(id_, type_, data)
        if type_ in LOOKS_AT:
            self._summary.add(id_, type_, agent, data, is_erased)
        if type_ == SessionAnnotated.TYPE and not is_erased:
            self.subjects |= dict.fromkeys(SessionAnnotated(data).subject_marks)
        elif type_ == PayloadErased.TYPE:
            self.unexplained.difference_update(PayloadErased(data).erased)

    def head(self, erased: str) -> dict[str, str]:
        """The fields of a head that stands where they end.

        Args:
            erased: The ranges of what was erased in the session they come from.
        """
        id_, link = self.position
        fields = {"revision": str(id_.revision), "link": link, "ms": str(id_.ms), "created": str(self._created.ms)}
        fields |= {f"agent:{agent}:messages": str(ranges) for agent, ranges in self._messages.items()}
        fields |= {f"{moves}:{agent}:moved": str(moved) for (moves, agent), moved in self._moved.items()}
        fields |= self._summary.fields() | ({"subjects": " ".join(self.subjects)} if self.subjects else {})
        ours = str(Ranges.parse(erased).up_to(id_.revision))
        return fields | ({"erased": ours} if ours else {})


def _rows(page: Sequence[RawEntry], has_closed: bool) -> Sequence[Row]:
    """Of what could not be opened, what is retained: who only copies needs no more, and sums it up in part."""
    if not has_closed:
        return rows(page, _READS, _CLEAR)
    each = (rows([one], () if is_encrypted(one) else _READS, (*_CLEAR, kind_of(one)[0])) for one in page)
    return [row for found in each for row in found]
