"""What a search shows of a message: a piece of it, in which is hidden what is hidden where the message itself is shown.

A piece may begin or end within a key, and what is found within one parts it: so it is looked for in the whole message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup

from strands_session_log import Recorded

from ...search import SearchHit, said_in
from ...search.saying import STAND_IN, as_said, restored_text
from .markup import hidden, unseen_named, visible
from .secrets import is_secret_name, secrets_in

_CUT: Final = "…"
_MOST: Final = 1_000
"""Values under names of secrets that are looked for in one message."""


def snippet_html(hit: SearchHit, recorded: Recorded) -> Markup:
    """A hit's text, with what was found marked, and what looks like a secret hidden, whole.

    Args:
        hit: The hit.
        recorded: Its event.
    """
    secret = _secret_places(hit.text, recorded)
    parts, at = list[Markup](), 0
    for part in hit.parts:
        mark = Markup("<mark>{}</mark>" if part.is_found else "{}")
        for text, is_secret in _runs(part.text, secret[at : at + len(part.text)]):
            parts.append(mark.format(hidden(unseen_named(text)) if is_secret else visible(text)))
        at += len(part.text)
    return Markup("").join(parts)


def _runs(text: str, secret: list[bool]) -> Iterator[tuple[str, bool]]:
    begin = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or secret[at] != secret[begin]:
            yield text[begin:at], secret[begin]
            begin = at


def _secret_places(shown: str, recorded: Recorded) -> list[bool]:
    """Of each character that is shown, whether it is part of a secret of the message."""
    whole, places = said_in(recorded).text, [False] * len(shown)
    bare = shown.strip(_CUT)
    begin, offset = whole.find(bare), shown.find(bare)
    if begin < 0:
        # What stands there is not what was indexed: better nothing of it than a secret.
        return [True] * len(shown)
    for first, last in _secrets(whole, recorded, begin, begin + len(bare)):
        for at in range(max(first, begin), min(last, begin + len(bare))):
            places[at - begin + offset] = True
    return places


def _secrets(whole: str, recorded: Recorded, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Those that have a part of a piece."""
    yield from secrets_in(whole)
    for value in list(dict.fromkeys(_under_secret_names(recorded.event.data)))[:_MOST]:
        size = len(value)
        at = whole.find(value, max(0, begin - size), end + size)
        while at >= 0:
            yield at, at + size
            at = whole.find(value, at + size, end + size)


def _under_secret_names(data: Any) -> Iterator[str]:
    """Texts that stand under the name of a secret; without recursion, as anybody may nest them deeply."""
    left: list[tuple[Any, bool]] = [(data, False)]
    while left:
        value, is_secret = left.pop()
        if isinstance(value, dict) and STAND_IN in value:
            value = restored_text(value)
        if isinstance(value, Mapping):
            left += [(one, is_secret or is_secret_name(name)) for name, one in value.items()]
        elif isinstance(value, (list, tuple)):
            left += [(one, is_secret) for one in value]
        elif is_secret and isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
            yield as_said(str(value))
