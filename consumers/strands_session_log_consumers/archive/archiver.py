"""Archives one session: write, read back, put on record, and only then drop; whatever ends in between loses nothing.

A bundle counts once there is a record of it, and there is one once the bundle was read back from the store and verified
as a third party would. What another attempt left is verified likewise, and taken over. A session is dropped only
where it still stands at the last link of a bundle that was read back in this very call.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from enum import Enum
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, NamedTuple, cast

from strands_session_log import Anchor, SessionLog, check_forks, drop_archived
from strands_session_log.errors import (
    ArchivedCopyError,
    ConcurrentWriteError,
    ForksRemainError,
    SessionHeldError,
    SessionLogError,
    SessionNotFoundError,
)

from .bundles import ArchivedBundles
from .checking import described, problems_of_copy
from .records import ArchivedSession

logger = logging.getLogger(__name__)


class Outcome(str, Enum):
    """What became of a session."""

    ARCHIVED = "archived"
    """It was written, read back and verified."""
    THERE = "there"
    """The archive had it already."""
    DROPPED = "dropped"
    """It is in the archive only."""
    MOVED = "moved"
    """It had an event, an erasure or another fork meanwhile: it stays, and its turn comes again."""
    HELD = "held"
    """It is archived, and stays as long as it is held."""
    FORKED = "forked"
    """It is archived, and stays for the sake of its forks."""
    GONE = "gone"
    """It was deleted before its turn came."""
    FORGOTTEN = "forgotten"
    """It was deleted for good, and the archive followed."""
    PLAIN = "plain"
    """It is not encrypted, and the store lets nothing be removed: it is not archived."""
    DAMAGED = "damaged"
    """It is not what was written: it is neither archived nor dropped."""
    FAILED = "failed"
    """It could not be archived, or not be read back as it was written; it stays."""


TROUBLE = frozenset((Outcome.PLAIN, Outcome.DAMAGED, Outcome.FAILED))
"""What somebody should look at."""


class Archived(NamedTuple):
    """What became of a session that was to be archived.

    Attributes:
        session_id: The session.
        outcome: What.
        session: What the archive says of it; None where it has it not.
        why: More about it, for people.
        removed: How many older bundles of it were removed.
    """

    session_id: str
    outcome: Outcome
    session: ArchivedSession | None = None
    why: str = ""
    removed: int = 0


class Archiver:
    """Archives sessions of a log.

    Args:
        log: The log.
        archive: Where to.
        by: Who archives, for tombstones.
    """

    def __init__(self, log: SessionLog, archive: ArchivedBundles, by: str = "archiver") -> None:
        self._log, self._archive, self._by = log, archive, by
        self._namespace = log.namespace

    def archive(self, session_id: str, *, drop: bool = False) -> Archived:
        """Archive a session as it stands.

        Args:
            session_id: The session.
            drop: Whether it is to be removed from the server then.

        Raises:
            ArchiveUnavailableError: When the archive cannot be reached, or does not do what it is asked.
            ServerUnavailableError: When the server cannot.
        """
        try:
            return self._archive_as_it_stands(session_id, drop)
        except SessionNotFoundError:
            return Archived(session_id, Outcome.GONE)
        except ConcurrentWriteError as error:
            return Archived(session_id, Outcome.MOVED, why=str(error))
        except ArchivedCopyError as error:
            return Archived(session_id, Outcome.FAILED, why=str(error))
        except OSError as error:
            if isinstance(error, SessionLogError):
                raise
            # A session that is too large for the place where its bundle is written first keeps no other.
            return Archived(session_id, Outcome.FAILED, why=f"{gettempdir()} cannot be used: {error.strerror or error}")

    def _archive_as_it_stands(self, session_id: str, drop: bool) -> Archived:
        anchor = self._log.anchor(session_id)
        known = self._archive.of_session(self._namespace, session_id)
        found, outcome = next((one for one in known if one.link == anchor.link), None), Outcome.THERE
        if drop and found is not None:
            # Before all of it is read back in vain.
            try:
                check_forks(self._log, session_id)
            except ForksRemainError as error:
                return Archived(session_id, Outcome.FORKED, found, str(error), self._remove_older(found, known))
        if found is None or (drop and self._problems(found, anchor)):
            written = self._write(anchor)
            if isinstance(written, Archived):
                return written
            found, outcome = written, Outcome.ARCHIVED
        removed = self._remove_older(found, known)
        if not drop:
            return Archived(session_id, outcome, found, removed=removed)
        return self._drop(found, removed)

    def _drop(self, found: ArchivedSession, removed: int) -> Archived:
        where = self._archive.where(self._namespace, found.name.bundle)
        try:
            drop_archived(self._log, found.session_id, found.last_event, found.link, where, self._by)
        except ForksRemainError as error:
            return Archived(found.session_id, Outcome.FORKED, found, str(error), removed)
        except SessionHeldError as error:
            return Archived(found.session_id, Outcome.HELD, found, str(error), removed)
        return Archived(found.session_id, Outcome.DROPPED, found, removed=removed)

    def _problems(self, found: ArchivedSession, anchor: Anchor) -> list[str]:
        """Read back what is on record."""
        file = self._archive.read_bundle(self._namespace, found.name)
        if file is None:
            return ["there is a record, and no bundle"]
        with file:
            problems = problems_of_copy(file, anchor)
        if problems:
            logger.error("session_id=<%s>, problem=<%s> | archived anew", anchor.session_id, problems[0])
        return problems

    def _write(self, anchor: Anchor) -> ArchivedSession | Archived:
        """Write a bundle and its record, or say why it may not be."""
        # Before it is read: of whom it is erased meanwhile, the bundle has content.
        name, about = anchor.session_id, tuple(self._log.subjects.marks(anchor.session_id))
        with cast(BinaryIO, TemporaryFile()) as file:
            (bundled,) = self._log.export(name, file).sessions
            if bundled.problems:
                return Archived(name, Outcome.DAMAGED, why=bundled.problems[0])
            if (bundled.revision, bundled.link) != (anchor.revision, anchor.link) or bundled.withheld:
                return Archived(name, Outcome.MOVED, why="it had an event, or an erasure, meanwhile")
            session = replace(described(file, f"a bundle of session {name!r}"), subjects=about)
            if not session.is_encrypted and self._archive.is_locked(self._namespace):
                return Archived(name, Outcome.PLAIN, why="its content is not encrypted, and could never be removed")
            return self._stored(session, anchor, file)

    def _stored(self, session: ArchivedSession, anchor: Anchor, file: BinaryIO) -> ArchivedSession:
        """Write it, unless an attempt that came to no record has left it; and read it back in any case."""
        where = self._archive.where(self._namespace, session.name.bundle)
        left = self._archive.read_bundle(self._namespace, session.name)
        if left is None or _first_problem(left, anchor):
            self._archive.write_bundle(self._namespace, session.name, file)
            left = self._archive.read_bundle(self._namespace, session.name)
            if left is None:
                raise ArchivedCopyError(where, "it was written, and is not there")
            if problem := _first_problem(left, anchor):
                raise ArchivedCopyError(where, f"it was written, and read back it is not intact: {problem}")
        self._archive.write_record(self._namespace, session)
        return session

    def _remove_older(self, session: ArchivedSession, known: list[ArchivedSession]) -> int:
        """Of one life of an id the newest counts: what was erased since stands in the older ones."""
        removed = 0
        for one in known:
            if one.first_link == session.first_link and one.name < session.name:
                try:
                    removed += self._archive.forget(self._namespace, one.name)
                except SessionLogError as error:
                    logger.warning("session_id=<%s>, error=<%s> | an older bundle stays", one.session_id, error)
        self._archive.remove_leftovers(self._namespace, session)
        return removed


def _first_problem(file: BinaryIO, anchor: Anchor) -> str:
    """Closes it."""
    with file:
        return next(iter(problems_of_copy(file, anchor)), "")
