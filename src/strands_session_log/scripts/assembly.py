"""How a script is put together from the files in `lua/`.

A file names the files it uses on a line of its own (`-- uses: lib/time, lib/gap`), and these go before it. Comments
stay behind, and so do functions that are not called: the server makes the functions of a script anew with every call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

_FLAGS = re.compile(r"^#!.*\n")
_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"\s*--.*")
_FUNCTION = re.compile(r"^(local function \w+\(.*?^end\n)", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w+")


class _Piece(NamedTuple):
    """Code; one function if that has a name.

    Attributes:
        code: The text.
        words: Those in it, what it calls among them.
        name: What the function is called.
    """

    code: str
    words: frozenset[str]
    name: str = ""

    @classmethod
    def of(cls, code: str) -> _Piece:
        words = _WORD.findall(code)
        return cls(code, frozenset(words), words[2] if _FUNCTION.match(code) else "")


class _File(NamedTuple):
    flags: str
    uses: list[str]
    pieces: list[_Piece]


@lru_cache
def _read(name: str) -> _File:
    text = files(__package__).joinpath(f"lua/{name}.lua").read_text("utf-8")
    uses = [one for line in _USES.findall(text) for one in line.split(", ")]
    flags = "".join(_FLAGS.findall(text))
    code = _COMMENT.sub("", text[len(flags) :]).lstrip()
    return _File(flags, uses, [_Piece.of(piece) for piece in _FUNCTION.split(code) if piece])


def assemble(name: str) -> str:
    """The script `lua/<name>.lua`, with what it uses before it."""
    pieces = list(chain.from_iterable(_read(one).pieces for one in dict.fromkeys(_with_used(name))))
    called = _called_in(pieces)
    return _read(name).flags + "".join(one.code for one in pieces if not one.name or one.name in called)


def _with_used(name: str) -> Iterable[str]:
    for one in _read(name).uses:
        yield from _with_used(one)
    yield name


def _called_in(pieces: Iterable[_Piece]) -> set[str]:
    """The functions that are called from outside of all functions, or by one of these."""
    functions = {one.name: one.words for one in pieces if one.name}
    called, reached = set[str](), set[str]().union(*(one.words for one in pieces if not one.name))
    while more := reached & functions.keys() - called:
        called |= more
        reached = reached.union(*(functions[name] for name in more))
    return called
