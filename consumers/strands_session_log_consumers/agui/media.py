"""Pictures, documents, videos and sounds of a message of the user, as AG-UI has them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from mimetypes import guess_type
from typing import Any, Final

from ag_ui.core import AudioPart, ContentPart, DataSource, DocumentPart, ImagePart, TextPart, UrlSource, VideoPart

_KINDS: Final[Mapping[str, Any]] = {
    "image": ImagePart,
    "document": DocumentPart,
    "video": VideoPart,
    "audio": AudioPart,
}


def shown_parts(blocks: Sequence[Mapping[str, Any]]) -> list[ContentPart]:
    """What of the content of a message is text or a medium."""
    return [part for block in blocks for part in _parts(block)]


def _parts(block: Mapping[str, Any]) -> Iterator[ContentPart]:
    if isinstance(block.get("text"), str) and block["text"]:
        yield TextPart(text=block["text"])
    for kind, part in _KINDS.items():
        medium = block.get(kind)
        if isinstance(medium, Mapping):
            source = _source(kind, str(medium.get("format") or ""), medium.get("source"))
            if source:
                yield part(source=source)


def _source(kind: str, form: str, source: Any) -> DataSource | UrlSource | None:
    guessed, _ = guess_type(f"x.{form}")
    mime_type = guessed or (f"application/{form or 'octet-stream'}" if kind == "document" else f"{kind}/{form or '*'}")
    match source:
        case {"bytes": bytes(data)}:
            return DataSource(value=b64encode(data).decode(), mime_type=mime_type)
        case {"bytes": {"data": str(data)}}:
            return DataSource(value=data, mime_type=mime_type)
        case {"location": {"uri": str(uri)}}:
            return UrlSource(value=uri, mime_type=mime_type)
    return None
