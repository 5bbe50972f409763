"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from strands_session_log import EventId


class SearchPart(NamedTuple):
    """A piece of a hit's text.

    Attributes:
        text: The piece.
        is_found: Whether it is what was looked for.
    """

    text: str
    is_found: bool


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message in which something was found.

    Attributes:
        session_id: The session.
        id: The event that says it.
        agent: The agent in whose transcript it stands.
        role: `user` or `assistant`.
        parts: What it says around what was found.
        cursor: What `before` takes to go on behind it.
    """

    session_id: str
    id: EventId
    agent: str
    role: str
    parts: tuple[SearchPart, ...]
    cursor: str

    @property
    def text(self) -> str:
        """What it says around what was found, in one piece."""
        return "".join(part.text for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """As `session-log search --json` prints it."""
        return {
            "session_id": self.session_id,
            "id": str(self.id),
            "agent": self.agent,
            "role": self.role,
            "text": self.text,
            "found": [part.text for part in self.parts if part.is_found],
            "cursor": self.cursor,
        }
