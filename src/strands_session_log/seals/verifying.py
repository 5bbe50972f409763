"""Verifying sessions against seals: what `audit` finds on the server, and what was written down outside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from .. import audit
from ..audit import Anchor, Audited, Expect, Verification
from ..errors import SealDamagedError, SealNotFoundError, SessionNotFoundError
from ..event_log import EventLog, Progress
from ..snapshot import Authenticator
from .comparing import Deletions, SealComparison, compare, compare_session
from .sealed_log import SealedLog, Seals, set_back


def verify(
    log: EventLog,
    session_id: str,
    progress: Progress = lambda done, total: None,
    against: Seals | None = None,
    expect: Iterable[Expect] = (),
    feed: bool = False,
    authenticator: Authenticator | None = None,
) -> Verification:
    """Verify a session as `audit.verify` does, and hold against it what was sealed of it.

    Args:
        log: Where it is.
        session_id: The session.
        progress: See `audit.verify`.
        against: The seals, if there are any; a `SealedLog` knows which keys are trusted.
        expect: See `audit.verify`.
        feed: See `audit.verify`.
        authenticator: See `audit.verify`.

    Raises:
        SessionNotFoundError: When there is no such session, and nothing was sealed of one that was not deleted.
        SealError: When there are no seals, or they are not what was sealed.
    """
    if against is None:
        return audit.verify(log, session_id, progress, expect=expect, feed=feed, authenticator=authenticator)
    sealed = opened(against)
    sealed.check_namespace(log.keyspace.namespace)
    # First the records: what was sealed was there before, so it must be there still, however the session goes on.
    found = compare_session(log, session_id, sealed)
    try:
        seen = audit.verify(log, session_id, progress, expect=expect, feed=feed, authenticator=authenticator)
    except SessionNotFoundError:
        if not found.problems:
            raise
        seen = Verification(False, 0, "", ())
    return _with(seen, found)


def verify_all(
    log: EventLog,
    progress: Progress = lambda done, total: None,
    against: Seals | None = None,
    expect: Iterable[Anchor] = (),
    feed: bool = False,
    authenticator: Authenticator | None = None,
) -> Iterator[Audited]:
    """Verify every session as `audit.verify_all` does, and hold all seals against them.

    The log of seals is read as a whole, and each checkpoint that was signed held against it. What is wrong with the
    seals themselves comes with None for session and partition.

    Args:
        log: Where they are.
        progress: See `audit.verify_all`; told of the sealed records first.
        against: The seals, if there are any; a `SealedLog` knows which keys are trusted.
        expect: See `audit.verify_all`.
        feed: See `audit.verify_all`.
        authenticator: See `audit.verify_all`.

    Raises:
        SealError: When there are no seals, or they are not what was sealed.
    """
    if against is None:
        yield from audit.verify_all(log, progress, expect=expect, feed=feed, authenticator=authenticator)
        return
    sealed, deletions, found = opened(against), Deletions(), dict[str, SealComparison]()
    sealed.check_namespace(log.keyspace.namespace)
    deletions.read(sealed)
    compare(log, sealed.records(), deletions, found, progress, len(sealed))
    for one in audit.verify_all(log, progress, expect=expect, feed=feed, authenticator=authenticator):
        compared = found.pop(one.session_id, None) if one.session_id is not None else None
        at_least = compared or SealComparison("")
        yield replace(one, verification=_with(one.verification, at_least)) if one.session_id is not None else one
    for name, left in found.items():
        if left.problems:
            yield Audited(name, log.keyspace.partition(name), _with(Verification(False, 0, "", ()), left))
    if problems := tuple(checkpoint_problems(sealed)):
        yield Audited(None, None, Verification(False, 0, "", problems))


def opened(against: Seals) -> SealedLog:
    """The log of seals at a place."""
    return against if isinstance(against, SealedLog) else SealedLog(against)


def checkpoint_problems(sealed: SealedLog) -> Iterator[str]:
    """What is wrong with the checkpoints that were signed: each must be there, and of the same history."""
    for size in sealed.sizes():
        try:
            sealed.checkpoint_at(size)
        except (SealDamagedError, SealNotFoundError) as error:
            yield str(error)
    for name in set_back(sealed.store, sealed.keys):
        yield f"{name} tells of more records than {sealed.store.place}/checkpoint: that was set back"


def _with(seen: Verification, found: SealComparison) -> Verification:
    problems = (*seen.problems, *found.problems)
    return replace(seen, ok=seen.ok and not found.problems, problems=problems, sealed=found.records)
