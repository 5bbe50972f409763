"""Which server and which namespace a command is about."""

from __future__ import annotations

import os
import shlex
from typing import Any, NamedTuple

import typer

from ..server import masked
from ..session_log import DEFAULT_NAMESPACE

DEFAULT_URL = "valkey://localhost:6379"
URL_VARIABLE = "SESSION_LOG_URL"
NAMESPACE_VARIABLE = "SESSION_LOG_NAMESPACE"


class Target(NamedTuple):
    """A server and a namespace on it.

    Attributes:
        url: The server.
        namespace: First part of every key.
    """

    url: str
    namespace: str

    @classmethod
    def of(cls, ctx: typer.Context, url: str | None, namespace: str | None) -> Target:
        """What was asked for: after the command, before it, in the environment, or nowhere."""
        url = url or given_first(ctx, "url") or os.environ.get(URL_VARIABLE)
        namespace = namespace or given_first(ctx, "namespace") or os.environ.get(NAMESPACE_VARIABLE)
        return cls(url or DEFAULT_URL, namespace or DEFAULT_NAMESPACE)


def given_first(ctx: typer.Context, name: str) -> str | None:
    """The value of an option that stands before the command, or before the one it belongs to."""
    above: Any = ctx.parent
    while above is not None:
        if value := above.params.get(name):
            return str(value)
        above = above.parent
    return None


def again(ctx: typer.Context, url: str | None, namespace: str | None) -> str:
    """The options that lead another command to the same place: those that were typed, a password in them hidden."""
    typed = {"url": url or given_first(ctx, "url"), "namespace": namespace or given_first(ctx, "namespace")}
    shown = {name: masked(value) if name == "url" else value for name, value in typed.items() if value}
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in shown.items())
