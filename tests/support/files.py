"""What a server has written to its disk, byte by byte, with what is compressed there decompressed."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from support.servers import Server
from support.waiting import wait_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FRAME = b"\x28\xb5\x2f\xfd"


def written_files(server: Server) -> list[Path]:
    """A fresh RDB file and the append-only files; all that the server has written of its keys.

    `rdbcompression` must be off: text would stand in the RDB file in another form.
    """
    before = server.execute("LASTSAVE")
    wait_until(lambda: server.execute("TIME")[0] > before.timestamp(), "the next second")
    server.execute("BGSAVE")
    wait_until(lambda: server.execute("LASTSAVE") > before, "a fresh RDB file")
    return [server.directory / "dump.rdb", *sorted((server.directory / "appendonlydir").glob("*.aof"))]


def content_of(file: Path) -> bytes:
    """The bytes of a file, followed by what its frames of zstd hold."""
    raw = file.read_bytes()
    return raw + b"".join(_decompressed(raw))


def _decompressed(raw: bytes) -> list[bytes]:
    found, at = list[bytes](), raw.find(_FRAME)
    while at >= 0:
        reader = zstd.ZstdDecompressor()
        # Where it is none, these were four bytes of something else.
        with suppress(zstd.ZstdError):
            found.append(reader.decompress(raw[at:]))
        at = raw.find(_FRAME, at + 1)
    return found
