"""The archive as a log knows it: what opens its bundles, finds in it what is about a person, and takes that out."""

from __future__ import annotations

from collections.abc import Iterator

from strands_session_log import ArchivedCopy, SessionLog
from strands_session_log.errors import SessionLogError

from .archiver import TROUBLE, Archiver, Outcome
from .bundles import ArchivedBundles
from .records import ArchivedSession


class SessionArchive(ArchivedBundles):
    """Sessions as evidence bundles, in a directory or a store that `fsspec` reaches.

    With `SessionLog(…, archive=SessionArchive(…))`, a session that is not on the server any more is brought back when
    an agent resumes it; and what is about a person is found, exported and erased in the archive, too.

    Args:
        url: A directory, or `s3://bucket/prefix` and whatever else `fsspec` takes.
        object_lock: Whether the store lets nobody remove or replace a file; then only encrypted sessions are archived.
            It is noted in the archive, and need not be said again; saying otherwise is refused.
        options: For the file system, as `fsspec` takes them.

    Raises:
        MissingExtraError: When what is needed for the URL is not installed.
        ArchiveUnavailableError: When there can be no file system for it.
    """

    def copies(self, namespace: str) -> Iterator[ArchivedCopy]:
        """The newest bundle of each session it has: see `SearchableArchive`."""
        for names in self.names(namespace).values():
            newest = dict[str, ArchivedSession]()
            for name in sorted(names):
                if (found := self.record(namespace, name)) is not None:
                    newest[found.first_link] = found
            for one in newest.values():
                yield ArchivedCopy(
                    one.session_id,
                    one.last_event,
                    one.link,
                    one.first_link,
                    one.subjects,
                    one.is_encrypted,
                    self.where(namespace, one.name.bundle),
                )

    def renew(self, log: SessionLog, session_id: str, *, drop: bool, by: str) -> str:
        """Archive a session as it stands, and remove its older bundles: see `SearchableArchive`."""
        try:
            found = Archiver(log, self, by or "archiver").archive(session_id, drop=drop)
        except SessionLogError as error:
            return str(error)
        if found.outcome in TROUBLE or found.outcome in (Outcome.MOVED, Outcome.GONE) or found.session is None:
            return found.why or f"it is {found.outcome.value}"
        left = self.superseded(log.namespace, found.session)
        return f"the store lets nobody remove the bundle before: {left[0]}" if left else ""

    def remove(self, namespace: str, copy: ArchivedCopy) -> bool:
        """Remove the bundles of a session: see `SearchableArchive`."""
        found = [one for one in self.of_session(namespace, copy.session_id) if one.first_link == copy.first_link]
        removed = [self.forget(namespace, one.name) for one in found]
        return all(removed)
