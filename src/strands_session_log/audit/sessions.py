"""Every session of a namespace, also such as the directory does not list: one pass over each partition's feed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..errors import (
    InvalidIdError,
    LogForkedError,
    ServerRefusedError,
    ServerUnavailableError,
    SessionLogError,
    SessionNotFoundError,
)
from ..event_log import EventLog, Progress
from ..event_log.deleter import KEPT, LIVES
from ..ids import check_id
from ..server import pairs, text
from ..snapshot import Authenticator
from .anchors import Anchor
from .problems import Problems
from .verifying import Verification, verify
from .witness import Witness

_PAGE = 1000
_ATTEMPTS = 3
_SPECIAL = re.compile(r"([*?\[\]\\^])")
_ENDINGS = (":events", ":head")


@dataclass(frozen=True, slots=True)
class Audited:
    """A session that was verified; or what a partition has beside its sessions.

    Attributes:
        session_id: The session; None where it is about a partition as a whole.
        partition: The partition; None where it is about all of them.
        verification: What was found.
    """

    session_id: str | None
    partition: int | None
    verification: Verification


def verify_all(
    log: EventLog,
    progress: Progress = lambda done, total: None,
    *,
    expect: Iterable[Anchor] = (),
    feed: bool = False,
    authenticator: Authenticator | None = None,
) -> Iterator[Audited]:
    """Verify every session: those in the directory, those whose keys are there, those that the feed or an anchor names.

    One that cannot be verified is told as broken, and does not end it. What a partition has beside its sessions comes
    after them, where there is a problem.

    Args:
        log: Where they are.
        progress: See `verify`; told of each session anew.
        expect: Links that were noted elsewhere.
        feed: Hold the feed against the sessions in the other direction, too: whether it is whole.
        authenticator: Has the keys for snapshots, if there are any.

    Raises:
        ServerUnavailableError: When the server cannot be reached.
    """
    anchors: dict[str, list[Anchor]] = {}
    for anchor in expect:
        anchors.setdefault(anchor.session_id, []).append(anchor)
    problems = Problems()
    check = partial(verify, log, progress=progress, feed=feed, authenticator=authenticator)
    unlisted = _unlisted(log, problems)
    for partition in range(log.keyspace.partitions):
        yield from _partition(log, partition, unlisted.pop(partition, ()), anchors, check, feed)
    if problems:
        yield Audited(None, None, _broken(problems.lines))


def _partition(
    log: EventLog,
    partition: int,
    unlisted: Iterable[str],
    anchors: Mapping[str, Sequence[Anchor]],
    check: Callable[..., Verification],
    is_strict: bool,
) -> Iterator[Audited]:
    problems, seen = Problems(), set[str]()
    witness = Witness.read_or_tell(log, partition)
    expected = (name for name in anchors if log.keyspace.partition(name) == partition)
    for names in (_listed(log, partition, problems), unlisted, list(witness.sessions), expected):
        for name in names:
            if name not in seen:
                seen.add(name)
                found = _verified(partial(check, name, expect=anchors.get(name, ()), witness=witness))
                if found is not None:
                    yield Audited(name, partition, found)
    for line in (*witness.problems.lines, *([witness.gap] if is_strict and witness.gap else ())):
        problems.add(line)
    for line in _lost_tombstones(log, partition, witness):
        problems.add(line)
    if problems:
        yield Audited(None, partition, _broken(problems.lines))


def _verified(check: Callable[[], Verification]) -> Verification | None:
    """What verifying a session found, whatever happens; None where there is none, and need not be."""
    for attempt in range(_ATTEMPTS):
        try:
            return check()
        except SessionNotFoundError:
            return None
        except ServerUnavailableError:
            raise
        except LogForkedError as error:
            # It is erased from, deleted or begun anew right now.
            if attempt + 1 == _ATTEMPTS:
                return _broken([str(error)])
        except (SessionLogError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            return _broken([f"it cannot be verified: {type(error).__name__}: {error}"])
    return None


def _listed(log: EventLog, partition: int, problems: Problems) -> Iterator[str]:
    """The sessions in the directory, least recently active first: one that is active meanwhile may come twice."""
    try:
        for member in _members(log, log.keyspace.sessions(partition)):
            name = _name(member)
            if name is None:
                problems.add(f"the directory of partition {partition} lists {member!r}, which is no session id")
            elif log.keyspace.partition(name) != partition:
                problems.add(f"the directory of partition {partition} lists {name!r}, which belongs to another")
            else:
                yield name
    except ServerRefusedError as error:
        problems.add(f"the directory of partition {partition} cannot be read: {error}")


def _members(log: EventLog, key: str) -> Iterator[bytes]:
    after = "-inf"
    while page := _range(log, key, after, "+inf", _PAGE):
        last = page[-1][1]
        if len(page) == _PAGE:
            # There may be more of the same time than fit.
            page = [line for line in page if line[1] != last] + _range(log, key, last, last)
        yield from (member for member, _ in page)
        after = f"({last}"


def _range(log: EventLog, key: str, first: str, last: str, count: int = -1) -> list[tuple[bytes, str]]:
    command = (b"ZRANGE", key, first, last, "BYSCORE", "LIMIT", 0, count, "WITHSCORES")
    lines = pairs(log.store.command(*command))
    return [(member, text(score) if isinstance(score, (bytes, str)) else repr(score)) for member, score in lines]


def _unlisted(log: EventLog, problems: Problems) -> dict[int, list[str]]:
    """Sessions that have keys, and no line in the directory; those that begin just now will have one by their turn."""
    found: dict[int, list[str]] = {}
    try:
        for names in _with_keys(log):
            for name in _not_in_directory(log, names):
                found.setdefault(log.keyspace.partition(name), []).append(name)
    except ServerRefusedError as error:
        problems.add(f"sessions that the directory does not list cannot be looked for: {error}")
    return found


def _with_keys(log: EventLog) -> Iterator[set[str]]:
    prefix = f"{log.keyspace.namespace}:"
    pattern = _SPECIAL.sub(r"\\\1", prefix) + "{*}:session:*"
    for keys in log.store.scan(pattern, _PAGE):
        yield {name for key in keys if (name := _session_of(log, key)) is not None}


def _session_of(log: EventLog, key: bytes) -> str | None:
    """The session whose events or head stand at a key."""
    name = _decoded(key)
    for ending in _ENDINGS:
        if name is not None and name.endswith(ending):
            session_id = name.partition("}:session:")[2].removesuffix(ending)
            if _name(session_id.encode()) and name in log.keyspace.session(session_id)[:2]:
                return session_id
    return None


def _not_in_directory(log: EventLog, names: Iterable[str]) -> list[str]:
    asked = sorted(names)
    commands = [("ZSCORE", log.keyspace.session(name).sessions, name) for name in asked]
    scores = log.store.pipeline(commands, is_lenient=True)
    return [name for name, score in zip(asked, scores, strict=True) if not isinstance(score, float)]


def _lost_tombstones(log: EventLog, partition: int, witness: Witness) -> Iterator[str]:
    """Deletions that the feed tells of and no tombstone does, while there are so few that none was dropped."""
    key = log.keyspace.tombstones(partition)
    told = list(witness.deletions)
    try:
        if not told or log.store.command("HLEN", key) >= KEPT:
            return
        for name, deletion in told:
            lives = list(log.tombstones(name))
            # Of one id the newest are kept.
            if len(lives) < LIVES and not any(
                (life.revision, life.link) == (deletion.revision, deletion.link) for life in lives
            ):
                yield f"the feed tells that {name!r} was deleted at revision {deletion.revision}, no tombstone does"
    except ServerRefusedError as error:
        yield f"the tombstones of partition {partition} cannot be read: {error}"


def _name(member: bytes) -> str | None:
    name = _decoded(member)
    try:
        return None if name is None else check_id("session_id", name)
    except InvalidIdError:
        return None


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _broken(problems: Iterable[str]) -> Verification:
    return Verification(False, 0, "", tuple(problems))
