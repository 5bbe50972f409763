"""The transcript in a bundle: what was said, for people, in a page that can do nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.evidence.transcript import TranscriptPage
from support.bundles import bundle_of
from support.command_line import CALL, RESULT, message
from support.tampering import tamper

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></article></main><h1>forged</h1>",
    "<!-- & &lt; --> ]]>",
    "\u202egnp.exe\u2066 \x1b[31m \x00 \ud800",
)


class Page(HTMLParser):
    """What stands in a page: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.text = list[tuple[str, dict[str, str | None]]](), ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


ELEMENTS = {"html", "head", "meta", "title", "style", "body", "header", "h1", "p", "main", "article", "h2", "a", "time"}
ELEMENTS |= {"b", "pre", "details", "summary", "footer", "code"}


def transcript(log: SessionLog, session_id: str = "s", **options: Any) -> str:
    return bundle_of(log, session_id, **options).members["sessions/0001/transcript.html"].decode()


def test_it_tells_what_was_said_and_done_in_order(talk: SessionLog) -> None:
    text = Page(transcript(talk, "s-42")).text
    places = [
        text.index(said) for said in ("What should I pack?", "Let me look.", "forecast", "19 °C", "A light jacket.")
    ]
    assert places == sorted(places)
    assert f"{talk.event('s-42', 3).id.time:%Y-%m-%d %H:%M:%S}" in text
    assert talk.anchor("s-42").link in text


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_whatever_was_written_is_text_and_nothing_hides(log: SessionLog, attack: str) -> None:
    # What Strands hands over has no such keys.
    key = attack.replace("\ud800", "")
    call = {"toolUse": {"toolUseId": "1", "name": attack, "input": {key: attack}}}
    answer = {"toolResult": {"toolUseId": "1", "status": attack, "content": [{"text": attack}, {"json": attack}]}}
    log.append("s", [message(0, "user", attack, call), message(1, "assistant", answer, {key: {"x": attack}})])
    log.append("s", events.Custom("custom.odd", {"name": attack, "deep": [attack]}, "default"))
    page = Page(transcript(log))
    assert page.tags <= ELEMENTS
    assert {name for _, given in page.elements for name in given if name.startswith("on")} == set()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066\ud800]", page.text)
    assert page.text.count(attack.replace("\x00", "\\x00")) >= 1 or not attack.isascii()


def test_names_are_text_too(log: SessionLog) -> None:
    name = "<img src=x>&\"'"
    log.append(name, message(0, "user", "Hello", agent=name))
    log.append(name, events.Custom("custom.x", {}, name))
    tamper(log, 2, lambda fields: {**fields, "type": b"<b onclick=x>"}, name)
    page = Page(transcript(log, name))
    assert page.tags <= ELEMENTS
    assert page.text.count(name) >= 3
    assert "<b onclick=x>" in page.text


def test_the_page_may_load_nothing_and_run_nothing(talk: SessionLog) -> None:
    page = transcript(talk, "s-42")
    (policy,) = [given["content"] for tag, given in Page(page).elements if "http-equiv" in given]
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "script" not in page
    assert [given for _, given in Page(page).elements if {"src", "style"} & set(given)] == []
    links = [given["href"] for _, given in Page(page).elements if "href" in given]
    assert all(str(link).startswith("#e") for link in links)


def test_erased_and_withheld_content_is_told_apart(talk: SessionLog) -> None:
    talk.erase("s-42", 4, "asked to")
    page = Page(transcript(talk, "s-42", types=["message.*"])).text
    assert page.count("content erased") == 1
    assert page.count("content withheld") == 3
    assert "Let me look" not in page
    assert "The content of 3 was withheld from this bundle." in page
    assert "The content of 1 was erased." in page


def test_files_are_named_with_their_digest(log: SessionLog) -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    log.append("s", message(0, "user", image))
    text = Page(transcript(log)).text
    assert f"image  (png, 4 bytes, SHA-256 {hashlib.sha256(bytes(b'%cPNG' % 0x89)).hexdigest()})" in text


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"message":7}', b"\x28\xb5\x2f\xfdjunk"])
def test_content_that_cannot_be_read_is_said_to_be(body: bytes) -> None:
    written = list[bytes]()
    page = TranscriptPage("s", written.append)
    fields = [
        b"type",
        b"message.added",
        b"agent",
        b"a",
        *[b""] * 10,
        b"retained",
        b"",
        b"salt",
        b"x",
        b"link",
        b"",
        b"body",
    ]
    page.add((b"1767225600000-1", [*fields, body]), False, False)
    assert "its content cannot be read" in b"".join(written).decode()


def test_a_tool_and_its_result_are_read_as_such(log: SessionLog) -> None:
    log.append("s", [message(0, "assistant", CALL), message(1, "user", RESULT)])
    text = Page(transcript(log)).text
    assert "calls the tool forecast" in text
    assert '"city": "Lisbon"' in text
    assert "a tool answers: success" in text
