"""Every session of a namespace, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..events import SessionInfo
from ..session_log import SessionLog

_PAGE = 200


def every_session(log: SessionLog) -> Iterator[str]:
    """Every session, page by page; one that is written to meanwhile may come twice, but none is left out."""
    before: SessionInfo | datetime | None = None
    while page := log.sessions(_PAGE, before):
        yield from (info.session_id for info in page)
        before = page[-1]
