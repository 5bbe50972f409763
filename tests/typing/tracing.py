"""Spans of sessions as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from strands_session_log import SessionLog
from strands_session_log_consumers.otel import (
    ExportedSession,
    SpansNotTakenError,
    export_session,
    otlp_exporter,
    session_spans,
)

log: SessionLog = SessionLog.connect("valkey://localhost:6379")
spans: Iterator[ReadableSpan] = session_spans(log, "s-42", content=True, resource=Resource.create())
exporter: SpanExporter = otlp_exporter("http://localhost:4318")
try:
    done: ExportedSession = export_session(log, "s-42", exporter, content=False)
    told: dict[str, object] = {"spans": done.spans, "traces": done.traces, "unfinished": done.unfinished}
except SpansNotTakenError as error:
    failed: str = error.session_id
