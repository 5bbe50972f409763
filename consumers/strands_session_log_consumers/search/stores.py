"""What an index has to do, whatever keeps it: `SearchStore` is looked into, a `SearchWriter` changes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from math import inf
from typing import Any, NamedTuple, Protocol

from strands_session_log import EventId

from .hits import SearchHit
from .query import SearchFilter
from .saying import SaidMessage


class IndexedUpTo(NamedTuple):
    """How far a session is in the index.

    Attributes:
        id: The last event that was read of it.
        link: Its link: whether the session is still the same.
    """

    id: EventId
    link: str


class SearchStore(Protocol):
    """An index of one namespace; any number of threads and processes may search in it."""

    @property
    def name(self) -> str:
        """Where it is, as people may be told."""

    def search(
        self,
        query: str,
        within: SearchFilter | None = None,
        limit: int = 20,
        before: str | None = None,
        timeout: float = 10.0,
    ) -> list[SearchHit]:
        """What was said that has all of a query, newest first.

        Args:
            query: See `parts_of`: words, `AND`, `OR`, `NOT`, parentheses, "a phrase", and begin*.
            within: In what is looked; in everything if left out.
            limit: How many hits at most.
            before: The `cursor` of a hit: go on behind it.
            timeout: Seconds after which it gives up.

        Raises:
            InvalidQueryError: When the query means nothing, or takes too long.
            SearchIndexError: When the index cannot be read.
        """

    @property
    def counts(self) -> tuple[int, int]:
        """How many sessions and messages it has."""

    def writer(self) -> SearchWriter:
        """What changes it."""


class SearchWriter(Protocol):
    """The one that changes an index; for one thread, and others wait for it.

    Attributes:
        added: How many messages were added; whoever counts sets it back.
    """

    added: int

    def close(self) -> None:
        """Change it no more."""

    def transaction(self) -> AbstractContextManager[None]:
        """All that is changed within is, or nothing of it."""

    def save(self) -> None:
        """Commit what was changed so far in a transaction, and go on in another: something else may come in between."""

    @property
    def pending(self) -> int:
        """How many messages a transaction has added."""

    @property
    def position(self) -> str | None:
        """Where in the feed the log was followed to; None where it has to be looked through."""

    def put_position(self, position: str | None) -> None:
        """Note where in the feed the log was followed to."""

    @property
    def filling(self) -> str | None:
        """Another one whenever the index was emptied, by whichever process."""

    def up_to(self, session_id: str) -> IndexedUpTo | None:
        """How far a session is in the index."""

    def put_up_to(self, session_id: str, at: IndexedUpTo) -> None:
        """Note how far a session is in the index now."""

    def session_ids(self) -> Iterator[str]:
        """All sessions it has."""

    def add(self, session_id: str, said: SaidMessage) -> None:
        """Add a message; one that is there already stays."""

    def remove_number(self, session_id: str, said: SaidMessage) -> None:
        """Remove what a message said before it was replaced."""

    def remove_events(self, session_id: str, ids: Iterable[EventId]) -> None:
        """Remove what events said."""

    def put_labels(self, session_id: str, labels: Mapping[str, Any]) -> None:
        """Note what is attached to a session."""

    def forget(self, session_id: str) -> bool:
        """Remove a session, and all that was said in it; whether it was there."""

    def clear(self) -> None:
        """Remove everything."""

    def scrub(self, seconds: float = inf) -> bool:
        """Let nothing stay of what was removed where the index is kept.

        Args:
            seconds: For how long at most that is worked on, where it takes long.

        Returns:
            Whether that is done; not while somebody reads what stood there before.
        """
