"""The index that is a schema of a PostgreSQL database, for those who have one anyhow: the same, by the same methods.

Texts and their words stand apart from what is known of messages, in partitions of about six days: to be rid of what was
removed, only those are written anew that had it. See `PostgresIndexWriter.scrub`, and docs/adr/0055.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from strands_session_log import EventId

from .hits import SearchHit
from .postgresql_schema import FORMAT, LEAST_VERSION, SCHEMA
from .postgresql_writing import PostgresIndexWriter, plain
from .query import InvalidQueryError, SearchFilter, SearchIndexAwayError, SearchIndexError
from .words import LONGEST_SHOWN, snippet, terms_of, tsquery_of

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_SECONDS: Final = 10
_NO_URL: Final = "it is no URL that libpq takes: write special characters in it as %XX, and only options that libpq has"
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_NEWEST: Final = 1_000
"""Of the newest messages so many are looked at, one by one, before the index of words is asked: a word that is in many
messages is in some of these, and the index would have to name all of them."""
_SAID: Final = "SELECT ms, seq, words FROM said WHERE true{place} ORDER BY ms DESC, seq DESC LIMIT %(newest)s"
_FOUND: Final = "SELECT ms, seq FROM said WHERE words @@ %(words)s::tsquery{place}"
# What is materialised is found by words alone: whoever plans would else rather read all messages from the newest on.
_SEARCHES: Final = {
    "newest": f"WITH found AS MATERIALIZED ({_SAID}) {{all}} WHERE found.words @@ %(words)s::tsquery{{conditions}}",
    "all": f"WITH found AS MATERIALIZED ({_FOUND}) {{all}} WHERE true{{conditions}}",
    "session": "{all} WHERE found.words @@ %(words)s::tsquery{conditions}{place}",
}
_ALL: Final = (
    "SELECT message.ms, message.seq, session.session_id, message.revision, message.agent, message.role"
    " FROM {found} JOIN message USING (ms, seq) JOIN session ON session.id = message.session"
)
_HITS: Final = (
    "SELECT hit.*, (SELECT left(text, %(shown)s) FROM said WHERE said.ms = hit.ms AND said.seq = hit.seq)"
    " FROM ({search} ORDER BY message.ms DESC, message.seq DESC LIMIT %(limit)s) AS hit ORDER BY ms DESC, seq DESC"
)


class PostgresSearchIndex:
    """A search index of one namespace in PostgreSQL; any number of threads and processes may search in it.

    Args:
        url: The database, as libpq takes it.
        namespace: Of which namespace it is.
        create: Whether it is made where it is not there.

    Raises:
        SearchIndexError: When it is not there, is of another format, or the server is too old.
        SearchIndexAwayError: When the database does not answer.
    """

    def __init__(self, url: str, namespace: str, *, create: bool = False) -> None:
        self._url, self.namespace, self.schema = url, namespace, _schema(namespace)
        try:
            self._parameters = conninfo_to_dict(url)
        except psycopg.Error:
            # What libpq says of it has it, with the password, or a part of that.
            raise SearchIndexError("postgresql://…", _NO_URL) from None
        with self.explained(), closing(self.connect()) as connection:
            if connection.info.server_version < LEAST_VERSION:
                raise SearchIndexError(self.name, f"it needs PostgreSQL {LEAST_VERSION // 10_000} or newer")
            if create:
                self._create(connection)
            self._check(connection)

    @property
    def name(self) -> str:
        """The database, without a password."""
        found: Any = self._parameters
        port = f":{found['port']}" if found.get("port") else ""
        return f"postgresql://{found.get('host') or ''}{port}/{found.get('dbname') or ''}"

    def connect(self) -> Connection:
        """A connection of its own, for one thread.

        Raises:
            SearchIndexAwayError: When the database does not answer.
        """
        given: Any = {"connect_timeout": _SECONDS, "application_name": "session-log", **self._parameters}
        with self.explained():
            # Prepared, a statement is planned for any query, and this one is another each time.
            connection: Connection = psycopg.connect(**given, autocommit=True, prepare_threshold=None)
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            connection.execute("SET jit = off")
            return connection

    def writer(self) -> PostgresIndexWriter:
        """What changes it."""
        return PostgresIndexWriter(self)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell of PostgreSQL's errors as of ours.

        Raises:
            SearchIndexError: In place of them.
        """
        try:
            yield
        except psycopg.OperationalError as error:
            raise SearchIndexAwayError(self.name, _reason(error)) from error
        except psycopg.Error as error:
            raise SearchIndexError(self.name, _reason(error)) from error

    def search(
        self,
        query: str,
        within: SearchFilter | None = None,
        limit: int = 20,
        before: str | None = None,
        timeout: float = 10.0,
    ) -> list[SearchHit]:
        """See `SearchStore.search`."""
        terms, wanted = terms_of(query), _Wanted(within or SearchFilter(), before)
        values = {
            "words": tsquery_of(query),
            "limit": limit,
            "newest": _NEWEST,
            "shown": LONGEST_SHOWN,
            **wanted.values,
        }
        with self.explained(), closing(self.connect()) as connection:
            connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{timeout * 1000:.0f}",))
            connection.execute("SET work_mem = '64MB'")
            try:
                rows = self._rows(connection, wanted, values)
            except psycopg.errors.QueryCanceled:
                raise InvalidQueryError(query, f"it took more than {timeout:g} s; look in less") from None
        return [
            SearchHit(session_id, EventId(ms, revision), agent, role, snippet(text or "", terms), f"{ms}-{seq}")
            for ms, seq, session_id, revision, agent, role, text in rows
        ]

    def _rows(self, connection: Connection, wanted: _Wanted, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        for way in ("session",) if wanted.is_one_session else ("newest", "all"):
            rows = connection.execute(wanted.statement(way), values).fetchall()
            if len(rows) == values["limit"]:
                break
        return rows

    @property
    def counts(self) -> tuple[int, int]:
        """How many sessions and messages it has."""
        statement = "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM message)"
        with self.explained(), closing(self.connect()) as connection:
            sessions, messages = connection.execute(statement).fetchone() or (0, 0)
            return sessions, messages

    def _create(self, connection: Connection) -> None:
        with connection.transaction():
            # One at a time: two that make the same would get in each other's way.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.schema,))
            if connection.execute("SELECT to_regclass('meta')").fetchone() != (None,):
                return
            schema = sql.Identifier(self.schema)
            found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.schema,)).fetchone()
            if not found:
                # An administrator may have made it, so that nobody else need be allowed to.
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            connection.execute(SCHEMA)
            named = [("format", FORMAT), ("namespace", self.namespace)]
            connection.cursor().executemany("INSERT INTO meta VALUES (%s, %s)", named)

    def _check(self, connection: Connection) -> None:
        if connection.execute("SELECT to_regclass('meta')").fetchone() == (None,):
            raise SearchIndexError(self.name, f"there is no schema {self.schema!r}; `session-log index` makes it")
        found: dict[str, str] = dict(
            connection.execute("SELECT name, value FROM meta WHERE name IN ('format', 'namespace')")
        )
        if found.get("format") != FORMAT:
            raise SearchIndexError(self.name, f"schema {self.schema!r} has another format: drop it, and make it anew")
        if found.get("namespace") != self.namespace:
            raise SearchIndexError(self.name, f"schema {self.schema!r} is of namespace {found.get('namespace')!r}")


class _Wanted:
    """In what is looked, as conditions.

    Args:
        within: In what.
        before: Behind which hit.
    """

    def __init__(self, within: SearchFilter, before: str | None) -> None:
        self.values: dict[str, Any] = {}
        self.is_one_session = within.session_id is not None
        self._place, self._conditions = "", ""
        if before is not None:
            found = _CURSOR.fullmatch(before)
            if not found:
                raise InvalidQueryError(before, "it is no cursor; take that of a hit")
            self.values |= {"before_ms": int(found[1]), "before_seq": int(found[2])}
            self._place += " AND ms <= %(before_ms)s AND (ms, seq) < (%(before_ms)s, %(before_seq)s)"
        self._add("_place", "ms >= ", "since_ms", within.since_ms)
        self._add("_place", "ms <= ", "until_ms", within.until_ms)
        self._add("_conditions", "session.session_id = ", "session_id", within.session_id)
        self._add("_conditions", "message.agent = ", "agent", within.agent)
        self._add("_conditions", "message.role = ", "role", within.role)
        for number, (name, value) in enumerate(within.labels.items()):
            self.values |= {f"name_{number}": plain(name), f"value_{number}": plain(value)}
            self._conditions += (
                " AND EXISTS (SELECT 1 FROM label WHERE session = message.session"
                f" AND name = %(name_{number})s AND value = %(value_{number})s)"
            )

    def _add(self, where: str, condition: str, name: str, value: Any) -> None:
        if value is not None:
            self.values[name] = min(value, (1 << 63) - 1) if isinstance(value, int) else plain(value)
            setattr(self, where, f"{getattr(self, where)} AND {condition}%({name})s")

    def statement(self, way: str) -> Any:
        """The statement that looks in one of three ways."""
        found = "said AS found" if way == "session" else "found"
        place = re.sub(r"\b(ms|seq)\b", r"found.\1", self._place) if way == "session" else self._place
        search = _SEARCHES[way].format(all=_ALL.format(found=found), conditions=self._conditions, place=place)
        return _HITS.format(search=search)


def _schema(namespace: str) -> str:
    """Names longer than 63 bytes would be cut."""
    name = f"session_log_{namespace}"
    if len(name.encode()) <= 63:
        return name
    return f"session_log_{hashlib.sha256(namespace.encode()).hexdigest()[:32]}"


def _reason(error: psycopg.Error) -> str:
    """In one line."""
    told: Sequence[str] = str(error).strip().splitlines()
    return told[0] if told else type(error).__name__
