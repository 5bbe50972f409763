"""`session-log archive`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from strands_session_log import SessionLog
from strands_session_log.cli.api import (
    Code,
    JsonOption,
    MetricsHostOption,
    MetricsPortOption,
    NamespaceOption,
    UrlOption,
    opened,
    serving_metrics,
    stopped_by_signals,
)

from .archiver import TROUBLE, Archived, Archiver, Outcome
from .options import ArchiveOption, LockOption, named, opened_archive, put, put_json, seconds, sized
from .session_archive import SessionArchive
from .settings import ArchiveSettings

if TYPE_CHECKING:
    pass

EPILOG = (
    "Examples:\n\nsession-log archive --archive /srv/archive --idle 7d --once --dry-run\n\n"
    "session-log archive --archive s3://bucket/sessions --idle 7d --drop --keep-hot 30d\n\n"
    "session-log archive s-42 --archive /srv/archive --drop"
)
_DEFAULT = ArchiveSettings()

SessionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SESSION]...", help="Archive these, idle or not, and end.", show_default=False),
]
IdleOption = Annotated[
    float, typer.Option(parser=seconds, metavar="DURATION", help="Archive what had no event for so long.")
]
KeepOption = Annotated[
    float,
    typer.Option(parser=seconds, metavar="DURATION", help="With --drop: keep what had an event in so long."),
]
EveryOption = Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="How often to look.")]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Only sessions with this label; repeatable.")
]
DropOption = Annotated[
    bool, typer.Option("--drop", help="Remove from the server what the archive has, once it was read back.")
]
OnceOption = Annotated[bool, typer.Option("--once", help="Sweep once, and end.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing; tell what would be done.")]
ByOption = Annotated[str, typer.Option(metavar="NAME", help="Who archives, for the tombstones.")]
FileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --once: write metrics for a textfile collector.", show_default=False),
]


def command(
    ctx: typer.Context,
    session: SessionsArgument = None,
    archive: ArchiveOption = None,
    idle: IdleOption = "7d",  # type: ignore[assignment]
    label: LabelOption = None,
    drop: DropOption = False,
    keep_hot: KeepOption = "0s",  # type: ignore[assignment]
    once: OnceOption = False,
    every: EveryOption = "1h",  # type: ignore[assignment]
    dry_run: DryRunOption = False,
    object_lock: LockOption = False,
    by: ByOption = _DEFAULT.by,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = "127.0.0.1",
    metrics_file: FileOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Archive sessions that nothing happens in any more, as evidence bundles that are read back and verified.

    With --drop, what the archive has goes from the server, and comes back when an agent resumes it. Nothing is dropped
    that had an event meanwhile. It goes on until SIGTERM or Ctrl-C; --once is for cron.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    settings = ArchiveSettings(idle, named(label), drop, keep_hot, by)
    printer = _Printer(as_json, dry_run)
    store, metrics = opened_archive(archive, object_lock), _Metrics(metrics_host, metrics_port, metrics_file)
    with opened(ctx, url, namespace) as log:
        if session:
            _archive_these(log, store, session, settings, printer, dry_run)
            return
        _sweep(log, store, settings, printer, None if once or dry_run else every, dry_run, metrics)


def _sweep(
    log: SessionLog,
    store: SessionArchive,
    settings: ArchiveSettings,
    printer: _Printer,
    every: float | None,
    dry_run: bool,
    metrics: _Metrics,
) -> None:
    # Here, because a list of all commands need not have it.
    from prometheus_client import CollectorRegistry, write_to_textfile

    from .service import ArchiveService

    # Without those of the process: a textfile collector has its own.
    registry = CollectorRegistry()
    with stopped_by_signals() as stop, serving_metrics(metrics.host, metrics.port, registry):
        service = ArchiveService(log, store, settings, registry, printer.tell, stop)
        if every is not None:
            service.run(every)
            return
        try:
            counts = service.sweep(dry_run)
        finally:
            if metrics.file:
                write_to_textfile(str(metrics.file), registry)
    printer.conclude(counts)
    if any(counts[outcome] for outcome in TROUBLE):
        raise typer.Exit(Code.PROBLEMS)


class _Metrics(NamedTuple):
    host: str
    port: int | None
    file: Path | None


def _archive_these(
    log: SessionLog, store: SessionArchive, names: list[str], settings: ArchiveSettings, printer: _Printer, dry: bool
) -> None:
    archiver, outcomes = Archiver(log, store, settings.by), set[Outcome]()
    for name in dict.fromkeys(names):
        if dry:
            log.anchor(name)
            found = Archived(name, Outcome.DROPPED if settings.drop else Outcome.ARCHIVED)
        else:
            found = archiver.archive(name, drop=settings.drop)
        printer.tell(found)
        outcomes.add(found.outcome)
    if outcomes & {Outcome.GONE}:
        raise typer.Exit(Code.NOT_FOUND)
    if outcomes & (TROUBLE | {Outcome.MOVED}):
        raise typer.Exit(Code.PROBLEMS)


class _Printer:
    """Says what became of each session: lines for people, or JSON."""

    def __init__(self, as_json: bool, dry_run: bool) -> None:
        self._as_json, self._dry_run = as_json, dry_run

    def tell(self, archived: Archived) -> None:
        """One session."""
        if self._as_json:
            found = None if archived.session is None else archived.session.to_json()
            told = {"session_id": archived.session_id, "outcome": archived.outcome.value, "why": archived.why}
            put_json({**told, "removed": archived.removed, "archived": found, "dry_run": self._dry_run})
            return
        sign = "✗" if archived.outcome in TROUBLE else "✓"
        would = "would be " if self._dry_run else ""
        session = archived.session
        facts = "" if session is None else f", {session.revision:,} events, {sized(session.size)}"
        why = f": {archived.why}" if archived.why else ""
        put(f"{sign} {archived.session_id}  {would}{_WORDS[archived.outcome]}{facts}{why}")

    def conclude(self, counts: Any) -> None:
        """All of them."""
        if not self._as_json and not counts:
            put("nothing is due")


_WORDS = {
    Outcome.ARCHIVED: "archived",
    Outcome.THERE: "in the archive already",
    Outcome.DROPPED: "archived, and dropped from the server",
    Outcome.MOVED: "stays for now",
    Outcome.HELD: "archived, and stays",
    Outcome.FORKED: "archived, and stays",
    Outcome.GONE: "not there",
    Outcome.FORGOTTEN: "deleted, and removed from the archive",
    Outcome.PLAIN: "NOT archived",
    Outcome.DAMAGED: "NOT archived, it is not what was written",
    Outcome.FAILED: "NOT archived",
}
