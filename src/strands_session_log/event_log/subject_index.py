"""Which sessions and stored values are about whom: keyed hashes in a sorted set of each partition.

What says so is an event of the session, `session.annotated`; the index only finds it, and can be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..events import SessionAnnotated
from ..events.content import SUBJECTS
from ..ids import EventId
from ..scripts import storage, subjects
from ..server import Store, text
from .diagnosis import CURES, naming, parsed
from .lineage import forks_of
from .scripted_append import ScriptedAppend

_WHOLE = "session"


class IndexLine(NamedTuple):
    """One line of the index.

    Attributes:
        subject: The keyed hash of whom it is about.
        kind: `session`, `events` where only some events of it are, or `storage`.
        name: Its id, or the key of the stored value.
    """

    subject: str
    kind: str
    name: str


class SubjectIndex:
    """The index of one namespace; one for any number of threads.

    Args:
        store: See `EventLog`.
        append: Appends with a script.
    """

    def __init__(self, store: Store, append: ScriptedAppend) -> None:
        self._store, self._keyspace, self._append = store, store.keyspace, append

    def annotate(self, session_id: str, subject: str, about: Sequence[EventId] | None) -> EventId:
        """Say by an event that a session, or some events of it, are about somebody, known by the keyed hash.

        Raises:
            SessionNotFoundError: When there is no such session.
        """
        listed: Any = _WHOLE if about is None else [str(id_) for id_ in about]
        event = SessionAnnotated({SUBJECTS: {subject: listed}})

        def run(arguments: Sequence[bytes], root: bytes) -> Any:
            return subjects.annotate(self._store, session_id, arguments, root, event.subject_marks[0])

        return self._append(session_id, event, run)

    def of_session(self, session_id: str) -> tuple[str, ...]:
        """Whom a session is about, as its head has it."""
        (found,) = self._store.fields(self._keyspace.session(session_id).head, "subjects")
        return tuple(text(found).split()) if found else ()

    def lines(self, hashes: Iterable[str]) -> Iterator[IndexLine]:
        """What is about somebody who is known by these hashes, partition by partition."""
        wanted = list(hashes)
        for partition in range(self._keyspace.partitions):
            key = self._keyspace.subjects(partition)
            for subject in wanted:
                with naming(self._store, {key: ("zset", CURES["subjects"])}):
                    members = self._store.command("ZRANGE", key, f"[{subject} ", f"({subject}!", "BYLEX")
                for member in members:
                    kind, _, name = member.decode(errors="replace").partition(" ")[2].partition(" ")
                    yield IndexLine(subject, kind, name)

    def forget(self, session_id: str, subject: str) -> None:
        """Nothing in a session is about somebody any more, known by the keyed hash."""
        for mark in (subject, f"~{subject}"):
            subjects.forget(self._store, session_id, mark)

    def note_again(self, session_id: str, marks: Iterable[str]) -> None:
        """Put lines in that the events of a session call for."""
        for mark in marks:
            subjects.forget(self._store, session_id, mark, again=True)

    def fork_names(self, session_id: str, *, are_there: bool = True) -> list[str]:
        """The sessions that were made of a session, and of these, as far as they are there; or those that are not."""
        key = self._keyspace.session(session_id).head
        (found,) = self._store.fields(key, "forks")
        notes = () if found is None else parsed(key, "forks", found, forks_of)
        names = list(dict.fromkeys(note.session_id for note in notes))
        there = self._store.pipeline([("EXISTS", self._keyspace.session(name).head) for name in names])
        return [name for name, is_there in zip(names, there, strict=True) if bool(is_there) is are_there]

    def stored(self, key: str) -> bytes | None:
        """A stored value."""
        value: bytes | None = self._store.command("GET", self._keyspace.stored(key).value)
        return value

    def delete_stored(self, line: IndexLine) -> None:
        """Delete a stored value, with its lines."""
        storage.delete(self._store, self._keyspace.stored(line.name), line.name, line.subject)

    def error_texts(self, session_id: str) -> Mapping[str, str]:
        """What handlers said of events of a session that are parked, by group and name of the parked entry."""
        key = self._keyspace.session(session_id).texts
        reply = self._store.retrying(partial(self._store.command, "HKEYS", key))
        fields = [field for field in map(_decoded, reply) if field.split(" ", 2)[2:] == [session_id]]
        values = self._store.fields(key, *fields) if fields else ()
        found = zip(fields, values, strict=True)
        return {" ".join(field.split(" ", 2)[:2]): _decoded(value) for field, value in found if value is not None}


def _decoded(value: bytes) -> str:
    return value.decode(errors="replace")
