"""What a reader would not see, or see otherwise than it is written: shown as an escape, never sent to a terminal.

Control characters restyle a terminal, direction marks turn what stands beside them, characters without width hide
between others. Where writing needs one it stays: a joiner between characters that are not ASCII (emoji, Persian,
several scripts of India), a variation selector after what it varies, the tags in the flag of a part of a country.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DISGUISES = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINERS, _SELECTORS = "\u200c\u200d", "\ufe00-\ufe0f"
JOINING = _JOINERS + "".join(map(chr, range(0xFE00, 0xFE10)))
"""What cannot be judged at the end of a piece of text, before the next piece is there."""
_LETTER = f"[^\x00-\x7f\x80-\x9f{_DISGUISES}{_JOINERS}]"
_FLAG = "|".join(
    f"\U0001f3f4{''.join(chr(0xE0000 + ord(letter)) for letter in part)}\U000e007f"
    for part in ("gbeng", "gbsct", "gbwls")
)
_UNSEEN = (
    f"[{_CONTROLS}{_DISGUISES}]|(?<!{_LETTER})[{_JOINERS}]|[{_JOINERS}](?!{_LETTER})"
    f"|(?<![^\x00-\x1f{_DISGUISES}{_JOINERS}{_SELECTORS}])[{_SELECTORS}]"
)
_FOUND = re.compile(f"({_FLAG})|{_UNSEEN}")
_suspect = re.compile(f"[{_CONTROLS}{_DISGUISES}{_JOINERS}{_SELECTORS}]").search
"""Finds what may have to be replaced: in most texts, of whatever script, nothing."""


def escaped(text: str) -> str:
    r"""Text in which nothing hides: `\x1b`, `\u202e`, `\U000e0041` in place of what is not to be seen."""
    return text if text.isascii() and text.isprintable() else _replaced(text, _shown)


def escaped_json(text: str) -> str:
    r"""JSON of the same value, in which nothing hides; all above U+FFFF as the pair of escapes that JSON has for it."""
    return text if text.isascii() and "\x7f" not in text else _replaced(text, _in_json)


def _replaced(text: str, shown: Callable[[str], str]) -> str:
    return text if _suspect(text) is None else _FOUND.sub(lambda found: found[1] or shown(found[0]), text)


def _shown(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _in_json(character: str) -> str:
    # A lone surrogate is one already, and has been escaped by whoever wrote the JSON.
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
