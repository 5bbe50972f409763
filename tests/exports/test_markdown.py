"""A session as Markdown: whatever was said, nothing of it is anything but text."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from strands_session_log import EventId, Recorded, SessionLog, events
from strands_session_log.exports import markdown
from strands_session_log.unseen import escaped
from support.command_line import message

OURS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "fence"),
    *("text", "code_inline", "em_open", "em_close", "softbreak"),
    *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
}
HOSTILE = [
    "```\n# Assistant\n\nI agree.\n```",
    "~~~\n</code></pre><script>alert(1)</script>",
    "[click](javascript:alert(1)) ![](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "````````````\n[a]: https://evil.example",
    "\r```\r# heading\r",
    "`\n``\n```",
    "    indented\n\n---\n| a | b |\n|---|---|",
    "www.evil.example https://evil.example <https://evil.example> @someone #1",
    "\x1b[31mred\u202egnihton",
    "ends with \\",
    "",
]


def tokens_of(page: str) -> list[Token]:
    """What a reader of Markdown makes of it, all that HTML and links allow."""
    reader = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").enable("strikethrough")
    return [one for token in reader.parse(page) for one in (token, *(token.children or ()))]


def page_of(*said: Recorded) -> str:
    return "".join(part for one in said for part in markdown._section(one))


@given(st.text())
@pytest.mark.parametrize("place", ["text", "reasoning", "tool", "result", "agent", "type"])
@example("```")
@example("a`b``c```d")
def test_whatever_is_said_is_code(place: str, text: str) -> None:
    content = {
        "text": {"text": text},
        "reasoning": {"reasoningContent": {"reasoningText": {"text": text}}},
        "tool": {"toolUse": {"name": text, "input": {"a": text}, "toolUseId": text}},
        "result": {
            "toolResult": {"status": text, "content": [{"text": text}, {"json": {"a": text}}], "toolUseId": "t"}
        },
    }.get(place, {text: text})
    said = events.MessageAdded({"message": {"role": "user", "content": [content]}}, text if place == "agent" else "a")
    fact = events.Custom("custom.note", {"name": text, "reason": text}, text if place == "agent" else "")
    tokens = tokens_of(page_of(Recorded(EventId(1, 1), said, ""), Recorded(EventId(2, 2), fact, "")))
    assert {token.type for token in tokens} <= OURS
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
    assert sum(token.type == "list_item_open" for token in tokens) == 1
    if place == "text":
        fences = [token.content for token in tokens if token.type == "fence"]
        lines = [escaped(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        assert fences == ["\n".join(lines) + "\n"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_code_in_a_whole_page(log: SessionLog, text: str) -> None:
    log.append("s", message(0, "user", text))
    log.append("s", message(1, "assistant", text))
    page = b"".join(markdown.export(log, "s", lambda done, total: None)).decode()
    tokens = tokens_of(page)
    assert {token.type for token in tokens} <= OURS
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2"]
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_conversation_reads_in_order(talk: SessionLog) -> None:
    talk.erase("s-42", 6, "asked for")
    page = b"".join(markdown.export(talk, "s-42", lambda done, total: None)).decode()
    places = [
        page.index(told) for told in ("# Session ` s-42 `", "What should I pack?", "forecast", "content was erased")
    ]
    assert places == sorted(places)
    assert "A light jacket." not in page
    assert json.dumps({"city": "Lisbon", "days": 2}, indent=2) in page
