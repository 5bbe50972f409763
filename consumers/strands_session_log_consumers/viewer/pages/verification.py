"""Whether a session is what was written: in the header of its page, and in full, also held against what was noted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import Anchor
from strands_session_log.errors import RevisionNotFoundError

from ..context import Viewer, session_id_of
from ..conversation.checking import Report, Reports
from ..conversation.pasted import NotedLinks, understood

_REVISION: Final = re.compile(r"\b\d+-(\d{1,15})\b")
_SHOWN: Final = 100


class ReportedProblem(NamedTuple):
    """Something a report says.

    Attributes:
        text: A sentence.
        revision: The event it is about; 0 if it is about none.
    """

    text: str
    revision: int = 0


class CheckPages:
    """What is known of whether sessions are what was written.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._reports = viewer, Reports(viewer.log)

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/f/s/{session_id}/verify": self.check,
            "/s/{session_id}/verify": self.report,
        }

    async def check(self, request: Request) -> Response:
        """How far the events are checked; asked again until all are."""

        def go_on() -> Response:
            conversation, point = self._viewer.conversations.point(session_id_of(request), None)
            found = conversation.check(point.head)
            return self._viewer.html(request, "verified.html", session_id=conversation.session_id, check=found)

        return await self._viewer.check(go_on)

    async def report(self, request: Request) -> Response:
        """All that can be said of it; begun when it is asked for, and shown as it goes on."""
        session_id, query = session_id_of(request), request.query_params
        head = await self._viewer.work(lambda: self._viewer.log.head(session_id).revision)
        noted = understood(query.get("expect", ""), session_id)
        found = self._reports.report(session_id, noted.expect, head, again="again" in query)
        beginnings = await self._viewer.work(lambda: self._held_against(session_id, noted, head))
        anchor = Anchor(session_id, found.found.revision, found.found.link) if found.found else None
        return self._viewer.html(
            request,
            "report.html",
            session_id=session_id,
            head=head,
            report=found,
            findings=_findings(found),
            hidden=max(0, len(found.found.problems) - _SHOWN) if found.found else 0,
            noted=noted,
            beginnings=beginnings,
            pasted=query.get("expect", ""),
            anchor=str(anchor) if anchor and anchor.link else "",
            is_part="HX-Request" in request.headers,
        )

    def _held_against(self, session_id: str, noted: NotedLinks, head: int) -> Sequence[tuple[int, str, str, bool]]:
        """Of each event that an address means: its revision, the link the address has, the event's own, whether so."""
        found = []
        for revision, beginning in noted.beginnings:
            try:
                link = self._viewer.log.event(session_id, revision).link
            except RevisionNotFoundError:
                link = ""
            found.append((revision, beginning, link, link.startswith(beginning) and bool(link)))
        return found


def _findings(report: Report) -> list[ReportedProblem]:
    problems = report.found.problems[:_SHOWN] if report.found else ()
    named = ((text, _REVISION.search(text)) for text in problems)
    return [ReportedProblem(text, int(found[1]) if found else 0) for text, found in named]
