"""Events as stream entries, and back."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.codec import (
    FIELDS,
    decode,
    encode,
    envelope,
    from_json,
    kind_of,
    parse,
    recorded,
    retained,
    rows,
)
from strands_session_log.codec.values import MAX_DEPTH
from strands_session_log.errors import CorruptEntryError, EncodingError, InvalidIdError, shown
from strands_session_log.ids import EventId
from strands_session_log.lifecycle.contents import fingerprint
from strands_session_log.lifecycle.records import check_message_id

COMMITMENT = b"A" * 43
"""Of 32 zero bytes."""


def entry_of(event: events.Event, **changes: bytes) -> dict[bytes, bytes]:
    encoded = encode(event)
    values = (*encoded.header, b"17-2", encoded.retained, b"c2FsdA", b"bGluaw", encoded.body)
    fields = dict(zip(FIELDS, values, strict=True))
    return {**fields, **{name.encode(): value for name, value in changes.items()}}


def test_an_event_reads_back_as_it_was_written() -> None:
    said = {"message": {"role": "user"}, "message_id": 0, "redact_message": None, "created_at": "", "updated_at": ""}
    event = events.MessageAdded(said, "default", trace="00-a-b-01")
    read = decode(b"17-3", entry_of(event))
    assert (read.id, read.event, read.link) == (EventId(17, 3), event, "bGluaw")
    assert type(read.event) is events.MessageAdded


@given(
    st.sampled_from(
        [
            events.Custom("custom.feedback", {"text": "größer", "n": [1, None]}),
            events.MessageAdded({"message": {"role": "user"}, "message_id": 3}, "default", trace="00-a-b-01"),
            events.AgentUpdated({"agent_id": "a", "conversation_manager_state": {}}, "a"),
            events.SessionAnnotated({"a": 1}),
        ]
    ),
    st.booleans(),
    st.permutations(range(len(FIELDS))),
)
def test_a_raw_entry_reads_as_any_other(event: events.Event, is_erased: bool, order: list[int]) -> None:
    entry = entry_of(event, **({"salt": b"", "body": COMMITMENT} if is_erased else {}))
    flat = [part for at in order for part in list(entry.items())[at]]
    assert recorded([b"17-3", flat]) == decode(b"17-3", entry)
    assert recorded([b"17-3", [part for pair in entry.items() for part in pair]]) == decode(b"17-3", entry)


def test_a_client_that_decodes_replies_reads_the_same() -> None:
    event = events.Custom("custom.feedback", {"text": "größer"})
    decoded = {name.decode(): value.decode() for name, value in entry_of(event).items()}
    assert decode("17-3", decoded) == decode(b"17-3", entry_of(event))


def test_an_event_of_an_unknown_type_is_kept_with_its_data() -> None:
    read = decode(b"1-1", entry_of(events.SessionAnnotated({"a": 1}), type=b"future.thing"))
    assert (read.event.type, read.event.data) == ("future.thing", {"a": 1})


def test_old_versions_are_lifted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(data: dict[str, Any]) -> dict[str, Any]:
        return {"name": data["n"]}

    def second(data: dict[str, Any]) -> dict[str, Any]:
        return {"names": [data["name"]]}

    monkeypatch.setattr(envelope, "UPCASTERS", {("custom.x", 1): first, ("custom.x", 2): second})
    recorded = decode(b"1-1", entry_of(events.Custom("custom.x", {"n": "Ada"})))
    assert (recorded.event.data, recorded.event.version) == ({"names": ["Ada"]}, 3)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {b"a": b"b"},
        entry_of(events.Custom("custom.a", {}), body=b"{"),
        entry_of(events.Custom("custom.a", {}), v=b"x"),
    ],
)
def test_an_entry_of_another_shape_is_an_error_that_names_it(entry: dict[bytes, bytes]) -> None:
    with pytest.raises(CorruptEntryError, match="entry 5-1"):
        decode(b"5-1", entry)


@pytest.mark.parametrize("type_", ["message.added", "custom", "custom.", "custom.A b", "custom.ä", "my.own"])
def test_users_name_their_own_events_custom_something(type_: str) -> None:
    with pytest.raises(EncodingError, match=r"custom\.name"):
        encode(events.Custom(type_, {}))


@pytest.mark.parametrize("message_id", [None, True, 1.0, "7", 10**14, -(10**14), 10**5000], ids=shown)
def test_a_message_index_the_head_cannot_hold_is_refused(message_id: Any) -> None:
    with pytest.raises(EncodingError, match="message_id cannot be stored"):
        encode(events.MessageAdded({"message": {}, "message_id": message_id}))


def test_a_message_without_an_index_is_refused() -> None:
    assert events.MessageAdded({}).message_index is None
    with pytest.raises(EncodingError, match="message_id cannot be stored"):
        encode(events.MessageAdded({}))


@pytest.mark.parametrize("message_id", [-1, 0, 10**14 - 1])
def test_any_other_message_index_is_accepted(message_id: int) -> None:
    assert encode(events.MessageAdded({"message_id": message_id})).event.message_index == message_id


@pytest.mark.parametrize("data", [None, [], "text", [("a", 1)], object(), iter([])])
def test_data_that_is_no_mapping_is_refused(data: Any) -> None:
    for kind in (events.MessageAdded, events.SessionAnnotated):
        with pytest.raises(EncodingError, match="data cannot be stored: it must be a mapping"):
            encode(kind(data))


@pytest.mark.parametrize("agent", [None, b"a", 7, "a\nb", "x" * 257, "\ud800"])
def test_an_agent_that_is_no_id_is_refused(agent: Any) -> None:
    with pytest.raises(InvalidIdError, match="agent="):
        encode(events.SessionAnnotated({}, agent))


@pytest.mark.parametrize("field", ["event_id", "time", "trace"])
@pytest.mark.parametrize("value", [None, 7, b"a", "\ud800"])
def test_other_fields_must_be_text_that_can_be_stored(field: str, value: Any) -> None:
    with pytest.raises(EncodingError, match=f"{field} cannot be stored"):
        encode(events.SessionAnnotated({}, **{field: value}))


@pytest.mark.parametrize("version", [0, -1, True, "1", None, 10**5000], ids=shown)
def test_the_version_must_be_a_number_that_can_be_read_back(version: Any) -> None:
    with pytest.raises(EncodingError, match="version cannot be stored"):
        encode(events.SessionAnnotated({}, version=version))


@pytest.mark.parametrize("type_", [None, 7, ["custom.a"]])
def test_a_type_that_is_no_text_is_refused(type_: Any) -> None:
    with pytest.raises(EncodingError, match="type cannot be stored"):
        encode(events.Custom(type_, {}))


def nested(depth: int, around: Any) -> Any:
    value: Any = b"bottom"
    for _ in range(depth):
        value = around(value)
    return value


def test_the_deepest_event_accepted_can_be_stored_as_can_its_facts() -> None:
    def marked(inner: Any) -> Any:
        return {"__encoded__": inner}

    deepest = {"error": nested(MAX_DEPTH - 1, marked)}
    assert from_json(orjson.loads(encode(events.ToolFailed(deepest)).body)) == deepest
    with pytest.raises(EncodingError, match=r"error\.__encoded__.* nested deeper"):
        encode(events.ToolFailed({"error": nested(MAX_DEPTH, marked)}))
    assert fingerprint(nested(MAX_DEPTH, marked))
    with pytest.raises(EncodingError, match=r"message\.__encoded__.* nested deeper"):
        fingerprint(nested(MAX_DEPTH + 1, marked))


class Failing(events.Custom):
    __slots__ = ()

    def facts(self) -> dict[str, Any]:
        raise RuntimeError("dictionary changed size during iteration")


def test_facts_that_cannot_be_told_are_an_error_that_names_the_event() -> None:
    with pytest.raises(EncodingError, match=r"custom\.x cannot be stored: .*changed size"):
        encode(Failing("custom.x", {}))


def test_facts_tell_role_tools_and_usage_but_no_content() -> None:
    message = {
        "role": "assistant",
        "content": [{"text": "secret"}, {"toolUse": {"name": "weather", "input": {"city": "secret"}}}],
        "metadata": {"usage": {"inputTokens": 3}},
    }
    facts = encode(events.MessageAdded({"message": message, "message_id": 4}, "default")).facts
    assert facts == b'{"index":4,"role":"assistant","tools":["weather"]}'


@pytest.mark.parametrize("message", [None, 5, "text", {"content": 3}, {"content": [None, {"toolUse": 1}]}])
def test_facts_of_a_message_of_any_shape_do_not_fail(message: Any) -> None:
    assert encode(events.MessageAdded({"message": message, "message_id": 0})).facts.startswith(b'{"index":0')


def test_an_erased_event_is_not_lifted_because_there_is_nothing_to_lift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(envelope.UPCASTERS, ("custom.x", 1), lambda data: {"lifted": data["x"]})
    event = events.Custom("custom.x", {"x": 1})
    assert decode(b"17-3", entry_of(event)).event.data == {"lifted": 1}
    erased = decode(b"17-3", entry_of(event, salt=b"", body=COMMITMENT)).event
    assert erased.is_erased
    assert (erased.version, dict(erased.data)) == (1, {})


@pytest.mark.parametrize(
    "body", [b'{"commitment":"' + COMMITMENT + b'"}', b"{}", b"", COMMITMENT + b"=", b"A" * 42 + b"B"]
)
def test_nothing_but_a_commitment_may_stand_in_place_of_an_erased_body(body: bytes) -> None:
    entry = entry_of(events.AgentUpdated({"state": {"is_admin": True}}, "a"), salt=b"", body=body)
    flat = [part for pair in entry.items() for part in pair]
    for read in (
        parse,
        decode,
        lambda id_, _: recorded([id_, flat]),
        lambda id_, _: rows([[id_, flat]], events.Event.known),
    ):
        with pytest.raises(CorruptEntryError, match=r"17-3 cannot be read: .* no commitment"):
            read(b"17-3", entry)


@pytest.mark.parametrize("name", ["type", "agent"])
def test_a_name_that_is_no_text_is_an_error_that_names_the_entry_however_it_is_read(name: str) -> None:
    entry = entry_of(events.SessionAnnotated({}), **{name: b"\xff"})
    flat = [part for pair in entry.items() for part in pair]
    for read in (decode, lambda id_, _: recorded([id_, flat]), lambda id_, _: kind_of([id_, flat])):
        with pytest.raises(CorruptEntryError, match=r"17-3 cannot be read: .*utf-8"):
            read(b"17-3", entry)
    with pytest.raises(CorruptEntryError, match=r"17-3 cannot be read: .*utf-8"):
        rows([[b"17-3", flat]], ())


def test_data_that_looks_as_if_it_was_erased_is_not() -> None:
    event = events.Custom("custom.x", {"commitment": COMMITMENT.decode()})
    read = decode(b"17-3", entry_of(event)).event
    assert (read.is_erased, read.data) == (False, {"commitment": COMMITMENT.decode()})


def test_an_erased_event_cannot_be_appended_again() -> None:
    erased = decode(b"17-3", entry_of(events.SessionAnnotated({"a": 1}), salt=b"", body=COMMITMENT)).event
    with pytest.raises(EncodingError, match="was erased cannot be appended"):
        encode(erased)


def test_an_erased_message_keeps_its_index_and_its_role_and_nothing_else() -> None:
    message = {"role": "assistant", "content": [{"text": "secret"}]}
    event = events.MessageAdded({"message": message, "message_id": 7, "created_at": "2026"}, "default")
    erased = decode(b"17-3", entry_of(event, salt=b"", body=COMMITMENT)).event
    assert erased.data == retained(event.type, encode(event).retained) == {"message_id": 7, "role": "assistant"}
    assert encode(events.AgentUpdated({"state": {"role": "user"}}, "default")).retained == b""


def test_what_is_retained_does_not_stand_in_the_body_a_second_time() -> None:
    assert orjson.loads(encode(events.MessageAdded({"message": {"role": "user"}, "message_id": 7})).body) == {
        "message": {"role": "user"}
    }
    erased = {"erased": ["1-1"], "reason": "why"}
    assert encode(events.PayloadErased(erased)).body == b'{"reason":"why"}'
    assert decode(b"17-3", entry_of(events.PayloadErased(erased))).event.data == erased


@pytest.mark.parametrize("removed", [0, 7])
def test_of_what_many_events_retain_the_values_stand_there_alone(removed: int) -> None:
    said = events.MessageAdded({"message": {"role": "user"}, "message_id": 7})
    assert encode(said).retained == b'[7,"user"]'
    nobody = events.MessageAdded({"message": {}, "message_id": 7})
    assert encode(nobody).retained == b'{"message_id":7}'
    ended = events.InvocationCompleted({"stop_reason": "end_turn", "removed": removed})
    assert (encode(ended).retained, encode(ended).body) == (b"[%d]" % removed, b'{"stop_reason":"end_turn"}')
    for event in (said, nobody, ended):
        erased = decode(b"17-3", entry_of(event, salt=b"", body=COMMITMENT)).event
        assert erased.data == event.retains()


@pytest.mark.parametrize("junk", [b"[]", b"[1]", b"7", b"{", b"null"])
def test_what_is_retained_must_be_an_object(junk: bytes) -> None:
    with pytest.raises(CorruptEntryError, match="17-3 cannot be read"):
        decode(b"17-3", entry_of(events.SessionAnnotated({}), retained=junk))


@pytest.mark.parametrize("message_id", [10**14, -(10**14), 10**5000], ids=shown)
def test_session_managers_refuse_the_indices_the_log_refuses(message_id: int) -> None:
    with pytest.raises(ValueError, match=r"message id must be below 10\*\*14"):
        check_message_id(message_id)
    assert check_message_id(10**14 - 1) == 10**14 - 1
