"""What was said, for people: one page of HTML without scripts, written as the events are read.

Nothing is proved by it, and all of it was written by somebody: texts are escaped, what would not be seen is shown, and
a policy forbids the page to load or to send anything.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from ..codec import MARK, RawEntry, from_json, id_of, text_of
from ..encryption import is_encrypted
from ..events import PayloadErased
from ..ids import EventId
from ..unseen import escaped

_PRETTY: Final = orjson.OPT_INDENT_2
_MESSAGES: Final = ("message.added", "message.updated", "message.redacted")
_GIST: Final = ("name", "node", "status", "stop_reason", "error", "error_text", "reason", "by", "duration_ms")
"""What of an event stands in the line that opens it."""
_MOST_GIST: Final = 200
_ENCRYPTED: Final = "gone", '<p class="gone">content encrypted</p>'


@cache
def _style() -> tuple[str, str]:
    """How a page looks, and the digest that a policy names it by."""
    text = (Path(__file__).parent / "transcript.css").read_text()
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class TranscriptPage:
    """Writes the page of a session.

    Args:
        session_id: The session.
        write: Takes the page, piece by piece.
    """

    def __init__(self, session_id: str, write: Callable[[bytes], Any]) -> None:
        self._write, name = write, _text(session_id)
        style, digest = _style()
        write(
            "<!DOCTYPE html>\n"
            '<html lang="en"><head><meta charset="utf-8">\n'
            f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'\">\n"
            '<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width">\n'
            f"<title>{name}</title><style>{style}</style></head><body>\n"
            f'<header><h1 dir="auto">{name}</h1>\n'
            "<p>What was said and done, in order; times are the server's, in UTC. This page is for reading: what can "
            "be verified is events.jsonl beside it.</p></header>\n<main>\n".encode()
        )

    def add(self, entry: RawEntry, is_erased: bool, is_withheld: bool) -> None:
        """One more event.

        Args:
            entry: As the server sends it.
            is_erased: Whether its content was erased.
            is_withheld: Whether its content is not to be shown.
        """
        id_, fields = id_of(entry[0]), entry[1]
        if fields[1] == b"message.added" and not (is_erased or is_withheld) and (said := _plain_message(fields[21])):
            at = id_.revision
            self._write(_PLAIN % (at, said[1], at, at, *_told(id_.ms, fields[3]), *said.groups()))
            return
        type_, agent = fields[1].decode(errors="replace"), fields[3]
        if is_erased or is_withheld:
            kept = fields[15].decode(errors="replace")
            word = "withheld" if is_withheld else "erased"
            role, body = "gone", f'<p class="gone">content {word}{_kept(kept)}</p>'
        else:
            role, body = _content(type_, fields[21], fields[15]) if not is_encrypted(entry) else _ENCRYPTED
        ms, revision = id_
        self._write(
            f'<article id="e{revision}" class="{role}"><h2><a href="#e{revision}">{revision}</a> '
            f"<time>{_second(ms // 1000)}.{ms % 1000:03}</time> {_of(type_, agent)}</h2>{body}</article>\n".encode(
                errors="backslashreplace"
            )
        )

    def close(self, revision: int, link: str, withheld: int, erased: int) -> None:
        """There are no more.

        Args:
            revision: How many there were.
            link: The hash chain at the last of them.
            withheld: Of how many the content is not here.
            erased: Of how many the content was erased.
        """
        gone = "".join(
            f"<p>The content of {number:,} was {word}.</p>"
            for number, word in ((withheld, "withheld from this bundle"), (erased, "erased"))
            if number
        )
        told = f"<p>{revision:,} events; the link of the last is <code>{_text(link)}</code>.</p>{gone}"
        self._write(f"</main>\n<footer>{told}</footer></body></html>\n".encode())


_plain_message = re.compile(
    rb'\{"message":\{"role":"(user|assistant)","content":\[\{"text":"([ !#-%\'-;=?-\[\]-~]*)"\}\]\}\}'
).fullmatch
"""A message of which nothing has to be escaped, here or in JSON: many are."""
_PLAIN: Final = (
    b'<article id="e%d" class="%b"><h2><a href="#e%d">%d</a> <time>%b</time> %b</h2><p><b>%b</b></p>'
    b'<pre dir="auto">%b</pre></article>\n'
)


def _told(ms: int, agent: bytes) -> tuple[bytes, bytes]:
    return f"{_second(ms // 1000)}.{ms % 1000:03}".encode(), _of("message.added", agent).encode()


def _content(type_: str, body: bytes, kept: bytes) -> tuple[str, str]:
    """The class of an event, and what it says."""
    try:
        text = text_of(body)
        data = orjson.loads(text)
        data = from_json(data) if MARK.encode() in text else data
        if type_ in _MESSAGES:
            return _message(data)
        return "fact", _fact(type_, data, kept)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "fact", '<p class="note">its content cannot be read</p>'


def _message(data: Any) -> tuple[str, str]:
    message = data.get("redact_message") or data["message"]
    role, content = message.get("role"), message.get("content")
    blocks = content if isinstance(content, list) else [content]
    said = "".join(map(_block, blocks))
    if role in ("user", "assistant"):
        return role, f"<p><b>{role}</b></p>{said}"
    return "fact", f"<p><b>{_text(str(role))}</b></p>{said}"


def _block(block: Any) -> str:
    """A content block of a message; one nobody knows as JSON."""
    if type(block) is dict and len(block) == 1 and type(text := block.get("text")) is str:
        return f'<pre dir="auto">{_text(text)}</pre>'
    return "".join(map(_part, block, block.values())) if isinstance(block, dict) else _json(block)


def _part(kind: str, value: Any) -> str:
    match kind, value:
        case "text", str():
            return f'<pre dir="auto">{_text(value)}</pre>'
        case "toolUse", {"name": name, "input": given}:
            return f"<p>calls the tool <b>{_text(str(name))}</b> with</p>{_json(given)}"
        case "toolResult", {"content": list(results)}:
            return f"<p>a tool answers: {_text(str(value.get('status', '')))}</p>{''.join(map(_block, results))}"
        case "reasoningContent", {"reasoningText": {"text": str(thought)}}:
            return f'<p class="note">reasoning</p><pre dir="auto">{_text(thought)}</pre>'
        case "image" | "document" | "video", dict():
            return f'<p class="note">{_text(_file(kind, value))}</p>'
    return f"<p>{_text(str(kind))}</p>{_json(value)}"


def _file(kind: str, value: Mapping[str, Any]) -> str:
    source = value.get("source")
    held = source.get("bytes") if isinstance(source, Mapping) else None
    size = f", {len(held):,} bytes, SHA-256 {hashlib.sha256(held).hexdigest()}" if isinstance(held, bytes) else ""
    return f"{kind} {value.get('name', '')} ({value.get('format', 'of unknown format')}{size})"


def _fact(type_: str, data: Any, kept: bytes) -> str:
    with suppress(ValueError):
        if kept.startswith(b"{") and isinstance(data, dict):
            data = {**orjson.loads(kept), **data}
    told = data if isinstance(data, Mapping) else {}
    gist = ", ".join(f"{name} {told[name]}" for name in _GIST if isinstance(told.get(name), (str, int)))
    names = ", ".join(map(str, told["erased"])) if type_ == PayloadErased.TYPE else ""
    line = _text(f"{names}{'; ' if names and gist else ''}{gist}"[:_MOST_GIST]) or "content"
    return f"<details><summary>{line}</summary>{_json(data)}</details>"


def _json(value: Any) -> str:
    text = orjson.dumps(value, default=_as_text, option=_PRETTY | orjson.OPT_NON_STR_KEYS).decode()
    return f'<pre class="json">{_text(text)}</pre>'


def _as_text(value: Any) -> str:
    return f"{len(value):,} bytes" if isinstance(value, (bytes, bytearray)) else repr(value)


def _kept(kept: str) -> str:
    return f": {_text(kept)}" if kept else ""


def _text(text: str) -> str:
    """Text for the page, in which nothing hides."""
    # Nearly all is printable, and lines.
    is_seen = text.isascii() and (text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable())
    shown = text if is_seen else escaped(text)
    if "&" in shown:
        shown = shown.replace("&", "&amp;")
    if "<" in shown:
        shown = shown.replace("<", "&lt;")
    return shown.replace(">", "&gt;").replace('"', "&quot;")


@lru_cache(maxsize=1024)
def _of(type_: str, agent: bytes) -> str:
    by = f" of <b>{_text(agent.decode(errors='replace'))}</b>" if agent else ""
    return f"<b>{_text(type_)}</b>{by}"


@lru_cache(maxsize=16)
def _second(number: int) -> str:
    return f"{EventId(number * 1000, 0).time:%Y-%m-%d %H:%M:%S}"
