"""An archive of sessions: evidence bundles in a directory or object store, from which they come back when resumed.

`store` has files, `session_archive` what they are of, `archiver` writes a session and checks it, `sweep` finds which,
and `service` does that from time to time.
"""

from .records import ArchivedSession
from .session_archive import SessionArchive

__all__ = ["ArchivedSession", "SessionArchive"]
