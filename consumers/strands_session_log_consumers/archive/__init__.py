"""An archive of sessions: evidence bundles in a directory or object store, from which they come back when resumed.

`store` has files, `bundles` what they are of, `archiver` writes a session and checks it, `sweep` finds which, `service`
does that from time to time, and `session_archive` is what a log is given.
"""

from .records import ArchivedSession
from .session_archive import SessionArchive

__all__ = ["ArchivedSession", "SessionArchive"]
