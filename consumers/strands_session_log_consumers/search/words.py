"""Words of texts and queries as FTS5 takes them: to show what was found, and for PostgreSQL, which is told each.

Its own parser takes addresses, numbers and what has hyphens for one word each, and would not find by a query what
SQLite finds by it. So texts come to it as lists of words with their places.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from unicodedata import normalize

from .hits import SearchPart
from .query import InvalidQueryError, parts_of

_WORD = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_MARKS = re.compile("[\u0300-\u036f]+")
_LONGEST = 255
"""Characters of a word that count; PostgreSQL takes 2,046 bytes."""
_LAST_PLACE = 16_383
_MOST_PLACES = 255
_ROOM = 900_000
"""Bytes of different words in one message; PostgreSQL takes a megabyte."""
_ALWAYS_TAKEN = 2 * _LAST_PLACE
"""Characters of a text that has neither too many places nor too many words."""
_OPERATORS = {"AND": "&", "OR": "|", "NOT": "& !", "(": "(", ")": ")"}
_SHOWN, _BEFORE = 24, 6
LONGEST_SHOWN = 100_000
"""Characters of a text in which it is looked for what to show."""


class SearchTerm(NamedTuple):
    """A word or a phrase that is looked for.

    Attributes:
        words: Its words, in order.
        goes_on: Whether the last may go on.
    """

    words: tuple[str, ...]
    goes_on: bool

    def stands(self, words: Sequence[str], at: int) -> bool:
        """Whether it stands at a place among words."""
        found = tuple(words[at : at + len(self.words)])
        if not self.goes_on or len(found) < len(self.words):
            return found == self.words
        return found[:-1] == self.words[:-1] and found[-1].startswith(self.words[-1])

    @property
    def tsquery(self) -> str:
        """As PostgreSQL takes it."""
        *others, last = (f"'{word}'" for word in self.words)
        return f"({' <-> '.join([*others, last + ':*' * self.goes_on])})"


def words_of(text: str) -> list[str]:
    """The words of a text: letters and digits, without regard to capitals and accents."""
    plain = text.lower() if text.isascii() else _MARKS.sub("", normalize("NFD", text.lower()))
    return [word[:_LONGEST] for word in _WORD.findall(plain)]


def tsvector_of(text: str) -> str:
    """The words of a text with their places, as PostgreSQL takes them; of very long ones as many as it takes."""
    places = defaultdict[str, list[int]](list)
    for place, word in enumerate(words_of(text), 1):
        places[word].append(place)
    if len(text) > _ALWAYS_TAKEN:
        return " ".join(_bounded(places))
    return " ".join(f"'{word}':{','.join(map(str, at[:_MOST_PLACES]))}" for word, at in places.items())


def _bounded(places: Mapping[str, list[int]]) -> Iterator[str]:
    room = _ROOM
    for word, at in places.items():
        room -= len(word.encode()) + 8
        if room < 0:
            return
        taken = [place for place in at[:_MOST_PLACES] if place <= _LAST_PLACE]
        yield f"'{word}':{','.join(map(str, taken))}" if taken else f"'{word}'"


def tsquery_of(query: str) -> str:
    """A query as PostgreSQL takes it.

    Raises:
        InvalidQueryError: When it means nothing.
    """
    return " ".join(_OPERATORS.get(part) or _term(query, part).tsquery for part in parts_of(query))


def terms_of(query: str) -> list[SearchTerm]:
    """The words and phrases of a query.

    Raises:
        InvalidQueryError: When it means nothing.
    """
    return [_term(query, part) for part in parts_of(query) if part not in _OPERATORS]


def _term(query: str, part: str) -> SearchTerm:
    words = words_of(part[1 : part.rindex('"')])
    if not words:
        raise InvalidQueryError(query, f"there is no word in {part}")
    return SearchTerm(tuple(words), part.endswith("*"))


def snippet(text: str, terms: Sequence[SearchTerm]) -> tuple[SearchPart, ...]:
    """What a text says around what was looked for.

    Args:
        text: The text.
        terms: What was looked for.
    """
    spans = [found.span() for found in _TOKEN.finditer(text)]
    found = _places(_words_at(text, spans), terms)
    begin = max(0, _most_telling(found) - _BEFORE)
    begin = 0 if len(spans) <= _SHOWN else min(begin, len(spans) - _SHOWN)
    end = min(len(spans), begin + _SHOWN)
    first = spans[begin][0] if begin else 0
    last = spans[end - 1][1] if end < len(spans) else len(text)
    shown = ((at, term) for at, term in found.items() if begin <= at < end)
    marked = [(spans[at][0], spans[min(at + len(term.words), end) - 1][1]) for at, term in shown]
    parts = _parted(text, first, last, marked)
    return tuple(part for part in (_dots(begin > 0), *parts, _dots(end < len(spans))) if part.text)


def _words_at(text: str, spans: Sequence[tuple[int, int]]) -> Sequence[str]:
    if text.isascii():
        plain = text.lower()
        return [plain[first : min(last, first + _LONGEST)] for first, last in spans]
    return ["".join(words_of(text[first:last])) for first, last in spans]


def _places(words: Sequence[str], terms: Sequence[SearchTerm]) -> dict[int, SearchTerm]:
    """Where a term stands, in order; of each word it is asked once which terms may begin with it."""
    beginning = defaultdict[str, list[SearchTerm]](list)
    for term in terms:
        beginning[term.words[0]].append(term)
    goes_on = tuple({term.words[0] for term in terms if term.goes_on and len(term.words) == 1})
    places = dict[int, SearchTerm]()
    for at, word in enumerate(words):
        if word in beginning or word.startswith(goes_on):
            for term in terms if word.startswith(goes_on) else beginning[word]:
                if term.stands(words, at):
                    places[at] = term
    return places


def _most_telling(found: dict[int, SearchTerm]) -> int:
    """Where the most different words stand beside each other."""
    places = list(found)[: 100 + _SHOWN]

    def told(number: int) -> int:
        first = places[number]
        return len({found[one] for one in places[number:][:_SHOWN] if one < first + _SHOWN - _BEFORE})

    return places[max(range(min(100, len(places))), key=told)] if places else 0


def _parted(text: str, first: int, last: int, marked: list[tuple[int, int]]) -> Iterator[SearchPart]:
    for begin, end in marked:
        if begin >= first:
            yield SearchPart(text[first:begin], False)
            yield SearchPart(text[begin:end], True)
            first = end
    yield SearchPart(text[first:last], False)


def _dots(is_cut: bool) -> SearchPart:
    return SearchPart("…" * is_cut, False)
