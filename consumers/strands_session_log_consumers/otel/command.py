"""`session-log otel`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from strands_session_log import SessionLog
from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, fail, opened
from strands_session_log.errors import (
    CorruptEntryError,
    CorruptKeyError,
    EncryptionError,
    LogForkedError,
    MissingExtraError,
    SessionDeletedError,
    SessionNotFoundError,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EPILOG = (
    "Examples:\n\nsession-log otel s-42 --endpoint http://localhost:4318\n\n"
    "OTEL_EXPORTER_OTLP_HEADERS='authorization=…' session-log otel --all --endpoint https://otlp.example.com"
)

_UNREADABLE = (CorruptEntryError, CorruptKeyError, EncryptionError, LogForkedError)
"""What is wrong with one session, and keeps none of the others from being exported."""


def command(
    ctx: typer.Context,
    session: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION...]", help="The sessions' ids.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session of the namespace.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Who takes spans by OTLP over HTTP, if not OTEL_EXPORTER_OTLP_ENDPOINT.",
            show_default="http://localhost:4318",
        ),
    ] = None,
    content: Annotated[bool, typer.Option("--content", help="Tell what was said, too, and what errors say.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Send sessions to a tracing backend, as the spans that OpenTelemetry would have recorded.

    A call of an agent is a trace, with its model calls and tools in it. Exported again, it is the same trace with the
    same spans. Headers, certificates and time-outs are those of OTEL_EXPORTER_OTLP_…. With --all, a session that cannot
    be read is told of, and the others are exported.
    """
    if every == bool(session):
        fail(Code.USAGE, "otel takes either sessions or --all")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True)
    try:
        from .sending import otlp_exporter
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise MissingExtraError("otel", "exporting spans") from error
    exporter, is_problem = otlp_exporter(endpoint), False
    try:
        with opened(ctx, url, namespace) as log:
            for name in log.session_ids() if every else session or ():
                is_problem |= _is_problem(log, name, exporter, content, as_json, every)
    finally:
        exporter.shutdown()
    if is_problem:
        raise typer.Exit(Code.PROBLEMS)


def _is_problem(
    log: SessionLog, name: str, exporter: SpanExporter, content: bool, as_json: bool, is_one_of_all: bool
) -> bool:
    """Export a session, and tell of it; of all sessions, one that cannot be read keeps none of the others from it."""
    from .sending import export_session

    try:
        done = export_session(log, name, exporter, content=content)
    except (SessionNotFoundError, *_UNREADABLE) as error:
        if not is_one_of_all:
            raise
        # One may be deleted before its turn comes.
        if isinstance(error, (SessionNotFoundError, SessionDeletedError)):
            return False
        typer.echo(f"session-log: {name}: {error}", err=True)
        return True
    told = f"{done.session_id}: {done.spans} spans in {len(done.traces)} traces"
    typer.echo(json.dumps(done.to_json()) if as_json else told)
    return False
