"""Records of seals have one spelling, and whatever else stands in their place is no record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import EventId, chain
from strands_session_log.errors import InvalidIdError, SealDamagedError
from strands_session_log.ids import check_id
from strands_session_log.seals import Checkpoint, SealMark, SealProof, SealRecord, SigningKey, merkle
from strands_session_log.seals.record import LONGEST, beginning, parse_leaf, session_of

PAGE = Path(__file__).parents[2] / "docs" / "seals.md"
LINK = chain.to_text(b"x" * 32).decode()
TIME = "2026-11-30T02:31:10.263Z"
LINE = SealRecord("s-42", 7, EventId(1796005862747, 7), LINK, TIME).to_bytes()


def is_id(name: str) -> bool:
    try:
        return bool(check_id("session_id", name))
    except InvalidIdError:
        return False


IDS = st.text(min_size=1, max_size=60).filter(is_id) | st.sampled_from(
    ['a","revision":1', "a\\", '\\",', "ü\U0001f600", '"', "{", "a,b", "é" * 256]
)
RECORDS = st.builds(
    lambda name, revision, ms, link, deleted: SealRecord(name, revision, EventId(ms, revision), link, TIME, deleted),
    IDS,
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.binary(min_size=32, max_size=32).map(lambda raw: chain.to_text(raw).decode()),
    st.booleans(),
)


@given(RECORDS)
def test_a_record_reads_back_and_its_session_is_seen_without_reading_it(record: SealRecord) -> None:
    raw = record.to_bytes()
    assert parse_leaf(raw, "r") == record
    assert session_of(raw) == beginning(record.session_id)
    assert len(raw) < LONGEST


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**13), max_size=1024))
def test_the_end_of_a_seal_reads_back(after: int, clocks: list[int]) -> None:
    mark = SealMark("strands", TIME, after, tuple(clocks))
    assert parse_leaf(mark.to_bytes(), "r") == mark
    assert len(mark.to_bytes()) < LONGEST
    assert session_of(mark.to_bytes()) == b""


@given(RECORDS, st.data())
def test_a_record_with_another_byte_is_another_or_none(record: SealRecord, data: st.DataObject) -> None:
    raw = record.to_bytes()
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + bytes([data.draw(st.integers(0, 255))]) + raw[place + 1 :]
    try:
        found = parse_leaf(changed, "r")
    except SealDamagedError:
        return
    assert found.to_bytes() == changed


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_whatever_else_is_read_is_a_typed_error(raw: bytes) -> None:
    with pytest.raises(SealDamagedError, match="is no record of a seal"):
        parse_leaf(raw, "r")


@pytest.mark.parametrize(
    "changed",
    [
        LINE.replace(b'"revision":7', b'"revision":8'),
        LINE.replace(b'"revision":7', b'"revision":07'),
        LINE.replace(b'"revision":7', b'"revision":7.0'),
        LINE.replace(b"{", b"{ "),
        LINE.replace(b"}", b',"deleted":false}'),
        LINE.replace(b"}", b',"more":1}'),
        LINE.replace(b'{"session":"s-42"', b'{"session":"s-41","session":"s-42"'),
        LINE.replace(b"s-42", b"\\u0073-42"),
        LINE.replace(b"s-42", b""),
        LINE.replace(b"s-42", b"s\\n42"),
        LINE.replace(LINK.encode(), LINK[:-1].encode() + b"B"),
        LINE.replace(LINK.encode(), b""),
        LINE.replace(b"1796005862747", b"9" * 40),
        LINE + b"\n",
        b"[" * 100_000,
        b'{"seal":1,"namespace":"n","time":"' + TIME.encode() + b'","after":-1,"clocks":[]}',
        b'{"seal":2,"namespace":"n","time":"' + TIME.encode() + b'","after":1,"clocks":[]}',
        b'{"seal":true,"namespace":"n","time":"' + TIME.encode() + b'","after":1,"clocks":[]}',
        b'{"seal":1,"namespace":"n","time":"' + TIME.encode() + b'","after":1,"clocks":[true]}',
    ],
)
def test_there_is_one_spelling(changed: bytes) -> None:
    assert changed != LINE
    with pytest.raises(SealDamagedError, match="is no record of a seal"):
        parse_leaf(changed, "record 3")


def test_the_python_of_the_page_runs_as_it_stands() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), scope)
    key: SigningKey = scope["key"]
    checkpoint = Checkpoint(key.name, 1, merkle.leaf_hash(LINE)).signed(key)
    proof = SealProof(LINE, 0, (), checkpoint.note).to_text(with_record=True)
    assert scope["check"](proof) == LINE
    (line,) = re.findall(r"```json\n(.*?)\n```", PAGE.read_text())
    assert isinstance(parse_leaf(line.encode(), "of the page"), SealRecord)
