"""Natural text that does not repeat, the same on every run: a Markov chain of the English in Python's manual.

A corpus would have to be downloaded; Python brings the text of `help("topics")` along.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pydoc_data.topics import topics
from typing import Any

BYTES = 1024
"""A message has so many characters, each of one byte."""

# About as many messages as the longest session whose size counts; longer ones read on at other offsets.
_LENGTH = 10_500 * BYTES
_SEED = 42
_ORDER = 2
_LETTERS = 0.9


@cache
def source() -> str:
    """The paragraphs of Python's manual that are prose, without line breaks."""
    paragraphs = (" ".join(part.split()) for topic in sorted(topics) for part in topics[topic].split("\n\n"))
    return " ".join(part for part in paragraphs if _is_prose(part)).encode("ascii", "ignore").decode()


@cache
def generated(length: int = _LENGTH) -> str:
    """Text of so many characters that reads like the source, and never goes on repeating itself."""
    parts, size = [], 0
    words = _chain(source().split(), random.Random(_SEED))
    while size < length:
        word = next(words)
        parts.append(word)
        size += len(word) + 1
    return " ".join(parts)[:length]


def said(index: int) -> str:
    """What message `index` says: `BYTES` characters, no two alike."""
    text = generated()
    # The text is no multiple of a message long, so that each time round begins at another offset.
    start = index * BYTES % (len(text) - BYTES - 101)
    return text[start : start + BYTES]


def message(index: int) -> Any:
    """A message as Strands has it; user and assistant take turns."""
    return {"role": ("user", "assistant")[index % 2], "content": [{"text": said(index)}]}


def compressed(text: str) -> float:
    """How much of a text zlib leaves."""
    return len(zlib.compress(text.encode())) / len(text)


def _is_prose(paragraph: str) -> bool:
    letters = sum(character.isalpha() or character in " ," for character in paragraph)
    return bool(re.fullmatch(r"[A-Z].{80,}[.:]", paragraph)) and letters > _LETTERS * len(paragraph)


def _chain(words: Sequence[str], chance: random.Random) -> Iterator[str]:
    following = _following(words)
    state = tuple(words[:_ORDER])
    while True:
        # Only the last words of the source may have none that follow.
        word = chance.choice(following.get(state) or words)
        yield word
        state = (*state[1:], word)


def _following(words: Sequence[str]) -> Mapping[tuple[str, ...], Sequence[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for at in range(len(words) - _ORDER):
        found.setdefault(tuple(words[at : at + _ORDER]), []).append(words[at + _ORDER])
    return found
