"""Values survive storage exactly, or are refused by name before anything is written."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.codec import from_json, to_json
from strands_session_log.codec.values import MARK, MAX_DEPTH
from strands_session_log.errors import EncodingError

text = st.text(st.characters(exclude_categories=[]))
clean_text = st.text()
marks = st.sampled_from(["__bytes_encoded__", "__encoded__", "data", "bytes", "dict"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | text
    | marks
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(timezone.utc) | st.none()).map(lambda moment: moment.replace(fold=0))
    | st.dates()
    | st.times().map(lambda moment: moment.replace(fold=0))
    | st.uuids()
    | st.builds(bytearray, st.binary())
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(clean_text | marks, inner, max_size=4)
)


def stored(value: Any) -> Any:
    return from_json(orjson.loads(orjson.dumps(to_json(value))))


@given(values)
def test_every_supported_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert repr(stored(value)) == repr(value)


@given(values)
def test_only_values_with_a_mark_in_their_text_need_decoding(value: Any) -> None:
    plain = to_json(value)
    if MARK not in orjson.dumps(plain).decode():
        assert from_json(plain) == plain


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -float("inf"),
        "\ud800 alone",
        2**63,
        -(2**63) - 1,
        b"\x00\xff",
        Decimal("1.10"),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        date(2026, 1, 1),
        time(12, 30),
        UUID(int=1),
        {3, 1, 2},
        frozenset({("a", 1), b"b"}),
        {"__bytes_encoded__": True, "data": "aGk="},
        {"__encoded__": "float", "data": "nan"},
        {"__encoded__": {"__encoded__": "dict"}},
        {"__bytes_encoded__": True, "data": b"real bytes"},
    ],
    ids=repr,
)
def test_what_json_cannot_hold_round_trips_exactly(value: Any) -> None:
    assert stored(value) == value


def test_nan_stays_nan_instead_of_becoming_null() -> None:
    assert repr(stored({"score": float("nan")})) == "{'score': nan}"


def test_tuples_come_back_as_lists_with_their_bytes() -> None:
    assert stored({"pair": (b"a", ("b", 1))}) == {"pair": [b"a", ["b", 1]]}


def test_keys_that_are_not_text_become_the_text_json_gives_them() -> None:
    assert stored({7: "a", 2.5: "b", True: "c", None: "d"}) == {"7": "a", "2.5": "b", "true": "c", "null": "d"}


class Colour(str, Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: bytes


def test_subclasses_are_stored_as_what_they_extend() -> None:
    assert stored(OrderedDict(a=Colour.RED, b=Point(1, b"2"))) == {"a": "red", "b": {"x": 1, "y": b"2"}}


def test_the_argument_is_left_alone() -> None:
    inner = {"n": [1, (2,)]}
    to_json({"a": inner})
    assert inner == {"n": [1, (2,)]}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": object()}]}, r"message\.a\[1\]\.b"),
        ({"a": {(1, 2): 3}}, r"message\.a\.\(1, 2\)"),
        ({"\ud800": 1}, "message"),
        ({"a": {"b": lambda: None}}, r"message\.a\.b"),
        ([{"x": 1j}], r"message\[0\]\.x"),
    ],
    ids=repr,
)
def test_anything_else_is_refused_and_the_error_names_the_place(value: Any, path: str) -> None:
    with pytest.raises(EncodingError, match=path):
        to_json(value, "message")


def test_nesting_deeper_than_can_be_stored_is_refused() -> None:
    nested: Any = "bottom"
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert stored(nested)
    with pytest.raises(EncodingError, match="nested deeper"):
        to_json([nested])


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodingError, match="contains itself"):
        to_json(loop)
