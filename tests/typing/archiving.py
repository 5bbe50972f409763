"""Archives as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from typing import BinaryIO

from strands_session_log import (
    Archive,
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


archive: Archive = Shelf()
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
