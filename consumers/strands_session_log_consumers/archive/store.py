"""Files of an archive, in a directory or whatever `fsspec` reaches: written whole, listed, read and removed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from strands_session_log.errors import ArchiveUnavailableError, MissingExtraError

_SECRETS = re.compile(r"(?<=//)[^/@]*@")
_CHUNK = 1 << 20
UNFINISHED = ".tmp"
"""What a file of a directory ends with that is being written, or was when its process was killed."""
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


class FileStore:
    """Files below one URL.

    Args:
        url: A path, or what `fsspec` takes: `s3://bucket/prefix`, `gs://…`, `memory://…`.
        options: For the file system that is, as `fsspec` takes them.

    Raises:
        MissingExtraError: When what is needed for the URL is not installed.
        ArchiveUnavailableError: When there can be no file system for it.
    """

    def __init__(self, url: str, **options: Any) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise MissingExtraError("archive", "an archive") from error
        self.shown = _SECRETS.sub("***@", url)
        with self._told("open it", ""):
            self._files, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")
        protocol = self._files.protocol
        self._is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def where(self, name: str) -> str:
        """The whole name of a file, for people."""
        return f"{self.shown.rstrip('/')}/{name}"

    def write(self, name: str, content: IO[bytes]) -> None:
        """Write a file: all of it is there once this returns, and nothing of it under this name before.

        Raises:
            ArchiveUnavailableError: When it cannot be written, also where what is there may not be overwritten.
        """
        content.seek(0)
        with self._told("write", name):
            if self._is_local:
                _write_local(Path(self._path(name)), content)
            else:
                self._upload(self._path(name), content)

    def read(self, name: str, into: IO[bytes], most: int | None = None) -> bool:
        """Read a file into another one; whether there is one.

        Raises:
            ArchiveUnavailableError: When it cannot be read, or is larger than `most`.
        """
        with self._told("read", name):
            # What was listed before must not answer for what is there now.
            self._files.invalidate_cache()
            try:
                with self._opened(self._path(name)) as file:
                    size = 0
                    while chunk := file.read(_CHUNK):
                        size += len(chunk)
                        if most is not None and size > most:
                            raise OSError(f"it is larger than {most:,} bytes")
                        into.write(chunk)
            except FileNotFoundError:
                return False
        return True

    def names(self, folder: str) -> Iterator[str]:
        """The files below a folder, by their names from there on; none if there is no such folder.

        Raises:
            ArchiveUnavailableError: When it cannot be listed.
        """
        start = self._path(folder) + "/"
        with self._told("list", folder):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._path(folder))
            except FileNotFoundError:
                found = []
        for path in found:
            if str(path).startswith(start):
                yield str(path)[len(start) :]

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            ArchiveUnavailableError: When it cannot be removed.
        """
        with self._told("remove", name), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))
            self._files.invalidate_cache()

    def remove_unfinished(self, name: str) -> bool:
        """Remove what a process left that was killed while it wrote; whether that was so, and nobody is at it now.

        Raises:
            ArchiveUnavailableError: When it cannot be removed.
        """
        if not self._is_local:
            return False
        with self._told("remove", name):
            return _remove_dead(Path(self._path(name)))

    def _opened(self, path: str) -> IO[bytes]:
        if not self._is_local:
            file: IO[bytes] = self._files.open(path, "rb")
            return file
        # Opening a pipe would wait until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a file")
        return os.fdopen(descriptor, "rb")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _upload(self, path: str, content: IO[bytes]) -> None:
        """What breaks off must not be taken for a file: most stores show one only once it was completed."""
        self._files.makedirs(self._files._parent(path), exist_ok=True)
        file = self._files.open(path, "wb", autocommit=False)
        try:
            shutil.copyfileobj(content, file, _CHUNK)
            file.close()
        except BaseException:
            with suppress(Exception):
                file.discard()
            raise
        if commit := getattr(file, "commit", None):
            commit()

    @contextmanager
    def _told(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise ArchiveUnavailableError(self.where(name), doing, str(error)) from error
        except Exception as error:
            # Each file system raises errors of its own, and of the libraries that it stands on.
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ArchiveUnavailableError(self.where(name), doing, _SECRETS.sub("***@", str(reason))) from error


def _write_local(path: Path, content: IO[bytes]) -> None:
    """On the disk, not on its way there: what it was written from may be dropped next."""
    _make(path.parent)
    beside = path.with_name(f".{uuid4().hex}{UNFINISHED}")
    try:
        with beside.open("xb") as file:
            # As long as it is locked, it is no leftover: a lock goes with its process.
            fcntl.flock(file, fcntl.LOCK_EX)
            shutil.copyfileobj(content, file, _CHUNK)
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _remove_dead(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _make(folder: Path) -> None:
    """A folder, and those it is in: on the disk, too."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot do so with a directory alone.
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
