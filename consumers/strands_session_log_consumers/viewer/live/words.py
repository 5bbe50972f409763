"""What is being said, word by word: of each agent the message it speaks, as far as it was heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from strands_session_log import Delta

_OVER: Final = frozenset(("discarded",))
_SILENT: Final = frozenset(("end",))


@dataclass
class Utterance:
    """A message that is being spoken.

    Attributes:
        message: Which one, as long as it is.
        pieces: Kind and text of each piece.
    """

    message: str
    pieces: list[tuple[str, str]] = field(default_factory=list)


class Words:
    """What agents are saying in one session. Whoever watches asks for what is new to them."""

    def __init__(self) -> None:
        self._spoken, self._finished = dict[str, Utterance](), dict[str, int]()

    def hear(self, delta: Delta) -> None:
        """The next piece."""
        line = delta.line
        if self._finished.get(line.agent, 0) > delta.revision:
            # Its message came another way, and sooner.
            return
        if line.kind in _OVER:
            self._spoken.pop(line.agent, None)
            return
        spoken = self._spoken.get(line.agent)
        if spoken is None or spoken.message != line.message:
            spoken = self._spoken[line.agent] = Utterance(line.message)
        if line.kind not in _SILENT:
            spoken.pieces.append((line.kind, line.text))

    def finish(self, agent: str, revision: int) -> None:
        """A message of an agent is in the log."""
        self._finished[agent] = max(revision, self._finished.get(agent, 0))
        self._spoken.pop(agent, None)

    def clear(self) -> None:
        """Nothing is known of what is being said."""
        self._spoken.clear()

    def since(self, heard: dict[str, tuple[str, int]]) -> Iterator[dict[str, Any]]:
        """What somebody has not heard yet; notes that they have.

        Args:
            heard: Of each agent, which message they hear, and how many pieces of it.
        """
        for agent in [one for one in heard if one not in self._spoken]:
            del heard[agent]
            yield {"agent": agent, "over": True}
        for agent, spoken in self._spoken.items():
            message, count = heard.get(agent, ("", 0))
            is_same = message == spoken.message
            new = spoken.pieces[count:] if is_same else spoken.pieces
            if new or not is_same:
                heard[agent] = spoken.message, len(spoken.pieces)
                yield {"agent": agent, "begins": not is_same, "pieces": list(_joined(new))}


def _joined(pieces: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What follows each other and is of one kind, as one piece; each call of a tool is its own."""
    for kind, group in groupby(pieces, key=lambda piece: piece[0]):
        texts = [text for _, text in group]
        if kind == "tool":
            yield from ((kind, text) for text in texts)
        else:
            yield kind, "".join(texts)
