"""Who waits for a person."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .context import Viewer


class InboxPages:
    """Interrupts that wait for an answer, over all sessions.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/inbox": self.inbox,
        }

    async def inbox(self, request: Request) -> Response:
        """Who waits for a person."""
        items = await self._viewer.work(self._waiting)
        return self._viewer.html(request, "inbox.html", page="inbox", items=items)

    def _waiting(self) -> list[Any]:
        return [
            {
                "session_id": info.session_id,
                "agent": one.agent,
                "name": one.name,
                "since": one.since.time if one.since else info.last_event_at,
                "revision": one.since.revision if one.since else info.revision,
                "reason": None,
                "how": f"session-log why {info.session_id}",
            }
            for info in self._viewer.log.sessions(500, waiting=True)
            for one in info.agents
            if one.status == "answer"
        ]
