"""Whole numbers as ranges, to which more are added."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class GrowingRanges:
    """Takes ranges one after another, and tells what of each none before it had; its text is that of `Ranges`.

    An agent holds a message of the transcript once; what it holds twice stands in full the second time. So ranges never
    unfold to more than the transcript, however many there are.

    Args:
        end: Ranges end before it.
    """

    def __init__(self, end: int = 1 << 64) -> None:
        self._end = end
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> list[tuple[int, int]]:
        """One more range; what is new of it, as ascending ranges."""
        last = min(last, self._end - 1)
        if first > last:
            return []
        if self._lasts and first == self._lasts[-1] + 1:
            # Most come in order.
            self._lasts[-1] = last
            return [(first, last)]
        # Those it overlaps, or touches: they become one with it, so that there are never many.
        start, stop = bisect_left(self._lasts, first - 1), bisect_right(self._firsts, last + 1)
        if start == stop:
            self._firsts.insert(start, first)
            self._lasts.insert(start, last)
            return [(first, last)]
        firsts, lasts = self._firsts[start:stop], self._lasts[start:stop]
        self._firsts[start:stop], self._lasts[start:stop] = [min([first, *firsts])], [max([last, *lasts])]
        new = zip([first, *(one + 1 for one in lasts)], [*(one - 1 for one in firsts), last], strict=True)
        return [(max(one, first), min(other, last)) for one, other in new if max(one, first) <= min(other, last)]

    def __str__(self) -> str:
        return ",".join(f"{first}-{last}" for first, last in zip(self._firsts, self._lasts, strict=True))
