"""How a script is put together from the files in `lua/`.

A file names the files it uses on a line of its own (`-- uses: lib/time, lib/gap`), and these go before it. What is
needed in rare cases only is named where it is needed (`-- here: lib/life`), and put in there. Comments stay behind, and
so do functions that are not called: the server makes functions anew with every call, when it comes to them, and so it
does with what they share. So a function that is all a script calls is none. Constants are written out where they are
used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

_FLAGS = re.compile(r"^#!.*\n")
_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)
_HERE = re.compile(r"^( *)-- here: (.+)\n", re.MULTILINE)
_COMMENT = re.compile(r"\s*--(?! here:).*")
_FUNCTION = re.compile(r"^(local function \w+\(.*?^end\n)", re.MULTILINE | re.DOTALL)
_LAST = re.compile(r"^local function (\w+)\(([^)\n]*)\)\n((?:(?!end\n).*\n)*)end\n\s*return \1\(\)\s*\Z", re.MULTILINE)
_WORD = re.compile(r"\w+")
_LITERAL = r"(?:-?\d+|'(?:[^'\\\n]|\\.)*')"
_CONSTANTS = re.compile(rf"^ *local ([A-Z_]+(?:, [A-Z_]+)*) = ({_LITERAL}(?:, {_LITERAL})*)\n", re.MULTILINE)
_TEXT_OR_WORD = re.compile(rf"({_LITERAL}|\b[A-Z_]+\b)")


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
    here: list[str]
    pieces: list[_Piece]


@lru_cache
def _read(name: str) -> _File:
    text = files(__package__).joinpath(f"lua/{name}.lua").read_text("utf-8")
    uses, here = _named(_USES.findall(text)), _named(names for _, names in _HERE.findall(text))
    flags = "".join(_FLAGS.findall(text))
    code = _COMMENT.sub("", text[len(flags) :]).lstrip()
    return _File(flags, uses, here, [_Piece.of(piece) for piece in _FUNCTION.split(code) if piece])


def _named(lines: Iterable[str]) -> list[str]:
    return [one for line in lines for one in line.split(", ")]


def assemble(name: str) -> str:
    """The script `lua/<name>.lua`, with what it uses before it."""
    code = "".join(one.code for one in _called(_pieces(_with_used(name))))
    return _read(name).flags + _with_constants(_LAST.sub(_in_place, code))


def _in_place(match: re.Match[str]) -> str:
    """What a script does that only calls its last function: what that does, without making the function."""
    name, parameters, body = match.groups()
    if name in _WORD.findall(body):
        return match[0]
    return (f"local {parameters}\n" if parameters else "") + body


def _pieces(names: Iterable[str]) -> list[_Piece]:
    found = chain.from_iterable(_read(one).pieces for one in dict.fromkeys(names))
    return [_with_rest(piece) if "here" in piece.words else piece for piece in found]


def _with_rest(piece: _Piece) -> _Piece:
    """With what it names in place put in there."""

    def put_in(match: re.Match[str]) -> str:
        names = _named([match[2]])
        needed = _called([*_pieces(chain.from_iterable(map(_with_used, names))), piece._replace(code="", name="")])
        return "".join(f"{match[1]}{line}\n" if line else "" for one in needed for line in one.code.splitlines())

    return _Piece.of(_HERE.sub(put_in, piece.code))


def _with_used(name: str) -> Iterable[str]:
    for one in _read(name).uses:
        yield from _with_used(one)
    yield name


def _called(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Without the functions that are not called from outside of all functions, or by one that is."""
    functions = {one.name: one.words for one in pieces if one.name}
    called, reached = set[str](), set[str]().union(*(one.words for one in pieces if not one.name))
    while more := reached & functions.keys() - called:
        called |= more
        reached = reached.union(*(functions[name] for name in more))
    return (one for one in pieces if not one.name or one.name in called)


def _with_constants(code: str) -> str:
    values: dict[str, str] = {}
    for names, texts in _CONSTANTS.findall(code):
        for name, value in zip(names.split(", "), re.findall(_LITERAL, texts), strict=True):
            if values.setdefault(name, value) != value:
                raise ValueError(f"{name} is {value} and {values[name]} in one script")
    parts = _TEXT_OR_WORD.split(_CONSTANTS.sub("", code))
    return "".join(map(values.get, parts, parts))
