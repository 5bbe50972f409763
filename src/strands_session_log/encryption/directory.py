"""Records of keys as files of a directory: one for each session, replaced as a whole, the one before overwritten.

A file that takes the place of another does so by `rename`, after it is on disk. What the other one held is overwritten
behind that, and before the call returns. Until then it has a name in `aside`, as what is not finished has: who writes
next overwrites, and removes, what a process has left there that was killed. A disk that writes elsewhere than over what
is there (flash, copy-on-write file systems), and every copy of the directory, keep it all the same: see
docs/encryption.md.
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
from ..files import lock, make_directory, open_named, sync_directory, unlock, write_new

_FOLDER, _ASIDE, _LOCK, _RECORD = "sessions", "aside", "lock", ".json"
_DIGITS = 2
"""Of a record's name, which name the directory that it is in."""
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
        for file in self._files():
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
        try:
            make_directory(self.path, 0o700)
            held = lock(self.path / _LOCK, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            yield
        finally:
            unlock(held)

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
        fresh, kept = self._aside(file), self._aside(file)
        try:
            for directory in (self.path / _ASIDE, self.path / _FOLDER, file.parent):
                make_directory(directory, 0o700)
            self._remove_remains()
            old = _opened(file)
            try:
                write_new(fresh, content, 0o600)
                if old is not None:
                    _is_later(fresh, os.fstat(old).st_mtime_ns)
                    with suppress(OSError):
                        # Unless the file system has no links.
                        os.link(file, kept)
                fresh.replace(file)
                sync_directory(file.parent)
                if old is not None:
                    _overwrite(old)
                    kept.unlink(missing_ok=True)
            finally:
                if old is not None:
                    os.close(old)
        except OSError as error:
            raise _unusable(file, error) from error

    def _aside(self, file: Path) -> Path:
        return self.path / _ASIDE / f"{file.name}.{uuid4().hex}"

    def _remove_remains(self) -> None:
        """Take away what processes left that died while they wrote."""
        for left in sorted((self.path / _ASIDE).iterdir()):
            if (descriptor := _opened(left)) is None:
                continue
            try:
                if not self._is_in_place(descriptor, left.stem):
                    _overwrite(descriptor)
                left.unlink()
            finally:
                os.close(descriptor)

    def _is_in_place(self, descriptor: int, name: str) -> bool:
        """Whether what lies aside is what stands there: whoever wanted to replace it died before that."""
        file = self.path / _FOLDER / name[:_DIGITS] / name if name.endswith(_RECORD) else self.path / name
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(file))  # noqa: PTH116
        except FileNotFoundError:
            return False

    def _files(self) -> Iterator[Path]:
        """All records. What cannot be listed is an error: who takes it for nothing may destroy the key to it."""
        try:
            for folder in _listed(self.path / _FOLDER):
                if len(folder.name) == _DIGITS:
                    yield from (file for file in _listed(folder) if file.name.endswith(_RECORD))
        except OSError as error:
            raise _unusable(Path(error.filename or self.path), error) from error

    def _file_of(self, session_id: str) -> Path:
        # Not its name: that may be longer than a file's, and two that differ by case may be one on some systems.
        name = sha256(session_id.encode()).hexdigest()
        return self.path / _FOLDER / name[:_DIGITS] / f"{name}{_RECORD}"


def version_of(file: Path) -> object:
    """What changes whenever a file does."""
    try:
        # Each append asks.
        found = os.stat(file)  # noqa: PTH116
    except FileNotFoundError:
        return 0
    except OSError:
        # Whoever reads it is told why that cannot be.
        return object()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _unusable(path: Path, error: OSError) -> KeyStoreError:
    return KeyStoreError(
        str(path), error.strerror or str(error), "look at its permissions and the disk, or " + _RESTORE
    )


def _opened(file: Path) -> int | None:
    try:
        return os.open(file, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        if directory.is_symlink():
            raise
        return []


def _is_later(file: Path, before_ns: int) -> None:
    """Have a file be later than the one whose place it takes, whatever the clock says.

    A file system gives the same number to a file again, and may tell times that are milliseconds apart from each other
    only: see `version_of`.
    """
    written = file.stat()
    os.utime(file, ns=(written.st_atime_ns, max(written.st_mtime_ns, before_ns + 1)))


def _overwrite(descriptor: int) -> None:
    """Put zeros where a file was that nobody can open any more."""
    left, at = os.fstat(descriptor).st_size, 0
    while left:
        written = os.pwrite(descriptor, bytes(left), at)
        left, at = left - written, at + written
    os.fsync(descriptor)
