"""`session-log index`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from strands_session_log.cli.api import (
    MetricsHostOption,
    MetricsPortOption,
    NamespaceOption,
    UrlOption,
    opened,
    serving_metrics,
    stopped_by_signals,
)

from .indexer import Indexer, IndexSummary
from .opening import open_index
from .options import IndexOption, path_of
from .stores import SearchStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .counting import IndexMetrics

EPILOG = (
    "Examples:\n\nsession-log index --index search.db\n\nsession-log index --index search.db --once\n\n"
    "session-log index --index search.db --once --rebuild"
)


def command(
    ctx: typer.Context,
    index: IndexOption = None,
    once: Annotated[bool, typer.Option("--once", help="Index what is there, and end: for cron.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Empty the index first.")] = False,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = "127.0.0.1",
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Index what is said, for `session-log search`: all there is, and then what comes.

    The index follows redactions, erasures and deletions. It ends at SIGTERM or Ctrl-C, and goes on where it was; a
    server or a database that is away is waited for. What is encrypted is not indexed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    path = path_of(index)
    with opened(ctx, url, namespace) as log, serving_metrics(metrics_host, metrics_port) as registry:
        found = open_index(path, log.namespace, create=True)
        with Indexer(log, found, _metrics(registry)) as indexer:
            if rebuild:
                indexer.rebuild()
            with stopped_by_signals() as stop:
                if once:
                    _tell(indexer.sync(stop.is_set), found)
                else:
                    indexer.run(stop, lambda summary: _tell(summary, found))


def _metrics(registry: CollectorRegistry | None) -> IndexMetrics | None:
    if registry is None:
        return None
    # It needs an extra that indexing does without.
    from .counting import IndexMetrics

    return IndexMetrics(registry)


def _tell(summary: IndexSummary, index: SearchStore) -> None:
    sessions, messages = index.counts
    damaged = f"; {summary.unreadable:,} sessions cannot be read wholly" if summary.unreadable else ""
    typer.echo(
        f"Indexed {summary.messages:,} messages in {summary.seconds:.1f} s: {index.name} has {messages:,} messages "
        f"of {sessions:,} sessions{damaged}",
        err=True,
    )
