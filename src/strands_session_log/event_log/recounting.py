"""Summing up a session anew, from its events: one that began before heads did that, or that was damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..codec import RawEntry, Row, nameless, rows
from ..encryption import Cipher, is_encrypted
from ..errors import ContentionError, SessionNotFoundError
from ..ids import START
from ..scripts import session
from ..server import Store
from ..state.summary import READS, Summary
from .chained_batch import Position
from .reader import start_after

_ATTEMPTS = 100

Pages = Callable[[str, str], Iterator[Sequence[RawEntry]]]


def recount(store: Store, pages: Pages, session_id: str, cipher: Cipher) -> bool:
    """See `EventLog.recount`.

    Args:
        store: See there.
        pages: Reads the raw entries of a session from an id on.
        session_id: The session.
        cipher: Opens what of them is encrypted.
    """
    summary, at = sum_up(pages, session_id, cipher)
    for _ in range(_ATTEMPTS):
        if at.id == START:
            raise SessionNotFoundError(session_id)
        if session.recount(store, session_id, at, summary.fields()):
            return summary.is_exact
        found = _read_on(summary, at, _opened(pages, session_id, start_after(at.id), cipher))
        # Another session may have begun under this id.
        summary, at = (summary, found) if found else sum_up(pages, session_id, cipher)
    raise ContentionError(session_id, _ATTEMPTS)


def sum_up(pages: Pages, session_id: str, cipher: Cipher, has_room: bool = False) -> tuple[Summary, Position]:
    """What the events of a session come to, and where they end; with room, also what no head has room for."""
    summary = Summary(has_room)
    return summary, _read_on(summary, Position(), _opened(pages, session_id, "-", cipher)) or Position()


def _opened(pages: Pages, session_id: str, start: str, cipher: Cipher) -> Iterator[tuple[Row, bool]]:
    """The events, and of each whether its content is encrypted: no name of it may stand in the head."""
    for page in pages(session_id, start):
        yield from zip(
            rows(cipher.opened(session_id, page, is_strict=True), READS), map(is_encrypted, page), strict=True
        )


def _read_on(summary: Summary, at: Position, events: Iterator[tuple[Row, bool]]) -> Position | None:
    """Where the events end; None if they do not follow those that were read before."""
    for (id_, type_, agent, data, link, is_erased), is_sealed in events:
        if id_.revision != at.id.revision + 1:
            return None
        summary.add(id_, type_, agent, nameless(data) if is_sealed else data, is_erased)
        at = Position(id_, link)
    return at
