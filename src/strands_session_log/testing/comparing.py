"""In what messages differ, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..state import Change

_SPOKEN = ("text", "toolUse", "reasoningContent")
"""What a scripted model can say again."""
LONGEST = 200
Message = Mapping[str, Any]


def spoken(message: Message) -> list[Any]:
    """Of a message of a model, what a scripted one can say again."""
    return [block for block in message["content"] if any(kind in block for kind in _SPOKEN)]


def compared(recorded: Sequence[Message], said: Sequence[Message]) -> Iterator[str]:
    """What answers differ in, a line each."""
    for number, (was, now) in enumerate(zip_longest(recorded, said), 1):
        if was is None or now is None:
            yield f"answer {number}: {'is new' if was is None else 'is missing'}: {short(was or now)}"
            continue
        for change in Change.between(_plain(was), _plain(now)):
            place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in change.path)
            values = (f"{word} {short(value)}" for word, value in (("was", change.before), ("is", change.after)))
            yield f"answer {number}, {place[1:]}: {', '.join(values)}"


def short(value: Any) -> str:
    """A value in a line."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(message: Message) -> dict[str, Any]:
    """What counts of a message: tools that run side by side may answer in any order."""
    content = spoken(message) if message["role"] == "assistant" else list(message["content"])
    in_order = sorted(content, key=lambda block: str(block.get("toolResult", {}).get("toolUseId", "")))
    return {"role": message["role"], "content": in_order}
