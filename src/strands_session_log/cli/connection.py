"""Opening a log for one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..errors import EvictionPolicyError
from ..server import connect, release
from ..session_log import SessionLog, keys_for
from .target import Target
from .terminal import one_line

PATIENCE = 1.0
"""Seconds a server that is away is waited for: somebody is sitting before the terminal."""


@contextmanager
def opened(ctx: typer.Context, url: str | None, namespace: str | None) -> Iterator[SessionLog]:
    """The log a command is about, closed afterwards."""
    target = Target.of(ctx, url, namespace)
    with client_of(target) as client:
        yield _log(client, target)


@contextmanager
def client_of(target: Target) -> Iterator[Any]:
    """A client for a server, released afterwards."""
    client = connect(target.url)
    try:
        yield client
    finally:
        release(client)


def _log(client: Any, target: Target) -> SessionLog:
    """Reading can lose nothing, so a server that may evict sessions is warned of here, not refused."""
    keys = keys_for(target.url)
    try:
        return SessionLog(client, target.namespace, retry_for=PATIENCE, snapshot_key=keys)
    except EvictionPolicyError as error:
        warning = f"maxmemory-policy is {error.policy}: the server may delete sessions; see `session-log doctor`"
        typer.echo(f"session-log: warning: {one_line(warning)}", err=True)
        return SessionLog(client, target.namespace, retry_for=PATIENCE, snapshot_key=keys, allow_eviction=True)
