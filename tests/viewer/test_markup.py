"""Whatever somebody wrote, what comes out can do nothing but be read, and nothing of it is lost."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log_consumers.viewer.content.markup import (
    LONGEST_MARKDOWN,
    MOST_MARKUP,
    as_text,
    code,
    is_outside,
    markdown,
    named,
    one_line,
    visible,
    without_ansi,
)

TAGS = {"a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p"}
TAGS |= {"pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"}
ATTRIBUTES = {"href", "rel", "class", "start", "tabindex"}
HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\x00-\x08\x0e-\x1f\x7f-\x9f\U000e0000-\U000e007f]")


def shown(name: str) -> str:
    """A character by its name, as it stands in a text."""
    return f"\u2039{name}\u203a"


class Page(HTMLParser):
    """What a browser would make of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.said = set[str](), list[tuple[str, str | None]](), ""
        # A plain one: markup would escape what is added to it.
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said += data

    @property
    def links(self) -> list[str | None]:
        return [value for name, value in self.attributes if name == "href"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<svg onload=alert(1)>",
        "<img src=x onerror=alert(1)>",
        "<iframe src=//evil.example></iframe>",
        "<style>*{display:none}</style>",
        "<div style='position:fixed'>x</div>",
        "<!-- hidden -->",
        "<a href='http://evil.example'>x</a>",
        "a <b>bold</b> word",
        "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    ],
)
def test_html_in_a_message_is_shown_as_it_was_written(text: str) -> None:
    page = Page(markdown(text))
    assert page.tags <= {"p"}
    assert page.attributes == []
    assert page.said.strip() == text


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#x0A;script:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
        "//evil.example/",
        "/api/v1/sessions",
        "?token=x",
        "#main",
        "blob:http://localhost/x",
        "http:evil",
        "http://",
        "\\\\evil.example",
    ],
)
def test_only_addresses_of_the_web_and_of_mails_become_links(address: str) -> None:
    assert not is_outside(address)
    page = Page(markdown(f"[click]({address}) and <{address}>\n\n[ref]\n\n[ref]: {address}"))
    assert "a" not in page.tags
    assert "click" in page.said


def test_a_link_says_where_it_leads_and_tells_nobody_from_where() -> None:
    page = Page(markdown("[https://bank.example](https://evil.example/login)"))
    assert page.links == ["https://evil.example/login"]
    assert ("rel", "noopener noreferrer nofollow") in page.attributes
    assert page.said.strip() == "https://bank.example (evil.example)"


def test_the_host_behind_a_password_is_the_one_that_is_told() -> None:
    assert Page(markdown("[x](https://bank.example@evil.example/)")).said.strip() == "x (evil.example)"


def test_an_image_is_never_fetched_but_named() -> None:
    page = Page(markdown("![a cat](http://evil.example/pixel.png) [![b](http://a.example/b)](http://c.example)"))
    assert "img" not in page.tags
    assert page.links == ["http://c.example"]
    assert "[a cat] image at http://evil.example/pixel.png" in page.said


def test_markdown_is_markdown() -> None:
    page = Page(markdown("# Head\n\n- **a**\n- ~~b~~\n\n| x |\n|---|\n| 1 |\n\n```python\nx = 1\n```"))
    assert page.tags >= {"h1", "ul", "li", "strong", "s", "table", "td", "pre", "code", "span"}
    assert ("class", "hl-n") in page.attributes


def test_a_language_nobody_knows_and_a_class_in_its_name_colour_nothing() -> None:
    page = Page(markdown('```tampered" onclick=x\n<b>\n```') + code("<b>", "no-such-language"))
    assert page.attributes == [("tabindex", "0")]
    assert page.said.count("<b>") == 2


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u202e", "RLO"),
        ("\u2066", "LRI"),
        ("\u200b", "ZWSP"),
        ("\x1b", "ESC"),
        ("\x85", "U+0085"),
        ("\ud800", "U+D800"),
    ],
)
def test_a_character_that_is_not_seen_or_moves_others_is_shown_by_name(character: str, name: str) -> None:
    assert named(character) == name
    for html in (visible(f"a{character}b"), visible(f"a{character}b", prose=True), markdown(f"a{character}b")):
        assert Page(html).said.strip() == f"a{shown(name)}b"


def test_letters_hidden_in_tag_characters_are_shown() -> None:
    assert Page(visible("hi\U000e0073\U000e0079")).said == "hi" + shown("TAG s") + shown("TAG y")


def test_joiners_stay_in_prose_where_scripts_need_them_and_are_shown_in_code() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert visible(family, prose=True) == family
    assert Page(markdown(f"`{family}`")).said.count(shown("ZWJ")) == 2


def test_marks_do_not_climb_over_the_lines_above() -> None:
    assert visible("a" + "\u0301" * 500 + "b") == "a" + "\u0301" * 8 + "b"


def test_what_coloured_a_terminal_is_gone_and_the_words_stay() -> None:
    assert without_ansi("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red link"


def test_a_line_is_short_and_one() -> None:
    assert one_line("a\n\n  b\tc") == "a b c"
    assert len(one_line("word " * 1000, 20)) == 20


@pytest.mark.parametrize(
    "piece", ["[*>", "[", "![[", "`a", "*a_", "|a", "> ", "- a\n", "<http://", "&", "**a ", "[a]("]
)
def test_no_message_keeps_the_server_busy(piece: str) -> None:
    for length in (MOST_MARKUP // 2, MOST_MARKUP, LONGEST_MARKDOWN):
        text = (piece * length)[:length]
        started = time.thread_time()
        markdown(text)
        assert time.thread_time() - started < 2


def test_a_table_has_not_more_cells_than_a_page_takes() -> None:
    wide = f"|{'a|' * 200}\n|{'-|' * 200}\n" + "|a\n" * 2000
    quoted = "\n".join(f"> {line}" for line in wide.splitlines())
    for text in (wide, quoted):
        assert Page(markdown(text)).tags == {"div"}
    assert "table" in Page(markdown("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 500)).tags


def test_characters_that_are_not_seen_are_no_more_elements_than_a_browser_takes() -> None:
    assert Page(visible("\u202e" * 50_000)).said == "\u2039RLO \u00d750,000\u203a"
    scattered = visible("a\u202e" * 50_000)
    assert scattered.count("<span") == 1_000
    assert Page(scattered).said == ("a" + shown("RLO")) * 50_000


@pytest.mark.parametrize("hidden", ["\u3164", "\u2062", "\U000e0101", "\u034f", "\u206a", "\ufe01"])
def test_letters_that_nobody_sees_are_shown_in_prose_too(hidden: str) -> None:
    assert shown(named(hidden)) in Page(visible(f"a{hidden * 2}b", prose=True)).said


def test_a_heart_is_a_heart() -> None:
    assert visible("\u2764\ufe0f", prose=True) == "\u2764\ufe0f"


def test_attributes_name_what_is_not_seen_as_text() -> None:
    assert as_text("a\u202e\u202e<b\u200b") == f"a{shown('RLO') * 2}<b{shown('ZWSP')}"


@pytest.mark.parametrize("address", ["http://good.example\\@evil.example/", "http://a.example/\t", "http://a b.c"])
def test_an_address_that_browsers_read_otherwise_is_none(address: str) -> None:
    assert not is_outside(address)


def test_a_host_in_letters_that_look_alike_is_told_as_browsers_do() -> None:
    assert "(xn--" in Page(markdown("[x](https://\u0430\u0440\u0440\u04cf\u0435.example/)")).said


def test_only_languages_that_are_in_a_hurry_are_coloured() -> None:
    assert "hl-" in code("x = 1", "Python")
    assert "hl-" not in code("x = 1", "brainfuck")


def test_what_is_longer_than_markdown_may_be_is_shown_as_it_stands() -> None:
    html = markdown("**a** " * LONGEST_MARKDOWN)
    assert html.startswith('<div class="as-is">**a** ')


@given(st.text())
def test_no_text_makes_a_tag_an_attribute_or_a_character_that_is_not_ours(text: str) -> None:
    html = markdown(text) + visible(text) + code(text, "python")
    page = Page(html)
    assert page.tags <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert all(is_outside(str(link)) for link in page.links)
    assert not HIDDEN.search(page.said)


@given(st.text(alphabet="<>&\"'[]()!`*_~|#:/\\ajx\n\t-=\u202e\u200b0"))
def test_no_mixture_of_marks_does_either(text: str) -> None:
    page = Page(markdown(text))
    assert page.tags <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert all(is_outside(str(link)) for link in page.links)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Mn", "Me"), exclude_characters="\u2039\u203a")))
def test_text_as_it_stands_is_all_there(text: str) -> None:
    said = Page(visible(text)).said
    assert re.sub("\u2039[^\u203a]*\u203a", "", said) == "".join(one for one in text if "unseen" not in visible(one))
