"""What people noted of a session and paste: a link, the text of an anchor, an address of this viewer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from strands_session_log import Anchor
from strands_session_log.errors import InvalidAnchorError

from ..addresses import session_of

_LINK: Final = re.compile(r"[1-9][0-9]{0,15}:[A-Za-z0-9_-]{43}")
_BEGINNING: Final = re.compile(r"[A-Za-z0-9_-]{4,43}")
_ADDRESS: Final = re.compile(r"/s/([^/?#]+)")
_LONGEST: Final = 8_192


@dataclass(frozen=True)
class NotedLinks:
    """What was pasted, understood.

    Attributes:
        expect: Whole links, as `SessionLog.verify` takes them.
        beginnings: Of events, by revision, the beginning of their links, which is what addresses have.
        problems: What was not understood, or is not of this session.
    """

    expect: tuple[str, ...] = ()
    beginnings: tuple[tuple[int, str], ...] = ()
    problems: tuple[str, ...] = ()


def understood(text: str, session_id: str) -> NotedLinks:
    """What was pasted about a session, a line each."""
    expect, beginnings, problems = list[str](), list[tuple[int, str]](), list[str]()
    for line in text[:_LONGEST].splitlines():
        found = _of_line(line.strip(), session_id) if line.strip() else None
        match found:
            case (int(), str()):
                beginnings.append(found)
            case str() if _LINK.fullmatch(found):
                expect.append(found)
            case str():
                problems.append(found)
    return NotedLinks(tuple(dict.fromkeys(expect)), tuple(dict.fromkeys(beginnings)), tuple(problems))


def _of_line(line: str, session_id: str) -> str | tuple[int, str]:
    """A link, where an address leads and what its link begins with, or what is wrong."""
    if _LINK.fullmatch(line):
        return line
    if "/s/" in line:
        return _of_address(line, session_id)
    try:
        anchor = Anchor.parse(line)
    except InvalidAnchorError:
        return f"{line[:80]!r} is no link: it is REVISION:LINK, as `session-log anchor` prints it, or an address"
    return f"{anchor.revision}:{anchor.link}" if anchor.session_id == session_id else _of_another(anchor.session_id)


def _of_address(line: str, session_id: str) -> str | tuple[int, str]:
    try:
        parts = urlsplit(line)
    except ValueError:
        return f"{line[:80]!r} is no address"
    named, query = _ADDRESS.search(parts.path), parse_qs(parts.query)
    at, link = query.get("at", [""])[0], query.get("l", [""])[0]
    if named and (other := session_of(unquote(named[1]))) != session_id:
        return _of_another(other)
    if not (named and at.isascii() and at.isdigit() and len(at) < 15 and _BEGINNING.fullmatch(link)):
        return "that address proves nothing: it has no at= and l=, as copied links have"
    return int(at), link


def _of_another(session_id: str) -> str:
    return f"that is a link of session {session_id!r}"
