"""What an archiver can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """What is archived, and what of it is dropped.

    Attributes:
        idle: A session is archived once it had no event for so many seconds; 0 for at once.
        labels: Only sessions that are annotated with all of these.
        drop: Whether archived sessions are removed from the server.
        keep_hot: They are only once they had no event for so many seconds, if that is more than `idle`.
        by: Who archives, for the tombstones.
    """

    idle: float = 7 * 86_400
    labels: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    keep_hot: float = 0.0
    by: str = "archiver"

    @property
    def idle_before_drop(self) -> float:
        """After how many seconds without an event a session is dropped."""
        return max(self.idle, self.keep_hot)
