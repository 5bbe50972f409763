"""Erasing what is about a person, place by place; each step is bounded, and what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from ..codec import recorded
from ..errors import CorruptEntryError, SessionHeldError, SessionNotFoundError
from ..event_log import EventLog, Progress
from ..event_log.deleter import ReducedPlace
from ..event_log.subject_index import IndexLine
from ..events import PayloadErased, Recorded, SessionAnnotated
from ..ids import EventId
from ..replay import Replay
from . import erasing
from .subject_places import SubjectPlace, SubjectStep

_AT_ONCE = 20_000
"""So many events are erased in one rewrite of a session, so that the record of it stays small."""
_PASSES = 3
_HASH_STAYS = "a hash of its id stays in its tombstone, which who guesses the id can try"
_FORGET = "`session-log archived {} --forget` deletes it there"
_FEED_HAS_IT = "the feed has its id until it is trimmed"


@dataclass(frozen=True)
class SubjectErasure:
    """Erases of one person.

    Attributes:
        log: Where.
        replay: Folds sessions.
        hashes: The keyed hashes the person is known by.
        reason: Why.
        by: Who does.
        deletes: Whether sessions that are about them as a whole are deleted.
        dry_run: Whether it is only told what would go.
        progress: Told how far each session is.
    """

    log: EventLog
    replay: Replay
    hashes: Sequence[str]
    reason: str
    by: str
    deletes: bool
    dry_run: bool
    progress: Progress

    def erase(self, place: SubjectPlace) -> SubjectStep:
        """Erase one place."""
        notes = tuple(f"the name stands in {where}" for where in place.named_in)
        if place.held:
            return SubjectStep(place, "held", 0, notes)
        try:
            step = self._erase(place)
        except (SessionHeldError, SessionNotFoundError) as error:
            # Held, or deleted, since it was found.
            step = SubjectStep(place, "held" if isinstance(error, SessionHeldError) else "deleted")
        is_gone = step.outcome in ("deleted", "reduced")
        return replace(step, notes=(*(() if is_gone else notes), *step.notes))

    def _erase(self, place: SubjectPlace) -> SubjectStep:
        if place.kind == "session":
            return self._erase_session(place)
        if self.dry_run:
            return SubjectStep(place, "due")
        if place.kind == "storage":
            for one in self.hashes:
                self.log.subjects.delete_stored(IndexLine(one, "storage", place.name))
            return SubjectStep(place, "deleted")
        return self._reduce(place)

    def _reduce(self, place: SubjectPlace) -> SubjectStep:
        # Of keys that were rotated each has its own hash.
        for one in self.hashes:
            self.log.reduce_tombstone(place.name, one)
            for again in self._reduced.get(place.name, ()) if place.name.startswith("sha256:") else ():
                self.log.restorer.tombstones.reduce_again(again, one)
        return SubjectStep(place, "reduced", 0, (_FEED_HAS_IT, _HASH_STAYS))

    @cached_property
    def _reduced(self) -> Mapping[str, Sequence[ReducedPlace]]:
        """Those that were reduced for others that the session was about, too: no id leads there any more."""
        return self.log.restorer.tombstones.reduced()

    def _erase_session(self, place: SubjectPlace) -> SubjectStep:
        if self.dry_run:
            return SubjectStep(place, "due", len(self._left(place)))
        if place.events is None and self.deletes:
            left = tuple(self._notes_of_forks(place))
            if self.log.subjects.fork_names(place.name):
                # What they share stands in each, and only the session knows them.
                self._erase_content(place)
            deleted = self.log.delete(place.name, self.reason, self.by) or 0
            step = self._reduce(place)
            return replace(step, outcome="deleted", events=deleted, notes=(*left, *step.notes))
        erased = self._erase_content(place)
        outcome = "unfinished" if self._left(place) else "erased"
        if outcome == "erased":
            # Last: as long as the index has it, whoever was interrupted goes on.
            for one in self.hashes:
                self.log.subjects.forget(place.name, one)
            if place.events is not None:
                self._erase_annotations(place.name)
        return SubjectStep(place, outcome, erased, tuple(self._notes(place)))  # type: ignore[arg-type]

    def _notes(self, place: SubjectPlace) -> Iterator[str]:
        if place.events == ():
            yield "what said which of its events are about the person was erased"
        yield from self._notes_of_forks(place)

    def _notes_of_forks(self, place: SubjectPlace) -> Iterator[str]:
        for one in self.log.subjects.fork_names(place.name):
            if self.log.retainer.held(one) is not None:
                yield f"fork {one!r} is held, and has what they share"
            elif one in place.forks:
                yield f"fork {one!r} is not said to be about the person: look at what it does not share"
        for one in self.log.subjects.fork_names(place.name, are_there=False):
            lives = [*self.log.tombstones(one)]
            if lives and lives[-1].archived and set(self.hashes).isdisjoint(lives[-1].subjects):
                yield f"fork {one!r} is in an archive, and has what they share: {_FORGET.format(one)}"

    def _erase_content(self, place: SubjectPlace) -> int:
        """Also what was appended meanwhile, a few times: a live agent may go on without end."""
        erased, is_whole = 0, place.events is None
        has_forks = bool(self.log.subjects.fork_names(place.name))
        for _ in range(_PASSES):
            left = self._left(place)
            for start in range(0, len(left), _AT_ONCE):
                ids = left[start : start + _AT_ONCE]
                if is_whole and not has_forks:
                    self.log.erase(place.name, ids, self.reason, self.progress, self.by)
                else:
                    # Copies in what stays, here or in forks, are found by what they say.
                    shared = (place.name, ids, self.reason, self.progress, self.by)
                    erasing.erase(self.log, self.replay, *shared, leave_held=True, with_successors=not is_whole)
                erased += len(ids)
            if not left:
                break
        return erased

    def _erase_annotations(self, session_id: str) -> None:
        """Of a session that stays, those that say no more than that something was about the person."""
        said = ((one.id, annotation_of(one)) for one in readable(self.log, session_id))
        known = set(self.hashes)
        found = [id_ for id_, it in said if it and it.subjects and not it.labels and set(it.subjects) <= known]
        if found:
            self.log.erase(session_id, found, self.reason, self.progress, self.by, leave_held=True)

    def _left(self, place: SubjectPlace) -> list[EventId]:
        """The events of a place that still have content, but for the record of this very erasure."""
        wanted: Set[EventId] | None = None if place.events is None else frozenset(place.events)
        return [
            one.id
            for one in readable(self.log, place.name)
            if not one.event.is_erased and (not self._is_record(one) if wanted is None else one.id in wanted)
        ]

    def _is_record(self, one: Recorded) -> bool:
        if one.event.is_sealed:
            # Without the key nobody knows which it is; another one's says no more than who erased what, and why.
            return one.event.type == PayloadErased.TYPE
        said = one.event.data
        is_same = (said.get("reason"), said.get("by", "")) == (self.reason, self.by)
        return one.event.type == PayloadErased.TYPE and is_same


def readable(log: EventLog, session_id: str, *, is_strict: bool = False) -> Iterator[Recorded]:
    """The events of a session that can be read: the others are seen when it is verified.

    Args:
        log: Where it is.
        session_id: The session.
        is_strict: Whether content without its key is an error.
    """
    for entry in chain.from_iterable(log.opened_pages(session_id, is_strict=is_strict)):
        with suppress(CorruptEntryError):
            yield recorded(entry)


def annotation_of(one: Recorded) -> SessionAnnotated | None:
    """An annotation that has its content; None of any other event."""
    is_one = one.event.type == SessionAnnotated.TYPE and not one.event.is_erased
    return SessionAnnotated(one.event.data) if is_one else None
