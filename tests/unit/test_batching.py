"""How much is appended at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.codec import Encoded, encode
from strands_session_log.errors import EncodingError
from strands_session_log.event_log.chained_batch import MOST_BYTES, MOST_EVENTS, batches, check_batch, first_batch


def sized(size: int) -> Encoded:
    return encode(events.Custom("custom.x", {}))._replace(body=b"x" * size)


@given(st.lists(st.integers(0, 900_000), max_size=60))
def test_batches_have_all_events_in_order_and_only_a_single_one_is_larger_than_a_batch(sizes: list[int]) -> None:
    wanted = [sized(size) for size in sizes]
    found = [list(batch) for batch in batches(wanted)]
    assert [one for batch in found for one in batch] == wanted
    assert all(len(batch) == 1 or sum(len(one.body) for one in batch) <= 1_000_000 for batch in found)


def test_many_small_events_are_many_batches() -> None:
    assert [len(batch) for batch in batches([sized(1)] * 450)] == [200, 200, 50]


def test_a_turn_lands_whole_however_large_its_images_are() -> None:
    assert first_batch([sized(5_000_000)] * 20, least=16) == 16
    check_batch([sized(5_000_000)] * 16)


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ([sized(1)] * (MOST_EVENTS + 1), "1,001 are more than 1,000"),
        ([sized(MOST_BYTES // 16)] * 17, "17,825,792 bytes in one batch are more than 16,777,216"),
    ],
)
def test_what_would_hold_up_the_server_is_refused_with_the_number_and_the_cure(
    batch: list[Encoded], problem: str
) -> None:
    with pytest.raises(EncodingError, match=f"{problem}.*: append them in several batches"):
        check_batch(batch)
