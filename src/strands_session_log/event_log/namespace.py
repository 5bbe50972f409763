"""Opening a namespace: is this server fit to keep it, and how is it laid out?

Both are asked once for each connection pool and namespace; whoever makes a session manager per request pays nothing.
So a process that goes on after somebody emptied the server (`FLUSHALL`) does not write the layout again: until a new
process does, nothing on the server tells that the namespace has another partition count than the default.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..errors import NamespaceMismatchError, SessionLogError
from ..keys import DEFAULT_PARTITIONS, FORMAT, MAX_PARTITIONS, Keyspace, config_key
from ..server import ServerReport, check
from ..server.border import Client, insist, text
from ..server.fitness import take


class Namespace(NamedTuple):
    """A namespace and the server it is on.

    Attributes:
        keyspace: How it is laid out.
        server: What the server said about itself.
    """

    keyspace: Keyspace
    server: ServerReport


_opened: WeakKeyDictionary[Any, dict[str, Namespace]] = WeakKeyDictionary()


def open_namespace(
    client: Client, namespace: str, partitions: int | None, retry_for: float, allow_eviction: bool
) -> Namespace:
    """Check client and server, and read the layout of a namespace or lay it out.

    Raises:
        UnusableClientError: When no log can be kept on the client.
        UnsupportedServerError: When the server is too old.
        EvictionPolicyError: When it may delete sessions without a trace.
        NamespaceMismatchError: When it has another partition count than asked for, or another format.
    """
    if partitions is not None and not 1 <= partitions <= MAX_PARTITIONS:
        raise SessionLogError(f"partitions={partitions}: must be between 1 and {MAX_PARTITIONS}")
    take(client)
    known = _opened.setdefault(_pool(client), {})
    opened = known.get(namespace)
    # Whoever opened it may have accepted eviction. Whoever comes now did not; but it may be cured meanwhile.
    if opened is None or (opened.server.evicts_anything and not allow_eviction):
        server = insist(partial(check, client, allow_eviction=allow_eviction), retry_for)
        keyspace = insist(partial(_lay_out, client, namespace, partitions), retry_for)
        opened = known[namespace] = Namespace(keyspace, server)
    if partitions not in (None, opened.keyspace.partitions):
        raise NamespaceMismatchError(namespace, "partitions", partitions, opened.keyspace.partitions)
    return opened


def _lay_out(client: Client, namespace: str, partitions: int | None) -> Keyspace:
    """Read the layout; whoever finds none writes it, unless somebody else is quicker."""
    key = config_key(namespace)
    found = client.execute_command("HMGET", key, "format", "partitions")
    if None in found:
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command("HSETNX", key, "format", FORMAT)
        pipeline.execute_command("HSETNX", key, "partitions", partitions or DEFAULT_PARTITIONS)
        pipeline.execute_command("HMGET", key, "format", "partitions")
        found = pipeline.execute()[-1]
    format_, count = (int(text(value)) for value in found)
    if format_ != FORMAT:
        raise NamespaceMismatchError(namespace, "format", FORMAT, format_)
    return Keyspace(namespace, count)


def _pool(client: Any) -> Any:
    """What outlives a client object and stands for its server: the connection pool, or a cluster's node table."""
    return getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None) or client
