"""A session as files to take along."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from ..context import Viewer, session_id_of
from ..json_answers import event_line
from ..single_page.page import SinglePage, SinglePageError

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")
_KINDS: Final = "html, jsonl, file-session"


class ExportPages:
    """What the library can export, to be downloaded.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {"/s/{session_id}/export": self.export}

    async def export(self, request: Request) -> Response:
        """A session as what `to` says."""
        session_id, kind = session_id_of(request), request.query_params.get("to", "")
        match kind:
            case "html":
                return await self._viewer.work(lambda: self._page(session_id))
            case "jsonl":
                await self._viewer.work(lambda: self._viewer.log.head(session_id))
                headers = _attached(session_id, "jsonl")
                return StreamingResponse(self._lines(session_id), media_type="application/jsonl", headers=headers)
            case "file-session":
                return await self._viewer.work(lambda: self._archive(session_id))
        raise HTTPException(400, f"to={kind!r} is not known; it can be {_KINDS}.")

    def _page(self, session_id: str) -> Response:
        """One page that needs no server."""
        try:
            chunks = SinglePage(self._viewer.log, session_id).chunks()
        except SinglePageError as error:
            raise HTTPException(409, str(error)) from error
        return StreamingResponse(chunks, media_type="text/html", headers=_attached(session_id, "html"))

    def _lines(self, session_id: str) -> Iterator[bytes]:
        """Its events, as `session-log events --json` has them."""
        checked = self._viewer.log.read_checked(session_id)
        for recorded in checked:
            yield event_line(recorded, checked.integrity) + b"\n"

    def _archive(self, session_id: str) -> Response:
        """A directory that Strands' FileSessionManager resumes from."""
        # Here, because it imports Strands, which looking at a log does not need.
        from strands_session_log.moving import ExportError, export_session

        directory = Path(mkdtemp(prefix="session-log-"))
        try:
            export_session(self._viewer.log, session_id, directory / "sessions")
            archive = shutil.make_archive(str(directory / "archive"), "zip", directory / "sessions")
        except ExportError as error:
            shutil.rmtree(directory)
            raise HTTPException(409, str(error)) from error
        except BaseException:
            shutil.rmtree(directory)
            raise
        gone = BackgroundTask(shutil.rmtree, directory)
        return FileResponse(
            archive, media_type="application/zip", headers=_attached(session_id, "zip"), background=gone
        )


def _attached(session_id: str, ending: str) -> dict[str, str]:
    name = _NOT_IN_NAMES.sub("_", session_id).strip("._")[:80] or "session"
    return {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
