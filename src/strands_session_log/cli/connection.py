"""Opening a log for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..errors import EvictionPolicyError
from ..session_log import SessionLog
from .target import Target
from .terminal import one_line

PATIENCE = 1.0
"""Seconds a server that is away is waited for: somebody is sitting before the terminal."""


@contextmanager
def opened(ctx: typer.Context, url: str | None, namespace: str | None) -> Iterator[SessionLog]:
    """The log a command is about, closed afterwards."""
    with _log(Target.of(ctx, url, namespace)) as log:
        yield log


def _log(target: Target) -> SessionLog:
    """Reading can lose nothing, so a server that may evict sessions is warned of here, not refused."""
    try:
        return SessionLog.connect(target.url, target.namespace, retry_for=PATIENCE)
    except EvictionPolicyError as error:
        warning = f"maxmemory-policy is {error.policy}: the server may delete sessions; see `session-log doctor`"
        typer.echo(f"session-log: warning: {one_line(warning)}", err=True)
        return SessionLog.connect(target.url, target.namespace, retry_for=PATIENCE, allow_eviction=True)
