"""Bundles of sessions with a record each, in folders of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, cast

from strands_session_log.errors import ArchivedCopyError, ArchiveUnavailableError, InvalidSettingError

from .records import BUNDLE, GONE, MOST_BYTES, RECORD, ArchivedName, ArchivedSession, folder_of, hash_of
from .store import UNFINISHED, FileStore

_FORMAT, _VERSION, _ABOUT = "strands-session-log/archive", 1, "archive.json"
_SPOOL_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    """What an archive has of a namespace, by names.

    Attributes:
        names: What is on record, by the hash of the session's id.
        left: Bundles that came to no record, likewise; one may be about to come to it.
        unfinished: Files that are being written, or were when their process was killed.
    """

    names: dict[str, list[ArchivedName]]
    left: dict[str, list[ArchivedName]]
    unfinished: list[str]


class ArchivedBundles:
    """Sessions as evidence bundles, in a directory or a store that `fsspec` reaches.

    Args:
        url: See `SessionArchive`.
        object_lock: Likewise.
        options: Likewise.
    """

    def __init__(self, url: str, *, object_lock: bool | None = None, **options: Any) -> None:
        self.files = FileStore(url, **options)
        self._says_locked = object_lock
        self._noted = dict[str, bool]()

    def is_locked(self, namespace: str) -> bool:
        """Whether files can be neither removed nor replaced.

        Raises:
            ArchiveUnavailableError: When the archive cannot be asked.
            InvalidSettingError: When the archive says something else than `object_lock` does.
        """
        if namespace not in self._noted:
            self._noted[namespace] = self._noted_lock(namespace)
        return self._noted[namespace]

    def open_bundle(self, namespace: str, session_id: str, link: str | None = None) -> BinaryIO | None:
        """Open the bundle of a session for reading: see `Archive`."""
        found = [one for one in self.of_session(namespace, session_id) if link in (None, one.link)]
        return self.read(namespace, found[-1]) if found else None

    def of_session(self, namespace: str, session_id: str) -> list[ArchivedSession]:
        """What the archive has of a session, the newest last.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """
        wanted = hash_of(session_id)
        folder = f"{wanted[:2]}/{wanted}"
        names = _recorded(set(self.files.names(f"{folder_of(namespace)}/{folder}")), f"{folder}/")
        found = [self.record(namespace, name) for name in sorted(names.get(wanted, []))]
        return [one for one in found if one is not None and one.session_id == session_id]

    def names(self, namespace: str) -> dict[str, list[ArchivedName]]:
        """What it has of all sessions, by the hash of their ids, without reading a record.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """
        return self.contents(namespace).names

    def contents(self, namespace: str) -> ArchiveContents:
        """The same, and what counts for nothing.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """
        found = set(self.files.names(folder_of(namespace)))
        left = dict[str, list[ArchivedName]]()
        for file in found:
            stem = file.removesuffix(BUNDLE)
            is_left = stem != file and not found & {stem + RECORD, stem + GONE}
            if is_left and (name := ArchivedName.parse(stem + RECORD)):
                left.setdefault(name.session_hash, []).append(name)
        return ArchiveContents(_recorded(found, ""), left, [file for file in found if file.endswith(UNFINISHED)])

    def remove_unfinished(self, namespace: str, file: str) -> bool:
        """Remove what a process left that was killed while it wrote; whether it was that.

        Raises:
            ArchiveUnavailableError: When it cannot be removed.
        """
        return self.files.remove_unfinished(self._path(namespace, file))

    def sessions(self, namespace: str) -> Iterator[ArchivedSession]:
        """The newest of each session it has, the one first that was active last.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """
        for name in sorted((max(names) for names in self.names(namespace).values()), reverse=True):
            if (found := self.record(namespace, name)) is not None:
                yield found

    def record(self, namespace: str, name: ArchivedName) -> ArchivedSession | None:
        """What is on record under a name; None of what is none."""
        content = BytesIO()
        if not self.files.read(self._path(namespace, name.record), content, MOST_BYTES):
            return None
        found = ArchivedSession.parse(content.getvalue())
        return found if found is not None and found.name == name else None

    def read(self, namespace: str, session: ArchivedSession) -> BinaryIO:
        """Read a bundle, into memory or a temporary file.

        Raises:
            ArchiveUnavailableError: When it cannot be read.
            ArchivedCopyError: When it is not there.
        """
        name = session.name.bundle
        file = self.read_bundle(namespace, session.name)
        if file is None:
            raise ArchivedCopyError(self.where(namespace, name), "there is a record of it, and no bundle")
        return file

    def read_bundle(self, namespace: str, name: ArchivedName) -> BinaryIO | None:
        """The same, of what may have no record yet; None if it is not there."""
        file = cast(BinaryIO, SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115
        try:
            if not self.files.read(self._path(namespace, name.bundle), file):
                file.close()
                return None
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def write_bundle(self, namespace: str, name: ArchivedName, content: IO[bytes]) -> None:
        """Write a bundle. It counts once there is a record of it."""
        self.files.write(self._path(namespace, name.bundle), content)

    def write_record(self, namespace: str, session: ArchivedSession) -> None:
        """Write what says that the bundle counts, and read it back.

        Raises:
            ArchivedCopyError: When something else is read back.
        """
        path = self._path(namespace, session.name.record)
        self.files.write(path, BytesIO(session.to_bytes()))
        found = self.record(namespace, session.name)
        # Another archiver may have put it there a second later.
        if found is None or found.first_link != session.first_link:
            raise ArchivedCopyError(self.files.where(path), "it was written, and something else is read back")

    def forget(self, namespace: str, name: ArchivedName) -> bool:
        """Let a bundle count no more; whether it could be removed, and not only be marked.

        Raises:
            ArchiveUnavailableError: When neither could be done.
        """
        record, bundle = self._path(namespace, name.record), self._path(namespace, name.bundle)
        try:
            self.files.remove(bundle)
            self.files.remove(record)
        except ArchiveUnavailableError:
            self.files.write(self._path(namespace, name.gone), BytesIO(b"{}\n"))
            return False
        return True

    def remove_leftovers(self, namespace: str, session: ArchivedSession) -> None:
        """Remove older bundles of a session that came to no record, as far as the store allows it."""
        folder = f"{folder_of(namespace)}/{session.name.folder}"
        found = set(self.files.names(folder))
        for file in found:
            name = ArchivedName.parse(f"{session.name.folder}/{file.removesuffix(BUNDLE)}{RECORD}")
            has_record = file.removesuffix(BUNDLE) + RECORD in found
            if file.endswith(BUNDLE) and name is not None and not has_record and name < session.name:
                with suppress(ArchiveUnavailableError):
                    self.files.remove(f"{folder}/{file}")

    def superseded(self, namespace: str, session: ArchivedSession) -> list[str]:
        """Where older bundles of a session are still, also such as only count no more."""
        folder = session.name.folder
        found = set(self.files.names(f"{folder_of(namespace)}/{folder}"))
        left = list[str]()
        for file in sorted(found):
            name = ArchivedName.parse(f"{folder}/{file.removesuffix(BUNDLE)}{RECORD}")
            if not file.endswith(BUNDLE) or name is None or name >= session.name:
                continue
            record = self.record(namespace, name)
            if record is None or record.first_link == session.first_link:
                left.append(self.where(namespace, name.bundle))
        return left

    def where(self, namespace: str, name: str) -> str:
        """The whole name of a file, for people."""
        return self.files.where(self._path(namespace, name))

    def _path(self, namespace: str, name: str) -> str:
        return f"{folder_of(namespace)}/{name}"

    def _noted_lock(self, namespace: str) -> bool:
        path, content = self._path(namespace, _ABOUT), BytesIO()
        if not self.files.read(path, content, MOST_BYTES):
            told = {"format": _FORMAT, "version": _VERSION, "namespace": namespace}
            about = {**told, "object_lock": bool(self._says_locked)}
            self.files.write(path, BytesIO(json.dumps(about, ensure_ascii=False).encode() + b"\n"))
            return bool(self._says_locked)
        found: Any = None
        with suppress(ValueError):
            found = json.loads(content.getvalue())
        match found:
            case {"format": format_, "version": 1, "namespace": str(name), "object_lock": bool(is_locked)} if (
                format_,
                name,
            ) == (_FORMAT, namespace):
                pass
            case _:
                raise ArchivedCopyError(self.files.where(path), f"it is not of version {_VERSION} of an archive")
        if self._says_locked not in (None, is_locked):
            raise InvalidSettingError("object_lock", self._says_locked, f"the archive says {is_locked}")
        return is_locked


def _recorded(files: set[str], folder: str) -> dict[str, list[ArchivedName]]:
    """What is on record among some files, and counts still."""
    names = dict[str, list[ArchivedName]]()
    for file in files:
        name = ArchivedName.parse(folder + file)
        if name is not None and file.removesuffix(RECORD) + GONE not in files:
            names.setdefault(name.session_hash, []).append(name)
    return names
