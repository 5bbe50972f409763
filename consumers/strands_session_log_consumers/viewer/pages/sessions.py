"""The list of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import SessionInfo, SessionLog
from strands_session_log.errors import InvalidIdError, InvalidPointError

from ..addresses import with_query
from ..context import Viewer
from ..rendering import word_of

_PAGE: Final = 50
_LOOKED_AT: Final = 2_000
"""Sessions that one request looks through for what the log cannot filter by itself."""
_STATUSES: Final = (
    ("", "any status"),
    ("running", "running"),
    ("answer", "waits for a person"),
    ("failed", "failed"),
    ("silent", "silent"),
    ("idle", "idle"),
)
FILTERS: Final = ("q", "status", "agent", "label", "since")


class ListPages:
    """Sessions, most recently active first, as `SessionLog.sessions` knows them.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/": self.sessions,
        }

    async def sessions(self, request: Request) -> Response:
        """The list, newest first."""
        asked = {name: request.query_params.get(name, "").strip() for name in FILTERS}
        before = request.query_params.get("before") or None
        problem, found, more, newest = "", list[SessionInfo](), "", ""
        costs: Mapping[str, str] | None = None
        try:
            found, cursor = await self._viewer.work(lambda: listed(self._viewer.log, asked, before))
            more = with_query(self._viewer.path(request, "/"), asked, before=cursor) if cursor else ""
            newest = await self._viewer.work(lambda: self._behind(found))
            costs = await self._viewer.work(lambda: self._viewer.costs(found))
        except (InvalidPointError, InvalidIdError) as error:
            problem = str(error)
        return self._viewer.html(
            request,
            "sessions.html",
            page="sessions",
            asked=asked,
            statuses=_STATUSES,
            rows=found,
            costs=costs,
            more=more,
            problem=problem,
            is_filtered=any(asked.values()) or before is not None,
            is_older=before is not None,
            newest=newest,
            seen="",
            where=f"namespace {self._viewer.log.namespace!r}",
        )

    def _behind(self, found: list[SessionInfo]) -> str:
        """Behind what the list goes on: what it shows, or all there is where it shows nothing of that."""
        newest = found[:1] or self._viewer.log.sessions(1)
        ms = [int(one.last_event_at.timestamp() * 1000) + (not found) for one in newest]
        return f"{ms[0]}-0" if ms else ""


def listed(
    log: SessionLog, asked: Mapping[str, str], before: str | None, most: int = _PAGE
) -> tuple[list[SessionInfo], str | None]:
    """A page of sessions, and where the next one goes on; looks through a bounded number of them.

    Args:
        log: Where they are.
        asked: What is asked for, by each of `FILTERS`; empty for anything.
        before: Where the page before ended, or a time.
        most: How many at most.

    Raises:
        InvalidPointError: When a text is neither a time nor a cursor; an `InvalidIdError` when the agent is no id.
    """
    name, equals, value = asked["label"].partition("=")
    labels = {name: value} if equals else {}
    found, cursor, at_once = list[SessionInfo](), before, max(most, _PAGE)
    for _ in range(0, _LOOKED_AT, at_once):
        page = log.sessions(
            at_once,
            cursor,
            since=asked["since"] or None,
            failed=asked["status"] == "failed",
            waiting=asked["status"] == "answer",
            agent=asked["agent"] or None,
            labels=labels,
            last_message=True,
        )
        for info in page:
            cursor = info.cursor
            if _is_wanted(info, asked):
                found.append(info)
            if len(found) == most:
                return found, cursor
        if len(page) < at_once:
            return found, None
    return found, cursor


def is_shown(info: SessionInfo, asked: Mapping[str, str]) -> bool:
    """Whether a list that was asked for in this way would have a session, if it is active now."""
    name, equals, value = asked.get("label", "").partition("=")
    if equals and str(info.labels.get(name)) != value:
        return False
    agent = asked.get("agent", "")
    if agent and all(one.agent != agent for one in info.agents):
        return False
    return _is_wanted(info, {"status": "", "q": "", **asked})


def _is_wanted(info: SessionInfo, asked: Mapping[str, str]) -> bool:
    status, text = asked["status"], asked["q"].casefold()
    if status and status != word_of(info) and not (status == "running" and word_of(info) == "tool"):
        return False
    if not text:
        return True
    last = info.last_message.event.data if info.last_message and info.last_message.event.has_content else ""
    parts = (info.session_id, *(one.agent for one in info.agents), str(dict(info.labels)), str(last))
    return any(text in part.casefold() for part in parts)
