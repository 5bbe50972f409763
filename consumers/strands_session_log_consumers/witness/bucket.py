"""Seals in any store that fsspec knows, such as an object store whose lock lets nobody change what was written.

Only new objects are written, and `checkpoint`. Nothing is removed, so that who seals needs no permission for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from strands_session_log.errors import MissingExtraError, SealUnwritableError
from strands_session_log.seals import SealDirectory, SealStore

MOST_BYTES = 64 << 20
"""The largest object that is read."""
_SECRETS = re.compile(r"(?<=//)[^/@]*@")


def store_of(url: str) -> SealStore:
    """The store that a URL names; a path, or `file://`, is a directory of this machine.

    Raises:
        SealUnwritableError: When fsspec does not know its kind, or lacks what that needs.
    """
    if "://" not in url:
        return SealDirectory(url)
    if url.startswith("file://"):
        return SealDirectory(url.removeprefix("file://"))
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError("witness", "sealing to a store") from error
    with _told(url):
        # What another process has written meanwhile is to be seen.
        filesystem, root = url_to_fs(url, use_listings_cache=False)
        if "file" in ((filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol):
            # By another name: what is written there would neither be locked, nor there as a whole.
            return SealDirectory(root)
        return SealBucket(filesystem, root, url)


class SealBucket:
    """Seals in a store.

    Nobody is kept from sealing to it at the same time; but what is pending is created by one only, where the store can
    create an object unless there is one, and whoever comes second finishes that, and seals the next time.

    Args:
        filesystem: Of fsspec.
        root: Where in it.
        url: The same for people.
    """

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._filesystem, self._root, self._url = filesystem, root.rstrip("/"), _shown(url)

    @property
    def place(self) -> str:
        """See `SealStore`."""
        return self._url

    def read(self, name: str) -> bytes | None:
        """See `SealStore`."""
        path = self._path(name)
        with self._trouble(name):
            try:
                size = self._filesystem.info(path)["size"]
                if size is not None and size > MOST_BYTES:
                    raise SealUnwritableError(f"{self._url}/{name}", f"larger than {MOST_BYTES >> 20} MB")
                found: bytes = self._filesystem.cat_file(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
        return found

    def names(self, folder: str) -> list[str]:
        """See `SealStore`."""
        with self._trouble(folder):
            try:
                found = self._filesystem.ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def create(self, name: str, content: bytes) -> bool:
        """See `SealStore`."""
        path = self._path(name)
        with self._trouble(name):
            # Also asked of those that do not know `create`, and would put another object in its place.
            if self._filesystem.exists(path):
                return False
            try:
                self._write(path, content, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        """See `SealStore`."""
        with self._trouble(name):
            self._write(self._path(name), content)

    def discard(self, name: str) -> None:
        """Nothing is removed."""

    def locked(self) -> AbstractContextManager[object]:
        """See the class."""
        return nullcontext()

    def _write(self, path: str, content: bytes, **more: Any) -> None:
        try:
            self._filesystem.pipe_file(path, content, **more)
        except FileNotFoundError:
            # A store with directories.
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._filesystem.pipe_file(path, content, **more)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _trouble(self, name: str) -> AbstractContextManager[None]:
        return _told(f"{self._url}/{name}")


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Whatever a store raises, in words of ours: each has errors of its own."""
    try:
        yield
    except (SealUnwritableError, FileExistsError):
        raise
    except Exception as error:
        raise SealUnwritableError(_shown(place), _shown(f"{type(error).__name__}: {error}")) from error


def _shown(text: str) -> str:
    """A text without the password of a URL in it."""
    return _SECRETS.sub("***@", text)
