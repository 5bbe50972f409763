"""How long to wait for a server that is away, before asking again."""

from __future__ import annotations

import random
from collections.abc import Iterator

_FIRST, _LONGEST = 0.02, 1.0


def pauses() -> Iterator[float]:
    """Seconds, longer and longer up to one, and never the same for two that were cut off together."""
    longest = _FIRST
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(_LONGEST, 2 * longest)
