"""What the URL of a server says. Nothing here connects to anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from ..errors import InvalidUrlError

SCHEMES = (
    "valkey://host:port/db, redis:// the same, valkeys:// and rediss:// with TLS, unix:///path, "
    "valkey+cluster://host:port,host:port, valkey+sentinel://host:port,host:port/service/db, "
    "embedded:///directory or embedded:///./directory (kept), or embedded: (temporary)"
)
_PLAIN, _TLS = ("valkey", "redis"), ("valkeys", "rediss")
_TCP_URL = re.compile(
    r"[^:]+://(?:(?P<user>[^/?#]*)@)?(?P<places>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?", re.DOTALL
)
_UNIX_URL = re.compile(r"unix://(?:[^/?#]*@)?(?P<path>/[^?#]+)(?:\?[^#]*)?", re.IGNORECASE)
_EMBEDDED_URL = re.compile(r"embedded:(?://(?P<path>/[^?#]*[^?#/]/*)?)?(?:\?(?P<query>[^#]*))?", re.IGNORECASE)
_FROM_HERE = re.compile(r"/\.\.?(?:/|$)")
# Not what options are written with: where the `?` is missing, a password would be part of a name, which errors tell.
_PLACE = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[\w.%-]+)(?::(?P<port>[0-9]{1,5}))?")
_SERVICE_PATH = re.compile(r"/(?P<service>[^/&;=]+)(?:/(?P<db>[0-9]*))?")
_STRAY_OPTION = re.compile(r"[&;][\w.%-]+=")
_KEY_FILE_NAME, _KEY_STORE_NAME = "snapshot_key_file", "encryption_keys"
_SUBJECT_KEY_FILE_NAME = "subject_key_file"
_NOT_THE_DRIVERS = tuple(f"{name}=" for name in (_KEY_FILE_NAME, _KEY_STORE_NAME, _SUBJECT_KEY_FILE_NAME))
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z+.-]*://|(?i:embedded|unix):)?")
# A password may have any character that should have been percent-encoded, `@`, `/` and `?` among them: where a text can
# be read in two ways it does not match.
_HOSTS = r"(?:[\w.%-]*(?::[0-9]*)?|(?:\[?[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]?(?::[0-9]*)?))"
_SHOWN = re.compile(
    rf"(?P<scheme>{_SCHEME.pattern})(?:(?P<user>[^?#]*)@)?(?P<rest>{_HOSTS}(?:,{_HOSTS})*(?:/(?!/)[^?#@&;=]*)?)"
    r"(?P<stray>[&;=][^?#@]*)?"
    r"(?:\?(?P<query>[^#@]*))?",
    re.DOTALL,
)
_NAME = re.compile(r"[\w.%-]*")
_VALUE = re.compile(r"[\w./:, -]*")
_HARMLESS = {
    *("db", "protocol", "client_name", "lib_name", "lib_version", "encoding", "encoding_errors", "decode_responses"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size", "socket_type"),
    *("retry_on_timeout", "max_connections", "health_check_interval", "timeout", "username", _KEY_FILE_NAME),
    _SUBJECT_KEY_FILE_NAME,
    *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"),
    *("ssl_min_version", "ssl_ciphers", "partitions", "namespace"),
}
_DB_PATH = re.compile(r"/?(?P<db>[0-9]*)/?")


@dataclass(frozen=True, slots=True)
class UnixUrl:
    """A server behind a Unix socket; the text is one valkey-py understands."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddedUrl:
    """An embedded server; without a directory, a temporary one."""

    directory: str | None
    query: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TcpUrl:
    """One or more servers reached over TCP.

    Attributes:
        topology: `""`, `cluster` or `sentinel`.
        nodes: Host and port of each server, or of each sentinel.
        service: What the sentinels call the primary.
        node_text: The URL of the first node, with all options, in a form valkey-py understands.
        tls: Whether connections are encrypted.
    """

    topology: str
    nodes: tuple[tuple[str, int], ...]
    service: str
    node_text: str = field(repr=False)
    tls: bool


def parse(url: str) -> TcpUrl | UnixUrl | EmbeddedUrl:
    """Understand the URL of a server.

    Raises:
        InvalidUrlError: When it is none; it never shows a password.
    """
    family, _, topology = url.partition(":")[0].lower().partition("+")
    match family, topology:
        case ("embedded", "") if found := _EMBEDDED_URL.fullmatch(url):
            path = found["path"] and directory_of(_path_of_file(url, found["path"]))
            return EmbeddedUrl(path, found["query"] or "")
        case ("embedded", ""):
            cure = "write embedded:///absolute/directory, embedded:///./directory for one where the program was started"
            raise invalid(url, f"{cure}, or embedded: for a temporary one")
        case ("unix", "") if found := _UNIX_URL.fullmatch(url):
            _path_of_file(url, found["path"])
            return UnixUrl(url)
        case ("unix", ""):
            raise invalid(url, "write unix:///absolute/path")
        case (_, "" | "cluster" | "sentinel") if family in _PLAIN + _TLS:
            return _parse_tcp(url, family in _TLS, topology)
        case _:
            raise invalid(url, f"use one of {SCHEMES}")


def directory_of(path: str) -> str:
    """The directory that the path of an embedded server's URL means: after `/.` and `/..`, from where one is."""
    return unquote(path[1:] if _FROM_HERE.match(path) else path)


def _path_of_file(url: str, path: str) -> str:
    """The path, which may have any character: but where it seems to go on with options, nobody meant a file."""
    if _STRAY_OPTION.search(path):
        raise invalid(url, "options follow a ?, and are separated by &; write & and ; in a path as %26 and %3B")
    return path


def key_file_of(url: str) -> str:
    """The file with snapshot keys that a URL names; empty if it names none."""
    return _option(url, _KEY_FILE_NAME)


def subject_key_file_of(url: str) -> str:
    """The file with keys for subjects that a URL names; empty if it names none."""
    return _option(url, _SUBJECT_KEY_FILE_NAME)


def key_store_of(url: str) -> str:
    """The directory with encryption keys that a URL names; empty if it names none."""
    return _option(url, _KEY_STORE_NAME)


def _option(url: str, name: str) -> str:
    return next((unquote(found) for found in re.findall(rf"[?&]{name}=([^&#]*)", url)), "")


def without_key_files(url: str) -> str:
    """The URL as the driver knows it."""
    before, mark, query = url.partition("?")
    left = "&".join(part for part in query.split("&") if not part.startswith(_NOT_THE_DRIVERS))
    return before + (mark + left if left else "")


def invalid(url: str, reason: str) -> InvalidUrlError:
    """The error for a URL, without its passwords."""
    return InvalidUrlError(masked(url), reason)


def masked(url: str) -> str:
    """The URL without its passwords, even if it is malformed.

    Only what cannot be one is shown: a user, hosts with ports, a path, and the values of options that are known to be
    harmless, however their names are spelt. Of a text that has another form, not more than its scheme.
    """
    found = _SHOWN.fullmatch(url)
    if found is None:
        return f"{_SCHEME.match(url)[0]}***"  # type: ignore[index]
    user, query = found["user"], found["query"]
    shown = found["scheme"]
    if user is not None:
        name, colon, _ = user.partition(":")
        shown += (f"{name}:***" if colon and shown and _NAME.fullmatch(name) else "***") + "@"
    shown += found["rest"] + (f"{found['stray'][0]}***" if found["stray"] else "")
    return shown if query is None else f"{shown}?{'&'.join(_masked_options(query.split('&')))}"


def _masked_options(texts: Iterable[str]) -> Iterator[str]:
    """Behind an option that may be secret, what has no known name may be the rest of its value: `password=a&b`."""
    may_go_on = False
    for text in texts:
        name, equals, value = text.partition("=")
        known = unquote(name).lower()
        is_harmless = known in _HARMLESS and bool((_NAME if known == "username" else _VALUE).fullmatch(unquote(value)))
        is_named = bool(equals and _NAME.fullmatch(name) and (known in _HARMLESS or not may_go_on))
        yield text if is_harmless else f"{name if is_named else '***'}{equals}{equals and '***'}"
        may_go_on = may_go_on or not is_harmless


def _parse_tcp(url: str, tls: bool, topology: str) -> TcpUrl:
    parts = _TCP_URL.fullmatch(url)
    if parts is None:
        raise invalid(url, "write scheme://user:password@host:port, with special characters percent-encoded")
    places = parts["places"].split(",")
    if len(places) > 1 and not topology:
        raise invalid(url, "several hosts need valkey+cluster:// or valkey+sentinel://")
    nodes = tuple(_place(url, place, 26379 if topology == "sentinel" else 6379) for place in places)
    service, db = _path(url, parts["path"] or "", topology)
    user = "" if parts["user"] is None else parts["user"] + "@"
    query = "" if parts["query"] is None else "?" + parts["query"]
    node_text = f"{'valkeys' if tls else 'valkey'}://{user}{address(nodes[0])}/{db}{query}"
    return TcpUrl(topology, nodes, service, node_text, tls)


def _place(url: str, text: str, default_port: int) -> tuple[str, int]:
    """One `host:port`; no host means this machine, as in valkey-py."""
    found = _PLACE.fullmatch(text if text and not text.startswith(":") else f"localhost{text}")
    if found is None or int(found["port"] or 0) > 65_535:
        cure = "; percent-encode special characters in user and password" if "@" in url else ""
        raise invalid(url, f"a host must look like name:port, 10.0.0.1:port or [::1]:port{cure}")
    return unquote(found["host"]).strip("[]"), int(found["port"] or default_port)


def address(node: tuple[str, int]) -> str:
    """`host:port`, as it stands in a URL."""
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _path(url: str, path: str, topology: str) -> tuple[str, str]:
    """The service and the database a path names."""
    found = (_SERVICE_PATH if topology == "sentinel" else _DB_PATH).fullmatch(path)
    if found is None:
        expected = "/service or /service/db" if topology == "sentinel" else "a database number"
        raise invalid(url, f"the path must be {expected}")
    if topology == "cluster" and int(found["db"] or 0):
        raise invalid(url, "a cluster has no database but 0")
    return (unquote(found["service"]) if topology == "sentinel" else ""), found["db"] or ""
