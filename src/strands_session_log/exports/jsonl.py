"""`session-log export --to jsonl`: a line of JSON for each message, of flat columns."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from ..event_log import Progress
from ..session_log import SessionLog
from .messages import MessageRow, message_rows


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The messages of a session, a line each.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    for row in message_rows(log, session_id, progress):
        yield orjson.dumps(_columns(row), option=orjson.OPT_APPEND_NEWLINE)


def _columns(row: MessageRow) -> dict[str, str | int | None]:
    found = row._asdict()
    return {("time" if name == "ms" else name): row.time if name == "ms" else found[name] for name in found}
