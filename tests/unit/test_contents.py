"""What a message says is looked at again only where something in it has changed, and then always."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.errors import EncodingError
from strands_session_log.lifecycle.contents import MessageContent, contents_of, fingerprint

leaves = st.one_of(
    *(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, -0.0, 1.0, float("nan")]), st.text("ab")),
    *(st.binary(max_size=2), st.just(bytearray(b"a")), st.decimals(-1, 1, places=1), st.frozensets(st.integers(0, 2))),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
messages = st.builds(lambda content: {"role": "user", "content": [{"toolUse": {"input": content}}]}, values)


def said() -> dict[str, Any]:
    """A message with something of every kind."""
    block = {"toolUse": {"name": "add", "toolUseId": "t1", "input": {"a": 1, "b": [0.0, True, None, "text"]}}}
    usage = {"inputTokens": 1, "totalTokens": 10**30}
    image = {"image": {"format": "png", "source": {"bytes": b"\x00\x01"}}}
    others = {"price": Decimal("1.0"), "at": datetime(2026, 1, 1, tzinfo=timezone.utc), "names": {"b", "a"}}
    return {"role": "user", "content": [block, image, {"json": others}], "metadata": {"usage": usage}}


def at(*path: Any) -> Callable[[Any, Any], None]:
    def edit(message: Any, value: Any) -> None:
        for step in path[:-1]:
            message = message[step]
        message[path[-1]] = value

    return edit


TOOL = ("content", 0, "toolUse", "input")
OTHERS = ("content", 2, "json")


@pytest.mark.parametrize("others", [True, False], ids=["with a set beside it", "without"])
@pytest.mark.parametrize(
    ("edit", "value"),
    [
        (at("role"), "assistant"),
        (at(*TOOL, "a"), True),
        (at(*TOOL, "a"), 1.0),
        (at(*TOOL, "b", 0), -0.0),
        (at(*TOOL, "b", 0), 0),
        (at(*TOOL, "b", 1), 1),
        (at(*TOOL, "b", 2), "null"),
        (at(*TOOL, "b", 3), "Text"),
        (at(*TOOL, "b"), [0.0, True, None]),
        (at(*TOOL, "c"), None),
        (at("metadata", "usage", "totalTokens"), 10**30 + 1),
        (at("content", 1, "image", "source", "bytes"), b"\x00\x02"),
        (at("content", 1, "image", "source", "bytes"), bytearray(b"\x00\x01")),
        (at(*OTHERS, "price"), Decimal("1.00")),
        (at(*OTHERS, "names"), {"a", "c"}),
    ],
)
def test_an_edit_in_place_is_noticed_wherever_it_is(edit: Callable[[Any, Any], None], value: Any, others: bool) -> None:
    message = said()
    if not others:
        message["content"][2]["json"]["names"] = "none"
    content = MessageContent(message)
    edit(message, value)
    assert not content.is_of(message)
    assert content != MessageContent(message)


def test_what_has_not_changed_is_recognised_without_encoding_it() -> None:
    message = said()
    message["content"][2]["json"]["names"] = "none"
    content = MessageContent(message)
    assert content.is_of(message)
    assert content.is_of(copy.deepcopy(message))
    # Strands gives it one once it is asked about.
    message["tracking_id"] = "m1"
    assert content.is_of(message)
    assert content.replica == message


def test_what_is_said_in_values_of_other_kinds_under_another_name_has_its_fingerprint() -> None:
    message = {"role": "user", "content": [{"text": "Hi"}], "tracking_id": "m1"}
    content = MessageContent(message)
    (found,) = contents_of([{"role": "user", "content": [OrderedDict(text="Hi")]}], [content])
    assert found.print == content.print == fingerprint(message)


@given(messages, messages)
def test_what_is_recognised_has_the_same_fingerprint(one: Any, other: Any) -> None:
    content = MessageContent(one)
    assert content.print == fingerprint(one)
    if content.is_of(other):
        assert fingerprint(one) == fingerprint(other)


@given(st.lists(messages, max_size=6), st.lists(messages, max_size=6))
def test_contents_are_those_of_the_messages_whatever_was_expected(before: list[Any], now: list[Any]) -> None:
    expected = list(map(MessageContent, before))
    assert [one.print for one in contents_of(now, expected)] == list(map(fingerprint, now))


def test_those_beside_what_has_changed_are_not_looked_into() -> None:
    before = [{"role": "user", "content": [{"text": str(number)}]} for number in range(5)]
    expected = list(map(MessageContent, before))
    found = contents_of([*before[:2], {"role": "user", "content": [{"text": "new"}]}, *before[3:]], expected)
    assert [one is other for one, other in zip(found, expected, strict=True)] == [True, True, False, True, True]


class Unwilling:
    """Refuses to be compared, as arrays do."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_what_cannot_be_compared_is_a_change_that_cannot_be_stored() -> None:
    message: Any = {"role": "user", "content": [{"text": "Hi"}]}
    content = MessageContent(message)
    message["content"][0]["text"] = Unwilling()
    assert not content.is_of(message)
    with pytest.raises(EncodingError, match=r"message\.content\[0\]\.text"):
        MessageContent(message)


def test_a_message_that_contains_itself_is_refused_by_name() -> None:
    message: Any = {"role": "user", "content": []}
    message["content"].append(message)
    with pytest.raises(EncodingError, match="contains itself"):
        MessageContent(message)
