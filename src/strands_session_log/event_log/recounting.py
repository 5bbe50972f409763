"""Summing up a session anew, from its events: one that began before heads did that, or that was damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from ..codec import RawEntry, rows
from ..errors import ContentionError, SessionNotFoundError
from ..ids import START
from ..scripts import session
from ..server import Store
from ..state.summary import LOOKS_AT, Summary
from .chained_batch import Position
from .reader import start_after

_ATTEMPTS = 100

Pages = Callable[[str, str], Iterator[Sequence[RawEntry]]]


def recount(store: Store, pages: Pages, session_id: str) -> bool:
    """See `EventLog.recount`.

    Args:
        store: See there.
        pages: Reads the raw entries of a session from an id on.
        session_id: The session.
    """
    summary, at = Summary(), Position()
    for _ in range(_ATTEMPTS):
        found = _read_on(summary, at, pages(session_id, start_after(at.id)))
        if found is None:
            # Another session has begun under this id.
            summary, at = Summary(), Position()
            continue
        at = found
        if at.id == START:
            raise SessionNotFoundError(session_id)
        if session.recount(store, session_id, at, summary.fields()):
            return summary.is_exact
    raise ContentionError(session_id, _ATTEMPTS)


def _read_on(summary: Summary, at: Position, pages: Iterator[Sequence[RawEntry]]) -> Position | None:
    """Where the events end; None if they do not follow those that were read before."""
    for id_, type_, agent, data, link, is_erased in rows(chain.from_iterable(pages), LOOKS_AT):
        if id_.revision != at.id.revision + 1:
            return None
        summary.add(id_, type_, agent, data, is_erased)
        at = Position(id_, link)
    return at
