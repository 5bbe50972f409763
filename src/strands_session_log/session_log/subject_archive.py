"""What an archive has that is about a person: found, read, and taken out of it; or why it stays there.

Sessions that are in the archive only are not on the server, where an erasure could reach them. One that is all about
the person, and all encrypted, has its key shredded, which reaches older versions that a bucket keeps, too. Others are
brought back, erased, and archived again, if what the archive had before can be removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from ..codec import FIELDS, RawEntry
from ..encryption import WrappedKeys
from ..errors import ArchivedCopyError, BundleError, CiphertextError
from ..event_log import EventLog, Tombstone
from ..events import MessageRedacted, PayloadErased
from ..evidence.forks_here import ForksHere
from ..ids import EventId
from .archived_copies import CopyContent, content_of, opened_copy
from .archiving import ArchivedCopy, SearchableArchive, forget_archived, restore_archived
from .subject_erasure import SubjectErasure
from .subject_places import SubjectPlace, SubjectStep, named_in

if TYPE_CHECKING:
    from .log import SessionLog

_LINK = 2 * FIELDS.index(b"link") + 1
_ERASING = (PayloadErased.TYPE.encode(), MessageRedacted.TYPE.encode())
_UNREADABLE = "it cannot be read: {}. `session-log archived SESSION --verify` tells more"
_ELSEWHERE = "its content is in an archive that was not searched, {}: give the log that archive"
_OUTLIVED = "a later session has its id: `session-log archived {} --forget` deletes what the archive has of all of them"
_HELD = "it was held when it was archived: `session-log restore {}`, and release it there"
_LOCKED = "the archive lets nothing be removed, and {}"

_Way: TypeAlias = Literal["renew", "remove", "shred", "rewrite", "held", "left"]
_WAYS: Mapping[_Way, str] = {
    "renew": "archived again without it",
    "remove": "removed from the archive",
    "shred": "by shredding its key: no copy of it can be read any more",
    "rewrite": "brought back, erased and archived again",
}


@dataclass(frozen=True, slots=True)
class _Match:
    """A copy that is about the person; without content, it cannot be read for the reason that is given."""

    copy: ArchivedCopy
    content: CopyContent | None
    why: str = ""


class ArchivedSubjects:
    """What the archive of a log has that is about a person.

    Args:
        log: The log.
        events: Its events.
        hashes: The keyed hashes the person is known by.
        subject: Their name, as it was given.
    """

    def __init__(self, log: SessionLog, events: EventLog, hashes: Sequence[str], subject: str) -> None:
        self._log, self._events, self._hashes, self._subject = log, events, hashes, subject
        self._found, self._links = dict[str, _Match](), set[str]()
        self._lives = dict[str, list[ArchivedCopy]]()

    @property
    def _archive(self) -> SearchableArchive | None:
        """The archive, if it can be searched."""
        archive = self._log.archive
        return cast(SearchableArchive, archive) if callable(getattr(archive, "copies", None)) else None

    def find(self, there: Mapping[str, SubjectPlace]) -> Iterator[SubjectPlace]:
        """The copies that are about the person.

        Args:
            there: The sessions on the server that are: what the archive has of them is, too.

        Raises:
            ArchiveUnavailableError: When the archive cannot be asked.
            KeyMissingError: When which events are about them is encrypted, and there is no key of it.
        """
        copies = () if self._archive is None else self._archive.copies(self._log.namespace)
        for copy in copies:
            self._links.add(copy.link)
            self._lives.setdefault(copy.session_id, []).append(copy)
            if (place := self._place(copy, there.get(copy.session_id))) is not None:
                yield place

    def _place(self, copy: ArchivedCopy, there: SubjectPlace | None) -> SubjectPlace | None:
        # Who was named for some events, and for all of it, stands there twice.
        about = frozenset(copy.subjects or ())
        marks = {one: one in about for one in self._hashes if about & {one, f"~{one}"}}
        if there is not None and not self._stands_there(copy)[0]:
            there = None
        if not marks and there is None and copy.subjects is not None:
            return None
        is_whole, events = any(marks.values()), cast("tuple[EventId, ...] | None", ())
        try:
            content = content_of(self._events, cast(SearchableArchive, self._archive), copy, marks)
        except (ArchivedCopyError, BundleError, CiphertextError) as error:
            if not marks and there is None:
                # Nobody knows whom it is about.
                raise
            match = _Match(copy, None, str(error))
        else:
            told = [content.about[one] for one in self._hashes if one in content.about]
            if content.is_shredded or not (told or marks or there):
                return None
            is_whole = is_whole or None in told
            match = _Match(copy, content)
            events = tuple(sorted({*_all(told)})) if told or there is None else there.events
        self._found[copy.where] = match
        events = None if is_whole else events
        texts = {"its id": copy.session_id, **{f"the agent {one!r}": one for one in sorted(_agents_of(match))}}
        named = named_in(self._subject, texts)
        return SubjectPlace("archive", copy.session_id, events, named_in=named, where=copy.where)

    def elsewhere(self, tombstones: Sequence[Tombstone]) -> dict[int, str]:
        """Of tombstones, by their number, where an archive has what this one does not have."""
        last = {(one.session_id, one.first_link): number for number, one in enumerate(tombstones)}
        return {
            number: one.archived
            for number, one in enumerate(tombstones)
            if one.archived
            and last[one.session_id, one.first_link] == number
            and one.link not in self._links
            and self._events.head(one.session_id) is None
        }

    def is_readable(self, place: SubjectPlace) -> bool:
        """Whether its bundle can be read."""
        return self._found[place.where].content is not None

    def events_of(self, place: SubjectPlace) -> Iterator[RawEntry]:
        """All entries of a place, opened as far as its keys are at hand."""
        with opened_copy(self._events, cast(SearchableArchive, self._archive), self._found[place.where].copy) as found:
            yield from found[1]

    def is_there_too(self, place: SubjectPlace) -> bool:
        """Whether the server has all that the archive has, and nothing of it was erased there since."""
        copy = self._found[place.where].copy
        is_first = True
        for page in self._events.pages(copy.session_id, str(copy.at), "+"):
            for entry_id, flat in page:
                if is_first and (entry_id.decode(), flat[_LINK].decode()) != (str(copy.at), copy.link):
                    return False
                if not is_first and flat[1] in _ERASING:
                    return False
                is_first = False
        return not is_first

    def left_elsewhere(self, place: SubjectPlace) -> SubjectStep:
        """What is told of a tombstone whose session is in another archive: it stays, so that it is found again."""
        return SubjectStep(place, "left", 0, (_ELSEWHERE.format(place.where),))

    def erase(self, place: SubjectPlace, erasure: SubjectErasure) -> SubjectStep:
        """Take a place out of the archive, or tell what would become of it, or why it stays."""
        match = self._found[place.where]
        named = tuple(f"the name stands in {where}" for where in place.named_in)
        way, why = self._way(match, place, erasure.deletes)
        if way in ("held", "left"):
            return SubjectStep(place, "held" if way == "held" else "left", 0, (*named, *filter(None, [why])))
        if erasure.dry_run:
            count = len(match.content.readable if match.content and place.events is None else place.events or ())
            return SubjectStep(place, "due", count, (*named, _WAYS[way]))
        step = self._carried_out(way, match, place, erasure)
        return step if step.outcome == "deleted" else replace(step, notes=(*named, *step.notes))

    def _way(self, match: _Match, place: SubjectPlace, deletes: bool) -> tuple[_Way, str]:
        archive, copy, is_whole = cast(SearchableArchive, self._archive), match.copy, place.events is None
        is_locked = archive.is_locked(self._log.namespace)
        is_there, is_other = self._stands_there(copy)
        is_deleted = not is_there and self._was_deleted(copy)
        if is_there and self._events.retainer.held(copy.session_id) is not None:
            return "held", ""
        if not is_there and not is_deleted and match.content is not None and match.content.is_held:
            return "held", _HELD.format(copy.session_id)
        if is_there and not (is_whole and deletes):
            cure = f"`session-log keys shred {copy.session_id}` makes it unreadable, and what is on the server"
            return ("left", _LOCKED.format(cure)) if is_locked else ("renew", "")
        if is_deleted or is_there or (is_whole and deletes):
            return self._way_to_remove(match, is_locked, is_deleted, is_other)
        if why := self._why_not_restored(match, is_other):
            return "left", why
        why = self._why_not_shredded(match, is_whole, is_other)
        if why and is_locked:
            return "left", _LOCKED.format(why)
        return "rewrite" if why else "shred", ""

    def _why_not_restored(self, match: _Match, is_other: bool) -> str:
        if match.content is None:
            return _UNREADABLE.format(match.why)
        if is_other:
            return "another session has its id on the server; deleting removes it from the archive"
        return _OUTLIVED.format(match.copy.session_id) if self._is_outlived(match.copy) else ""

    def _way_to_remove(self, match: _Match, is_locked: bool, is_deleted: bool, is_other: bool) -> tuple[_Way, str]:
        if is_locked:
            why = self._why_not_shredded(match, True, is_other)
            return ("left", _LOCKED.format(why)) if why else ("shred", "")
        if not is_deleted and len(self._lives[match.copy.session_id]) > 1:
            return "left", "the archive has another session of its id, which would count as deleted with it"
        return "remove", ""

    def _carried_out(self, way: _Way, match: _Match, place: SubjectPlace, erasure: SubjectErasure) -> SubjectStep:
        archive, copy = cast(SearchableArchive, self._archive), match.copy
        count = len(match.content.readable) if match.content and place.events is None else len(place.events or ())
        match way:
            case "renew":
                why = archive.renew(self._log, copy.session_id, drop=False, by=erasure.by)
                return SubjectStep(place, "left" if why else "erased", 0 if why else count, (why,) if why else ())
            case "remove":
                if not self._was_deleted(copy):
                    # Else it says so already; and an archive may have what began under its id since.
                    forget_archived(self._log, copy.session_id, erasure.reason, erasure.by)
                if archive.remove(self._log.namespace, copy):
                    return SubjectStep(place, "deleted", count)
                return SubjectStep(place, "left", 0, ("the archive refuses to remove it, and only counts it no more",))
            case "shred":
                cast(WrappedKeys, self._events.cipher.provider).shred(
                    copy.session_id, reason=erasure.reason, by=erasure.by
                )
                return SubjectStep(place, "shredded", count)
        return self._rewritten(copy, place, erasure)

    def _rewritten(self, copy: ArchivedCopy, place: SubjectPlace, erasure: SubjectErasure) -> SubjectStep:
        """Who ends in between leaves the session on the server, where it is found; and the copy, which is renewed."""
        if not restore_archived(self._log, copy.session_id):
            return SubjectStep(place, "left", 0, ("it was deleted for good meanwhile; erase again",))
        held = self._events.retainer.held(copy.session_id) is not None
        step = erasure.erase(SubjectPlace("session", copy.session_id, place.events, held))
        if step.outcome != "erased":
            return replace(step, place=place)
        why = cast(SearchableArchive, self._archive).renew(self._log, copy.session_id, drop=True, by=erasure.by)
        return SubjectStep(place, "left" if why else "erased", step.events, (*step.notes, *filter(None, [why])))

    def _stands_there(self, copy: ArchivedCopy) -> tuple[bool, bool]:
        """Whether the session is on the server, and whether another one is that has its id."""
        for page in self._events.pages(copy.session_id, "-", "+"):
            for _, flat in page:
                is_it = flat[_LINK].decode() == copy.first_link
                return is_it, not is_it
        return False, False

    def _was_deleted(self, copy: ArchivedCopy) -> bool:
        """Whether what is left of it says that it was deleted for good."""
        lives = [one for one in self._log.tombstones(copy.session_id) if one.first_link == copy.first_link]
        return bool(lives) and not lives[-1].archived

    def _is_outlived(self, copy: ArchivedCopy) -> bool:
        """Whether what would be brought back under its id is another session."""
        lives = [*self._log.tombstones(copy.session_id)]
        last = lives[-1] if lives else max(self._lives[copy.session_id], key=lambda one: one.at)
        return last.first_link != copy.first_link

    def _why_not_shredded(self, match: _Match, is_whole: bool, is_other: bool) -> str:
        keys, name = self._events.cipher.provider, match.copy.session_id
        root = match.content.root if match.content else ""
        if not match.copy.is_encrypted:
            return "its content is not encrypted"
        if not is_whole:
            return f"only some events of it are about the person: `session-log keys shred {name}` takes all of it"
        if root != name:
            return f"it has the key of session {root!r}, which it was forked from" if root else "it cannot be read"
        if not isinstance(keys, WrappedKeys) or not keys.keys_of(name).keys:
            return "the log was not given the key that could be shredded"
        if is_other or len(self._lives[name]) > 1:
            return "another session of its id has the same key"
        if forks := self._forks.of(name):
            return f"fork {forks[0].session_id!r} is encrypted with the same key"
        return ""

    @cached_property
    def _forks(self) -> ForksHere:
        return ForksHere(self._events)


def _agents_of(match: _Match) -> set[str]:
    """The agents of a copy, as far as it can be read."""
    return match.content.agents if match.content else set()


def _all(told: Sequence[tuple[EventId, ...] | None]) -> Iterator[EventId]:
    for one in told:
        yield from one or ()
