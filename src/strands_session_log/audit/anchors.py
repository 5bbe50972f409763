"""Links noted elsewhere: what proves that nothing before them was changed, even by who may change everything here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from .. import chain
from ..errors import InvalidAnchorError, InvalidIdError
from ..ids import EventId, check_id

Expect: TypeAlias = "Anchor | tuple[int, str] | str"
"""A link that was noted: `(7, "LINK")`, `"7:LINK"`, or an `Anchor`."""

_EXPECTED = re.compile(r"([1-9][0-9]{0,15}):([A-Za-z0-9_-]{43})")
_PLAIN = re.compile(r'[^"\s](.*\S)?')
"""An id that reads back from a line as it is; others stand there as JSON."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a session stood once; note it elsewhere.

    Its text is one line, `<revision>:<link> <session id>`, with the id as JSON where it begins or ends with a space, or
    begins with a quote.

    Attributes:
        session_id: The session.
        revision: How many events it had.
        link: The hash chain at the last of them, base64url.
    """

    session_id: str
    revision: int
    link: str

    @classmethod
    def parse(cls, line: str) -> Anchor:
        """Read the text of an anchor, or the JSON that `session-log anchor --json` prints.

        Raises:
            InvalidAnchorError: When it is neither.
        """
        try:
            if line.startswith("{"):
                found = orjson.loads(line)
                expected, name = f"{found['revision']}:{found['link']}", found["session_id"]
            else:
                expected, _, name = line.partition(" ")
                name = orjson.loads(name) if name.startswith('"') else name
            return cls(check_id("session_id", name), *_noted(expected))
        except (ValueError, KeyError, TypeError, InvalidIdError) as error:
            raise InvalidAnchorError(line) from error

    @classmethod
    def parse_lines(cls, lines: Iterable[str]) -> Iterator[Anchor]:
        """Read the lines of a file; empty ones, and those that begin with `#`, are passed over.

        Raises:
            InvalidAnchorError: When a line is none.
        """
        for line in lines:
            text = line.rstrip("\r\n")
            if text.strip() and not text.startswith("#"):
                yield cls.parse(text)

    def __str__(self) -> str:
        name = self.session_id if _PLAIN.fullmatch(self.session_id) else orjson.dumps(self.session_id).decode()
        return f"{self.revision}:{self.link} {name}"


class Expectations:
    """Links that were noted of one session, held against its events one by one.

    Args:
        expect: What was noted.

    Raises:
        InvalidAnchorError: When one of them is none.
    """

    def __init__(self, expect: Iterable[Expect]) -> None:
        self._links: dict[int, set[str]] = {}
        for one in expect:
            revision, link = _understood(one)
            self._links.setdefault(revision, set()).add(link)
        self.count = sum(map(len, self._links.values()))

    def check(self, id_: EventId, link: str) -> str:
        """What is wrong with an event; nothing if it is as noted, or nothing was."""
        noted = self._links.pop(id_.revision, None) if self._links else None
        if noted is None or noted == {link}:
            return ""
        return f"event {id_} has another link than was noted: {link}, not {' or '.join(sorted(noted - {link}))}"

    def left(self, last: EventId, ended: Sequence[tuple[int, str]]) -> Iterator[str]:
        """What was noted of events there are not; what a tombstone of the id has on record is accounted for.

        Args:
            last: The last event there is.
            ended: Revision and link of each life of the id that was deleted.
        """
        for revision, links in sorted(self._links.items()):
            for link in sorted(links):
                if (revision, link) in ended:
                    continue
                where = f"ends at {last.revision}" if last.revision else "is not there"
                yield f"a link was noted of revision {revision}, but the session {where}"


def _understood(one: Expect) -> tuple[int, str]:
    match one:
        case Anchor(_, revision, link) | (revision, link):
            return _noted(f"{revision}:{link}")
        case str():
            return _noted(one)
    raise InvalidAnchorError(one)


def _noted(text: str) -> tuple[int, str]:
    found = _EXPECTED.fullmatch(text)
    if found is None or not chain.exactly(found[2], chain.LINK_BYTES):
        raise InvalidAnchorError(text)
    return int(found[1]), found[2]
