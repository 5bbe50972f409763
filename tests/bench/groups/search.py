"""Searching in what was said: how fast a log is indexed, how fast it is searched, and what removing something takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from strands_session_log import SessionLog, events
from strands_session_log_consumers.search import Indexer, SearchFilter, SearchIndex

from .. import text
from ..measuring import Run
from ..rows import Row

_MESSAGES = 1_000_000
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
    """Messages of 1 KB in a log, all of which are indexed, and then searched."""
    count = run.size(_MESSAGES)
    with TemporaryDirectory() as directory, SessionLog.connect("embedded:") as log:
        file = Path(directory) / "search.db"
        _write(run, log, count)
        index = SearchIndex(file, log.namespace, create=True)
        with Indexer(log, index) as indexer:
            yield _indexing(indexer, count)
            yield from _searching(index, count)
        yield _removing(index, file, count)


def _write(run: Run, log: SessionLog, count: int) -> None:
    for first in run.track(range(0, count, _SESSION), "sessions"):
        agent = f"a-{first // _SESSION % 7}"
        said = [{"message": text.message(first + at), "message_id": at} for at in range(_SESSION)]
        log.append(f"s-{first}", [events.MessageAdded(one, agent) for one in said])


def _indexing(indexer: Indexer, count: int) -> Row:
    summary = indexer.sync()
    assert summary.messages == count
    name = f"indexing {count:,} messages of 1 KB from a log ÷ {_LEAST_A_SECOND:,} a second"
    note = f"{count / summary.seconds:,.0f} a second"
    return Row(name, [summary.seconds], [count / _LEAST_A_SECOND], 1, note=note)


def _searching(index: SearchIndex, count: int) -> Iterator[Row]:
    for within, what in ((None, ""), (SearchFilter(agent="a-3"), ", of one agent of seven")):
        taken = [_seconds(index, query, within) for query in _QUERIES for _ in range(_ROUNDS)]
        name = f"two words in {count:,} messages{what}, 20 hits ÷ 300 ms"
        yield Row(name, taken, [_MOST_SECONDS] * len(taken), 1, note=f"slowest {max(taken) * 1e3:,.0f} ms")


def _removing(index: SearchIndex, file: Path, count: int) -> Row:
    """Until it is not found any more, and not in rows either; where words are merged, that goes on behind it."""
    writer, started = index.writer(), time.perf_counter()
    with writer.transaction():
        writer.forget("s-0")
    writer.scrub(0)
    taken, size = time.perf_counter() - started, file.stat().st_size
    writer.close()
    name = f"removing what was said in one session of {count:,} messages ÷ 1 s"
    return Row(name, [taken], [1.0], 1, note=f"the file has {size / 1e9:.2f} GB")


def _seconds(index: SearchIndex, query: str, within: SearchFilter | None) -> float:
    started = time.perf_counter()
    index.search(query, within)
    return time.perf_counter() - started
