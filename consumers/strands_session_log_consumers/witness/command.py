"""`session-log witness`."""

from __future__ import annotations

import logging
import os
from typing import Annotated, Any

import orjson
import typer

from strands_session_log import SessionLog
from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, fail, opened, stopped_by_signals
from strands_session_log.seals import signing_key, verifier_keys

from .bucket import store_of
from .settings import WitnessSettings
from .timestamps import TimeStampAuthority, TimeStampError
from .watching import Standing, Watch

EPILOG = (
    "Examples:\n\nsession-log witness --to ./seals --key seal.key --every 60 --port 9465\n\n"
    "session-log witness --to s3://evidence/seals --key seal.key --once\n\n"
    "session-log witness --to ./seals --key seal.key --tsa https://freetsa.org/tsr --tsa-roots cacert.pem"
)
KEY_VARIABLE = "SESSION_LOG_SEAL_KEY_FILE"
_DEFAULT = WitnessSettings()
_DAY = 86_400


def command(
    ctx: typer.Context,
    to: Annotated[
        str, typer.Option(metavar="URL", help="Where the seals are kept: a directory, or a store that fsspec knows.")
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="FILE", help=f"Has the key that signs; else {KEY_VARIABLE} names it.", show_default=False),
    ] = None,
    trusted: Annotated[
        list[str] | None,
        typer.Option(metavar="VKEY", help="A key that signed before; repeatable.", show_default=False),
    ] = None,
    every: Annotated[
        float, typer.Option(min=0.1, max=_DAY, metavar="SECONDS", help="Seconds between two rounds.")
    ] = _DEFAULT.every,
    check: Annotated[
        int, typer.Option(min=0, metavar="N", help="Sealed records that a round checks, all in turn; 0 for all.")
    ] = _DEFAULT.check,
    once: Annotated[bool, typer.Option("--once", help="One round, and all records checked: for cron.")] = False,
    tsa: Annotated[
        str, typer.Option(metavar="URL", help="Stamps each checkpoint with the time (RFC 3161).", show_default=False)
    ] = "",
    tsa_roots: Annotated[
        str, typer.Option(metavar="FILE", help="Certificates its own must lead to (PEM).", show_default=False)
    ] = "",
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to serve metrics on.")] = _DEFAULT.host,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port to serve metrics on; 0 for any.", show_default="none"
        ),
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Seal where all sessions stand, again and again, and check what was sealed before.

    A history that no longer holds is told of in the log, by a metric, and by ending with 1; it goes on until SIGTERM or
    Ctrl-C. Run it where no administrator of the server can write, nor read the key.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    key = key or os.environ.get(KEY_VARIABLE)
    if not key:
        fail(Code.USAGE, f"sealing needs a key: `session-log seal --new-key FILE` makes one; --key or {KEY_VARIABLE}")
    settings = WitnessSettings(every, 0 if once else check, tsa, tsa_roots, host, port)
    signs, known, store = signing_key(key), verifier_keys(trusted or ()), store_of(to)
    try:
        authority = TimeStampAuthority(tsa, tsa_roots) if tsa else None
    except TimeStampError as error:
        fail(Code.USAGE, str(error))
    with opened(ctx, url, namespace) as log:
        watch = Watch(log, store, signs, known, settings.check, authority)
        is_ok = _once(watch, settings, as_json) if once else _serve(watch, settings, log)
    if not is_ok:
        raise typer.Exit(Code.PROBLEMS)


def _once(watch: Watch, settings: WitnessSettings, as_json: bool) -> bool:
    from .service import WitnessService

    found = WitnessService(watch, settings).once()
    typer.echo(orjson.dumps(_json(found)).decode() if as_json else _line(found))
    return found.ok and not found.summary.skipped


def _serve(watch: Watch, settings: WitnessSettings, log: SessionLog) -> bool:
    from .service import WitnessService

    service = WitnessService(watch, settings)
    typer.echo(f"Sealing namespace {log.namespace} every {settings.every:g} s", err=True)
    try:
        with stopped_by_signals() as stop:
            service.run(stop, lambda address: typer.echo(f"Serving {address}/metrics", err=True))
    except OSError as error:
        fail(Code.USAGE, f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}")
    return service.ok


def _json(found: Standing) -> dict[str, Any]:
    at = found.summary.checkpoint
    return {
        "ok": found.ok,
        "sessions": found.summary.sessions,
        "deletions": found.summary.deletions,
        "skipped": list(found.summary.skipped),
        "size": at.size if at else 0,
        "checked": found.checked,
        "broken": [{"session_id": name, "problems": list(lines)} for name, lines in found.broken.items()],
        "problems": list(found.problems),
        "unstamped": found.unstamped or None,
    }


def _line(found: Standing) -> str:
    at, summary = found.summary.checkpoint, found.summary
    done = f"sealed {summary.sessions:,} sessions and {summary.deletions:,} deletions; {at.size if at else 0:,} records"
    return f"{done}; checked {found.checked:,}: {len(found.broken):,} sessions do not hold any more"
