"""Moving sessions as users type it; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import valkey

from strands_session_log import SessionLog
from strands_session_log.moving import (
    DirectoryExistsError,
    Exported,
    ExportError,
    FileSessions,
    Imported,
    ImportProgress,
    Loss,
    Snapshots,
    Source,
    SourceError,
    SourceUnavailableError,
    StoredAgent,
    StoredSession,
    ValkeySessions,
    export_session,
    import_sessions,
    open_source,
)

log = SessionLog.connect("embedded:")


class Mine:
    """A store of one's own."""

    def session_ids(self) -> Sequence[str]:
        """The sessions it has."""
        return ["s-42"]

    def read(self, session_id: str) -> StoredSession:
        """One of them."""
        return StoredSession(session_id, "mine", {}, [StoredAgent("default", {})])


def tell(session_id: str, written: int, total: int) -> None:
    """How far it is."""


sources: list[Source] = [
    Mine(),
    FileSessions("./sessions"),
    Snapshots(Path("./snapshots")),
    ValkeySessions(valkey.Valkey()),
]
progress: ImportProgress = tell
with open_source("file-session:./sessions") as source:
    for imported in import_sessions(source, log, ["s-42"], dry_run=True, progress=lambda id_, written, total: None):
        outcome: str = imported.outcome
        written: tuple[int, int] = (imported.events, imported.messages)
brought: list[Imported] = [*import_sessions(sources[0], log, progress=progress)]
exported: Exported = export_session(log, "s-42", "./sessions", force=True)
losses: Sequence[Loss] = exported.losses
lost: list[str] = [f"{loss.path}: {loss.what}" for loss in losses]

try:
    export_session(log, "s-42", Path("./sessions"))
except DirectoryExistsError as error:
    path: Path = error.path
except (ExportError, SourceUnavailableError) as error:
    reason: str = error.reason
except SourceError as error:
    where: str = error.where
