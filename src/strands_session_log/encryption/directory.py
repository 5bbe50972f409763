"""Records of keys as files of a directory: one for each session, replaced as a whole, the one before overwritten.

A file that takes the place of another does so by `rename`, after it is on disk. What the other one held is overwritten
behind that, while it is still open, and before the call returns. A disk that writes elsewhere than over what is there
(flash, copy-on-write file systems), and every copy of the directory, keep it all the same: see docs/encryption.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import orjson

from ..errors import KeyStoreError
from ..files import open_named, sync_directory

_FOLDER, _LOCK = "sessions", "lock"
_MOST_BYTES, _MOST_FILES = 16 << 20, 4096
_RESTORE = "restore it from a copy of the key store"


class KeyDirectory:
    """Records of keys in a directory of a file system, shared by any number of processes of one machine.

    Args:
        path: The directory; it is made when something is first kept there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self._file = lru_cache(_MOST_FILES)(self._file_of)

    def load(self, session_id: str) -> bytes | None:
        """See `KeyRecords.load`.

        Raises:
            KeyStoreError: When it cannot be read.
        """
        return self.read(self._file(session_id))

    def replace(self, session_id: str, known: bytes | None, record: bytes) -> bool:
        """See `KeyRecords.replace`.

        Raises:
            KeyStoreError: When it cannot be written.
        """
        file = self._file(session_id)
        with self.locked():
            if self.read(file) != known or not self.accepts(record):
                return False
            self.write(file, record)
        return True

    def accepts(self, record: bytes) -> bool:
        """Whether a record may be stored, as of now; asked while no other process writes."""
        return True

    def version(self, session_id: str) -> object:
        """See `KeyRecords.version`."""
        return version_of(self._file(session_id))

    def session_ids(self) -> Iterator[str]:
        """See `KeyRecords.session_ids`."""
        for file in sorted((self.path / _FOLDER).glob("??/*.json")):
            record = self.read(file)
            with suppress(ValueError, LookupError, TypeError):
                session_id = orjson.loads(record or b"")["session_id"]
                if self._file(session_id) == file:
                    yield session_id
                    continue
            raise KeyStoreError(str(file), "it is no record of keys", _RESTORE)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out, in other processes, too."""
        import fcntl

        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self, file: Path) -> bytes | None:
        """What a file holds; None when there is none."""
        try:
            while True:
                with open_named(file) as opened:
                    found = opened.read(_MOST_BYTES + 1)
                    # Whoever replaced it meanwhile overwrites what was being read.
                    if os.path.samestat(os.fstat(opened.fileno()), os.stat(file)):  # noqa: PTH116
                        break
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(file, error) from error
        if len(found) > _MOST_BYTES:
            raise KeyStoreError(str(file), "it is larger than any that is written here", _RESTORE)
        return found

    def write(self, file: Path, content: bytes) -> None:
        """Put content in the place of a file: all or nothing, on disk when this returns, the old one overwritten."""
        fresh = file.with_name(f".{file.name}.{uuid4().hex}")
        try:
            for directory in (self.path / _FOLDER, file.parent):
                # One after the other: to those it makes on the way, `mkdir` gives other permissions.
                directory.mkdir(mode=0o700, exist_ok=True)
            old = _opened(file)
            try:
                _write_new(fresh, content)
                fresh.replace(file)
                sync_directory(file.parent)
                if old is not None:
                    _overwrite(old)
                _remove_remains(file)
            finally:
                if old is not None:
                    os.close(old)
            # The directory of the file may be new, too.
            sync_directory(file.parent.parent)
        except OSError as error:
            raise _unusable(file, error) from error

    def _file_of(self, session_id: str) -> Path:
        # Not its name: that may be longer than a file's, and two that differ by case may be one on some systems.
        name = sha256(session_id.encode()).hexdigest()
        return self.path / _FOLDER / name[:2] / f"{name}.json"


def version_of(file: Path) -> object:
    """What changes whenever a file does."""
    try:
        # Each append asks.
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        return 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _unusable(path: Path, error: OSError) -> KeyStoreError:
    return KeyStoreError(
        str(path), error.strerror or str(error), "look at its permissions and the disk, or " + _RESTORE
    )


def _opened(file: Path) -> int | None:
    try:
        return os.open(file, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _write_new(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)


def _overwrite(descriptor: int) -> None:
    """Put zeros where a file was that nobody can open any more."""
    size = os.fstat(descriptor).st_size
    os.pwrite(descriptor, bytes(size), 0)
    os.fsync(descriptor)


def _remove_remains(file: Path) -> None:
    """Take away what a process left that died while it wrote this file."""
    for left in file.parent.glob(f".{file.name}.*"):
        if (descriptor := _opened(left)) is not None:
            try:
                left.unlink()
                _overwrite(descriptor)
            finally:
                os.close(descriptor)
