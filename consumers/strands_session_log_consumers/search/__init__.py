"""Search in what was said: a full-text index in one SQLite file, kept in step with the log.

`query` reads what people look for, `saying` what an event says, `index` is the file, `writing` changes it,
`indexer` keeps it in step with the log, `finding` looks something up and holds it against the log.
"""

from .finding import find, narrowed
from .index import SearchHit, SearchIndex, SearchPart
from .indexer import Indexer, IndexSummary
from .query import InvalidQueryError, SearchFilter, SearchIndexError

__all__ = [
    "IndexSummary",
    "Indexer",
    "InvalidQueryError",
    "SearchFilter",
    "SearchHit",
    "SearchIndex",
    "SearchIndexError",
    "SearchPart",
    "find",
    "narrowed",
]
