"""What a body leaves out, and that whoever reads the event gets it all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.codec import FIELDS, RawEntry, decode, encode, fields_of, rows
from strands_session_log.events import Event

NOW, THEN = "2026-01-02T03:04:05.000006+00:00", "2026-01-02T03:04:04.000000+00:00"
IDLE = {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}
MESSAGE = {"message": {"role": "user", "content": [{"text": "hi"}]}, "message_id": 7}
AGENT = {"state": {"a": 1}, "conversation_manager_state": {"__name__": "Null"}}

times = st.sampled_from([NOW, THEN, None, 1])
messages = st.fixed_dictionaries(
    {"redact_message": st.sampled_from([None, {"role": "user"}, False]), "created_at": times, "updated_at": times}
).map(lambda rest: {**MESSAGE, **rest})
agents = st.fixed_dictionaries(
    {
        "agent_id": st.sampled_from(["a", "b"]),
        "_internal_state": st.sampled_from([IDLE, {**IDLE, "model_state": {"x": 1}}, {}, None]),
        "created_at": times,
        "updated_at": times,
    }
).map(lambda rest: {**AGENT, **rest})
records = st.one_of(
    st.tuples(st.sampled_from([events.MessageAdded, events.MessageUpdated, events.MessageRedacted]), messages),
    st.tuples(st.sampled_from([events.AgentCreated, events.AgentUpdated]), agents),
)


def raw(event: Event, salt: bytes = b"c2FsdA") -> RawEntry:
    encoded = encode(event)
    values = (*encoded.header, b"17-2", encoded.retained, salt, b"bGluaw", encoded.body if salt else b"A" * 43)
    return [b"17-3", [part for pair in zip(FIELDS, values, strict=True) for part in pair]]


def written(event: Event) -> Any:
    return orjson.loads(encode(event).body)


def read(entry: RawEntry) -> Any:
    """As it is read one by one, and as it is read where very many are."""
    data = decode(entry[0], fields_of(entry[1])).event.data
    assert [row[3] for row in rows([entry], Event.known)] == [data]
    return data


def test_a_message_that_was_said_when_it_was_written_is_stored_without_times_and_redaction() -> None:
    said = {**MESSAGE, "redact_message": None, "created_at": NOW, "updated_at": NOW}
    event = events.MessageAdded(said, "a", time=NOW)
    assert (written(event), event.data) == ({"message": MESSAGE["message"]}, said)


def test_an_idle_agents_record_is_stored_without_its_id_and_internal_state() -> None:
    record = {**AGENT, "agent_id": "a", "_internal_state": IDLE, "created_at": THEN, "updated_at": NOW}
    assert written(events.AgentUpdated(record, "a", time=NOW)) == {**AGENT, "created_at": THEN}


@given(records, st.sampled_from(["", "created_at", "updated_at", "_internal_state"]))
def test_whatever_was_left_out_the_data_reads_back_as_it_was(record: tuple[Any, dict[str, Any]], lacks: str) -> None:
    kind, data = record
    data.pop(lacks, None)
    assert read(raw(kind(data, "a", time=NOW))) == data


@pytest.mark.parametrize("activated", [False, 0])
def test_zero_does_not_come_back_as_false(activated: Any) -> None:
    state = {**IDLE, "interrupt_state": {"interrupts": {}, "context": {}, "activated": activated}}
    found = read(raw(events.AgentCreated({**AGENT, "_internal_state": state}, "a")))
    assert type(found["_internal_state"]["interrupt_state"]["activated"]) is type(activated)


def test_to_an_erased_event_nothing_is_added() -> None:
    said = {**MESSAGE, "redact_message": None, "created_at": NOW, "updated_at": NOW}
    entry = raw(events.MessageAdded(said, "a", time=NOW), salt=b"")
    assert read(entry) == {"message_id": MESSAGE["message_id"], "role": "user"}


def test_what_is_no_record_of_strands_is_left_as_it_is() -> None:
    for event in (
        events.AgentCreated({"created_at": NOW}, "a", time=NOW),
        events.SessionAnnotated({"created_at": NOW}),
    ):
        assert written(event) == read(raw(event)) == {"created_at": NOW}
    marked = {"message_id": 1, "__encoded__": "mine", "created_at": NOW}
    assert read(raw(events.MessageAdded(marked, "a", time=NOW))) == {"__encoded__": "dict", "data": marked}
