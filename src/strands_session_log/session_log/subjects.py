"""What is about a person: found, exported and erased over all sessions. See docs/subjects.md."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ..errors import InvalidSettingError, KeyMissingError, KeyShreddedError
from ..event_log import EventLog, Progress, Tombstone
from ..events import SessionAnnotated
from ..ids import EventId, Point
from ..replay import Replay
from .points import event_id_at
from .subject_erasure import SubjectErasure, annotation_of, readable
from .subject_export import ByteWriter, SubjectExport
from .subject_keys import SubjectKeys
from .subject_places import SubjectPlace, SubjectReport, SubjectStep, named_in

if TYPE_CHECKING:
    from .log import SessionLog
    from .subject_archive import ArchivedSubjects


def _ignored(step: SubjectStep) -> None:
    """Nobody wants to hear of each."""


class Subjects:
    """Whom the sessions of one log are about.

    The server has keyed hashes of persons, never their names: who has no `subject_key` can neither tell nor try out who
    is meant.
    """

    def __init__(self, log: EventLog, replay: Replay, keys: SubjectKeys, whole: SessionLog) -> None:
        """See `SessionLog.subjects`."""
        self._log, self._replay, self._keys, self._index, self._whole = log, replay, keys, log.subjects, whole

    def hash_of(self, subject: str) -> str:
        """The keyed hash a person is known by on the server.

        Raises:
            InvalidSettingError: When it can be no person, or the log has no `subject_key`.
        """
        return self._keys.hashes(subject)[0]

    def annotate(
        self, session_id: str, subject: str, *, events: Point | Iterable[Point] | None = None
    ) -> EventId | None:
        """Say that a session, or some events of it, are about a person; it may be about several.

        Args:
            session_id: The session.
            subject: The person, by any text that always names them: `user-77`.
            events: Which events, by revision or id, where not all of the session is.

        Returns:
            The event that says so; None where the whole session was said to be already.

        Raises:
            SessionNotFoundError: When there is no such session.
            RevisionNotFoundError: When it does not have one of the events.
            InvalidSettingError: When it can be no person, or the log has no `subject_key`.
        """
        hashed = self.hash_of(subject)
        if events is None:
            is_known = hashed in self._index.of_session(session_id)
            return None if is_known else self._index.annotate(session_id, hashed, None)
        named = [events] if isinstance(events, (EventId, int, str, datetime)) else events
        ids = [event_id_at(self._log, session_id, one) for one in named]
        return self._index.annotate(session_id, hashed, ids) if ids else None

    def marks(self, session_id: str) -> tuple[str, ...]:
        """Whom a session is about, by keyed hash, with `~` before it where only some events are; needs no key."""
        return self._index.of_session(session_id)

    def want(self, session_id: str, subject: str) -> None:
        """Say so after the next append to a session by this log, and whenever it begins anew.

        Args:
            session_id: The session; it need not be there yet.
            subject: As for `annotate`.

        Raises:
            InvalidSettingError: When it can be no person, or the log has no `subject_key`.
        """
        name = f"subject {self.hash_of(subject)}"
        self._log.provisions.want(session_id, name, partial(self.annotate, session_id, subject))

    def find(self, subject: str) -> Iterator[SubjectPlace]:
        """What is about a person: sessions, stored values, what an archive has, and what is left of deleted sessions.

        Raises:
            InvalidSettingError: When it can be no person, or the log has no `subject_key`.
            KeyMissingError: When which events are about them is encrypted, and there is no key of it.
            ArchiveUnavailableError: When the log has an archive that cannot be asked.
            ArchivedCopyError: When nobody can tell whom something there is about.
        """
        return self._find(subject, self._archived(subject))

    def _archived(self, subject: str) -> ArchivedSubjects:
        # Here, because it reads bundles, which few logs do.
        from .subject_archive import ArchivedSubjects

        return ArchivedSubjects(self._whole, self._log, self._keys.hashes(subject), subject)

    def _find(self, subject: str, archived: ArchivedSubjects) -> Iterator[SubjectPlace]:
        hashes, there = self._keys.hashes(subject), dict[str, SubjectPlace]()
        for place in self._sessions(hashes, subject):
            there[place.name] = place
            yield place
        for name in dict.fromkeys(line.name for line in self._index.lines(hashes) if line.kind == "storage"):
            if self._index.stored(name) is not None:
                yield SubjectPlace("storage", name, named_in=named_in(subject, {"its key": name}))
        yield from archived.find(there)
        tombstones = self._tombstones(hashes)
        elsewhere = archived.elsewhere(tombstones)
        for number, one in enumerate(tombstones):
            texts = {"its id": one.session_id, "who deleted it": one.by, "why": one.reason}
            named = named_in(subject, texts)
            yield SubjectPlace("tombstone", one.session_id, named_in=named, where=elsewhere.get(number, ""))

    def _tombstones(self, hashes: Sequence[str]) -> list[Tombstone]:
        return [one for one in self._log.tombstones() if not set(hashes).isdisjoint(one.subjects)]

    def export(self, subject: str, file: ByteWriter, *, progress: Progress = lambda done, total: None) -> SubjectExport:
        """Write what is about a person as JSON Lines, session by session, as it stands in the log and its archive.

        Args:
            subject: The person.
            file: Takes bytes; anything with `write`.
            progress: Called with how many places are written, and of how many.

        Raises:
            InvalidSettingError: When it can be no person, or the log has no `subject_key`.
        """
        archived = self._archived(subject)
        places, export = list(self._find(subject, archived)), SubjectExport(self._log, file)
        export.begin()
        whole = {place.name for place in places if place.kind == "session" and place.events is None}
        for number, place in enumerate(places, 1):
            if place.kind == "session":
                export.session(place.name, place.events, place.held)
            elif place.kind == "storage":
                export.stored(place.name, self._index.stored(place.name))
            elif place.kind == "archive":
                self._export_archived(export, archived, place, whole)
            progress(number, len(places))
        if any(one.kind == "tombstone" for one in places):
            # Not by their ids: those of reduced ones lead nowhere, and of an id each life is a place.
            for one in self._tombstones(self._keys.hashes(subject)):
                export.tombstone(one)
        export.end()
        return export

    def _export_archived(
        self, export: SubjectExport, archived: ArchivedSubjects, place: SubjectPlace, whole: Container[str]
    ) -> None:
        if place.name in whole and archived.is_there_too(place):
            # Of what stands there twice, one is enough.
            return
        if not archived.is_readable(place):
            export.missing()
            return
        export.archived(place, archived.events_of(place))

    def erase(
        self,
        subject: str,
        *,
        reason: str,
        by: str = "",
        delete: bool = False,
        dry_run: bool = False,
        told: Callable[[SubjectStep], object] = _ignored,
        progress: Progress = lambda done, total: None,
    ) -> SubjectReport:
        """Erase what is about a person, over all sessions; may be repeated, and goes on where it was interrupted.

        Of sessions that are about them as a whole, the content of every event goes: messages, states of agents, graphs
        and swarms, what people were asked, errors, labels; with it snapshots, live deltas, and what handlers said of
        what is parked. Of others, that of the events that are, with its copies. Stored values are deleted, tombstones
        reduced. Held sessions stay, and so do held forks. The hash chains still verify.

        Args:
            subject: The person.
            reason: Why, for the record. It must not name them.
            by: Who does, for the record; likewise.
            delete: Delete the sessions that are about them as a whole, and reduce their tombstones.
            dry_run: Erase nothing; tell what would go.
            told: Told of each place.
            progress: As for `SessionLog.erase`, of one session after the other.

        Raises:
            InvalidSettingError: When it can be no person, the log has no `subject_key`, or the record would name them.
        """
        hashes = self._keys.hashes(subject)
        for name in named_in(subject, {"reason": reason, "by": by}):
            raise InvalidSettingError(name, "<names the person>", "leave their name out: it stays on record")
        erasure = SubjectErasure(self._log, self._replay, hashes, reason, by, delete, dry_run, progress)
        steps, archived = list[SubjectStep](), self._archived(subject)
        for place in list(self._find(subject, archived)):
            if place.kind == "archive":
                steps.append(archived.erase(place, erasure))
            elif place.kind == "tombstone" and place.where:
                steps.append(archived.left_elsewhere(place))
            else:
                steps.append(erasure.erase(place))
            told(steps[-1])
        return SubjectReport(tuple(steps))

    def reindex(self) -> int:
        """Make the index of subjects anew from the events, where it was lost; how many sessions are about somebody.

        Raises:
            KeyMissingError: When content is encrypted that may say so, and there is no key of it.
        """
        count = 0
        for session_id in list(self._log.listing.session_ids()):
            marks = dict[str, None]()
            for one in readable(self._log, session_id):
                if one.event.is_sealed and one.event.type == SessionAnnotated.TYPE:
                    raise KeyMissingError(session_id, str(one.id))
                if (said := annotation_of(one)) is not None:
                    marks |= dict.fromkeys(said.subject_marks)
            self._index.note_again(session_id, marks)
            count += bool(marks)
        return count

    def _sessions(self, hashes: Sequence[str], subject: str) -> Iterator[SubjectPlace]:
        found = dict[str, bool]()
        for line in self._index.lines(hashes):
            if line.kind != "storage":
                found[line.name] = found.get(line.name, False) or line.kind == "session"
        for name, is_whole in found.items():
            if (place := self._session(name, is_whole, hashes, subject)) is not None:
                yield place

    def _session(self, session_id: str, is_whole: bool, hashes: Sequence[str], subject: str) -> SubjectPlace | None:
        if self._log.head(session_id) is None:
            return None
        about, agents = dict[EventId, None](), set[str]()
        # Which events are meant stands in content.
        with suppress(KeyShreddedError):
            # Of what was shredded nobody can tell any more, and nothing can be read.
            for one in readable(self._log, session_id, is_strict=not is_whole):
                agents.add(one.event.agent)
                if one.event.is_sealed and one.event.type == SessionAnnotated.TYPE and not is_whole:
                    raise KeyMissingError(session_id, str(one.id))
                subjects = said.subjects if (said := annotation_of(one)) is not None else {}
                for name in subjects.keys() & set(hashes):
                    about |= dict.fromkeys(subjects[name] or ())
        texts = {"its id": session_id, **{f"the agent {one!r}": one for one in sorted(agents)}}
        forks = self._index.fork_names(session_id)
        others = tuple(one for one in forks if set(hashes).isdisjoint(self._index.of_session(one)))
        held = self._log.retainer.held(session_id) is not None
        events = None if is_whole else tuple(sorted(about))
        return SubjectPlace("session", session_id, events, held, named_in(subject, texts), others)
