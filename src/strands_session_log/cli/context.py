"""Which server and namespace a command is about, and the log that is there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from .. import DEFAULT_NAMESPACE
from ..errors import EvictionPolicyError
from .exit_codes import failures_explained
from .nearest import explained
from .terminal import warn
from .typed import command_line, word

if TYPE_CHECKING:
    from .. import SessionLog

DEFAULT_URL = "valkey://localhost:6379"
URL_VARIABLE = "SESSION_LOG_URL"
NAMESPACE_VARIABLE = "SESSION_LOG_NAMESPACE"
KEYS_VARIABLE = "SESSION_LOG_ENCRYPTION_KEYS"
_KEYS = "encryption_keys"
PATIENCE = 1.0
"""Seconds a server that is away is waited for: a person is sitting before the terminal."""


class Target(NamedTuple):
    """A server and a namespace on it, and the directory with the keys for encrypted content; empty for none."""

    url: str
    namespace: str
    keys: str = ""

    @classmethod
    def of(cls, ctx: typer.Context, url: str | None, namespace: str | None) -> Target:
        """What was asked for: after the command, before it, in the environment, or nowhere."""
        url = url or given_first(ctx, "url") or os.environ.get(URL_VARIABLE)
        namespace = namespace or given_first(ctx, "namespace") or os.environ.get(NAMESPACE_VARIABLE)
        given = ctx.params.get(_KEYS) or given_first(ctx, _KEYS)
        keys = given or key_store_in(url or "") or os.environ.get(KEYS_VARIABLE)
        return cls(url or DEFAULT_URL, namespace or DEFAULT_NAMESPACE, str(keys or ""))

    @property
    def shown_url(self) -> str:
        """The URL without its passwords."""
        from ..server import masked

        return masked(self.url)

    @property
    def shown(self) -> str:
        """Where that is, for people."""
        return f"namespace {self.namespace!r} on {self.shown_url}"

    def open(self, allow_eviction: bool = False) -> SessionLog:
        """The log that is there."""
        from .. import SessionLog

        return SessionLog.connect(
            self.url,
            self.namespace,
            retry_for=PATIENCE,
            allow_eviction=allow_eviction,
            encryption=self.keys or None,
        )


@contextmanager
def opened(ctx: typer.Context, url: str | None, namespace: str | None) -> Iterator[SessionLog]:
    """The log a command is about, closed afterwards.

    Reading can lose nothing, so a server that may evict sessions is warned of here, not refused.
    """
    target = Target.of(ctx, url, namespace)
    try:
        log = target.open()
    except EvictionPolicyError as error:
        warn(f"maxmemory-policy is {error.policy}: the server may delete sessions; see `session-log doctor`")
        log = target.open(allow_eviction=True)
    with log, failures_explained(lambda error: explained(error, log, target.shown)):
        yield log


def key_store_in(url: str) -> str:
    """The directory with keys that a URL names; empty if it names none."""
    from ..server import key_store_of

    return key_store_of(url) if url else ""


def given_first(ctx: typer.Context, name: str) -> str | None:
    """The value of an option that stands before the command, or before the one it belongs to."""
    above: Any = ctx.parent
    while above is not None:
        if value := above.params.get(name):
            return str(value)
        above = above.parent
    return None


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One call of a command: which log it is about, and how it is to be answered.

    Attributes:
        ctx: Typer's context.
        url: As typed after the command.
        namespace: As typed after the command.
        as_json: Whether to print JSON instead of text.
    """

    ctx: typer.Context
    url: str | None
    namespace: str | None
    as_json: bool

    @property
    def target(self) -> Target:
        """What the call is about."""
        return Target.of(self.ctx, self.url, self.namespace)

    def opened(self) -> AbstractContextManager[SessionLog]:
        """The log, closed afterwards."""
        return opened(self.ctx, self.url, self.namespace)

    @property
    def same_target_options(self) -> str:
        """The options that lead another command to the same place: those that were typed, passwords hidden."""
        from ..server import masked

        url, namespace = self.url or given_first(self.ctx, "url"), self.namespace or given_first(self.ctx, "namespace")
        keys = self.ctx.params.get(_KEYS) or given_first(self.ctx, _KEYS)
        shown = {"url": url and masked(url), "namespace": namespace, "encryption-keys": keys}
        return "".join(f" --{name} {shlex.quote(value)}" for name, value in shown.items() if value)

    @property
    def where(self) -> str:
        """Where the log is, for people."""
        return Target.of(self.ctx, self.url, self.namespace).shown

    def again(self, **changed: object) -> str:
        """The command that was typed, with other values for some of its options; None takes one away."""
        arguments, options = list[str](), list[str]()
        for one in self.ctx.command.params:
            value = changed[one.name] if one.name in changed else self._typed(one.name)
            words = _words_of(one, value) if one.name not in ("url", "namespace", _KEYS) else []
            if one.param_type_name == "argument":
                arguments += words
            else:
                options += map(word, words)
        told = "".join(f" {one}" for one in options) + self.same_target_options
        return command_line(self.ctx.command_path, arguments, told)

    def _typed(self, name: Any) -> object:
        source = self.ctx.get_parameter_source(name)
        return self.ctx.params.get(name) if source is not None and source.name == "COMMANDLINE" else None


def _words_of(parameter: Any, value: Any) -> list[str]:
    """How a parameter is typed that has this value."""
    if value is None or value is False:
        return []
    listed = value if isinstance(value, (list, tuple)) else [value]
    values = [f"{one:g}" if isinstance(one, float) else str(one) for one in listed]
    if parameter.param_type_name == "argument":
        return values
    name = max(parameter.opts, key=len)
    return [name] if value is True else [part for one in values for part in (name, one)]
