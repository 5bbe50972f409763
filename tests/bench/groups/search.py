"""Searching in what was said: how fast an index is made, how fast it answers, and what removing something takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from strands_session_log import EventId, SessionLog, events
from strands_session_log_consumers.search import Indexer, SearchFilter, SearchIndex
from strands_session_log_consumers.search.saying import SaidMessage
from strands_session_log_consumers.search.writing import IndexWriter

from .. import text
from ..measuring import Run
from ..rows import Row

_MESSAGES = 1_000_000
_INDEXED = 100_000
_SESSION = 100
_MOST_SECONDS = 0.3
_LEAST_A_SECOND = 4_000
_ROUNDS = 20
_QUERIES = (
    "module function",
    "generator AND exception",
    '"the following" AND attribute',
    "asynchronous iterator",
    "import*",
    "bytearray AND coroutine",
)


def rows(run: Run) -> Iterator[Row]:
    """Messages of 1 KB: some indexed from a log, the rest put into the index as they would be."""
    with TemporaryDirectory() as directory:
        yield _indexing(run, Path(directory))
        yield from _searching(run, Path(directory))


def _indexing(run: Run, directory: Path) -> Row:
    count = run.size(_INDEXED)
    with SessionLog.connect("embedded:") as log:
        for first in run.track(range(0, count, _SESSION), "messages"):
            said = [_event(first + at) for at in range(_SESSION)]
            log.append(f"s-{first}", said)
        with Indexer(log, SearchIndex(directory / "some.db", log.namespace, create=True)) as indexer:
            summary = indexer.sync()
    assert summary.messages == count
    name = f"indexing {count:,} messages of 1 KB ÷ {_LEAST_A_SECOND:,} a second"
    return Row(name, [summary.seconds], [count / _LEAST_A_SECOND], 1)


def _event(index: int) -> events.Event:
    return events.MessageAdded({"message": text.message(index), "message_id": index}, "default")


def _searching(run: Run, directory: Path) -> Iterator[Row]:
    index, count = SearchIndex(directory / "all.db", "n", create=True), run.size(_MESSAGES)
    writer = IndexWriter(index)
    with writer.transaction():
        for at in run.track(range(count), "indexing"):
            id_ = EventId(1_700_000_000_000 + 1_000 * at, at % _SESSION + 1)
            writer.add(f"s-{at // _SESSION}", SaidMessage(id_, f"a-{at % 7}", at, "user", text.said(at)))
            if writer.pending >= 2_000:
                writer.save()
    for within, what in ((None, ""), (SearchFilter(agent="a-3"), ", of one agent of seven")):
        taken = [_seconds(index, query, within) for query in _QUERIES for _ in range(_ROUNDS)]
        name = f"two words in {count:,} messages{what}, 20 hits ÷ 300 ms"
        yield Row(name, taken, [_MOST_SECONDS] * len(taken), 1, note=f"slowest {max(taken) * 1e3:,.0f} ms")
    started = time.perf_counter()
    with writer.transaction():
        writer.forget("s-0")
    writer.scrub(0)
    size = (directory / "all.db").stat().st_size
    writer.close()
    name = f"removing what was said in one session of {count:,} messages ÷ 1 s"
    yield Row(name, [time.perf_counter() - started], [1.0], 1, note=f"the file has {size / 1e9:.2f} GB")


def _seconds(index: SearchIndex, query: str, within: SearchFilter | None) -> float:
    started = time.perf_counter()
    index.search(query, within)
    return time.perf_counter() - started
