"""Values survive storage exactly, or are refused by name before anything is written."""

import inspect
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
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
from strands_session_log.errors import EncodingError, shown

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
        -(2**64),
        b"\x00\xff",
        Decimal("1.10"),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        date(2026, 1, 1),
        time(12, 30),
        UUID(int=1),
        # The text of a set differs from one process to the next, and so would the test's name.
        pytest.param({3, 1, 2}, id="a set"),
        pytest.param(frozenset({("a", 1), b"b"}), id="a frozen set of a tuple and bytes"),
        pytest.param({(1, (2, (3, b"4"))), ()}, id="a set of tuples"),
        pytest.param({frozenset({(1, (2,))}), (frozenset({"\ud800"}), 2**64)}, id="a set of frozen sets"),
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


def test_keys_that_are_no_finite_number_are_written_as_json_writes_them() -> None:
    keys = [float("nan"), float("inf"), -float("inf"), 1e300, 2**70]
    assert list(to_json(dict.fromkeys(keys, 1))) == ["NaN", "Infinity", "-Infinity", "1e+300", str(2**70)]


@pytest.mark.parametrize("value", [10**5000, -(10**5000), {10**5000, 1}], ids=shown)
def test_integers_too_long_for_decimal_text_come_back(value: Any) -> None:
    assert stored(value) == value


def test_long_integers_are_hexadecimal() -> None:
    assert to_json(-(2**64)) == {"__encoded__": "int", "data": "-0x10000000000000000"}


def test_a_set_is_written_in_the_same_order_whatever_order_it_has() -> None:
    forwards, backwards = ({f"{number}": 1 for number in order} for order in (range(50), range(49, -1, -1)))
    assert to_json(set(forwards)) == to_json(set(backwards))
    assert to_json({frozenset(forwards)}) == to_json({frozenset(backwards)})


class Moment(datetime):
    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return "yesterday"


class Day(date):
    def isoformat(self) -> str:
        return "yesterday"


class Clock(time):
    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return "noon"


@pytest.mark.parametrize(
    "value", [Moment(2026, 1, 2, 3, 4), Day(2026, 1, 2), Clock(12)], ids=["moment", "day", "clock"]
)
def test_dates_of_a_kind_of_their_own_are_stored_as_dates(value: Any) -> None:
    restored = stored({"at": value})["at"]
    assert restored == value
    assert type(restored) is type(value).__base__


class NotATime(datetime):
    """As pandas' `NaT`."""

    __hash__ = datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return False


class Nowhere(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(days=7)

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "nowhere"


@pytest.mark.parametrize("value", [NotATime(1, 1, 1), datetime(2026, 1, 1, tzinfo=Nowhere())], ids=["nat", "nowhere"])
def test_a_date_that_would_not_read_back_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError, match=r"message\.at\[0\] cannot be stored"):
        to_json({"at": [value]}, "message")


def test_the_argument_is_left_alone() -> None:
    inner = {"n": [1, (2,)]}
    to_json({"a": inner})
    assert inner == {"n": [1, (2,)]}


@dataclass(frozen=True)
class Frozen:
    x: int


@dataclass
class Unfinished:
    x: int


class HashableSet(set[int]):
    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"a": [1, {"b": object()}]}, r"message\.a\[1\]\.b", id="an object"),
        ({"a": {(1, 2): 3}}, r"message\.a\.\(1, 2\)"),
        ({"\ud800": 1}, "message"),
        pytest.param({"a": {"b": lambda: None}}, r"message\.a\.b", id="a function"),
        ([{"x": 1j}], r"message\[0\]\.x"),
        ({"a": {Frozen(1)}}, r"message\.a\[0\] .* Frozen could not be put into a set"),
        ({"a": {(1, (2, Frozen(1)))}}, r"message\.a\[0\] .* tuple could not be put into a set"),
        pytest.param({"a": {HashableSet()}}, r"message\.a\[0\]", id="a set of sets"),
        ({"a": {10**5000: 1}}, r"message\.a\.<int> .* too long"),
        ({"a": [Unfinished.__new__(Unfinished)]}, r"message\.a\[0\] .* field x has no value"),
    ],
    ids=lambda value: shown(value)[:50],
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


def marked_dict(inner: Any) -> Any:
    return {"__encoded__": inner}


def set_of(inner: Any) -> Any:
    return frozenset({inner})


@pytest.mark.parametrize("around", [marked_dict, set_of])
def test_the_deepest_value_accepted_can_be_stored_even_if_every_level_is_wrapped(around: Any) -> None:
    nested: Any = b"bottom"
    for _ in range(MAX_DEPTH):
        nested = around(nested)
    assert stored(nested) == nested
    with pytest.raises(EncodingError, match=r"message.*nested deeper"):
        to_json(around(nested), "message")


def test_a_stack_that_is_almost_full_is_an_error_of_its_own() -> None:
    nested: Any = "bottom"
    for _ in range(MAX_DEPTH):
        nested = [nested]

    def at_depth(depth: int) -> Any:
        return to_json(nested, "message") if depth <= 0 else at_depth(depth - 1)

    with pytest.raises(EncodingError, match=r"message .* stack"):
        at_depth(sys.getrecursionlimit() - len(inspect.stack(0)) - 100)


class Restless(Mapping[str, int]):
    """Changes whenever it is looked at, as if another thread did it."""

    def __init__(self) -> None:
        self._items = {"a": 1}

    def __getitem__(self, key: str) -> int:
        self._items[f"{len(self._items)}"] = 1
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def test_a_value_that_changes_while_it_is_stored_is_refused_by_name() -> None:
    with pytest.raises(EncodingError, match=r"message\.state cannot be stored: it changed while it was stored"):
        to_json({"state": Restless()}, "message")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodingError, match="contains itself"):
        to_json(loop)
