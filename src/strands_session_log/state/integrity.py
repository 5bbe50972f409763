"""Whether what was read is what was written."""

from __future__ import annotations

from dataclasses import dataclass

from ..ids import EventId


@dataclass(frozen=True, slots=True)
class Integrity:
    """What the hash chain says of events that were read. Its text is `intact`, `broken at 7`, or `not checked`.

    Attributes:
        is_checked: Whether all of them were held against it; those that a snapshot stands for were not.
        broken_at: The first that is not what was written; None if there is none.
        problem: What is wrong with it.
    """

    is_checked: bool
    broken_at: EventId | None = None
    problem: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether something was found."""
        return bool(self.problem)

    def and_(self, other: Integrity) -> Integrity:
        """Of both: the worse."""
        return self if self.is_broken or not (self.is_checked or other.is_broken) else other

    def __str__(self) -> str:
        if self.is_broken:
            return "broken" if self.broken_at is None else f"broken at {self.broken_at.revision}"
        return "intact" if self.is_checked else "not checked"


INTACT = Integrity(is_checked=True)
NOT_CHECKED = Integrity(is_checked=False)
