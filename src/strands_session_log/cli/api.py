"""What a command from elsewhere may use, see `plugins`: the options all commands have, and the log they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..concurrency import stopped_by_signals
from ..errors import MissingExtraError
from .context import opened
from .exit_codes import Code, fail
from .exporters import whole_file
from .options import PANEL, JsonOption, NamespaceOption, UrlOption

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .. import SessionLog

__all__ = [
    "PANEL",
    "Code",
    "JsonOption",
    "MetricsHostOption",
    "MetricsPortOption",
    "NamespaceOption",
    "UrlOption",
    "fail",
    "opened",
    "serving_metrics",
    "stopped_by_signals",
    "troubles",
    "whole_file",
]

MetricsPortOption = Annotated[
    int | None,
    typer.Option(min=0, max=65535, metavar="PORT", help="Serve Prometheus metrics there.", show_default=False),
]
MetricsHostOption = Annotated[str, typer.Option(metavar="ADDRESS", help="Address to serve metrics on.")]


@contextmanager
def serving_metrics(
    host: str, port: int | None, registry: CollectorRegistry | None = None
) -> Iterator[CollectorRegistry | None]:
    """A registry of metrics that is served meanwhile; None where none is wanted.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any, None to serve nothing.
        registry: Which; one that has metrics of the process if left out.

    Raises:
        MissingExtraError: When metrics are to be served, and the extra `metrics` is not installed.
    """
    if port is None and registry is None:
        yield None
        return
    # Here, because most commands serve none.
    try:
        from prometheus_client import disable_created_metrics, start_http_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise MissingExtraError("metrics", "serving metrics") from error

    # A gauge beside every counter that says when it began: nobody asks for it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = registry or _of_process()
    if port is None:
        yield registry
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        fail(Code.USAGE, f"cannot listen on {host} port {port}: {error.strerror or error}")
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Serving http://{shown}:{server.server_port}/metrics", err=True)
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _of_process() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def troubles(log: SessionLog, session_id: str) -> dict[str, Any]:
    """Why a session does not go on, as `session-log why --json` tells it.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    from .commands.why import look
    from .render.troubles import troubles_json

    return troubles_json(*look(log, session_id), "")
