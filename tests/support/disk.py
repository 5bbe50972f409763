"""What a server has on disk, once it has written all of it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from strands_session_log import SessionLog
from support.servers import Server
from support.waiting import wait_until

_ZSTD: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
_MAGIC = b"\x28\xb5\x2f\xfd"


def bytes_on_disk(server: Server) -> bytes:
    """A fresh RDB file and a rewritten append-only file, and what each zstd frame in them says.

    Have the server not compress RDB files: `rdbcompression="no"`.
    """
    server.execute("SAVE")
    wait_until(lambda: server.execute("BGREWRITEAOF"), "a rewrite to begin")
    wait_until(lambda: _is_written(server), "the append-only file to be written anew")
    parts = [path.read_bytes() for path in sorted(server.directory.rglob("*")) if path.suffix in (".rdb", ".aof")]
    assert len(parts) >= 2, "there is an RDB file and an append-only file"
    return b"\n".join([*parts, *(frame for part in parts for frame in _unpacked(part))])


def holders(log: SessionLog, text: str) -> list[str]:
    """The keys of a log that hold a text, also within a zstd frame."""
    client: Any = log.client
    found = list[str]()
    for key in client.scan_iter(f"{log.namespace}:*"):
        kind = client.execute_command("TYPE", key)
        reply = client.execute_command(*_READS[kind if isinstance(kind, str) else kind.decode()](key))
        held = list(_texts(reply))
        if any(text.encode() in one for part in held for one in (part, *_unpacked(part))):
            found.append(key if isinstance(key, str) else key.decode())
    return found


_READS: dict[str, Any] = {
    "hash": lambda key: ("HGETALL", key),
    "stream": lambda key: ("XRANGE", key, "-", "+"),
    "string": lambda key: ("GET", key),
    "zset": lambda key: ("ZRANGE", key, 0, -1),
}


def _texts(reply: Any) -> Iterator[bytes]:
    if isinstance(reply, dict):
        reply = [*reply.keys(), *reply.values()]
    if isinstance(reply, (list, tuple)):
        for one in reply:
            yield from _texts(one)
    elif reply is not None:
        yield reply if isinstance(reply, bytes) else str(reply).encode()


def _is_written(server: Server) -> bool:
    info: Any = server.client().info("persistence")
    is_idle = not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]
    # Those of before are taken away in the background.
    return is_idle and all(len(list(server.directory.rglob(f"*.{kind}.*"))) == 1 for kind in ("base", "incr"))


def _unpacked(data: bytes) -> list[bytes]:
    found, at = list[bytes](), data.find(_MAGIC)
    while at >= 0:
        with suppress(_ZSTD.ZstdError):
            found.append(_ZSTD.ZstdDecompressor().decompress(data[at:]))
        at = data.find(_MAGIC, at + 1)
    return found
