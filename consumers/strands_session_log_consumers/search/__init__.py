"""Search in what was said: a full-text index in one SQLite file, or in PostgreSQL, kept in step with the log.

`query` reads what people look for, `saying` what an event says. `stores` is what an index has to do: `index` is the
file, `writing` changes it; `postgresql` is the database, `postgresql_writing` changes that, `words` are told it one by
one. `indexer` keeps either in step with the log, `finding` looks something up and holds it against the log.
"""

from .finding import find, find_events, narrowed
from .hits import SearchHit, SearchPart
from .index import SearchIndex
from .indexer import Indexer, IndexSummary
from .opening import open_index
from .query import InvalidQueryError, SearchFilter, SearchIndexAwayError, SearchIndexError
from .saying import said_in
from .stores import SearchStore, SearchWriter

__all__ = [
    "IndexSummary",
    "Indexer",
    "InvalidQueryError",
    "SearchFilter",
    "SearchHit",
    "SearchIndex",
    "SearchIndexAwayError",
    "SearchIndexError",
    "SearchPart",
    "SearchStore",
    "SearchWriter",
    "find",
    "find_events",
    "narrowed",
    "open_index",
    "said_in",
]
