"""Which sessions were made of a session, and of which it was made, as heads tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..ids import EventId, check_id
from ..keys import SessionKeys

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
