"""`session-log serve-metrics`."""

from __future__ import annotations

import asyncio
import logging
import signal
from enum import Enum
from typing import Annotated

import typer

from strands_session_log import SessionLog
from strands_session_log.cli.api import Code, NamespaceOption, UrlOption, fail, opened
from strands_session_log.errors import MissingExtraError

from .settings import Settings

EPILOG = (
    "Examples:\n\nsession-log serve-metrics\n\n"
    "session-log serve-metrics --host 0.0.0.0 --port 9464 --url valkeys://example.com:6379"
)
_DEFAULT = Settings()


class Start(str, Enum):
    """Where a new group begins."""

    now = "now"
    feed = "feed"
    beginning = "beginning"


def command(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = _DEFAULT.host,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 for any.")
    ] = _DEFAULT.port,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="Consumer group; exporters of the same one share the work.")
    ] = _DEFAULT.group,
    consumer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A name of this exporter's own in the group.", show_default="made up"),
    ] = None,
    start: Annotated[Start, typer.Option(help="Where a group begins that is new.")] = Start.now,
    claim_after: Annotated[
        float,
        typer.Option(
            min=0.1, max=86_400, metavar="SECONDS", help="Without a sign of life for so long, others take over."
        ),
    ] = _DEFAULT.claim_after,
    max_agents: Annotated[
        int,
        typer.Option(min=0, max=1_000_000, metavar="N", help="Agents with a label of their own; the rest is `other`."),
    ] = _DEFAULT.max_agents,
    max_tools: Annotated[
        int,
        typer.Option(min=0, max=1_000_000, metavar="N", help="Tools with a label of their own; the rest is `other`."),
    ] = _DEFAULT.max_tools,
    max_models: Annotated[
        int,
        typer.Option(min=0, max=1_000_000, metavar="N", help="Models with a label of their own; the rest is `other`."),
    ] = _DEFAULT.max_models,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Serve Prometheus metrics of all conversations, of the log and of who reads it.

    /metrics has them, /healthz tells that the process lives, /readyz that it counts.
    It ends at SIGTERM or Ctrl-C; the other exporters of the group, or the next one, count what happens meanwhile.
    """
    # A service has a log, where commands for people have one line.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    # That two scrapes wait for a third is no news, either.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    settings = Settings(host, port, group, consumer, start.value, claim_after, max_agents, max_tools, max_models)
    with opened(ctx, url, namespace) as log:
        try:
            asyncio.run(_serve(log, settings))
        except OSError as error:
            fail(Code.USAGE, f"cannot listen on {host} port {port}: {error.strerror or error}")


async def _serve(log: SessionLog, settings: Settings) -> None:
    try:
        from prometheus_client import disable_created_metrics

        from .service import Exporter
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("prometheus_client", "waitress"):
            raise
        raise MissingExtraError("metrics", "serving metrics") from error
    # A gauge beside every counter that says when it began: nobody asks for it, and it doubles what is stored.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Exporter(log, settings).run(stop, lambda address: typer.echo(f"Serving {address}/metrics", err=True))
