"""Proof that a session is what was written: its hash chain, recomputed from the stream alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from . import chain
from .codec import Entry, parse
from .errors import CorruptEntryError, SessionNotFoundError
from .event_log import EventLog, Progress
from .events import PayloadErased

_STEP = 1000


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
    """
    head = log.head(session_id)
    checker = _Checker(session_id)
    for number, (entry_id, fields) in enumerate(log.entries(session_id), 1):
        if number % _STEP == 0:
            progress(number, max(number, head.id.revision if head else 0))
        try:
            checker.check(parse(entry_id, fields))
        except CorruptEntryError as error:
            checker.problems.append(str(error))
    if head is None and not checker.revision:
        raise SessionNotFoundError(session_id)
    checker.problems += [f"event {id_} ({type_}) was erased, but nothing tells why" for id_, type_ in checker.erased]
    if head is None or head.id.revision > checker.revision:
        found = "is missing" if head is None else f"stands at revision {head.id.revision}"
        checker.problems.append(f"the stream ends at revision {checker.revision}, but the session's head {found}")
    return Verification(not checker.problems, checker.revision, checker.link, tuple(checker.problems))


class _Checker:
    """Walks the chain; after a problem it goes on from what is stored, so that one change is one problem."""

    def __init__(self, session_id: str) -> None:
        self.revision, self.link, self.problems = 0, "", list[str]()
        self._previous = chain.genesis(session_id)
        self._erased: dict[str, str] = {}

    @property
    def erased(self) -> Iterable[tuple[str, str]]:
        """Id and type of events whose content was erased, and no `payload.erased` event names them."""
        return self._erased.items()

    def check(self, entry: Entry) -> None:
        if entry.id.revision != self.revision + 1:
            self.problems.append(f"revision {self.revision + 1} is missing before event {entry.id}")
        header = [part.encode() for part in entry.header]
        expected = chain.link(self._previous, entry.id.revision, header, self._commitment(entry))
        stored = _bytes(entry.link)
        if stored != expected:
            self.problems.append(f"event {entry.id} ({entry.header[0]}) is not what was written: its link differs")
        self.revision, self.link, self._previous = entry.id.revision, entry.link, stored
        self._check_off(entry)

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
