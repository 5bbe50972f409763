"""One event as it is stored, and the files in it."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..addresses import session_of
from ..content.blocks import file_of
from ..context import Viewer, session_id_of
from ..json_answers import event_line
from ..security import SANDBOXED


class EventPages:
    """What stands in the log, field by field, and as bytes.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/s/{session_id}/e/{revision:number}": self.event,
            "/blob/{session_id}/{revision:number}/{number:number}": self.blob,
        }

    async def event(self, request: Request) -> Response:
        """One event as it is stored."""

        def read() -> Response:
            session_id, revision = session_id_of(request), request.path_params["revision"]
            checked = self._viewer.log.read_checked(session_id, revision - 1 or None, revision)
            found = next(iter(checked), None)
            recorded = found or self._viewer.log.event(session_id, revision)
            integrity = checked.integrity
            event = recorded.event
            fields = [
                ("id", str(recorded.id)),
                ("event", event.event_id),
                ("type", event.type),
                ("agent", event.agent),
                ("v", str(event.version)),
                ("trace", event.trace),
                ("link", recorded.link),
            ]
            line = event_line(recorded, integrity).decode()
            head = self._viewer.log.head(session_id).revision
            return self._viewer.html(
                request,
                "event.html",
                session_id=session_id,
                recorded=recorded,
                fields=fields,
                problem=integrity.problem if integrity.is_broken else "",
                line=line,
                head=head,
            )

        return await self._viewer.work(read)

    async def blob(self, request: Request) -> Response:
        """A file in a message, as nothing but bytes."""
        given = request.path_params

        def read() -> Response:
            recorded = self._viewer.log.event(session_of(given["session_id"]), given["revision"])
            message = recorded.event.data.get("redact_message") or recorded.event.data.get("message")
            found = file_of(message, given["number"]) if recorded.event.has_content else None
            if found is None:
                raise HTTPException(404, "There is no such file in that message, or it was erased.")
            media, content = found
            inline = media.element and "download" not in request.query_params
            headers = {
                "Content-Security-Policy": SANDBOXED,
                "Content-Disposition": "inline" if inline else "attachment",
            }
            return Response(
                content, media_type=media.media_type if inline else "application/octet-stream", headers=headers
            )

        return await self._viewer.work(read)
