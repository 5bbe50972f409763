"""Where a session comes from: what its head says, what its `session.forked` events say, and whether these agree.

The hash chain of a fork begins where that of the first session of its line began, and its head tells which that was.
The head is no part of the chain. But with another root the first link is another one; and the events, which are part of
it, must name that very root, and the last of them this very session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..codec import Entry, fields_of, retained
from ..errors import InvalidIdError
from ..event_log import EventLog
from ..event_log.lineage import ForkNote, forks_of
from ..events import SessionForked
from ..ids import EventId


class Descent(NamedTuple):
    """What a head says of where its session comes from; all empty when it is no fork.

    Attributes:
        root: The session for which the first link of the chain was computed.
        parent: The session it was made of.
        ancestors: All from the root to the parent, one a line.
    """

    root: str = ""
    parent: str = ""
    ancestors: str = ""

    @classmethod
    def of(cls, head: Mapping[bytes, bytes]) -> Descent:
        """Find it among the fields of a head."""
        return cls(*(head.get(name.encode(), b"").decode(errors="replace") for name in cls._fields))

    @classmethod
    def read(cls, log: EventLog, session_id: str) -> Descent:
        """Ask the head."""
        found = log.store.fields(log.keyspace.session(session_id).head, *cls._fields)
        return cls(*((value or b"").decode(errors="replace") for value in found))

    @property
    def line(self) -> list[str]:
        """The ancestors, oldest first."""
        return self.ancestors.split("\n") if self.ancestors else []

    def __str__(self) -> str:
        return f"made of {self.parent!r} with root {self.root!r}" if any(self[:2]) else "made of no other"


class Lineage:
    """Checks the line of a session.

    Args:
        session_id: The session.
        descent: Asks its head; called at most once, and only if the session is no ordinary one.
        is_whole: Whether all its events are checked, from the first on.

    Attributes:
        root: The session for which the first link is to be computed.
        parent: The session it was made of, and the last event it has of it; None when it is no fork.
    """

    def __init__(self, session_id: str, descent: Callable[[], Descent], is_whole: bool = True) -> None:
        self.root, self._is_whole = session_id, is_whole
        self.parent: tuple[str, EventId] | None = None
        self._session_id, self._ask, self._told = session_id, descent, Descent()
        self._name, self._parents = session_id, list[tuple[str, EventId, str]]()

    def look_for_root(self) -> bool:
        """Ask the head for the root, once the chain does not begin with the session itself; whether there is one."""
        root = self._ask().root
        is_other = root not in ("", self.root)
        self.root = root or self.root
        return is_other

    def check(self, entry: Entry, before: EventId, link: str) -> Iterator[str]:
        """What is wrong with an event that follows this one, if it tells of a fork."""
        if entry.header[0] != SessionForked.TYPE:
            return
        data, name = retained_of(entry), f"event {entry.id} ({SessionForked.TYPE})"
        if (data.get("at"), data.get("link")) != (str(before), link):
            yield f"{name} says that it follows event {data.get('at')}, but follows {before}, or names another link"
        if self._is_whole and data.get("root") != self.root:
            yield f"{name} names the root {data.get('root')!r}, not {self.root!r}"
        parent = str(data.get("parent"))
        self._parents.append((parent, before, link))
        self._told, self._name = Descent(str(data.get("root")), parent), str(data.get("session_id"))
        self.parent = parent, before

    def name_problem(self) -> str:
        """What is wrong with whose events these are, once all were checked."""
        name = self._name if self._parents else self.root
        return "" if name == self._session_id else f"the events are those of session {name!r}"

    def head_problem(self, said: Descent) -> str:
        """What is wrong with what the head says.

        A fork of a fork may begin with less than that one had of its own, and its events do not tell of those between.
        """
        if said[:2] != self._told[:2]:
            return f"the session's head says that it was {said}, its events that it was {self._told}"
        line, told = said.line, [name for name, _, _ in self._parents]
        left = iter(line)
        is_one = (line[:1], line[-1:]) == ([said.root], [said.parent]) if told else not line
        if not is_one or not all(name in left for name in told):
            return f"the session's head has other ancestors than its events: {said.ancestors!r}"
        return ""

    def family_problems(self, log: EventLog, said: Descent) -> Iterator[str]:
        """What is wrong with those it was made of, as far as they are there: with their history and notes."""
        known = {name: (at, link) for name, at, link in self._parents}
        for name in said.line if self._parents else ():
            at, link = known.get(name, self._parents[0][1:])
            with suppress(InvalidIdError):
                is_in = _is_in(log, name, at, link)
                # What has its id now may be another: also one that has the event from a fork.
                if is_in is None or _was_deleted(log, name, at):
                    continue
                if not is_in and name == said.parent:
                    yield f"the parent {name!r} has another history: event {at} is not in it"
                if is_in and not _knows(log, name, self._session_id):
                    yield f"{name!r} has no note of this fork, so that what is erased there would stay here"


def _is_in(log: EventLog, session_id: str, at: EventId, link: str) -> bool | None:
    """Whether a session has an event with this link; None when there is no such session any more."""
    for page in log.pages(session_id, str(at), str(at)):
        for _, fields in page:
            return bool(fields_of(fields).get(b"link") == link.encode())
    return False if next(log.pages(session_id)) else None


def _was_deleted(log: EventLog, session_id: str, at: EventId) -> bool:
    """Whether another session had the id before, one that had come that far."""
    return any(life.revision >= at.revision for life in log.tombstones(session_id))


def _knows(log: EventLog, session_id: str, fork: str) -> bool:
    (found,) = log.store.fields(log.keyspace.session(session_id).head, "forks")
    return any(known.session_id == fork for known in notes_in((found or b"").decode(errors="replace"))[0])


def notes_in(text: str) -> tuple[list[ForkNote], list[str]]:
    """The forks that a head's `forks` field names, and the lines in it that name none."""
    forks, others = list[ForkNote](), list[str]()
    for line in filter(None, text.split("\n")):
        try:
            forks += [fork for fork in forks_of(line) if str(fork) == line]
        except ValueError:
            others.append(line)
    return forks, others


def retained_of(entry: Entry) -> dict[str, Any]:
    """What an entry retains; nothing where that cannot be read, which its link tells."""
    try:
        return retained(entry.header[0], entry.retained)
    except ValueError:
        return {}
