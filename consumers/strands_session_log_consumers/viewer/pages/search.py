"""Searching in what was said, where there is an index of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import Recorded
from strands_session_log.errors import InvalidPointError

from ...search import InvalidQueryError, SearchHit, SearchIndexError, find_events, narrowed, open_index
from ..addresses import with_query
from ..context import Viewer

_HITS: Final = 50
_FIELDS: Final = ("q", "agent", "label", "since", "until")


class SearchPages:
    """What was said that has the words people look for.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {"/search": self.search}

    async def search(self, request: Request) -> Response:
        """A page of hits, newest first."""
        asked = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
        before = request.query_params.get("before") or None
        problem, hits = "", list[tuple[SearchHit, Recorded]]()
        if asked["q"]:
            try:
                hits = await self._viewer.work(lambda: searched(self._viewer, asked, before, _HITS))
            except (InvalidPointError, InvalidQueryError, SearchIndexError) as error:
                problem = str(error)
        is_full = len(hits) == _HITS
        path = self._viewer.path(request, "/search")
        more = with_query(path, asked, before=hits[-1][0].cursor) if is_full else ""
        return self._viewer.html(
            request, "search.html", page="search", asked=asked, hits=hits, problem=problem, more=more
        )


def searched(
    viewer: Viewer, asked: Mapping[str, str], before: str | None, limit: int
) -> list[tuple[SearchHit, Recorded]]:
    """The hits that a query asks for, each with its event.

    Args:
        viewer: Knows the log, and its index.
        asked: The words, as `q`, and in what is looked; empty for anything.
        before: The cursor of the hit behind which to go on.
        limit: How many at most.

    Raises:
        HTTPException: When the viewer has no index.
        InvalidQueryError: When the query means nothing.
        SearchIndexError: When the index cannot be read.
    """
    if not viewer.settings.search_index:
        raise HTTPException(404, "The viewer has no search index: start it with `session-log view --index FILE|URL`.")
    index = open_index(viewer.settings.search_index, viewer.log.namespace)
    within = narrowed(
        viewer.log,
        agent=asked.get("agent") or None,
        labels=[asked["label"]] if asked.get("label") else (),
        since=asked.get("since") or None,
        until=asked.get("until") or None,
    )
    return find_events(viewer.log, index, asked.get("q", ""), within, limit, before)
