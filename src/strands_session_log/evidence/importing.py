"""Bringing sessions back from a bundle: all of it is verified, and every session looked at, before anything is written.

What was erased or deleted in the log since the bundle was made does not come back: a session that was deleted here is
refused, content that was erased here of what a fork shares with its line is erased in it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from ..errors import BundleNotIntactError, ImportRefusedError, SessionExistsError, refuse_unknown
from ..event_log import EventLog, Progress
from ..event_log.chained_batch import Position
from ..ids import EventId
from .forks_here import ForksHere
from .reading import BundleReader, SessionInBundle
from .verifying import BundleReport, bundle_errors, opened, verify_bundle

Outcome: TypeAlias = Literal["imported", "skipped", "deleted", "conflict", "withheld"]
"""What became of a session, see `ImportedSession`."""


@dataclass(frozen=True, slots=True)
class ImportedSession:
    """What became of a session of a bundle.

    Attributes:
        session_id: The session.
        outcome: `imported`; `skipped`, since all of it is there already; or why it was refused: `deleted` here since,
            `conflict` with another history under its id, `withheld` content.
        events: How many events it has in the bundle.
        erased: Of how many the content was not brought back, since it was erased here.
        reason: Why it was refused, with what can be done about it; else empty.
    """

    session_id: str
    outcome: Outcome
    events: int
    erased: int = 0
    reason: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether it was not brought back, and is not there."""
        return bool(self.reason)


@refuse_unknown
def import_bundle(
    log: EventLog,
    file: str | Path | IO[bytes],
    *,
    sessions: Iterable[str] | None = None,
    skip_refused: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[ImportedSession]:
    """Bring sessions back from an evidence bundle, byte for byte: the same ids, salts, links and bodies.

    Each is there at once or not at all. If that fails half-way, import again: it goes on where it was, for an hour also
    in the middle of a session. The feed tells of each with one envelope, `session.imported`, which is about no event:
    who follows it is not told of events of long ago once more.

    Args:
        log: Where to.
        file: The bundle: its path, or a file opened for reading bytes, which can seek.
        sessions: Only these; all in it if left out.
        skip_refused: Bring back the others where some are refused.
        dry_run: Write nothing; tell what would become of each.
        progress: Called with how many events of a session are copied, and of how many.

    Returns:
        What became of each, those first that others were forked from.

    Raises:
        BundleError: When it is no bundle.
        BundleNotIntactError: When it is not what was written, or lacks one of the sessions.
        ImportRefusedError: When a session was deleted here, has another history here, or content that was withheld.
        OSError: When the file cannot be opened.
    """
    with opened(file) as bundle, bundle_errors():
        reader, report = BundleReader(bundle), verify_bundle(bundle)
        _check_intact(report)
        wanted = list(_chosen(reader, sessions))
        importing = _Importing(log, reader)
        plans = {one.session_id: importing.planned(one) for one in wanted}
        refused = [one for one in plans.values() if one.is_refused]
        if refused and not skip_refused:
            raise ImportRefusedError(refused[0].session_id, refused[0].reason)
        if dry_run:
            return list(plans.values())
        importing.restore_tombstones()
        return [importing.carried_out(one, plans[one.session_id], progress) for one in wanted]


class _Importing:
    def __init__(self, log: EventLog, reader: BundleReader) -> None:
        self._log, self._reader, self._forks = log, reader, ForksHere(log)
        self._tombstones = log.restorer.tombstones

    def planned(self, one: SessionInBundle) -> ImportedSession:
        """What is to become of a session."""
        outcome, reason = self._judged(one)
        return ImportedSession(one.session_id, outcome, one.events, reason=reason)

    def _judged(self, one: SessionInBundle) -> tuple[Outcome, str]:
        there = self._log.head(one.session_id)
        if there is not None:
            return ("skipped", "") if self._goes_on(one, there) else ("conflict", _conflict(one, there))
        if one.withheld:
            return "withheld", _withheld(one)
        if reason := self._deletion(one, self._tombstones.lives(one.session_id)):
            return "deleted", reason
        return "imported", ""

    def carried_out(self, one: SessionInBundle, plan: ImportedSession, progress: Progress) -> ImportedSession:
        """Bring a session back, if that is planned."""
        if plan.outcome != "imported":
            return plan

        def check(lives: Sequence[Mapping[str, Any]]) -> None:
            if reason := self._deletion(one, lives):
                raise ImportRefusedError(one.session_id, reason)

        wanted = one.restoration(self._forks.of(one.session_id))
        try:
            # Where it stands, who appends first is told, and also if it is encrypted.
            _, erased = self._log.restorer.restore(wanted, lambda: self._reader.entries(one), check, progress)
        except SessionExistsError:
            # Somebody else was quicker.
            return self.planned(one)
        return ImportedSession(one.session_id, "imported", one.events, len(erased))

    def restore_tombstones(self) -> None:
        """Of a backup: what was deleted before it was made must not come back from an older one."""
        lives = dict[str, list[Mapping[str, Any]]]()
        for life in self._reader.manifest["deleted"]:
            lives.setdefault(life["session"], []).append(life)
        for session_id, of_id in lives.items():
            # Of a reduced one nobody knows any more where it stood.
            if not session_id.startswith("sha256:"):
                self._tombstones.bring_back(session_id, of_id)

    def _goes_on(self, one: SessionInBundle, there: Position) -> bool:
        """Whether the session here has all that the bundle has."""
        if there.id.revision < one.position.id.revision:
            return False
        if there.id == one.position.id:
            return there.link == one.position.link
        return self._link_here(one.session_id, one.position.id) == one.position.link

    def _link_here(self, session_id: str, id_: EventId) -> str:
        for page in self._log.pages(session_id, str(id_), str(id_)):
            for _, flat in page:
                return str(flat[19].decode())
        return ""

    def _deletion(self, one: SessionInBundle, lives: Sequence[Mapping[str, Any]]) -> str:
        """Why it must not come back, if what is left of sessions of its id says that it was deleted here."""
        for life in reversed(lives):
            if life["first"] == one.first and self._is_of(one, life):
                # What it was dropped for is this very history; whatever came of it before, it came back since.
                is_archived = bool(life.get("archived")) and life["link"] == one.position.link
                return "" if is_archived else _deleted(life)
        return ""

    def _is_of(self, one: SessionInBundle, life: Mapping[str, Any]) -> bool:
        """Whether a life that began with the same event is this one: forks of one session do, under one id in turn."""
        revision = life["revision"]
        if not one.parent or revision > one.position.id.revision:
            return True
        return self._reader.link_at(one, revision) == str(life["link"])


def _check_intact(report: BundleReport) -> None:
    if report.ok:
        return
    for one in report.sessions:
        for problem in one.problems[:1]:
            raise BundleNotIntactError(problem.problem, one.session_id, problem.revision)
    raise BundleNotIntactError(report.problems[0].problem)


def _chosen(reader: BundleReader, sessions: Iterable[str] | None) -> Iterator[SessionInBundle]:
    """The sessions that are wanted, those first that others were forked from."""
    names = None if sessions is None else {*([sessions] if isinstance(sessions, str) else sessions)}
    listed = reader.manifest["sessions"]
    if missing := sorted((names or set()) - {one["session_id"] for one in listed}):
        raise BundleNotIntactError(f"there is no session {missing[0]!r} in it")
    found = [reader.session(one) for one in listed if names is None or one["session_id"] in names]
    yield from sorted(found, key=lambda one: len(one.ancestors))


def _conflict(one: SessionInBundle, there: Position) -> str:
    cure = "import it into another namespace if it must be looked at"
    if there.id.revision < one.position.id.revision:
        events = f"{there.id.revision:,} events, the bundle has {one.events:,}"
        return f"there is a session of this id with {events}: of several backups, import the newest first; or {cure}"
    return f"there is a session of this id with another history; {cure}"


def _withheld(one: SessionInBundle) -> str:
    return f"the content of {one.withheld:,} of its events is not in the bundle; export it again without filters"


def _deleted(life: Mapping[str, Any]) -> str:
    if archived := life.get("archived"):
        return f"it went on, and was archived at event {life['revision']} as {archived}, which is to be restored"
    by = f" by {life['by']}" if life.get("by") else ""
    why = f", because {life['reason']}" if life.get("reason") else ""
    at = f"{EventId(life['deleted'], 0).time:%Y-%m-%d %H:%M:%S}"
    return f"it was deleted here at {at}{by}{why}; import it into another namespace if it must be looked at"
