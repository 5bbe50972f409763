"""The content blocks of a message, as Strands has them, as what is shown of each.

Nothing of a message is left out: a block of a kind that is not known here is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any, ClassVar, Final

import orjson
from markupsafe import Markup

from strands_session_log import from_json

from .markup import host_of, is_outside, is_parsed, markdown, one_line, visible, without_ansi
from .media import Media, content_of, media_of

_LONG_CHARACTERS: Final = 12 * 1024
_LONG_LINES: Final = 120
LONGEST_TEXT: Final = 256 * 1024
"""In characters: what is longer is a file."""
_FILES: Final = frozenset(("image", "document", "video", "audio"))


@dataclass(frozen=True)
class Block:
    """One block; `kind` names the macro of the templates that shows it."""

    kind: ClassVar[str] = "block"


@dataclass(frozen=True)
class Prose(Block):
    """What was said.

    Attributes:
        source: As it was written.
        is_markdown: Whether it is Markdown, and not shown as it stands.
        guarded: For what a guardrail was to look at it: `query`, `grounding_source`; empty for nothing.
    """

    kind: ClassVar[str] = "prose"
    source: str
    is_markdown: bool = False
    guarded: str = ""

    @cached_property
    def html(self) -> Markup:
        """As it is shown; made when that is, as a stretch is read with what stands beside it, which is not shown."""
        if self.is_markdown:
            return markdown(self.source)
        return visible(without_ansi(self.source)[:LONGEST_TEXT], prose=True)

    @property
    def is_long(self) -> bool:
        """Whether it is folded."""
        return is_long(self.source)


@dataclass(frozen=True)
class File(Block):
    """An image, document, sound or film."""

    kind: ClassVar[str] = "file"
    media: Media


@dataclass(frozen=True)
class ToolCall(Block):
    """A tool was called."""

    kind: ClassVar[str] = "call"
    tool_use_id: str
    name: str
    input: Any

    @property
    def line(self) -> str:
        """Its input on one line."""
        return one_line(as_json(self.input, indent=False), 160)


@dataclass(frozen=True)
class Result(Block):
    """What a tool gave."""

    kind: ClassVar[str] = "result"
    tool_use_id: str
    is_error: bool
    blocks: tuple[Block, ...]

    @property
    def line(self) -> str:
        """Its beginning."""
        first = next((one for one in self.blocks if isinstance(one, (Prose, Json))), None)
        if isinstance(first, Json):
            return one_line(as_json(first.value, indent=False), 160)
        return one_line(first.source, 160) if first else ""


@dataclass(frozen=True)
class Thought(Block):
    """What a model thought.

    Attributes:
        text: What it let be read.
        signature: How long its signature is, in characters.
        hidden: How much its provider hides, in bytes.
    """

    kind: ClassVar[str] = "thought"
    text: str = ""
    signature: int = 0
    hidden: int = 0


@dataclass(frozen=True)
class CitedSource:
    """Where something is from that was cited.

    Attributes:
        title: What it is called.
        place: Where in it.
        href: Its address on the web, if that is one; else empty.
        texts: What stands there.
    """

    title: str
    place: str
    href: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Cited(Block):
    """Text with its sources."""

    kind: ClassVar[str] = "cited"
    prose: Prose
    sources: tuple[CitedSource, ...]


@dataclass(frozen=True)
class CachePoint(Block):
    """Up to where a model may keep what it has read."""

    kind: ClassVar[str] = "cache_point"
    text: str = ""


@dataclass(frozen=True)
class Json(Block):
    """A value, and the key under which it stood if that is of no known kind."""

    kind: ClassVar[str] = "json"
    value: Any
    key: str = ""


@dataclass
class _Blocks:
    """Counts the files of one message on the way."""

    is_assistant: bool
    numbers: Iterator[int] = field(default_factory=count)

    def of(self, block: Any, in_result: bool = False) -> Block:
        """What is shown of a block."""
        match block:
            case {"text": str(text)}:
                return prose(text, self.is_assistant and not in_result)
            case {"toolUse": {"toolUseId": use, "name": name, **call}}:
                return ToolCall(str(use), str(name), call.get("input"))
            case {"toolResult": {"toolUseId": use, **result}}:
                blocks = tuple(self.of(one, in_result=True) for one in _listed(result.get("content")))
                return Result(str(use), result.get("status") == "error", blocks)
        if not isinstance(block, Mapping) or not block:
            return Json(block)
        key, value = next(iter(block.items()))
        if key in _FILES and isinstance(value, Mapping):
            return File(media_of(next(self.numbers), str(key), value))
        return _rare(block) or Json(block if len(block) > 1 else value, "" if key == "json" else str(key))


def _rare(block: Mapping[str, Any]) -> Block | None:
    match block:
        case {"reasoningContent": Mapping() as content}:
            return _thought(content)
        case {"citationsContent": Mapping() as content}:
            return _cited(content)
        case {"guardContent": {"text": {"text": str(text), **rest}}}:
            guarded = ", ".join(map(str, _listed(rest.get("qualifiers")))) or "content"
            return Prose(text, guarded=guarded)
        case {"cachePoint": Mapping() as point}:
            return CachePoint(" ".join(f"{name} {value}" for name, value in point.items() if name != "type"))
    return None


def blocks_of(message: Any) -> tuple[Block, ...]:
    """What is shown of a message, block by block.

    Args:
        message: As Strands has it, in the JSON the log has.
    """
    message = restored(message)
    if not isinstance(message, Mapping):
        return (Json(message),)
    blocks = _Blocks(message.get("role") == "assistant")
    return tuple(blocks.of(one) for one in _listed(message.get("content")))


def file_of(message: Any, number: int) -> tuple[Media, bytes] | None:
    """A file of a message by its number, with its bytes."""
    for at, (kind, block) in enumerate(_files(_listed(_mapping(restored(message)).get("content")))):
        content = content_of(block)
        if at == number and content is not None:
            return media_of(number, kind, block), content
    return None


def _files(blocks: Sequence[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """In the order in which they are counted."""
    for block in blocks:
        match block:
            case {"toolResult": {"content": content}}:
                yield from _files(_listed(content))
            case Mapping() if block:
                key, value = next(iter(block.items()))
                if key in _FILES and isinstance(value, Mapping):
                    yield str(key), value


def prose(text: str, is_markdown: bool) -> Prose:
    """Text: of a model as Markdown, of all others as it stands; a tool's without the codes of a terminal."""
    return Prose(text, is_markdown=is_markdown and is_parsed(text))


def is_long(text: str) -> bool:
    """Whether a text is folded."""
    return len(text) > _LONG_CHARACTERS or text.count("\n") > _LONG_LINES


def as_json(value: Any, *, indent: bool = True) -> str:
    """A value of a message as JSON; what is none is described."""
    option = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, default=_described, option=option).decode()
    except (TypeError, ValueError):
        return repr(value)


def restored(value: Any) -> Any:
    """What was stored, where JSON has only a stand-in for it."""
    try:
        return from_json(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return value


def _described(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value):,} bytes)"
    return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else str(value)


def _thought(content: Mapping[str, Any]) -> Thought:
    text, hidden = _mapping(content.get("reasoningText")), content.get("redactedContent")
    return Thought(
        str(text.get("text", "")),
        len(str(text.get("signature") or "")),
        len(hidden) if isinstance(hidden, (bytes, str)) else 0,
    )


def _cited(content: Mapping[str, Any]) -> Cited:
    text = "".join(str(_mapping(one).get("text", "")) for one in _listed(content.get("content")))
    return Cited(prose(text, True), tuple(_source(_mapping(one)) for one in _listed(content.get("citations"))))


def _source(citation: Mapping[str, Any]) -> CitedSource:
    location = _mapping(citation.get("location"))
    kind, place = next(iter(location.items()), ("", {}))
    place = _mapping(place)
    url = str(place.get("url", ""))
    told = [f"{name} {value}" for name, value in place.items() if name != "url"]
    where = " ".join([*told, *([f"at {host_of(url)}"] if url else [])])
    texts = (str(_mapping(one).get("text", "")) for one in _listed(citation.get("sourceContent")))
    return CitedSource(
        str(citation.get("title") or place.get("domain") or url or kind),
        f"{kind}: {where}" if where else str(kind),
        url if is_outside(url) and not url.startswith("mailto:") else "",
        tuple(text for text in texts if text),
    )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else () if value is None else (value,)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
