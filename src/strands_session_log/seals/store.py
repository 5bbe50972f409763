"""Where seals are kept: a few small files under names of their own, each written once, but for `checkpoint`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..errors import SealBusyError, SealDamagedError, SealUnwritableError
from ..files import Folder, create_file, lock, make_directory, replace_file, unlock

MOST_BYTES = 64 << 20
"""The largest file that is read."""


class SealStore(Protocol):
    """Keeps the files of one log of seals; whoever has another place for them writes one of these.

    What fails for any reason but those named raises a `SealUnwritableError`.
    """

    @property
    def place(self) -> str:
        """Where that is, for people."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, in no order; none where there is no such folder."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file, whole or not at all, that is not there yet; whether it was not. It is safe on disk then."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, whether it is there or not. It is safe on disk then."""

    def discard(self, name: str) -> None:
        """Remove a file, or a directory, that is needed no more; or leave it there."""

    def locked(self) -> AbstractContextManager[object]:
        """Keep others from sealing meanwhile, as far as that can be done.

        Raises:
            SealBusyError: When another one is at it.
        """


class SealDirectory:
    """Seals in a directory of this machine.

    Args:
        path: The directory; it is made when it is first written to.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).expanduser()

    @property
    def place(self) -> str:
        """See `SealStore`."""
        return str(self._path)

    def read(self, name: str) -> bytes | None:
        """See `SealStore`. No link is followed, and no pipe waited for."""
        *folders, last = name.split("/")
        try:
            return Folder(self._path, *folders).read(last, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SealUnwritableError(f"{self._path / name}", error.strerror or str(error)) from error

    def names(self, folder: str) -> list[str]:
        """See `SealStore`."""
        try:
            return Folder(self._path, *folder.split("/")).names()
        except OSError as error:
            raise SealUnwritableError(f"{self._path / folder}", error.strerror or str(error)) from error

    def create(self, name: str, content: bytes) -> bool:
        """See `SealStore`."""
        with self._told(name) as path:
            return create_file(path, content)

    def replace(self, name: str, content: bytes) -> None:
        """See `SealStore`."""
        with self._told(name) as path:
            replace_file(path, content)

    def discard(self, name: str) -> None:
        """See `SealStore`."""
        path = self._path / name
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `SealStore`. A lock goes with its process, however that ends."""
        try:
            make_directory(self._path)
            held = lock(self._path / ".lock", waits=False)
        except BlockingIOError as error:
            raise SealBusyError(self.place) from error
        except OSError as error:
            raise SealUnwritableError(self.place, error.strerror or str(error)) from error
        try:
            yield
        finally:
            unlock(held)

    @contextmanager
    def _told(self, name: str) -> Iterator[Path]:
        path = self._path / name
        try:
            make_directory(path.parent)
            yield path
        except OSError as error:
            raise SealUnwritableError(str(path), error.strerror or str(error)) from error


def create_once(store: SealStore, name: str, content: bytes) -> None:
    """Write a file that never changes; the same content may be there already.

    Raises:
        SealDamagedError: When there is another.
    """
    if not store.create(name, content) and store.read(name) != content:
        raise SealDamagedError(name, "it is there already, with another content: somebody else has written it")
