"""The index that people name: a file, or a database of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from strands_session_log.errors import MissingExtraError

from .index import SearchIndex
from .stores import SearchStore

_SCHEMES = ("postgresql://", "postgres://")


def open_index(where: str | Path, namespace: str, *, create: bool = False) -> SearchStore:
    """The index of a namespace.

    Args:
        where: Its file; or a `postgresql://` URL, which needs the extra `search-postgresql`.
        namespace: Of which namespace it is.
        create: Whether it is made where it is not there.

    Raises:
        MissingExtraError: When the extra is not installed.
        SearchIndexError: When it is not there, is of another namespace, or is no index.
    """
    if isinstance(where, str) and where.startswith(_SCHEMES):
        try:
            from .postgresql import PostgresSearchIndex
        except ImportError as error:
            # Without libpq, of the system or of psycopg-binary, it is there and cannot be imported: no name is told.
            if (error.name or "psycopg").partition(".")[0] != "psycopg":
                raise
            raise MissingExtraError("search-postgresql", "searching in PostgreSQL") from error
        return PostgresSearchIndex(where, namespace, create=create)
    return SearchIndex(where, namespace, create=create)
