"""Writing a ZIP file in one pass, member by member, with the digest of each; what it is written to need not seek."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from typing import IO, Any, NamedTuple, Protocol

_LEVEL = 4
"""Higher ones take twice as long for a twentieth less."""
_FIRST_YEAR, _LAST_YEAR = 1980, 2107
_MODE = 0o100644 << 16
_BUFFER = 256 * 1024


class Sink(Protocol):
    """What a bundle is written to: any file opened for writing bytes."""

    def write(self, data: bytes, /) -> Any:
        """Take some more."""


class OpensMore(Protocol):
    """Opens a further file for what has no room in those before."""

    def __call__(self, number: int) -> AbstractContextManager[Sink]:
        """Open it; it is whole once the block has ended without an error.

        Args:
            number: Which it is: 2 for the first that comes after the one that was given.
        """


class Member(NamedTuple):
    """A file that was written.

    Attributes:
        name: Its name in the archive.
        sha256: The digest of its content, hexadecimal.
        bytes: How long that is.
    """

    name: str
    sha256: str
    bytes: int


class ArchiveWriter:
    """One ZIP file being written.

    Args:
        file: Where to.
        made: What its files have for a time.
        wrote: Told of each member once it is written.
    """

    def __init__(self, file: Sink, made: datetime, wrote: Callable[[Member], object]) -> None:
        one_way: Any = _OneWay(file)
        self._zip = zipfile.ZipFile(one_way, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        year = min(max(made.year, _FIRST_YEAR), _LAST_YEAR)
        self._time = made.astimezone(timezone.utc).replace(year=year).timetuple()[:6]
        self._wrote = wrote

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a member of which nobody knows how long it becomes."""
        info = zipfile.ZipInfo(name, self._time)
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _MODE
        digest, size = sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as member:
            for chunk in _gathered(chunks):
                digest.update(chunk)
                size += len(chunk)
                member.write(chunk)
        self._wrote(Member(name, digest.hexdigest(), size))

    def close(self) -> None:
        """Write what finds the members."""
        self._zip.close()

    def abandon(self) -> None:
        """Write nothing more, not even when it is collected: half an archive must not look like a whole one."""
        self._zip.fp = None


@contextmanager
def archive(file: Sink, made: datetime, wrote: Callable[[Member], object]) -> Iterator[ArchiveWriter]:
    """Write an archive; its end is written only if all of it was."""
    writer = ArchiveWriter(file, made, wrote)
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def copied(file: IO[bytes]) -> Iterator[bytes]:
    """What is in a file, from its beginning."""
    file.seek(0)
    while chunk := file.read(_BUFFER):
        yield chunk


class _OneWay:
    """A file that does not tell where it stands: then an archive is written the same way to whatever it is."""

    def __init__(self, file: Sink) -> None:
        self.write = file.write

    def flush(self) -> None:
        """What was written is whoever's who opened the file."""


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same in larger ones: lines are short, and each call costs."""
    held, size = list[bytes](), 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _BUFFER:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
