"""An index of what was said, in each of the stores that may keep one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.search import Indexer, SearchStore, open_index
from support.databases import PostgresServer
from support.servers import ServerUnavailable

STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except ServerUnavailable as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an index may be: a file, or a database."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgresql")
        return server.url
    return str(tmp_path / "search.db")


@pytest.fixture
def index(log: SessionLog, place: str) -> SearchStore:
    return open_index(place, log.namespace, create=True)


@pytest.fixture
def indexer(log: SessionLog, index: SearchStore) -> Iterator[Indexer]:
    with Indexer(log, index) as indexer:
        yield indexer


@pytest.fixture
def kept(place: str, request: pytest.FixtureRequest) -> Callable[[], bytes]:
    """All that stands where the index is kept: in the file and beside it, or in the files of the database.

    The database has indexes of other tests, too: look for words that no other test says.
    """
    if place.startswith("postgresql"):
        server: Any = request.getfixturevalue("postgresql")
        bytes_of_tables: Callable[[], bytes] = server.bytes_of_tables
        return bytes_of_tables
    file = Path(place)
    return lambda: b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
