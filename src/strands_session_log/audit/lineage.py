"""Where a session comes from: what its head says, what its `session.forked` events say, and whether these agree.

The hash chain of a fork begins where that of the first session of its line began, and its head tells which that was.
The head is no part of the chain. But with another root the first link is another one; and the events, which are part of
it, must name that very root, and the last of them this very session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from ..codec import Entry, fields_of, retained
from ..errors import InvalidIdError
from ..event_log import EventLog
from ..events import SessionForked
from ..ids import EventId
from ..server.border import insist


class Descent(NamedTuple):
    """What a head says of where its session comes from; all empty when it is no fork.

    Attributes:
        root: The session for which the first link of the chain was computed.
        parent: The session it was made of.
    """

    root: str = ""
    parent: str = ""

    @classmethod
    def read(cls, log: EventLog, session_id: str) -> Descent:
        """Ask the head."""
        command = ("HMGET", log.keyspace.session(session_id).head, *cls._fields)
        found = insist(partial(log.client.execute_command, *command, NEVER_DECODE=True), log.retry_for)
        return cls(*((value or b"").decode(errors="replace") for value in found))

    def __str__(self) -> str:
        return f"made of {self.parent!r} with root {self.root!r}" if any(self) else "made of no other"


class Lineage:
    """Checks the line of a session.

    Args:
        session_id: The session.
        descent: What its head says.

    Attributes:
        root: The session for which the first link is to be computed.
        parent: The session it was made of, and the last event it has of it; None when it is no fork.
    """

    def __init__(self, session_id: str, descent: Descent) -> None:
        self.root = descent.root or session_id
        self.parent: tuple[str, EventId] | None = None
        self._session_id, self._descent = session_id, descent
        self._told, self._name, self._link = Descent(), session_id, ""

    def check(self, entry: Entry, before: EventId, link: str) -> Iterator[str]:
        """What is wrong with an event that follows this one, if it tells of a fork."""
        if entry.header[0] != SessionForked.TYPE:
            return
        data, name = retained_of(entry), f"event {entry.id} ({SessionForked.TYPE})"
        if (data.get("at"), data.get("link")) != (str(before), link):
            yield f"{name} says that it follows event {data.get('at')}, but follows {before}, or names another link"
        if data.get("root") != self.root:
            yield f"{name} names the root {data.get('root')!r}, not {self.root!r}"
        self._told = Descent(str(data.get("root")), str(data.get("parent")))
        self._name, self._link = str(data.get("session_id")), link
        self.parent = self._told.parent, before

    def problems(self, log: EventLog) -> Iterator[str]:
        """What is wrong with the line as a whole, once all events were checked."""
        if self._name != self._session_id:
            yield f"the events are those of session {self._name!r}"
        if self._descent != self._told:
            yield f"the session's head says that it was {self._descent}, its events that it was {self._told}"
        with suppress(InvalidIdError):
            if self.parent and not self._is_in(log, *self.parent):
                yield f"the parent {self.parent[0]!r} has another history: event {self.parent[1]} is not in it"

    def _is_in(self, log: EventLog, parent: str, at: EventId) -> bool:
        """Whether the parent has the last event that was copied; or is not there any more."""
        for page in log.pages(parent, str(at), str(at)):
            for _, fields in page:
                return bool(fields_of(fields).get(b"link") == self._link.encode())
        return not next(log.pages(parent))


def retained_of(entry: Entry) -> dict[str, Any]:
    """What an entry retains; nothing where that cannot be read, which its link tells."""
    try:
        return retained(entry.retained)
    except ValueError:
        return {}
