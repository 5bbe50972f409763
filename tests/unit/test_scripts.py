"""Scripts are put together from files that say what they use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from strands_session_log import scripts
from strands_session_log.scripts import assembly

LUA = Path(scripts.__file__).parent / "lua"
NAMES = sorted(str(path.relative_to(LUA).with_suffix("")) for path in LUA.rglob("*.lua"))
SCRIPTS = {one._name: one for one in vars(scripts).values() if isinstance(one, scripts.Script)}


def test_every_file_is_a_script_or_used_by_one() -> None:
    used, more = set[str](), set(SCRIPTS)
    while more := more - used:
        used |= more
        more = {name for one in more for name in (*assembly._read(one).uses, *assembly._read(one).here)}
    assert used == set(NAMES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_all_that_it_calls_and_nothing_else(name: str) -> None:
    source = SCRIPTS[name].source.decode()
    functions = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert len(set(functions)) == len(functions)
    functions += re.findall(r"^ +local function (\w+)", source, re.MULTILINE)
    assert [one for one in functions if len(re.findall(rf"\b{one}\b", source)) < 2] == []
    everywhere = set(re.findall(r"^local function (\w+)", "".join(map(_text, NAMES)), re.MULTILINE))
    assert {one for one in everywhere if re.search(rf"(?<![\w.]){one}\(", source)} <= set(functions)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_uses_what_it_names(name: str) -> None:
    """Each has something that is called, or a value that is read, here; or is no function, and reads what is here."""
    words = _words_in(name)
    file = assembly._read(name)
    for used in (*file.uses, *file.here):
        assert words & (set(_defined_in(used)) or _words_in(used)), used


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_constant_is_written_out_where_it_is_used(name: str) -> None:
    source = SCRIPTS[name].source.decode()
    constants = {one for line in re.findall(r"^local ([A-Z_, ]+) = ", source, re.MULTILINE) for one in line.split(", ")}
    assert constants == set()


def test_what_is_rarely_needed_is_made_where_it_is_needed() -> None:
    """An append that simply follows makes no function for any other case."""
    source = SCRIPTS["session/append"].source.decode()
    made = re.findall(r"^local function (\w+)", source, re.MULTILINE)
    assert made == ["ms_text"]
    inside = set(re.findall(r"^ +local function (\w+)", source, re.MULTILINE))
    assert inside >= {"landed", "insert", "opened", "ask_feed", "end_of"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_function_that_is_all_a_script_calls_is_not_made(name: str) -> None:
    *_, last = SCRIPTS[name].source.decode().splitlines()
    called = re.fullmatch(r"return (\w+)\(\)", last)
    assert called is None, "what it does stands in its place"


def _text(name: str) -> str:
    return (LUA / f"{name}.lua").read_text()


def _words_in(name: str) -> set[str]:
    return set(re.findall(r"\w+", re.sub("--.*", "", _text(name))))


def _defined_in(name: str) -> list[str]:
    functions = re.findall(r"^local function (\w+)", _text(name), re.MULTILINE)
    values = re.findall(r"^local ([A-Z_, ]+) =", _text(name), re.MULTILINE)
    return [*functions, *(one for line in values for one in line.split(", "))]
