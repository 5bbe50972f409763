"""What a client of an embedded server holds, for as long as anything can still send commands through it."""

from __future__ import annotations

import os
import weakref
from typing import Any

import valkey

# By connection pool, not by client: pipelines and scripts keep the pool when the client object is gone.
_leases: weakref.WeakKeyDictionary[Any, weakref.finalize[Any, Any]] = weakref.WeakKeyDictionary()


def lease(client: Any, descriptor: int) -> None:
    """Keep a descriptor open until the client's connection pool is garbage-collected."""
    closing = weakref.finalize(client.connection_pool, os.close, descriptor)
    # At exit the kernel does it better: after every exit handler, some of which may still want to write.
    closing.atexit = False
    _leases[client.connection_pool] = closing


def release(client: Any) -> None:
    """Close a client made by `connect`; an embedded server nobody else uses then stops.

    Without this it stops when the client is garbage-collected, or when the process ends.
    """
    client.close()
    if isinstance(client, valkey.ValkeyCluster):
        # The pools of its nodes, which it was given (clients.py), are not its own to close.
        cluster: Any = client
        cluster.disconnect_connection_pools()
    pool = getattr(client, "connection_pool", None)
    if pool in _leases:
        _leases.pop(pool)()
