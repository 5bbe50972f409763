"""Finding text in a session, a while at a time, so that whoever looks for it sees hits as they are found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from strands_session_log import Recorded, SessionLog, matches_in, search_for

from .salvage import SalvagedEvents

_SECONDS: Final = 0.25
_LONGEST: Final = 512


class Hits(NamedTuple):
    """What was found so far.

    Attributes:
        revisions: Those of the events that hold it.
        seen: The last revision that was looked at.
    """

    revisions: list[int]
    seen: int


def found_in(log: SessionLog, session_id: str, text: str, after: int, head: int, seconds: float = _SECONDS) -> Hits:
    """Look for a text behind a revision, for a while.

    Args:
        log: Where the session is.
        session_id: The session.
        text: What is looked for, as it stands; whether letters are capital does not matter.
        after: Behind which revision.
        head: The last there is.
        seconds: For how long, at most; at least one event is looked at.
    """
    search, until = search_for(text[:_LONGEST], is_fixed=True, ignores_case=True), time.monotonic() + seconds
    hits, seen = list[int](), after
    for recorded in _events(log, session_id, after, head):
        seen = recorded.id.revision
        if next(matches_in(recorded.event, search), None):
            hits.append(seen)
        if time.monotonic() >= until:
            break
    return Hits(hits, seen)


def _events(log: SessionLog, session_id: str, after: int, head: int) -> Iterator[Recorded]:
    return iter(SalvagedEvents(log, session_id, after, head))
