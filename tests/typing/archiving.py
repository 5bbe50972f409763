"""Archives as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from typing import BinaryIO

from strands_session_log import (
    Archive,
    ArchivedCopy,
    EventId,
    SearchableArchive,
    SessionLog,
    check_forks,
    drop_archived,
    errors,
    forget_archived,
    restore_archived,
)


class Shelf:
    """An archive of somebody's own."""

    def open_bundle(self, namespace: str, session_id: str, link: str | None = None) -> BinaryIO | None:
        return None


class Rack(Shelf):
    """One in which what is about a person can be found and erased."""

    def copies(self, namespace: str) -> list[ArchivedCopy]:
        return [ArchivedCopy("s-42", EventId(7, 1), "link", "link", ("hash",), True, "rack/s-42.zip")]

    def is_locked(self, namespace: str) -> bool:
        return False

    def renew(self, log: SessionLog, session_id: str, *, drop: bool, by: str) -> str:
        return ""

    def remove(self, namespace: str, copy: ArchivedCopy) -> bool:
        return copy.subjects is None


archive: Archive = Shelf()
searchable: SearchableArchive = Rack()
marks: tuple[str, ...] = SessionLog.connect("embedded:").subjects.marks("s-42")
log: SessionLog = SessionLog.connect("valkey://localhost:6379", archive=Shelf())
its: Archive | None = log.archive
is_there: bool = restore_archived(log, "s-42")
is_there = restore_archived(log, "s-42", archive, progress=lambda done, total: None)
forgotten: int = forget_archived(log, "s-42", reason="asked to", by="ada")
try:
    check_forks(log, "s-42")
    drop_archived(log, "s-42", log.head("s-42"), log.anchor("s-42").link, "s3://bucket/s-42.zip", by="archiver")
except errors.ForksRemainError as error:
    forks: tuple[str, ...] = error.forks
except errors.ArchiveUnavailableError as away:
    told: tuple[str, str, str] = away.where, away.doing, away.reason
except errors.ArchivedSessionMissingError as missing:
    where: str = missing.archived
except errors.ArchivedCopyError as damaged:
    reason: str = damaged.reason
for tombstone in log.tombstones("s-42"):
    archived: str = tombstone.archived
