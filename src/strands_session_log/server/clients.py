"""From a URL to a client."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import valkey.cluster
import valkey.sentinel

from .errors import with_retries
from .timed import keep_time, node_pool
from .urls import EmbeddedUrl, TcpUrl, UnixUrl, address, invalid, masked, parse, without_key_files

AnyClient: TypeAlias = "valkey.Valkey | valkey.ValkeyCluster"
"""A sync valkey-py client, as `connect` returns it."""

# valkey-py calls itself typed, but much of it is not.
_driver: Any = valkey
_DEFAULTS: Mapping[str, Any] = {
    "client_name": "strands-session-log",
    # What the driver is called is not told to the server: Redis 7.0 has no `CLIENT SETINFO`, so a role that is to be
    # the same on every server cannot allow it, and each connection would be a refusal in the server's `ACL LOG`.
    "lib_name": None,
    "lib_version": None,
    "socket_connect_timeout": 5.0,
    "socket_timeout": 10.0,
}
# Conversations are read by the hundred kilobytes: fewer, larger reads let other threads of Python go on meanwhile. The
# clients for clusters and sentinels do not take it.
_ONE_SERVER: Mapping[str, Any] = {"socket_read_size": 262_144}
# Connections idle for minutes between the turns of an agent would otherwise be dropped by firewalls unnoticed.
_TCP_DEFAULTS: Mapping[str, Any] = {**_DEFAULTS, "socket_keepalive": True}
_TLS_VERSIONS = ("TLSv1_2", "TLSv1_3")


def connect(url: str, **client_options: Any) -> AnyClient:
    """Make a client for a server; an embedded server is started, a cluster is asked for its nodes.

    Args:
        url: `valkey://`, `valkeys://`, `redis://`, `rediss://`, `unix:///path`, `valkey+cluster://h:p,h:p`,
            `valkey+sentinel://h:p,h:p/service`, `embedded:///directory` (kept) or `embedded:` (temporary). User,
            password and options in it apply to the servers that hold data, not to sentinels; `snapshot_key_file` is
            for the log, and passed over. With TLS the server's certificate must be for the host, unless
            `ssl_check_hostname=false` says otherwise.
        **client_options: Passed to valkey-py; those in the URL's query win. `sentinel_kwargs` applies to sentinels.

    Raises:
        InvalidUrlError: When the URL is none of these, or has an option valkey-py does not know.
        EmbeddedServerError: When the embedded server does not start.
        ServerUnavailableError: When no node of a cluster can be reached.
    """
    url = without_key_files(url)
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
    client = valkey.Valkey.from_url(text, **{**_ONE_SERVER, **options})
    if text.startswith("valkeys:"):
        pool: Any = client.connection_pool
        pool.connection_kwargs = _tls_options(url, pool.connection_kwargs)
    keep_time(client)
    return client


def _cluster(url: str, parsed: TcpUrl, client_options: Mapping[str, Any]) -> valkey.ValkeyCluster:
    options = _options_of(url, parsed, client_options)
    if options.pop("db", 0):
        raise invalid(url, "a cluster has no database but 0")
    known = {*valkey.cluster.VALKEY_ALLOWED_KEYS, *signature(valkey.ValkeyCluster).parameters}
    extra = {name: options.pop(name) for name in options.keys() - known}
    options["connection_pool_class"] = partial(node_pool, extra)
    nodes = [_driver.cluster.ClusterNode(host, port) for host, port in parsed.nodes]
    # With a URL of its own it makes the pools of its nodes by the function it is given.
    own_url = f"{'valkeys' if parsed.tls else 'valkey'}://{address(parsed.nodes[0])}"
    return with_retries(lambda: valkey.ValkeyCluster(startup_nodes=nodes, url=own_url, **options), retry_for=0)


def _sentinel(url: str, parsed: TcpUrl, client_options: Mapping[str, Any]) -> valkey.Valkey:
    options = _options_of(url, parsed, client_options)
    # Where the data is encrypted, so are the sentinels; who may log in there has nothing to do with it.
    alike = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl"))}
    sentinel_kwargs = {**alike, "ssl": parsed.tls, **options.pop("sentinel_kwargs", {})}
    sentinels = _driver.sentinel.Sentinel(parsed.nodes, sentinel_kwargs=sentinel_kwargs)
    client: valkey.Valkey = sentinels.master_for(parsed.service, ssl=parsed.tls, **options)
    keep_time(client)
    return client


def _options_of(url: str, parsed: TcpUrl, client_options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given, and what the URL says besides where the nodes are, as valkey-py names it."""
    named = _check_query(url, parsed.node_text).connection_kwargs
    told = {name: value for name, value in named.items() if name not in ("host", "port")}
    options = {**_TCP_DEFAULTS, **client_options, **told}
    return _tls_options(url, options) if parsed.tls else options


def _tls_options(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of TLS connections: whom a certificate is for is checked unless that, or all checks, are declined."""
    checks_nothing = options.get("ssl_cert_reqs", "required") in ("none", None, ssl.CERT_NONE)
    checks_names = options.get("ssl_check_hostname")
    if checks_nothing and checks_names:
        raise invalid(url, "ssl_cert_reqs=none checks no certificate, ssl_check_hostname=true its names: take one away")
    checks_names = not checks_nothing if checks_names is None else checks_names
    return {**options, **_min_version(url, options), "ssl_check_hostname": checks_names}


def _min_version(url: str, options: Mapping[str, Any]) -> dict[str, ssl.TLSVersion]:
    """The oldest version of TLS that will do: a URL has its name, and valkey-py takes that for the version itself."""
    name = options.get("ssl_min_version")
    if not isinstance(name, str):
        return {}
    if name not in _TLS_VERSIONS:
        raise invalid(url, f"ssl_min_version must be {' or '.join(_TLS_VERSIONS)}")
    return {"ssl_min_version": ssl.TLSVersion[name]}


def _check_query(url: str, text: str) -> Any:
    """Find mistakes in the options now, not when the first command is sent."""
    try:
        pool = _driver.ConnectionPool.from_url(text)
        pool.connection_class(**pool.connection_kwargs)
    except Exception as error:
        # Without the driver's own words, in the traceback, too: some quote the URL, or the value of an option.
        raise invalid(url, f"valkey-py does not accept its options{_suspects(text, error)}") from None
    return pool


def _suspects(text: str, error: Exception) -> str:
    """Which options the error is about, by their names as far as these may be shown, and what is often wrong."""
    query = text.partition("?")[2]
    shown = [name for name, _ in parse_qsl(masked(text).partition("?")[2])]
    names = [name for name in shown if name.isidentifier()]
    named = [name for name in names if re.search(rf"\b{name}\b", str(error))]
    if ";" in unquote(query):
        cure = "; separate them with &, and write a ; in a value as %3B"
    elif names and named:
        cure = ""
    elif names:
        cure = "; percent-encode special characters" + (", or look at what follows" if names != shown else "")
    else:
        cure = "; percent-encode special characters in user, password and path"
    return (f" ({', '.join(named or names)})" if names else "") + cure
