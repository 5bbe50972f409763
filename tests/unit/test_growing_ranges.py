"""Ranges to which more are added."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.ids import Ranges
from strands_session_log.state import GrowingRanges

bounds = st.integers(-3, 30)


@given(st.lists(st.tuples(bounds, bounds), max_size=30), bounds)
def test_every_index_below_the_end_is_told_where_it_is_named_first(ranges: list[tuple[int, int]], end: int) -> None:
    ranges_so_far, seen = GrowingRanges(end), set[int]()
    for first, last in ranges:
        expected = [index for index in range(first, last + 1) if index < end and index not in seen]
        told = ranges_so_far.add(first, last)
        assert [index for one, other in told for index in range(one, other + 1)] == expected
        seen.update(expected)
    assert str(ranges_so_far) == str(Ranges.of(seen))


def test_ranges_that_name_the_same_a_hundred_thousand_times_cost_no_more_than_their_text() -> None:
    ranges = GrowingRanges(10**9)
    assert sum(len(ranges.add(0, 10**8)) for _ in range(100_000)) == 1
