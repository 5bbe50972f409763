"""What an MCP server may be told."""

from __future__ import annotations

from dataclasses import dataclass

_LEAST = 1_000


@dataclass(frozen=True, kw_only=True)
class McpSettings:
    """How much an MCP server tells at once, and whether it may write.

    Attributes:
        allow_write: Whether fork and rewind are offered.
        max_characters: How long an answer may be; what is longer is shortened, and paged.
        search_index: The search index that `search` looks into, a file or a `postgresql://` URL; without one it reads
            the sessions.
        max_events: How many events a call looks at, before it answers with where to go on.
    """

    allow_write: bool = False
    max_characters: int = 20_000
    max_events: int = 20_000
    search_index: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: When an answer could hold nothing.
        """
        if self.max_characters < _LEAST:
            raise ValueError(f"max_characters={self.max_characters!r}: give {_LEAST:,} or more")
        if self.max_events < 1:
            raise ValueError(f"max_events={self.max_events!r}: give 1 or more")
