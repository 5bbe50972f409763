"""Reading what an archive has of a session, event by event, with its content opened as far as its keys are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

from ..codec import RawEntry, recorded
from ..errors import ArchivedCopyError, CorruptEntryError, EncryptionError, KeyMissingError, KeyShreddedError
from ..event_log import EventLog
from ..events import Recorded, SessionAnnotated
from ..evidence.reading import BundleReader
from ..evidence.verifying import bundle_errors
from ..ids import EventId
from ..state.holds import Holds
from .archiving import Archive, ArchivedCopy
from .subject_erasure import annotation_of

_PAGE = 500


@dataclass(frozen=True, slots=True)
class CopyContent:
    """What a copy in an archive says.

    Attributes:
        root: The session whose key it is encrypted with, if it is.
        agents: Its agents.
        about: Which events are about whom, by keyed hash; None for all of them.
        readable: The events whose content can be read.
        is_shredded: Whether nobody can read any content of it, since its keys were shredded.
        is_held: Whether it was held when it was archived.
    """

    root: str
    agents: set[str] = field(default_factory=set)
    about: dict[str, tuple[EventId, ...] | None] = field(default_factory=dict)
    readable: list[EventId] = field(default_factory=list)
    is_shredded: bool = False
    is_held: bool = False


@contextmanager
def opened_copy(log: EventLog, archive: Archive, copy: ArchivedCopy) -> Iterator[tuple[str, Iterator[RawEntry]]]:
    """The session whose key a copy is encrypted with, and its entries, opened.

    Raises:
        ArchiveUnavailableError: When the archive cannot be asked.
        ArchivedCopyError: When there is no bundle, or one of another session.
        BundleError: When it is no bundle, or damaged.
    """
    file = archive.open_bundle(log.keyspace.namespace, copy.session_id, copy.link)
    if file is None:
        raise ArchivedCopyError(copy.where, "there is a record of it, and no bundle")
    with file, bundle_errors():
        reader = BundleReader(file)
        listed = [one for one in reader.manifest["sessions"] if one["session_id"] == copy.session_id]
        if not listed:
            raise ArchivedCopyError(copy.where, "it is a bundle of another session")
        one = reader.session(listed[0])
        root = str(one.about["root"])
        yield root, _opened(log, copy.session_id, root, reader.entries(one))


def _opened(log: EventLog, session_id: str, root: str, entries: Iterator[RawEntry]) -> Iterator[RawEntry]:
    log.cipher.learn(session_id, root)
    while page := list(islice(entries, _PAGE)):
        yield from log.cipher.opened(session_id, page, is_strict=False)


def content_of(log: EventLog, archive: Archive, copy: ArchivedCopy, marks: Mapping[str, bool]) -> CopyContent:
    """Read what a copy says.

    Args:
        log: Has the keys.
        archive: Has the copy.
        copy: The copy.
        marks: Whom it is known to be about, by keyed hash, and whether all of it is.

    Raises:
        KeyMissingError: When which events are about somebody is encrypted, and there is no key of it.
        ArchivedCopyError: As `opened_copy` does; and what else that raises.
    """
    with opened_copy(log, archive, copy) as (root, entries):
        found, sealed, holds = CopyContent(root), list[tuple[RawEntry, Recorded]](), Holds()
        for entry in entries:
            try:
                one = recorded(entry)
            except CorruptEntryError:
                continue
            found.agents.add(one.event.agent)
            holds.add(one.id, one.event.type, one.event.data)
            if one.event.is_sealed:
                if not sealed or one.event.type == SessionAnnotated.TYPE:
                    sealed.append((entry, one))
            elif not one.event.is_erased:
                found.readable.append(one.id)
                _note(found, one)
    are_shredded = [_is_shredded(log, copy.session_id, entry) for entry, _ in sealed]
    for (_, one), is_shredded in zip(sealed, are_shredded, strict=True):
        if one.event.type == SessionAnnotated.TYPE and not is_shredded and not any(marks.values()):
            raise KeyMissingError(copy.session_id, str(one.id))
    is_closed = bool(sealed) and all(are_shredded) and not found.readable
    return replace(found, is_shredded=is_closed, is_held=bool(str(holds)))


def _note(found: CopyContent, one: Recorded) -> None:
    said = annotation_of(one)
    for name, ids in (said.subjects if said is not None else {}).items():
        known = found.about.get(name, ())
        found.about[name] = None if ids is None or known is None else (*known, *ids)


def _is_shredded(log: EventLog, session_id: str, entry: RawEntry) -> bool:
    try:
        log.cipher.opened(session_id, [entry], is_strict=True)
    except KeyShreddedError:
        return True
    except EncryptionError:
        return False
    return False
