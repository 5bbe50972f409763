"""Taking away all that a namespace has, once a test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..session_log import SessionLog


def empty(log: SessionLog) -> None:
    """Remove every key of a namespace, whatever holds it; for namespaces that a test has made."""
    # Sessions first: no snapshot of one that is gone can be saved meanwhile.
    for session in log.sessions(limit=1_000_000):
        if session.held:
            log.retention.release(session.session_id, by="the fixture", reason="the test is over")
        log._events.delete(session.session_id)
    client: Any = log.client
    for key in client.scan_iter(match=f"{log.namespace}:*", count=1000):
        client.unlink(key)
