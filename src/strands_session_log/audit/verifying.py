"""Proof that a session is what was written: its hash chain, recomputed from the stream alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..errors import CorruptKeyError, LogForkedError, SessionNotFoundError
from ..event_log import EventLog, Progress
from ..event_log.sealed import Position
from ..ids import EventId
from ..server.border import text
from ..snapshot import Authenticator
from .checker import Checker
from .lineage import Descent, Lineage
from .snapshots import snapshot_problems

_STEP = 1000
_LOOKS = 5


class Verification(NamedTuple):
    """What verifying a session found.

    Attributes:
        ok: Whether there is no problem.
        revision: How many events there are.
        link: The chain at the last of them, base64url. Noted elsewhere, it proves later that nothing was changed.
        problems: One line each, naming the event.
        parent: The session it was forked from, and the last event the two have in common; None when it is no fork.
    """

    ok: bool
    revision: int
    link: str
    problems: tuple[str, ...]
    parent: tuple[str, EventId] | None = None


def verify(
    log: EventLog,
    session_id: str,
    progress: Progress = lambda done, total: None,
    authenticator: Authenticator | None = None,
) -> Verification:
    """Recompute the chain of a session and compare it with what each event and the head say.

    That of a fork begins with its root's first event. Its parent, if there still is one, must share its history.

    Args:
        log: Where it is.
        session_id: The session.
        progress: Called for every thousandth event.
        authenticator: Has the keys for its snapshot, if there are any.

    Raises:
        SessionNotFoundError: When there is no such session.
        LogForkedError: When it was deleted or replaced while it was read.
    """
    lineage = Lineage(session_id, Descent.read(log, session_id))
    checker = Checker(lineage)
    problem = _walk(log, session_id, checker, progress)
    problems = checker.problems
    problems += [f"event {id_} ({type_}) was erased, but nothing tells why" for id_, type_ in checker.erased]
    problems += lineage.problems(log)
    problems += [problem] if problem else []
    problems += snapshot_problems(log, session_id, authenticator or Authenticator())
    return Verification(not problems, checker.revision, checker.link, tuple(problems), lineage.parent)


def _walk(log: EventLog, session_id: str, checker: Checker, progress: Progress) -> str:
    """Check every event, and then where the head stands; what is wrong with that, in words.

    Others may append meanwhile, so a head that does not stand where the stream ends is looked at again, and the stream
    read on. An append moves both at once: a head that stays where it is and a stream that is elsewhere is no append.
    """
    seen: Position | str | None = None
    for look in range(_LOOKS):
        head = _head(log, session_id)
        _read_on(log, session_id, checker, partial(_report, progress, head))
        if head is None and not checker.last:
            raise SessionNotFoundError(session_id)
        problem = checker.compare(head)
        if not problem or (look and head == seen):
            return problem
        seen = head
    # It moved each time, as it does where others write all the time.
    return ""


def _read_on(log: EventLog, session_id: str, checker: Checker, report: Callable[[int], object]) -> None:
    """Check what follows the entry checked last, which must still be there."""
    entries = log.entries(session_id, checker.last or "-")
    if checker.last and text(next(entries, ("", {}))[0]) != checker.last:
        raise LogForkedError(session_id, checker.last)
    for entry_id, fields in entries:
        checker.check(entry_id, fields)
        if checker.count % _STEP == 0:
            report(checker.count)


def _report(progress: Progress, head: Position | str | None, done: int) -> None:
    progress(done, max(done, head.id.revision if isinstance(head, Position) else 0))


def _head(log: EventLog, session_id: str) -> Position | str | None:
    """The head of a session; what is wrong with it, if it cannot be read."""
    try:
        return log.head(session_id)
    except CorruptKeyError as error:
        return f"the session's head cannot be read: {error.reason}"
