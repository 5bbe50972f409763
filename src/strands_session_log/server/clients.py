"""From a URL to a client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import valkey.cluster
import valkey.sentinel

from .border import insist
from .urls import EmbeddedUrl, TcpUrl, UnixUrl, invalid, parse, without_key_file

AnyClient: TypeAlias = "valkey.Valkey | valkey.ValkeyCluster"
"""A sync valkey-py client, as `connect` returns it."""

# valkey-py calls itself typed, but much of it is not.
_driver: Any = valkey
_DEFAULTS: Mapping[str, Any] = {
    "client_name": "strands-session-log",
    "socket_connect_timeout": 5.0,
    "socket_timeout": 10.0,
}
# Conversations are read by the hundred kilobytes: fewer, larger reads let other threads of Python go on meanwhile. The
# clients for clusters and sentinels do not take it.
_ONE_SERVER: Mapping[str, Any] = {"socket_read_size": 262_144}
# Connections idle for minutes between the turns of an agent would otherwise be dropped by firewalls unnoticed.
_TCP_DEFAULTS: Mapping[str, Any] = {**_DEFAULTS, "socket_keepalive": True}


def connect(url: str, **client_options: Any) -> AnyClient:
    """Make a client for a server; an embedded server is started, a cluster is asked for its nodes.

    Args:
        url: `valkey://`, `valkeys://`, `redis://`, `rediss://`, `unix:///path`, `valkey+cluster://h:p,h:p`,
            `valkey+sentinel://h:p,h:p/service`, `embedded:///directory` (kept) or `embedded:` (temporary). User,
            password and options in it apply to the servers that hold data, not to sentinels; `snapshot_key_file` is
            for the log, and passed over.
        **client_options: Passed to valkey-py; those in the URL's query win. `sentinel_kwargs` applies to sentinels.

    Raises:
        InvalidUrlError: When the URL is none of these, or has an option valkey-py does not know.
        EmbeddedServerError: When the embedded server does not start.
        ServerUnavailableError: When no node of a cluster can be reached.
    """
    url = without_key_file(url)
    parsed = parse(url)
    match parsed:
        case EmbeddedUrl(directory, query):
            # Here, because it needs `fcntl`, which Windows does not have.
            from .embedded import open_embedded

            _check_query(url, f"unix:///{query and '?' + query}")
            place = None if directory is None else Path(directory)
            return open_embedded(place, query, **{**_DEFAULTS, **_ONE_SERVER, **client_options})
        case UnixUrl(text):
            return _one(url, text, {**_DEFAULTS, **client_options})
        case TcpUrl(topology="cluster"):
            return _cluster(url, parsed, client_options)
        case TcpUrl(topology="sentinel"):
            return _sentinel(url, parsed, client_options)
        case TcpUrl(node_text=text):
            return _one(url, text, {**_TCP_DEFAULTS, **client_options})


def _one(url: str, text: str, options: Mapping[str, Any]) -> valkey.Valkey:
    _check_query(url, text)
    return valkey.Valkey.from_url(text, **{**_ONE_SERVER, **options})


def _cluster(url: str, parsed: TcpUrl, client_options: Mapping[str, Any]) -> valkey.ValkeyCluster:
    options = {**_TCP_DEFAULTS, **client_options, **_options_of(url, parsed)}
    if options.pop("db", 0):
        raise invalid(url, "a cluster has no database but 0")
    nodes = [_driver.cluster.ClusterNode(host, port) for host, port in parsed.nodes]
    return insist(lambda: valkey.ValkeyCluster(startup_nodes=nodes, **options), retry_for=0)


def _sentinel(url: str, parsed: TcpUrl, client_options: Mapping[str, Any]) -> valkey.Valkey:
    options = {**_TCP_DEFAULTS, **client_options, **_options_of(url, parsed)}
    # Where the data is encrypted, so are the sentinels; who may log in there has nothing to do with it.
    alike = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl"))}
    sentinel_kwargs = {**alike, **options.pop("sentinel_kwargs", {})}
    sentinels = _driver.sentinel.Sentinel(parsed.nodes, sentinel_kwargs=sentinel_kwargs)
    client: valkey.Valkey = sentinels.master_for(parsed.service, **options)
    return client


def _options_of(url: str, parsed: TcpUrl) -> dict[str, Any]:
    """What the URL says besides where the nodes are, as valkey-py names it."""
    pool = _check_query(url, parsed.node_text)
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in ("host", "port")}
    ignored = sorted(options.keys() - set(valkey.cluster.VALKEY_ALLOWED_KEYS))
    if ignored and parsed.topology == "cluster":
        # Silently dropped by ValkeyCluster, `ssl_check_hostname` for one.
        raise invalid(url, f"valkey-py's cluster client has no option {', '.join(ignored)}")
    return {**options, "ssl": True} if parsed.tls else options


def _check_query(url: str, text: str) -> Any:
    """Find mistakes in the options now, not when the first command is sent."""
    try:
        pool = _driver.ConnectionPool.from_url(text)
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, valkey.ValkeyError) as error:
        names = ", ".join(name for name, _ in parse_qsl(text.partition("?")[2]))
        raise invalid(url, f"valkey-py does not accept its options ({names}): {error}") from error
    return pool
