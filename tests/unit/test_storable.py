"""Whatever somebody has put somewhere: what of it can be stored is, and nothing fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.codec import encode, from_json, to_json
from strands_session_log.events import InterruptRaised
from strands_session_log.lifecycle.storable import storable


class Rude(Mapping[str, Any]):
    """Fails whatever it is asked."""

    def __getitem__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


@dataclass
class Order:
    amount: int


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else "deep"


def endless() -> Any:
    found: list[Any] = []
    found.extend([found, {"again": found}] * 50)
    return found


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Order(1), {"amount": 1}),
        ({"a": b"x", "b": {"c": object}}, {"a": b"x", "b": {"c": "<class 'object'>"}}),
        ([1, (..., 2)], [1, ["Ellipsis", 2]]),
        ({...: 1}, {"Ellipsis": 1}),
        (Rude(), "(its text cannot be had: RuntimeError)"),
        ("\ud800", "\ud800"),
    ],
)
def test_what_cannot_be_stored_is_there_as_its_text_and_all_else_as_it_is(value: Any, kept: Any) -> None:
    assert storable(value) == kept


@pytest.mark.parametrize("value", [nested(119), nested(500), endless(), {"x": [endless()]}, Rude()])
def test_it_fits_into_an_event_however_deep_it_is(value: Any) -> None:
    encoded = encode(InterruptRaised({"reason": storable(value)}))
    assert len(encoded.body) < 100_000_000
    assert encoded.facts == b"{}"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json)
def test_what_can_be_stored_stays_as_it_is(value: Any) -> None:
    kept = storable(value)
    assert kept == from_json(to_json(value))
