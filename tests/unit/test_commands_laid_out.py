"""Commands as they go over the wire, laid out at once for entries that share what they are made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.server.script import additions, packed

NAMES = st.lists(st.binary(max_size=6), max_size=4)
VALUES = st.one_of(st.binary(max_size=20), st.sampled_from([2047, 2048, 70_000]).map(bytes))


@given(st.binary(max_size=9), st.data())
def test_entries_are_added_by_the_very_bytes_of_a_command_each(stream: bytes, data: st.DataObject) -> None:
    entries = []
    for names in data.draw(st.lists(NAMES, max_size=3)):
        values = data.draw(st.lists(VALUES, min_size=len(names), max_size=len(names)))
        fields = [part for pair in zip(names, values, strict=True) for part in pair]
        entries.append((data.draw(st.binary(min_size=3, max_size=9)), fields))
    commands = [packed([b"XADD", stream, b"NOMKSTREAM", id_, *fields]) for id_, fields in entries]
    assert additions(stream, entries) == b"".join(commands)
