"""Looking something up, held against the log: what was erased or deleted is not shown, however far the index is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from strands_session_log import Recorded, SessionLog
from strands_session_log.errors import (
    CorruptEntryError,
    CorruptKeyError,
    InvalidPointError,
    RevisionNotFoundError,
    SessionNotFoundError,
)

from .hits import SearchHit
from .query import InvalidQueryError, SearchFilter
from .stores import SearchStore

_PAGE = 50
_ROUNDS = 10


def find(
    log: SessionLog,
    index: SearchStore,
    query: str,
    within: SearchFilter | None = None,
    limit: int = 20,
    before: str | None = None,
) -> list[SearchHit]:
    """What was said that has all of a query, and stands in the log, newest first.

    Args:
        log: The log.
        index: Its index.
        query: As for `SearchStore.search`.
        within: In what is looked; in everything if left out.
        limit: How many hits at most.
        before: The `cursor` of a hit: go on behind it.

    Raises:
        InvalidQueryError: When the query means nothing.
        SearchIndexError: When the index cannot be read.
    """
    return [hit for hit, _ in find_events(log, index, query, within, limit, before)]


def find_events(
    log: SessionLog,
    index: SearchStore,
    query: str,
    within: SearchFilter | None = None,
    limit: int = 20,
    before: str | None = None,
) -> list[tuple[SearchHit, Recorded]]:
    """The same, each with its event as the log has it; see `find` for what it takes and raises."""
    found = list[tuple[SearchHit, Recorded]]()
    for _ in range(_ROUNDS):
        page = index.search(query, within, max(limit - len(found), _PAGE), before)
        found += islice(_standing(log, page), limit - len(found))
        if len(found) >= limit or not page:
            break
        before = page[-1].cursor
    return found


def narrowed(
    log: SessionLog,
    *,
    session_id: str | None = None,
    agent: str | None = None,
    role: str | None = None,
    labels: Iterable[str] = (),
    since: str | None = None,
    until: str | None = None,
) -> SearchFilter:
    """In what is looked, as people type it.

    Args:
        log: The log, by whose server's clock relative times are.
        session_id: Only in this session.
        agent: Only in this agent's transcripts.
        role: Only in what this role said.
        labels: Only in sessions with all of these: `name=value`.
        since: Only in what was said since: an ISO time, or relative (`-30d`).
        until: Only in what was said until then.

    Raises:
        InvalidQueryError: When a label looks otherwise.
        InvalidPointError: When a time is none.
    """
    return SearchFilter(
        session_id=session_id,
        agent=agent,
        role=role,
        labels=dict(map(_label, labels)),
        since_ms=_ms(log, since),
        until_ms=_ms(log, until),
    )


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InvalidQueryError(text, "a label must look like name=value")
    return name, value


def _ms(log: SessionLog, time: str | None) -> int | None:
    if time is None:
        return None
    try:
        return log.resolve("-", time).ms
    except (SessionNotFoundError, RevisionNotFoundError):
        # A revision: there is no one session that it could be of.
        raise InvalidPointError(time, takes="an ISO time, or a relative one (-30d)") from None


def _standing(log: SessionLog, hits: Iterable[SearchHit]) -> Iterator[tuple[SearchHit, Recorded]]:
    for hit in hits:
        try:
            recorded = log.event(hit.session_id, hit.id)
        except (SessionNotFoundError, RevisionNotFoundError, CorruptEntryError, CorruptKeyError):
            continue
        if recorded.event.has_content:
            yield hit, recorded
