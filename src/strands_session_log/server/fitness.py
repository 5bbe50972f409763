"""Whether a client that somebody brings can serve a log; asks it nothing."""

from __future__ import annotations

import logging
from codecs import lookup
from inspect import iscoroutinefunction
from typing import Any
from weakref import WeakSet

import valkey

from ..errors import UnusableClientError
from .routing import options_of, source_of, steer
from .timed import keep_time

logger = logging.getLogger(__name__)

_told: WeakSet[Any] = WeakSet()


def take(client: Any) -> None:
    """Refuse a client that cannot serve a log; let others keep to the time of our calls, and read from primaries.

    Raises:
        UnusableClientError: When it cannot.
    """
    if reason := _unfitness(client):
        raise UnusableClientError(client, reason)
    is_timed = keep_time(client)
    if isinstance(client, valkey.ValkeyCluster):
        steer(client)
    _tell_of_time_outs(client, is_timed)


def _unfitness(client: Any) -> str:
    """What is wrong with it, and what to give instead; empty when it will do."""
    if isinstance(client, (str, bytes)):
        return "give a valkey.Valkey or valkey.ValkeyCluster, or a URL to SessionLog.connect"
    if iscoroutinefunction(getattr(client, "execute_command", None)):
        return "it is asynchronous; give a valkey.Valkey or valkey.ValkeyCluster, the log awaits nothing"
    if not isinstance(client, (valkey.Valkey, valkey.ValkeyCluster)):
        return "it is no client of valkey-py; give a valkey.Valkey or valkey.ValkeyCluster"
    if not isinstance(options_of(client), dict) or not source_of(client):
        return (
            "it has no connections, so nothing can be kept; a test gets a server with SessionLog.connect('embedded:')"
        )
    if getattr(client, "connection", None) is not None:
        return (
            "single_connection_client=True gives all threads one connection, on which replies get mixed up; "
            "leave it out, the log works in the background, too"
        )
    return _unreadable(options_of(client), is_cluster=isinstance(client, valkey.ValkeyCluster))


def _unreadable(options: dict[str, Any], is_cluster: bool) -> str:
    encoding = options.get("encoding") or "utf-8"
    if is_cluster and lookup(encoding).name != "utf-8":
        return f"valkey-py looks for a key's node as if it were written in {encoding}; leave out encoding="
    if options.get("decode_responses") and "OK".encode(encoding) != b"OK":
        return f"it decodes replies as {encoding}, and what a server says is ASCII; leave out decode_responses=True"
    return ""


def _tell_of_time_outs(client: Any, is_timed: bool) -> None:
    """Once for each pool: whoever makes a log for each request hears it once."""
    source = source_of(client)
    if options_of(client).get("socket_timeout") is not None or source in _told:
        return
    _told.add(source)
    until = "calls without retry_for wait" if is_timed else "every call waits"
    logger.warning(
        "client=%r | it has no time-out, so %s for ever if the server stands still; make it with socket_timeout=10",
        client,
        until,
    )
