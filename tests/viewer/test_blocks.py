"""Every block of a message is shown, as what it is; a kind nobody knows as it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.codec import to_json
from strands_session_log_consumers.viewer.content.blocks import (
    Block,
    CachePoint,
    Cited,
    File,
    Json,
    Prose,
    Result,
    Thought,
    ToolCall,
    as_json,
    blocks_of,
    file_of,
)


def blocks(*content: Any, role: str = "assistant") -> tuple[Block, ...]:
    return blocks_of({"role": role, "content": list(content)})


def test_what_a_model_says_is_markdown_and_what_a_person_says_stands_as_it_is() -> None:
    (said,) = blocks({"text": "**a**"})
    (asked,) = blocks({"text": "**a**"}, role="user")
    assert isinstance(said, Prose)
    assert said.is_markdown
    assert "<strong>" in said.html
    assert isinstance(asked, Prose)
    assert not asked.is_markdown
    assert asked.html == "**a**"
    assert said.source == asked.source == "**a**"


def test_what_a_tool_gives_is_never_markdown_nor_coloured() -> None:
    content = [{"text": "\x1b[31m[x](http://evil.example)\x1b[0m"}, {"json": {"a": 1}}]
    (result,) = blocks({"toolResult": {"toolUseId": "1", "status": "error", "content": content}})
    assert isinstance(result, Result)
    assert result.is_error
    text, value = result.blocks
    assert isinstance(text, Prose)
    assert text.html == "[x](http://evil.example)"
    assert isinstance(value, Json)
    assert (value.value, value.key) == ({"a": 1}, "")
    assert "http://evil.example" in result.line


def test_a_call_tells_its_input_on_one_line() -> None:
    (call,) = blocks({"toolUse": {"toolUseId": "1", "name": "search", "input": {"to": "OSL", "text": "x" * 999}}})
    assert isinstance(call, ToolCall)
    assert call.line.startswith('{"to":"OSL"')
    assert len(call.line) == 160


def test_thoughts_tell_what_may_be_read_and_how_much_is_hidden() -> None:
    read, hidden = blocks(
        {"reasoningContent": {"reasoningText": {"text": "I should.", "signature": "abc"}}},
        {"reasoningContent": {"redactedContent": b"x" * 1200}},
    )
    assert read == Thought("I should.", 3, 0)
    assert hidden == Thought("", 0, 1200)


def test_sources_have_links_only_to_the_web() -> None:
    def citation(url: str) -> dict[str, Any]:
        return {"title": "T", "location": {"web": {"url": url}}, "sourceContent": [{"text": "there"}]}

    content = {"content": [{"text": "so"}], "citations": [citation("https://a.example/x"), citation("javascript:x")]}
    (cited,) = blocks({"citationsContent": content})
    assert isinstance(cited, Cited)
    assert [source.href for source in cited.sources] == ["https://a.example/x", ""]
    assert cited.sources[0].texts == ("there",)


def test_what_is_rare_is_shown_as_what_it_is() -> None:
    guarded, point, unknown, many, text = blocks(
        {"guardContent": {"text": {"text": "q", "qualifiers": ["query"]}}},
        {"cachePoint": {"type": "default", "ttl": "5m"}},
        {"hologram": {"a": 1}},
        {"one": 1, "two": 2},
        "no mapping",
    )
    assert isinstance(guarded, Prose)
    assert guarded.guarded == "query"
    assert point == CachePoint("ttl 5m")
    assert unknown == Json({"a": 1}, "hologram")
    assert isinstance(many, Json)
    assert many.value == {"one": 1, "two": 2}
    assert text == Json("no mapping")


def test_files_are_numbered_as_their_addresses_say_also_in_results() -> None:
    def image(content: bytes) -> dict[str, Any]:
        return {"image": {"format": "png", "source": {"bytes": content}}}

    result = {
        "toolResult": {"toolUseId": "1", "status": "success", "content": [image(b"b"), {"text": "x"}, image(b"c")]}
    }
    message = {"role": "user", "content": [image(b"a"), result, image(b"d")]}
    first, inside, last = blocks_of(message)
    assert isinstance(first, File)
    assert isinstance(inside, Result)
    assert isinstance(last, File)
    shown = [first, *(one for one in inside.blocks if isinstance(one, File)), last]
    assert [one.media.number for one in shown] == [0, 1, 2, 3]
    for number, expected in enumerate([b"a", b"b", b"c", b"d"]):
        found = file_of(message, number)
        assert found is not None
        assert found[1] == expected
    assert file_of(message, 4) is None


def test_bytes_come_back_from_what_the_log_keeps_of_them() -> None:
    stored = to_json({"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"abc"}}}]})
    (found,) = blocks_of(stored)
    assert isinstance(found, File)
    assert found.media.size == 3


def test_a_long_text_is_folded_and_a_very_long_one_is_cut() -> None:
    (short,) = blocks({"text": "word " * 100})
    (long,) = blocks({"text": "line\n" * 200})
    (huge,) = blocks({"text": "x" * 1_000_000})
    assert isinstance(short, Prose)
    assert isinstance(long, Prose)
    assert isinstance(huge, Prose)
    assert (short.is_long, long.is_long) == (False, True)
    assert len(huge.html) < 300_000


@pytest.mark.parametrize("value", [b"abc", {b"x": 1}, {1, 2}, float("nan"), {"a": object}, "\ud800", {1: "a"}])
def test_any_value_can_be_told_as_json(value: Any) -> None:
    assert as_json(value)
    assert "\n" not in as_json(value, indent=False)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
WORDS = """
    text toolUse toolResult toolUseId name input content status image document source bytes reasoningContent json title
    reasoningText redactedContent citationsContent citations location web url guardContent qualifiers cachePoint role
"""
KEYS = st.sampled_from(WORDS.split())
JUNK = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(JUNK)
def test_no_message_however_odd_is_too_odd_to_be_shown(message: Any) -> None:
    for one in (message, {"role": "assistant", "content": message}, {"content": [message]}):
        assert all(isinstance(block, Block) for block in blocks_of(one))
        assert file_of(one, 99) is None
    assert isinstance(as_json(message), str)
