"""Proof that a session is what was written: its hash chain, recomputed from the stream alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson

from . import chain
from .codec import Entry, parse
from .errors import CorruptEntryError, LogForkedError, SessionNotFoundError
from .event_log import EventLog, Progress
from .event_log.sealed import Position
from .events import PayloadErased
from .ids import START, EventId
from .server.border import text

_STEP = 1000
_LOOKS = 5


class Verification(NamedTuple):
    """What verifying a session found.

    Attributes:
        ok: Whether there is no problem.
        revision: How many events there are.
        link: The chain at the last of them, base64url. Noted elsewhere, it proves later that nothing was changed.
        problems: One line each, naming the event.
    """

    ok: bool
    revision: int
    link: str
    problems: tuple[str, ...]


def verify(log: EventLog, session_id: str, progress: Progress = lambda done, total: None) -> Verification:
    """Recompute the chain of a session and compare it with what each event and the head say.

    Args:
        log: Where it is.
        session_id: The session.
        progress: Called for every thousandth event.

    Raises:
        SessionNotFoundError: When there is no such session.
        LogForkedError: When it was deleted or replaced while it was read.
    """
    checker = _Checker(session_id)
    problem = _walk(log, session_id, checker, progress)
    problems = checker.problems
    problems += [f"event {id_} ({type_}) was erased, but nothing tells why" for id_, type_ in checker.erased]
    problems += [problem] if problem else []
    return Verification(not problems, checker.revision, checker.link, tuple(problems))


def _walk(log: EventLog, session_id: str, checker: _Checker, progress: Progress) -> str:
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


def _read_on(log: EventLog, session_id: str, checker: _Checker, report: Callable[[int], object]) -> None:
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
    except (ValueError, TypeError, AttributeError) as error:
        return f"the session's head cannot be read: {type(error).__name__}: {error}"


class _Checker:
    """Walks the chain; after a problem it goes on from what is stored, so that one change is one problem."""

    def __init__(self, session_id: str) -> None:
        self.count, self.last, self.id, self.link, self.problems = 0, "", START, "", list[str]()
        self._previous = chain.genesis(session_id)
        self._erased: dict[str, str] = {}

    @property
    def revision(self) -> int:
        """Of the event checked last."""
        return self.id.revision

    @property
    def erased(self) -> Iterable[tuple[str, str]]:
        """Id and type of events whose content was erased, and no `payload.erased` event names them."""
        return self._erased.items()

    def check(self, entry_id: bytes | str, fields: Mapping[Any, Any]) -> None:
        """Check the next entry."""
        self.count, self.last = self.count + 1, text(entry_id)
        try:
            entry = parse(entry_id, fields)
        except CorruptEntryError as error:
            self.problems.append(str(error))
            self._pass_over(fields)
        else:
            self._check_place(entry)
            self._check_content(entry)
            self._check_off(entry)
            self.id, self.link, self._previous = entry.id, entry.link, _bytes(entry.link)

    def compare(self, head: Position | str | None) -> str:
        """What is wrong with the head if the stream ends with the event checked last; nothing if it fits."""
        if isinstance(head, str):
            return head
        if head is None or head.id.revision != self.revision:
            found = "is missing" if head is None else f"stands at revision {head.id.revision}"
            return f"the stream ends at revision {self.revision}, but the session's head {found}"
        if head.id != self.id:
            return f"the stream ends with event {self.id}, but the session's head says {head.id}"
        return "" if head.link == self.link else f"the session's head has another link than event {self.id}"

    def _check_place(self, entry: Entry) -> None:
        if entry.id.revision != self.revision + 1:
            self.problems.append(f"revision {self.revision + 1} is missing before event {entry.id}")
        if entry.id.ms < self.id.ms:
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is older than event {self.id} before it")

    def _check_content(self, entry: Entry) -> None:
        header = [part.encode() for part in entry.header]
        expected = chain.link(self._previous, entry.id.revision, header, self._commitment(entry))
        if _bytes(entry.link) != expected:
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is not what was written: its link differs")
        elif not entry.is_erased and len(_bytes(entry.salt)) != chain.SALT_BYTES:
            # With part of the body as salt, or of the salt as body, the link stays the same.
            self.problems.append(f"event {entry.id} ({entry.header[0]}) has no salt of {chain.SALT_BYTES} bytes")

    def _check_off(self, entry: Entry) -> None:
        if entry.header[0] == PayloadErased.TYPE:
            named = _loaded(entry.body).get("erased")
            for id_ in named if isinstance(named, list) else ():
                self._erased.pop(str(id_), None)
        if entry.is_erased:
            self._erased[str(entry.id)] = entry.header[0]

    def _commitment(self, entry: Entry) -> bytes:
        """Of the body as it is; of an erased body, what it left behind."""
        if entry.is_erased:
            return _bytes(str(_loaded(entry.body).get("commitment")))
        return chain.commitment(_bytes(entry.salt), entry.body.encode())

    def _pass_over(self, fields: Mapping[Any, Any]) -> None:
        """Go on behind an entry that cannot be read, with what of it can be."""
        try:
            self.id = EventId.parse(self.last)
            self.link = text(fields.get(b"link", ""))
        except ValueError:
            return
        self._previous = _bytes(self.link)


def _loaded(body: str) -> Mapping[str, Any]:
    try:
        data = orjson.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _bytes(text: str) -> bytes:
    try:
        return chain.from_text(text)
    except ValueError:
        return b""
