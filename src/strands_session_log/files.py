"""Reading files that somebody else made, or named: no pipe is waited for, and below a directory no link is followed.

And keeping what was written to a directory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_BYTES = 512 << 20
"""The largest file that is read: no server takes a larger value (`proto-max-bulk-len`). One of holes is soon made."""
# How a shell names pipes it has opened for this process, `<(command)` among them: those have another end.
_OURS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")


def open_named(path: str | Path) -> BinaryIO:
    """Open a file for reading that the user named, by way of links, too.

    Args:
        path: Its path. Pipes and devices are refused, except for descriptors this process was given (`/dev/fd/63`).

    Raises:
        OSError: When it cannot be opened, or is no file.
    """
    is_ours = str(path).startswith(_OURS)
    return _file(os.open(path, _READ), None if is_ours else str(path))


class Folder:
    """A directory, and what lies below it.

    Args:
        root: Its path, which may be a link: it was named. Below it, no link is followed, whoever makes one when.
        below: The way down from there.

    Attributes:
        path: Its path.
    """

    def __init__(self, root: str | Path, *below: str) -> None:
        self._root, self._below = root, below
        self.path = Path(root, *below)

    def __truediv__(self, name: str) -> Folder:
        return Folder(self._root, *self._below, name)

    def names(self) -> list[str]:
        """What is in it, in order; nothing if there is no such directory.

        Raises:
            OSError: When it cannot be read, or is a link, or no directory.
        """
        return [name for name, _ in self._entries()]

    def folders(self) -> list[str]:
        """The names in it of directories, and of links, which cannot be entered.

        Raises:
            OSError: As `names` does.
        """
        return [name for name, is_folder in self._entries() if is_folder]

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The content of a file in it, of at most so many bytes.

        Raises:
            OSError: When it cannot be read, or is a link, or no file, or too large.
        """
        with self._opened() as directory:
            try:
                descriptor = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=directory)
            except OSError as error:
                raise _explained(error, name, directory) from error
        with _file(descriptor, name) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", name)
            return file.read()

    def _entries(self) -> list[tuple[str, bool]]:
        try:
            with self._opened() as descriptor, os.scandir(descriptor) as entries:
                return sorted((one.name, one.is_symlink() or one.is_dir(follow_symlinks=False)) for one in entries)
        except FileNotFoundError:
            return []

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._root, _ENTER & ~os.O_NOFOLLOW)
        try:
            for name in self._below:
                try:
                    inner = os.open(name, _ENTER, dir_fd=descriptor)
                except OSError as error:
                    raise _explained(error, name, descriptor) from error
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _file(descriptor: int, required: str | None) -> BinaryIO:
    """The file of a descriptor, which becomes the file's; with a path, it must be one."""
    try:
        if required is not None and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file", required)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _kind(name: str, directory: int) -> int:
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return 0


def _explained(error: OSError, name: str, directory: int) -> OSError:
    """Systems differ in what they say to a link that may not be followed, and to a socket."""
    kind = _kind(name, directory)
    if kind == stat.S_IFLNK:
        return OSError(errno.ELOOP, "a symbolic link, which is not followed", name)
    return OSError(errno.EINVAL, "not a file", name) if kind == stat.S_IFSOCK else error


def sync_directory(directory: Path) -> None:
    """What was put into a directory, or renamed there, is there after a power cut, too.

    Raises:
        OSError: When it cannot be opened, or written out.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
