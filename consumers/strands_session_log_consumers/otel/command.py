"""`session-log otel`."""

from __future__ import annotations

import json
import logging
from typing import Annotated

import typer

from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, fail, opened
from strands_session_log.errors import MissingExtraError, SessionNotFoundError

EPILOG = (
    "Examples:\n\nsession-log otel s-42 --endpoint http://localhost:4318\n\n"
    "OTEL_EXPORTER_OTLP_HEADERS='authorization=…' session-log otel --all --endpoint https://otlp.example.com"
)


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
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            help="Who takes spans by OTLP over HTTP.",
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
    same spans. Headers, certificates and time-outs are those of OTEL_EXPORTER_OTLP_….
    """
    if every == bool(session):
        fail(Code.USAGE, "otel takes either sessions or --all")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True)
    try:
        from .sending import export_session, otlp_exporter
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise MissingExtraError("otel", "exporting spans") from error
    exporter = otlp_exporter(endpoint)
    try:
        with opened(ctx, url, namespace) as log:
            for name in log.session_ids() if every else session or ():
                try:
                    done = export_session(log, name, exporter, content=content)
                except SessionNotFoundError:
                    # Among all sessions, one may be deleted before its turn comes.
                    if not every:
                        raise
                    continue
                told = f"{done.session_id}: {done.spans} spans in {len(done.traces)} traces"
                typer.echo(json.dumps(done.to_json()) if as_json else told)
    finally:
        exporter.shutdown()
