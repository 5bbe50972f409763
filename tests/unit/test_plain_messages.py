"""Messages of text alone are made into JSON without a copy of them: the same comes of every message both ways."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strands_session_log.codec import Encoded, decode, encode, envelope, from_json, text_alone
from strands_session_log.errors import EncodingError, InvalidIdError
from strands_session_log.events import MessageAdded
from strands_session_log.ids import MESSAGE_INDEX_LIMIT

TIME = "2026-11-29T12:00:00.000001+00:00"

# Lone surrogates among them, which no UTF-8 has.
texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(["", "\ud800", '"\\\n\x00\x7f\u2028', "é😀"])
scalars = texts | st.none() | st.booleans() | st.integers() | st.floats() | st.just(uuid.UUID(int=1))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
blocks = st.fixed_dictionaries({"text": texts}) | st.fixed_dictionaries({"text": scalars}) | values
roles = st.sampled_from(["user", "assistant", "system", "", None, 1, "\ud800"])
messages = (
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant"]), "content": st.lists(blocks, min_size=1, max_size=1)}
    )
    | st.fixed_dictionaries(
        {"role": roles, "content": st.lists(blocks, max_size=2) | values}, optional={"metadata": values}
    )
    | st.fixed_dictionaries({"content": st.lists(blocks, max_size=2), "role": roles})
    | values
)
indices = st.integers(0, 99) | st.sampled_from([-1, True, 1.0, None, "1", MESSAGE_INDEX_LIMIT, 1 - MESSAGE_INDEX_LIMIT])
times = st.just(TIME) | st.sampled_from(["2026-11-29", None, 1])
records = st.fixed_dictionaries(
    {
        "message": messages,
        "message_id": indices,
        "redact_message": st.none() | messages,
        "created_at": times,
        "updated_at": times,
    }
) | st.fixed_dictionaries(
    {"message": messages, "message_id": indices},
    optional={"created_at": times, "more": values, "redact_message": st.none()},
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "agent": texts | st.sampled_from(["default", "", "a\u200db", "a b", None]),
        "event_id": texts,
        "trace": st.sampled_from(["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "é", "\ud800", None]),
        "version": st.sampled_from([1, 2, 0, 10**6, True, "1"]),
        "time": st.just(TIME) | texts,
    },
)


def plain(message: Any) -> dict[str, Any]:
    return {"message": message, "message_id": 3, "redact_message": None, "created_at": TIME, "updated_at": TIME}


@given(records, envelopes)
@example(plain({"role": "user", "content": [{"text": "hello"}]}), {})
@example(plain({"role": "user", "content": [{"text": "\ud800"}]}), {})
@example(plain({"role": "user", "content": [{"text": float("nan")}]}), {})
@example(plain({"role": "user", "content": [{"__encoded__": "text"}]}), {})
def test_the_quick_way_and_the_general_way_say_the_same_of_every_message(said: Any, fields: dict[str, Any]) -> None:
    event = MessageAdded(said, **{"time": TIME, **fields})
    assert came_of(lambda: encode(event)) == came_of(lambda: envelope._encode_in_general(event))


@given(texts, st.sampled_from(["user", "assistant"]))
def test_text_is_read_back_as_it_was_said(text: str, role: str) -> None:
    said = plain({"role": role, "content": [{"text": text}]})
    encoded = encode(MessageAdded(said, "default", time=TIME))
    names = ("type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link", "body")
    entry = dict(zip(names, (*encoded.header, b"0-0", encoded.retained, b"s", b"l", encoded.body), strict=True))
    from_log = decode("1700000000000-4", entry).event.data

    assert from_json(from_log) == said


@pytest.mark.parametrize("text", ["hello", 'é😀 "\\\n\x00'])
def test_a_message_of_text_is_not_copied(text: str) -> None:
    assert text_alone({"role": "user", "content": [{"text": text}]})


CALL = {"toolUse": {"toolUseId": "t", "name": "add", "input": {"a": 1, "b": b"x", "c": float("nan")}}}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": [{"text": "hello"}], "metadata": {"usage": {"inputTokens": 1}, "metrics": {}}},
        {"role": "assistant", "content": [{"text": "hello"}, CALL]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "status": "success", "content": []}}]},
        {"role": "user", "content": [{"text": "\ud800"}]},
        {"role": "user", "content": [], "__encoded__": "text"},
    ],
)
def test_what_models_and_tools_say_goes_the_quick_way_too(message: Any) -> None:
    event = MessageAdded(plain(message), "default", time=TIME)
    assert envelope._encode_message(event) == envelope._encode_in_general(event)


def came_of(call: Callable[[], Encoded]) -> Any:
    """What was returned, or how it was refused."""
    try:
        return call()
    except (EncodingError, InvalidIdError, TypeError, AttributeError) as error:
        return type(error), str(error)
