"""What people look for: whatever they type is words, but for what is said to be more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from strands_session_log.errors import SessionLogError

_LONGEST = 1_000
_MOST_TERMS = 64
_PARTS = re.compile(r'"([^"]*)"(\*?)|([()])|([^\s()"]+)')
_OPERATORS = frozenset(("AND", "OR", "NOT"))


class InvalidQueryError(SessionLogError, ValueError):
    """A query means nothing.

    Attributes:
        query: What was looked for.
        reason: What is wrong with it.
    """

    def __init__(self, query: str, reason: str) -> None:
        self.query, self.reason = query, reason
        super().__init__(f"query {query[:80]!r}: {reason}")


class SearchIndexError(SessionLogError):
    """A search index cannot be used.

    Attributes:
        path: Its file, or its database.
        reason: Why.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"search index {path}: {reason}")


class SearchIndexAwayError(SearchIndexError):
    """The database that has a search index does not answer, or refuses for now."""


@dataclass(frozen=True, kw_only=True)
class SearchFilter:
    """In what is looked.

    Attributes:
        session_id: Only in this session.
        agent: Only in what this agent heard and said.
        role: Only in messages of this role: `user` or `assistant`.
        labels: Only in sessions that are annotated with all of these.
        since_ms: Only in messages from then on, in milliseconds since the epoch.
        until_ms: Only in messages up to then.
    """

    session_id: str | None = None
    agent: str | None = None
    role: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    since_ms: int | None = None
    until_ms: int | None = None


def storable(text: str) -> str:
    """Text without half characters, which no index can hold, or be asked for."""
    return text.encode("utf-8", "replace").decode()


def match_of(query: str) -> str:
    """A query as FTS5 takes it.

    Raises:
        InvalidQueryError: When it means nothing.
    """
    return " ".join(parts_of(query))


def parts_of(query: str) -> list[str]:
    """The parts of a query: words and phrases in quotes, with `*` behind those that may go on, and what joins them.

    Words that stand beside each other must all be there; `AND`, `OR`, `NOT` and parentheses say otherwise, quotes
    hold a phrase together, and `*` behind a word stands for how it goes on.

    Raises:
        InvalidQueryError: When it means nothing.
    """
    if len(query) > _LONGEST:
        raise InvalidQueryError(query, f"it has more than {_LONGEST:,} characters")
    # No index has these two: in texts, too, they part words.
    parts = list(_with_operators(storable(query).replace("\x00", " ")))
    if sum(part.startswith('"') for part in parts) > _MOST_TERMS:
        raise InvalidQueryError(query, f"it has more than {_MOST_TERMS} words")
    if not parts:
        raise InvalidQueryError(query, "there is no word in it")
    _check(query, parts)
    return parts


def _with_operators(query: str) -> Iterator[str]:
    """What stands beside each other is to be there, all of it."""
    ends_operand = False
    for part in _parts(query):
        begins_operand = part == "(" or part.startswith('"')
        if ends_operand and begins_operand:
            yield "AND"
        yield part
        ends_operand = part == ")" or part.startswith('"')


def _parts(query: str) -> Iterator[str]:
    for found in _PARTS.finditer(query):
        phrase, phrase_goes_on, parenthesis, word = found.groups()
        if parenthesis or word in _OPERATORS:
            yield parenthesis or word
            continue
        text = word.rstrip("*") if phrase is None else phrase
        goes_on = word.endswith("*") if phrase is None else bool(phrase_goes_on)
        # What has no letter or digit says nothing, as in the text.
        if any(map(str.isalnum, text)):
            yield f'"{text}"{" *" if goes_on else ""}'


def _check(query: str, parts: list[str]) -> None:
    """See to it that operators stand between words, and that parentheses are closed."""
    depth, needs_operand = 0, True
    for part in parts:
        is_operand = part.startswith('"')
        if needs_operand != (is_operand or part == "("):
            raise InvalidQueryError(query, f"{part} cannot stand there; to look for the word, write it in quotes")
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth < 0:
            break
        needs_operand = part == "(" or part in _OPERATORS
    if depth:
        raise InvalidQueryError(query, "a parenthesis is not closed, or closed too often")
    if needs_operand:
        raise InvalidQueryError(query, f"a word is missing behind {parts[-1]}")
