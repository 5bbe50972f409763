"""Moving sessions in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .. import events
from ..codec import Encoded
from ..errors import ConcurrentWriteError, EncodingError, InvalidIdError, SessionLostError
from ..event_log import NO_SESSION, SessionAt, batches
from ..session_log import SessionLog
from .catching_up import MessagesMissingError, rebased
from .errors import SourceError
from .plan import Decision, Outcome, decide, find, planned
from .stored import Source


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one session; in a dry run, what would have.

    Attributes:
        session_id: The session.
        outcome: `imported`; `completed`, when part of it was there; `skipped`, when all of it was; `conflict`, when the
            log has something else under its id, and was left alone; `failed`, when it cannot be read.
        events: How many events were written.
        messages: How many of them are messages.
        problem: Why not; empty unless it is a conflict or has failed.
        warnings: What could not be taken along.
    """

    session_id: str
    outcome: Outcome
    events: int = 0
    messages: int = 0
    problem: str = ""
    warnings: tuple[str, ...] = ()


class ImportProgress(Protocol):
    """Hears how far an import is. If it raises, the import ends there, and another goes on from there."""

    def __call__(self, session_id: str, written: int, total: int, /) -> object:
        """So many of a session's missing events are in the log."""


def import_sessions(
    source: Source,
    log: SessionLog,
    sessions: Collection[str] = (),
    *,
    dry_run: bool = False,
    progress: ImportProgress | None = None,
) -> Iterator[Imported]:
    """Import sessions from another store, each with its messages, agents, graphs and swarms.

    Nothing is done until the result is iterated over. An import that was interrupted, or whose source has gone on
    since, is continued by running it again. A session is written in batches; before the first one, all of it was read.

    Args:
        source: Where from, see `open_source`.
        log: Where to.
        sessions: Only these; all there are, if left out.
        dry_run: Only tell what would be done.
        progress: Called after each batch.

    Yields:
        What became of each session.

    Raises:
        SourceUnavailableError: When the source cannot be reached.
        SessionLogError: When the log cannot be written to.
    """
    known = dict.fromkeys(source.session_ids())
    for session_id in dict.fromkeys(sessions or known):
        if session_id not in known:
            yield Imported(session_id, "failed", problem="the source has no session of this id")
            continue
        yield _import(source, log, session_id, dry_run, progress or _unheard)


def _import(source: Source, log: SessionLog, session_id: str, dry_run: bool, progress: ImportProgress) -> Imported:
    try:
        stored = source.read(session_id)
        found = find(log, session_id, with_data=not stored.grows)
        decision = decide(planned(stored if stored.grows else rebased(stored, found)), found)
    except MessagesMissingError as error:
        return Imported(session_id, "conflict", problem=str(error))
    except (SourceError, EncodingError, InvalidIdError) as error:
        return Imported(session_id, "failed", problem=str(error))
    if not dry_run:
        try:
            _append(log, session_id, decision.missing, found.revision, progress)
        except SessionLostError:
            decision = Decision("conflict", problem="it was deleted during the import; import it again to have it anew")
        except ConcurrentWriteError:
            decision = Decision("conflict", problem="another writer appended to it during the import")
    missing = decision.missing
    messages = sum(isinstance(one.event, events.MessageAdded) for one in missing)
    return Imported(session_id, decision.outcome, len(missing), messages, decision.problem, tuple(stored.warnings))


def _append(
    log: SessionLog, session_id: str, missing: Sequence[Encoded], revision: int, progress: ImportProgress
) -> None:
    written = 0
    for batch in batches(missing):
        at = revision + written
        log._events.append(session_id, batch, SessionAt(at) if at else NO_SESSION)
        written += len(batch)
        progress(session_id, written, len(missing))


def _unheard(session_id: str, written: int, total: int) -> None:
    """Progress nobody asked for."""
