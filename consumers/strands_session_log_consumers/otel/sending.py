"""Spans of sessions, handed to an exporter of OpenTelemetry; by OTLP over HTTP unless it is another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from strands_session_log import SessionLog
from strands_session_log.errors import MissingExtraError, SessionLogError

from .attributes import UNFINISHED
from .spans import session_spans

_BATCH: Final = 512
_CHARACTERS: Final = 1_000_000
"""After so many of content a batch is handed over: receivers take requests of some megabytes."""
_PATH: Final = "/v1/traces"
_SERVICE: Final = "strands-agents"


class SpansNotTakenError(SessionLogError):
    """The receiver of spans did not take them; those of batches before are there. Exporting again makes no others.

    Attributes:
        session_id: The session whose spans they are.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"spans of session {session_id!r} were not taken; the lines above say why")


@dataclass(frozen=True, slots=True)
class ExportedSession:
    """What was exported of a session.

    Attributes:
        session_id: The session.
        spans: How many.
        traces: Ids of their traces, hexadecimal, in the order in which these ended first.
        unfinished: How many of the spans have no end in the log.
    """

    session_id: str
    spans: int
    traces: tuple[str, ...]
    unfinished: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "session_id": self.session_id,
            "spans": self.spans,
            "traces": list(self.traces),
            "unfinished": self.unfinished,
        }


def otlp_exporter(endpoint: str | None = None) -> SpanExporter:
    """What sends spans by OTLP over HTTP, set up by the environment (`OTEL_EXPORTER_OTLP_…`) as any such exporter.

    Args:
        endpoint: URL of the receiver, with or without `/v1/traces`; else that of the environment, else this machine's.

    Raises:
        MissingExtraError: When the extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry.exporter"):
            raise
        raise MissingExtraError("otel", "exporting spans") from error
    if endpoint is None:
        return OTLPSpanExporter()
    url = endpoint.rstrip("/")
    return OTLPSpanExporter(endpoint=url if url.endswith(_PATH) else url + _PATH)


def export_session(
    log: SessionLog, session_id: str, exporter: SpanExporter, *, content: bool = False
) -> ExportedSession:
    """Hand the spans of a session to an exporter, some hundreds at a time, or fewer that have much content.

    Args:
        log: The log.
        session_id: The session.
        exporter: Takes them.
        content: As for `session_spans`.

    Raises:
        SpansNotTakenError: When the exporter fails.
        SessionNotFoundError: When there is no such session.
    """
    spans, traces, unfinished = 0, dict[str, None](), 0
    for batch in _batches(session_spans(log, session_id, content=content, resource=_resource())):
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            raise SpansNotTakenError(session_id)
        spans += len(batch)
        traces.update(dict.fromkeys(f"{span.context.trace_id:032x}" for span in batch))
        unfinished += sum(1 for span in batch if (span.attributes or {}).get(UNFINISHED))
    return ExportedSession(session_id, spans, tuple(traces), unfinished)


def _resource() -> Resource:
    """What the environment says the spans come from; a name that is not `unknown_service`, where it says nothing."""
    is_named = os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if is_named else {SERVICE_NAME: _SERVICE})


def _batches(spans: Iterator[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
    batch, size = list[ReadableSpan](), 0
    for span in spans:
        batch.append(span)
        size += sum(len(value) for value in (span.attributes or {}).values() if isinstance(value, str))
        if len(batch) >= _BATCH or size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
