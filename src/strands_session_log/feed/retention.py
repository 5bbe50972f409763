"""For how long the feed is kept."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import check_seconds, check_whole


@dataclass(frozen=True, slots=True)
class FeedRetention:
    """What the feed still holds; the sessions themselves are not touched by it.

    An envelope is removed once every live group has handled it, but not before `keep` is over, so that tails can go on
    where they were. Past `max_age` or `max_length` it is removed in any case, and a group that lacked it is told.

    Attributes:
        keep: For how many seconds envelopes are kept in any case.
        max_age: For how many seconds they are kept at most.
        max_length: How many a partition keeps at most.
        abandoned_after: After how many seconds without a consumer a group no longer holds the feed back.

    Raises:
        SessionLogError: When one of them is no number, or out of bounds.
    """

    keep: float = 3600.0
    max_age: float = 7 * 86_400.0
    max_length: int = 100_000
    abandoned_after: float = 86_400.0

    def __post_init__(self) -> None:
        for name in ("keep", "max_age", "abandoned_after"):
            check_seconds(name, getattr(self, name))
        check_whole("max_length", self.max_length, 1)
