"""What differs between two texts, word by word, and what of a transcript does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final, Literal, NamedTuple

from strands_session_log import SessionDiff, SessionState

LONGEST: Final = 64 * 1024
_MOST_WORDS: Final = 4_000
"""Comparing takes the product of both: of more, the whole texts are shown."""
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


class TextPiece(NamedTuple):
    """A part of two texts.

    Attributes:
        kind: Whether it stands in both, in the one before, or in the one after.
        text: What it says.
    """

    kind: Literal["same", "gone", "new"]
    text: str


def pieces(before: str, after: str) -> list[TextPiece]:
    """What differs between two texts."""
    if max(len(before), len(after)) > LONGEST:
        return [TextPiece("gone", before), TextPiece("new", after)]
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        return [TextPiece("gone", before), TextPiece("new", after)]
    return list(_compared(old, new))


def _compared(old: list[str], new: list[str]) -> Iterator[TextPiece]:
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            yield TextPiece("same", "".join(old[a:b]))
            continue
        if a < b:
            yield TextPiece("gone", "".join(old[a:b]))
        if c < d:
            yield TextPiece("new", "".join(new[c:d]))


def unchanged_in(diff: SessionDiff, state: SessionState) -> dict[str, int]:
    """Of each agent that changed: how many messages are as they were.

    Args:
        diff: Between two points.
        state: At the second one.
    """
    found = dict[str, int]()
    for name, agent in diff.agents.items():
        count = len(state.agents[name].messages) if name in state.agents else 0
        other = len(agent.added) + len(agent.changed) + len(agent.redacted)
        found[name] = max(0, count - other)
    return found
