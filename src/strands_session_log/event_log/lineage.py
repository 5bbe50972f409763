"""Which sessions were made of a session, of which it was made, and what the events a fork begins with come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..codec import RawEntry, rows
from ..events import MessageAdded, PayloadErased
from ..events.event import moved_by
from ..ids import START, EventId, Ranges, check_id, to_ranges
from ..keys import SessionKeys
from ..state.summary import LOOKS_AT, Summary
from .chained_batch import Position

_LOOKS_AT = LOOKS_AT | {MessageAdded.TYPE, PayloadErased.TYPE}
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
    """Events that were copied, told page by page.

    Attributes:
        count: How many.
        position: Where they end.
        unexplained: Those whose content was erased, and none of the others says why.
    """

    def __init__(self) -> None:
        self.count, self.position, self.unexplained = 0, Position(), set[EventId]()
        self._created, self._moved, self._messages = START, dict[str, EventId](), dict[str, set[int]]()
        self._summary = Summary()

    def add(self, entries: Sequence[RawEntry]) -> None:
        """A page more.

        Raises:
            CorruptEntryError: When an entry cannot be read.
        """
        for id_, type_, agent, data, link, is_erased in rows(entries, _LOOKS_AT):
            self._created = id_ if self._created == START else self._created
            data = data if type(data) is dict else {}
            self.count, self.position = self.count + 1, Position(id_, link)
            if type_ == MessageAdded.TYPE and type(data) is dict and type(index := data.get("message_id")) is int:
                self._messages.setdefault(agent, set()).add(index)
            if moves := moved_by(type_, data):
                self._moved[f"{moves}:{agent}:moved"] = id_
            self._summary.add(id_, type_, agent, data, is_erased)
            if type_ == PayloadErased.TYPE:
                self.unexplained.difference_update(PayloadErased(data).erased)
            if is_erased:
                self.unexplained.add(id_)

    def head(self, erased: str) -> dict[str, str]:
        """The fields of a head that stands where they end.

        Args:
            erased: The ranges of what was erased in the session they come from.
        """
        id_, link = self.position
        fields = {"revision": str(id_.revision), "link": link, "ms": str(id_.ms), "created": str(self._created.ms)}
        fields |= {f"agent:{agent}:messages": to_ranges(indices) for agent, indices in self._messages.items()}
        fields |= {field: str(moved) for field, moved in self._moved.items()}
        fields |= self._summary.fields()
        ours = str(Ranges.parse(erased).up_to(id_.revision))
        return fields | ({"erased": ours} if ours else {})
