"""Searching as users type it; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from strands_session_log import EventId, Recorded, SessionLog
from strands_session_log_consumers.search import (
    Indexer,
    IndexSummary,
    InvalidQueryError,
    SearchFilter,
    SearchHit,
    SearchIndex,
    SearchIndexAwayError,
    SearchIndexError,
    SearchStore,
    find,
    find_events,
    narrowed,
    open_index,
)

log = SessionLog.connect("valkey://localhost")
index: SearchStore = SearchIndex(Path("search.db"), log.namespace, create=True)
index = open_index("postgresql://localhost/agents", log.namespace)
counts: tuple[int, int] = index.counts
with Indexer(log, index) as indexer:
    summary: IndexSummary = indexer.sync()
    indexer.rebuild()
    indexer.run(Event(), lambda summary: summary.messages if summary.is_scrubbed else summary.removed)
within: SearchFilter = narrowed(log, agent="a", labels=["status=open"], since="-30d")
try:
    hits: list[SearchHit] = find(log, index, "refund AND lisbon", within, limit=5, before="12")
    found: list[tuple[SearchHit, Recorded]] = find_events(log, index, "refund", SearchFilter(role="user"))
except InvalidQueryError as invalid:
    told: tuple[str, str] = invalid.query, invalid.reason
except SearchIndexAwayError as away:
    told = away.path, away.reason
except SearchIndexError as error:
    told = error.path, error.reason
for hit in find(log, index, "refund"):
    id_: EventId = hit.id
    text: list[str] = [part.text for part in hit.parts if part.is_found]
