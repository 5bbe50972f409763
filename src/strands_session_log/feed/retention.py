"""For how long the feed is kept."""

from __future__ import annotations

from typing import NamedTuple


class FeedRetention(NamedTuple):
    """What the feed still holds; the sessions themselves are not touched by it.

    An envelope is removed once every live group has handled it, but not before `keep` is over, so that tails can go on
    where they were. Past `max_age` or `max_length` it is removed in any case, and a group that lacked it is told.

    Attributes:
        keep: For how many seconds envelopes are kept in any case.
        max_age: For how many seconds they are kept at most.
        max_length: How many a partition keeps at most.
        abandoned_after: After how many seconds without a consumer a group no longer holds the feed back.
    """

    keep: float = 3600.0
    max_age: float = 7 * 86_400.0
    max_length: int = 100_000
    abandoned_after: float = 86_400.0
