"""Where seals are kept: a few small files under names of their own, each written once, but for `checkpoint`."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from ..errors import SealBusyError, SealDamagedError, SealUnwritableError
from ..files import Folder, sync_directory

MOST_BYTES = 64 << 20
"""The largest file that is read."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


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
        with self._written(name, content) as (made, path):
            try:
                os.link(made, path)
            except FileExistsError:
                return False
            except OSError as error:
                # A file system without links; who has the lock is alone.
                if error.errno not in _NO_LINKS:
                    raise
                if path.exists():
                    return False
                made.rename(path)
        return True

    def replace(self, name: str, content: bytes) -> None:
        """See `SealStore`."""
        with self._written(name, content) as (made, path):
            made.replace(path)

    def discard(self, name: str) -> None:
        """See `SealStore`."""
        path = self._path / name
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `SealStore`. A lock goes with its process, however that ends."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise SealUnwritableError(self.place, error.strerror or str(error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise SealBusyError(self.place) from error
        finally:
            os.close(descriptor)

    @contextmanager
    def _written(self, name: str, content: bytes) -> Iterator[tuple[Path, Path]]:
        """A file beside the one that is to be, with its content, safe on disk; it goes afterwards."""
        path = self._path / name
        made = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with made.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield made, path
            made.unlink(missing_ok=True)
            sync_directory(path.parent)
        except OSError as error:
            with suppress(OSError):
                made.unlink(missing_ok=True)
            raise SealUnwritableError(str(path), error.strerror or str(error)) from error


def create_once(store: SealStore, name: str, content: bytes) -> None:
    """Write a file that never changes; the same content may be there already.

    Raises:
        SealDamagedError: When there is another.
    """
    if not store.create(name, content) and store.read(name) != content:
        raise SealDamagedError(name, "it is there already, with another content: somebody else has written it")
