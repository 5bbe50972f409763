"""The span something happened in."""

from __future__ import annotations

from opentelemetry import trace


def current_traceparent() -> str:
    """The active OpenTelemetry span as a W3C traceparent (https://www.w3.org/TR/trace-context/); empty if none is."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
