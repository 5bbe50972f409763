"""What is wrong with a session, in lines for people; bounded, however much it is."""

from __future__ import annotations

from ..ids import EventId

MOST = 1000
"""How many problems of one session are told; what more there are is counted."""


class Problems:
    """Collects problems in the order in which they are found.

    Attributes:
        broken_at: The event that the first of them is about; None where it is about none, or there is none.
    """

    def __init__(self) -> None:
        self.broken_at: EventId | None = None
        self._lines, self._more = list[str](), 0

    def add(self, line: str, at: EventId | None = None) -> None:
        """One more."""
        if not self._lines:
            self.broken_at = at
        if len(self._lines) < MOST:
            self._lines.append(line)
        else:
            self._more += 1

    def __len__(self) -> int:
        return len(self._lines) + self._more

    @property
    def first(self) -> str:
        """The first of them; empty when there is none."""
        return self._lines[0] if self._lines else ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All of them."""
        return (*self._lines, *([f"and {self._more:,} more problems"] if self._more else []))
