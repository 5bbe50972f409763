"""Moving in from other session stores, and back out to files.

`import_sessions(source, log)` brings in what `strands-valkey-session-manager`, `FileSessionManager` or
`SnapshotSessionManager` have kept; `export_session(log, id, directory)` writes what `FileSessionManager` resumes from.
"""

from .errors import DirectoryExistsError, ExportError, SourceError, SourceUnavailableError
from .exporting import Exported, export_session
from .files import FileSessions
from .importing import Imported, ImportProgress, import_sessions
from .nearest import Loss
from .snapshots import Snapshots
from .sources import open_source
from .stored import Source, StoredAgent, StoredSession
from .valkey_sessions import ValkeySessions

__all__ = [
    "DirectoryExistsError",
    "ExportError",
    "Exported",
    "FileSessions",
    "ImportProgress",
    "Imported",
    "Loss",
    "Snapshots",
    "Source",
    "SourceError",
    "SourceUnavailableError",
    "StoredAgent",
    "StoredSession",
    "ValkeySessions",
    "export_session",
    "import_sessions",
    "open_source",
]
