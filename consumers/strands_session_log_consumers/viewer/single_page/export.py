"""`session-log export --to html`: found by its entry point in `strands_session_log.exports`."""

from __future__ import annotations

from collections.abc import Iterator

from strands_session_log import Progress, SessionLog
from strands_session_log.errors import MissingExtraError

_EXTRA = frozenset(("jinja2", "markupsafe", "nh3", "markdown_it", "pygments", "anyio"))


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The page of a session, piece by piece.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        MissingExtraError: When the viewer is not installed.
        SessionNotFoundError: When there is no such session.
        SinglePageError: When it has too many events.
    """
    try:
        from .page import SinglePage
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise MissingExtraError("viewer", "export --to html") from error
    return SinglePage(log, session_id, progress).chunks()
