"""Templates, and the words they use."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strands_session_log import MessageRecord, Recorded, SessionInfo

from .addresses import path_of, session_path
from .content.blocks import as_json, blocks_of, restored
from .content.markup import as_text, code, hidden, one_line, visible
from .content.secrets import is_secret_name
from .content.snippets import snippet_html
from .conversation.differing import pieces
from .conversation.window import nodes_of
from .settings import STATIC, TEMPLATES

_WORDS: Final[Mapping[str, str]] = {
    "answer": "‖ waits",
    "failed": "▲ failed",
    "tool": "● in a tool",
    "running": "● running",
    "silent": "◌ silent",
    "idle": "○ idle",
    "unknown": "? not summed up",
}
KEYS: Final = (
    (("←", "→"), "an event back, forward"),
    (("Shift ←", "Shift →"), "a turn back, forward"),
    (("Home", "End"), "first event, now"),
    (("Space",), "play, pause"),
    (("<", ">"), "slower, faster"),
    (("e", "E"), "next, previous error"),
    (("w", "W"), "next, previous wait for a person"),
    (("j", "k"), "next, previous message or row"),
    (("Enter", "o"), "open, fold; all of this turn"),
    (("1", "2", "3"), "talk, events, difference"),
    (("a", "b"), "pin A, B"),
    (("d",), "difference"),
    (("l",), "one agent alone, the next, all"),
    (("x",), "axis: gaps, time, events"),
    (("+", "-", "0"), "zoom in, out, all"),
    (("v",), "verify"),
    (("r",), "the event as stored"),
    (("y",), "copy link"),
    (("c",), "copy the message as Markdown"),
    (("/",), "find"),
    (("n", "N"), "next, previous hit"),
    (("g s", "g i"), "sessions, inbox"),
    (("t",), "light, dark"),
    ((".",), "detail"),
    (("Esc",), "close, back to now"),
)


def environment() -> Environment:
    """Templates that escape everything, and stumble over what they were not given."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.globals |= {
        "age": age,
        "as_json": as_json,
        "as_text": as_text,
        "code": code,
        "event_text": event_text,
        "hidden": hidden,
        "is_secret_name": is_secret_name,
        "kept": False,
        "mask": True,
        "key_help": KEYS,
        "lasted": lasted,
        "last_line": last_line,
        "limited": limited,
        "message_change": message_change,
        "message_text": message_text,
        "nodes_of": nodes_of,
        "loop_id": short_hash,
        "path_of": path_of,
        "quoted": shlex.quote,
        "restored": restored,
        "said_line": said_line,
        "session_path": session_path,
        "short": short,
        "size": size,
        "snippet_html": snippet_html,
        "status_word": status_text,
        "visible": visible,
        "word_of": word_of,
    }
    return found


@cache
def asset_version(name: str) -> str:
    """What tells one version of a file that is served from another.

    Those at the top have one in common: they import each other, and a module of two addresses would be two.
    """
    together = sorted(one for one in STATIC.iterdir() if one.is_file())
    read = [STATIC / name] if "/" in name else together
    return hashlib.sha256(b"".join(one.read_bytes() for one in read)).hexdigest()[:12]


@cache
def _assets() -> Mapping[str, Path]:
    return {one.relative_to(STATIC).as_posix(): one for one in STATIC.rglob("*") if one.is_file()}


def asset_file(name: str) -> Path | None:
    """A file that is served, by its name; None if there is none. What is asked for is never made a path."""
    return _assets().get(name)


def limited(values: Iterable[Any], most: int = 200) -> list[Any]:
    """The first of some values."""
    return list(islice(values, most))


def short_hash(text: str) -> str:
    """What can stand in an HTML id for any text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def short(number: int | None) -> str:
    """A number in little room."""
    if number is None:
        return "\u2013"
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:,.1f}k" if number < 1_000_000 else f"{number / 1_000_000:,.1f}M"


def size(count: int) -> str:
    """Bytes, as people say them."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:,.1f} KB" if count < 1024**2 else f"{count / 1024**2:,.1f} MB"


def lasted(seconds: float) -> str:
    """A duration in two parts."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} m" if hours else f"{minutes} m {rest} s"


def age(time: datetime) -> str:
    """How long ago something was, in one part."""
    seconds = max(0, int((datetime.now(timezone.utc) - time).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def word_of(info: SessionInfo) -> str:
    """What a session does; `silent` if it should be at work and was not heard of for ten minutes."""
    return "silent" if info.activity and info.activity.is_silent else info.status


def status_text(info: SessionInfo) -> str:
    """That, as people read it."""
    return _WORDS[word_of(info)]


def last_line(info: SessionInfo) -> Markup:
    """What was said last."""
    if info.last_message is None:
        return Markup("")
    event = info.last_message.event
    if not event.has_content:
        return Markup('<span class="muted">{}</span>').format("encrypted" if event.is_sealed else "erased")
    return _text_of(event.data.get("redact_message") or event.data.get("message"), 160)


def event_text(recorded: Recorded) -> Markup:
    """The beginning of what an event holds."""
    data = recorded.event.data
    message = data.get("redact_message") or data.get("message")
    if isinstance(message, Mapping):
        return _text_of(message, 160)
    return visible(one_line(as_json(dict(data), indent=False), 160), prose=True)


def message_text(record: MessageRecord) -> Markup:
    """The beginning of a message."""
    return Markup('<span class="muted">erased</span>') if record.erased else _text_of(record.shown, 300)


def message_change(before: MessageRecord, after: MessageRecord) -> Markup:
    """What differs between what a message said and what it says, word by word."""
    said = [pieces(_source_of(before), _source_of(after))] if not (before.erased or after.erased) else []
    tags = {"same": Markup("{}"), "gone": Markup("<del>{}</del>"), "new": Markup("<ins>{}</ins>")}
    return Markup("").join(tags[one.kind].format(visible(one.text, prose=True)) for found in said for one in found)


def _source_of(record: MessageRecord) -> str:
    blocks = blocks_of(record.shown)
    return "\n\n".join(str(getattr(one, "source", "") or getattr(one, "line", "")) for one in blocks)


def said_line(said: Any) -> Markup:
    """The beginning of a message in a conversation."""
    return _line_of(said.versions[0].blocks, 160) if said.versions else Markup("")


def _text_of(message: Any, most: int) -> Markup:
    return _line_of(blocks_of(message), most)


def _line_of(blocks: Sequence[Any], most: int) -> Markup:
    texts = (getattr(one, "source", "") or getattr(one, "name", "") or getattr(one, "line", "") for one in blocks)
    return visible(one_line(" ".join(map(str, texts)), most), prose=True)
