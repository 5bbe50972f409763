"""Reading files that somebody else made, or named: no pipe is waited for, and below a directory no link is followed.

And writing some that are there whole or not at all, whatever ends in between, and stay after a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

# Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_BYTES = 512 << 20
"""The largest file that is read: no server takes a larger value (`proto-max-bulk-len`). One of holes is soon made."""
# How a shell names pipes it has opened for this process, `<(command)` among them: those have another end.
_OURS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
# What file systems say that write out a directory with each change, or cannot do so alone.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


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
    """What was put into a directory, or renamed there, is there after a power cut, too, as far as its disk allows it.

    Raises:
        OSError: When it cannot be opened, or written out.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Make a directory, and those it lies in, as far as they are not there; they stay after a power cut.

    Args:
        path: Its path.
        mode: Its permissions; those it lies in get the usual ones.

    Raises:
        OSError: When one of them cannot be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode, exist_ok=True)
    sync_directory(path.parent)


def write_new(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file that is not there; it is safe on disk then, but for its name.

    Raises:
        OSError: When it is there, or cannot be written; then it is gone again.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def create_file(path: Path, content: bytes, mode: int = 0o666) -> bool:
    """Write a file, whole or not at all, that is not there yet; whether it was not. It stays after a power cut.

    Raises:
        OSError: When it cannot be written.
    """
    with _written(path, content, mode) as made:
        return _named(made, path)


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file, whole or not at all, whether it is there or not. It stays after a power cut.

    Raises:
        OSError: When it cannot be written.
    """
    with _written(path, content, mode) as made:
        made.replace(path)


@contextmanager
def _written(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A file beside the one that is to be, with its content; what is left of it goes afterwards."""
    made = path.with_name(f".{uuid4().hex}.tmp")
    try:
        write_new(made, content, mode)
        yield made
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)
    sync_directory(path.parent)


def _named(made: Path, path: Path) -> bool:
    """Give a file a name that none has yet; False if one has."""
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    except OSError as error:
        # A file system without links: who has a lock is alone.
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        made.rename(path)
    return True


def lock(path: Path, mode: int = 0o644, *, waits: bool = True) -> int:
    """Keep other processes, and threads, from locking a file; it goes with its process, however that ends.

    Args:
        path: The file, which is made where it is not there.
        mode: Its permissions then.
        waits: Whether to wait for another one.

    Returns:
        What `unlock` takes.

    Raises:
        BlockingIOError: When another one has the lock, unless this waits.
        OSError: When it cannot be locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Give up what `lock` gave."""
    # A process that another thread has forked meanwhile has it, too: that it is closed here would not end it.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
