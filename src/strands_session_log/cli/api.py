"""What a command from elsewhere may use, see `plugins`: the options all commands have, and the log they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .context import opened
from .exit_codes import Code, fail
from .options import PANEL, JsonOption, NamespaceOption, UrlOption

if TYPE_CHECKING:
    from .. import SessionLog

__all__ = ["PANEL", "Code", "JsonOption", "NamespaceOption", "UrlOption", "fail", "opened", "troubles"]


def troubles(log: SessionLog, session_id: str) -> dict[str, Any]:
    """Why a session does not go on, as `session-log why --json` tells it.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    from .commands.why import look
    from .render.troubles import troubles_json

    return troubles_json(*look(log, session_id), "")
