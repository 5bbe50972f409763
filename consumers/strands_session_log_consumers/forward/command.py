"""`session-log forward`."""

from __future__ import annotations

import asyncio
import logging
import signal
from enum import Enum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import orjson
import typer

from strands_session_log import SessionLog
from strands_session_log.cli.api import (
    Code,
    JsonOption,
    MetricsHostOption,
    MetricsPortOption,
    NamespaceOption,
    UrlOption,
    fail,
    opened,
    serving_metrics,
)

from .settings import ForwardSettings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .counting import ForwardMetrics
    from .service import Forwarded
    from .signing import WebhookSigner

EPILOG = (
    "Examples:\n\nsession-log forward https://hooks.example.com/agents --secret-file secret --type 'message.*'\n\n"
    "session-log forward https://hooks.example.com/agents --secret-file secret --content --ordered"
)
VARIABLE = "SESSION_LOG_FORWARD_SECRET_FILE"
_DEFAULT = ForwardSettings()
_DAY = 86_400
_HERE = ("127.0.0.1", "localhost", "::1")


class Begin(str, Enum):
    """Where a new group begins."""

    now = "now"
    feed = "feed"
    beginning = "beginning"


def command(
    ctx: typer.Context,
    receiver: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent, by HTTP POST.")],
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            "--types",
            metavar="TYPE",
            help="Only these; message.* for a family; repeatable.",
            show_default="all",
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only events of this agent.", show_default="all")
    ] = None,
    content: Annotated[bool, typer.Option("--content", help="Send what was said, too, not only that it was.")] = False,
    secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar=VARIABLE,
            help="Secrets that sign, one a line: whsec_ and base64.",
            show_default=False,
        ),
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Sign nothing.")] = False,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Send the events of a session one after the other.")
    ] = False,
    group: Annotated[
        str, typer.Option(metavar="NAME", help="Consumer group; forwarders of the same one share the work.")
    ] = _DEFAULT.group,
    consumer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A name of this forwarder's own in the group.", show_default="made up"),
    ] = None,
    start: Annotated[Begin, typer.Option(help="Where a group begins that is new.")] = Begin.feed,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1_000, metavar="N", help="How many are sent at once.")
    ] = _DEFAULT.concurrency,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=600, metavar="SECONDS", help="How long the receiver may take.")
    ] = _DEFAULT.timeout,
    max_attempts: Annotated[
        int, typer.Option(min=1, max=1_000, metavar="N", help="How often an event is tried before it is parked.")
    ] = _DEFAULT.max_attempts,
    backoff: Annotated[
        float,
        typer.Option(min=0.01, max=3_600, metavar="SECONDS", help="The first pause; then twice as long each time."),
    ] = _DEFAULT.backoff,
    patience: Annotated[
        float,
        typer.Option(
            min=0, max=_DAY, metavar="SECONDS", help="How long a receiver that is away counts against no event."
        ),
    ] = _DEFAULT.patience,
    claim_after: Annotated[
        float,
        typer.Option(
            min=0.1, max=_DAY, metavar="SECONDS", help="Without a sign of life for so long, others take over."
        ),
    ] = _DEFAULT.claim_after,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = "127.0.0.1",
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Send events to a URL as they happen: signed CloudEvents, each at least once.

    What the receiver does not take is tried again, and parked in the end: `session-log parked list forward`. While it
    is away, everything waits for it. It goes on until SIGTERM or Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    _check(receiver)
    if not (secret_file or unsigned):
        fail(Code.USAGE, f"receivers know the sender by a signature: --secret-file, {VARIABLE}, or --unsigned")
    # Here, because a list of all commands need not have it.
    from .signing import WebhookSigner

    signer = WebhookSigner.of_file(secret_file) if secret_file and not unsigned else WebhookSigner(())
    settings = ForwardSettings(
        group=group,
        consumer=consumer,
        types=tuple(types or ()),
        agent=agent,
        content=content,
        ordered=ordered,
        start=start.value,
        concurrency=concurrency,
        timeout=timeout,
        max_attempts=max_attempts,
        backoff=backoff,
        longest_pause=max(backoff, _DEFAULT.longest_pause),
        patience=patience,
        claim_after=claim_after,
    )
    with opened(ctx, url, namespace) as log, serving_metrics(metrics_host, metrics_port) as registry:
        asyncio.run(_forward(log, receiver, signer, settings, as_json, _metrics(registry)))


def _metrics(registry: CollectorRegistry | None) -> ForwardMetrics | None:
    if registry is None:
        return None
    # It needs an extra that forwarding does without.
    from .counting import ForwardMetrics

    return ForwardMetrics(registry)


async def _forward(
    log: SessionLog,
    url: str,
    signer: WebhookSigner,
    settings: ForwardSettings,
    as_json: bool,
    metrics: ForwardMetrics | None,
) -> None:
    from .receiver import Receiver
    from .service import Forwarder, ReceiverGoneError

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Receiver(url, signer, settings.timeout) as receiver:
        tell = _tell if as_json else _say_nothing
        typer.echo(f"Forwarding namespace {log.namespace} to {_shown(url)} as group {settings.group}", err=True)
        try:
            await Forwarder(log, receiver, settings, tell, metrics).run(stop)
        except ReceiverGoneError:
            fail(
                Code.PROBLEMS,
                f"{_shown(url)} wants no more events (410 Gone); group {settings.group} has the rest",
            )


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        fail(Code.USAGE, "the receiver must be a URL that begins with https:// or http://")
    if parts.scheme == "http" and parts.hostname not in _HERE:
        typer.echo(
            "session-log: warning: http:// lets anybody on the way read what is sent; https:// does not", err=True
        )


def _shown(url: str) -> str:
    """Where that is, without what is often a secret: user, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _tell(forwarded: Forwarded) -> None:
    typer.echo(orjson.dumps(forwarded._asdict()).decode())


def _say_nothing(forwarded: Forwarded) -> None:
    """What went wrong is in the log."""
