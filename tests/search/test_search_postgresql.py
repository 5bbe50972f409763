"""An index in PostgreSQL: what is particular to a database, which goes away, has users, and keeps what it can."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import psycopg
import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.search import (
    Indexer,
    InvalidQueryError,
    SearchIndexAwayError,
    SearchIndexError,
    SearchStore,
    open_index,
)
from support.command_line import Run, message
from support.databases import PostgresServer
from support.waiting import wait_until

pytestmark = pytest.mark.postgresql


@pytest.fixture
def place(postgresql: PostgresServer) -> str:
    return postgresql.url


def say(log: SessionLog, *texts: str, session_id: str = "a") -> None:
    log.append(session_id, [message(number, "user", text) for number, text in enumerate(texts)])


def test_what_goes_while_somebody_reads_is_gone_once_they_have_read(
    log: SessionLog, index: SearchStore, indexer: Indexer, place: str, kept: Callable[[], bytes]
) -> None:
    say(log, "qqreading stays a while", "another")
    indexer.sync()
    with psycopg.connect(place) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM pg_class").fetchone()
        log.erase("a", 1, "asked to")
        assert not indexer.sync().is_scrubbed
        assert index.search("qqreading") == []
    assert indexer.sync().is_scrubbed
    assert b"qqreading" not in kept()


def test_only_partitions_from_which_something_was_removed_are_written_anew(
    log: SessionLog, index: SearchStore, indexer: Indexer, place: str
) -> None:
    say(log, "one", "two")
    indexer.sync()

    def files() -> dict[str, int]:
        with psycopg.connect(place) as connection:
            statement = (
                "SELECT relname, relfilenode FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
                " WHERE nspname = %s AND relname ~ '^said_[0-9]+$'"
            )
            return dict(connection.execute(statement, (f"session_log_{log.namespace}",)).fetchall())

    before = files()
    assert len(before) == 1
    say(log, "three", session_id="b")
    indexer.sync()
    assert files() == before
    log.erase("a", 1, "asked to")
    indexer.sync()
    assert files().keys() == before.keys()
    assert files() != before
    assert len(index.search("two")) == 1


def test_an_indexer_whose_database_goes_away_waits_and_goes_on(log: SessionLog, postgresql: PostgresServer) -> None:
    with PostgresServer() as server:
        index = open_index(server.url, log.namespace, create=True)
        stop, ready = Event(), Event()
        with Indexer(log, index) as indexer:
            thread = Thread(target=indexer.run, args=(stop, lambda summary: ready.set()))
            thread.start()
            assert ready.wait(30)
            server.stop()
            say(log, "said meanwhile")
            with pytest.raises(SearchIndexAwayError):
                index.search("meanwhile")
            server.start()
            wait_until(lambda: len(index.search("meanwhile")) == 1, "the index to follow")
            stop.set()
            thread.join()


def test_a_search_that_takes_too_long_is_given_up(log: SessionLog, index: SearchStore, indexer: Indexer) -> None:
    for session_id in ("a", "b"):
        say(log, *(f"word{number} stays" for number in range(1_000)), session_id=session_id)
    indexer.sync()
    with pytest.raises(InvalidQueryError, match="took more than"):
        index.search("stays NOT (word1* OR word2* OR word3*)", timeout=0.001)


def test_no_message_shows_the_password_and_a_namespace_is_a_schema(
    log: SessionLog, index: SearchStore, place: str, run: Run
) -> None:
    assert "s3cret" in place
    say(log, "a refund for lisbon")
    told = run("index", "--index", place, "--once").stderr
    assert "Indexed 1 messages" in told
    assert run("search", "lisbon refund", "--index", place).stdout.endswith("default user: a refund for lisbon\n")
    assert "s3cret" not in told
    refused = run("search", "x", "--index", f"{place}none", exit_code=2).output
    assert "does not exist" in refused
    assert "s3cret" not in refused
    with pytest.raises(SearchIndexError, match="there is no schema 'session_log_another'"):
        open_index(place, "another")


def test_words_that_are_too_many_for_the_database_do_no_harm(
    log: SessionLog, index: SearchStore, indexer: Indexer
) -> None:
    many = " ".join(f"w{number}" for number in range(140_000))
    say(log, many, "\x00 nul and \ud800 half", "ends " * 50_000 + "tailword")
    assert indexer.sync().messages == 3
    assert [len(index.search(word)) for word in ("w1", "nul", "tailword")] == [1, 1, 1]


@pytest.mark.parametrize("rest", ["s3%cret@h/d", "s3cret@[h/d", "s3cret@h/d?colour=blue", "s3cret@h/d?port"])
def test_a_wrong_address_is_not_told_with_its_password(rest: str) -> None:
    with pytest.raises(SearchIndexError, match="no URL") as refused:
        open_index(f"postgresql://u:{rest}", "n")
    assert "cret" not in str(refused.value)
