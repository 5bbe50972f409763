"""Spans of stored sessions, for a tracing backend: what OpenTelemetry would have recorded, had it been there.

`attributes` has the names of its semantic conventions, `open_spans` what has begun and not ended, `spans` makes spans
of events, `sending` hands them to an exporter; `command` is `session-log otel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strands_session_log.on_demand import on_demand

if TYPE_CHECKING:
    from .sending import ExportedSession, SpansNotTakenError, export_session, otlp_exporter
    from .spans import session_spans

__all__ = ["ExportedSession", "SpansNotTakenError", "export_session", "otlp_exporter", "session_spans"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {"sending": "ExportedSession SpansNotTakenError export_session otlp_exporter", "spans": "session_spans"},
    )
