"""An index in a file: it stays whole, and what leaves it is gone from the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.search import Indexer, SearchIndex, SearchIndexError
from support.command_line import message


@pytest.fixture
def file(log: SessionLog, tmp_path: Path) -> SearchIndex:
    return SearchIndex(tmp_path / "search.db", log.namespace, create=True)


def bytes_of(file: SearchIndex) -> bytes:
    """All that stands in it, and beside it."""
    return b"".join(path.read_bytes() for path in file.path.parent.glob(f"{file.path.name}*"))


def test_the_index_of_words_is_whole_after_a_removal(log: SessionLog, file: SearchIndex) -> None:
    log.append("a", [message(number, "user", f"word{number} stays") for number in range(20)])
    with Indexer(log, file) as indexer:
        indexer.sync()
        log.erase("a", range(3, 9), "asked to")
        indexer.sync()
    with sqlite3.connect(file.path) as connection:
        connection.execute("INSERT INTO said (said) VALUES ('integrity-check')")
    assert len(file.search("stays")) == 14


def test_what_goes_while_somebody_reads_is_gone_from_the_file_once_they_have_read(
    log: SessionLog, file: SearchIndex
) -> None:
    log.append("a", message(0, "user", "qqerased"))
    with Indexer(log, file) as indexer:
        indexer.sync()
        reader = file.connect()
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM message").fetchone() == (1,)
        log.erase("a", 1, "asked to")
        assert not indexer.sync().is_scrubbed
        assert b"qqerased" in bytes_of(file)
        reader.close()
        assert indexer.sync().is_scrubbed
    assert b"qqerased" not in bytes_of(file)


def test_a_file_that_is_no_index_of_this_namespace_is_refused(file: SearchIndex, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk" * 1000)
    refused: list[Callable[[], object]] = [
        lambda: SearchIndex(tmp_path / "missing"),
        lambda: SearchIndex(junk),
        lambda: SearchIndex(file.path, "another", create=True),
        lambda: SearchIndex(tmp_path / "junk" / "below", create=True),
    ]
    for make in refused:
        with pytest.raises(SearchIndexError):
            make()
    assert file.path.stat().st_mode & 0o077 == 0


def test_a_file_that_was_damaged_says_so(log: SessionLog, file: SearchIndex) -> None:
    log.append("a", message(0, "user", "words"))
    with Indexer(log, file) as indexer:
        indexer.sync()
    bytes_there = file.path.read_bytes()
    file.path.write_bytes(bytes_there[:4096] + b"\xff" * (len(bytes_there) - 4096))
    writer = file.writer()
    asks: list[Callable[[], object]] = [
        lambda: writer.position,
        lambda: writer.up_to("a"),
        lambda: list(writer.session_ids()),
        lambda: file.search("words"),
    ]
    for ask in asks:
        with pytest.raises(SearchIndexError):
            ask()
    writer.close()
