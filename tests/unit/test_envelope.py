"""Events as stream entries, and back."""

from typing import Any

import pytest

from strands_session_log import events
from strands_session_log.codec import FIELDS, decode, encode, envelope, parse, remains
from strands_session_log.errors import CorruptEntryError, EncodingError
from strands_session_log.ids import EventId


def entry_of(event: events.Event, **changes: bytes) -> dict[bytes, bytes]:
    encoded = encode(event)
    fields = dict(zip(FIELDS, (*encoded.header, b"c2FsdA", b"bGluaw", encoded.body), strict=True))
    return {**fields, **{name.encode(): value for name, value in changes.items()}}


def test_an_event_reads_back_as_it_was_written() -> None:
    event = events.MessageAdded({"message": {"role": "user"}, "message_id": 0}, "default", trace="00-a-b-01")
    recorded = decode(b"17-3", entry_of(event))
    assert (recorded.id, recorded.event, recorded.link) == (EventId(17, 3), event, "bGluaw")
    assert type(recorded.event) is events.MessageAdded


def test_a_client_that_decodes_replies_reads_the_same() -> None:
    event = events.Custom("custom.feedback", {"text": "größer"})
    decoded = {name.decode(): value.decode() for name, value in entry_of(event).items()}
    assert decode("17-3", decoded) == decode(b"17-3", entry_of(event))


def test_an_event_of_an_unknown_type_is_kept_with_its_data() -> None:
    recorded = decode(b"1-1", entry_of(events.SessionAnnotated({"a": 1}), type=b"future.thing"))
    assert (recorded.event.type, recorded.event.data) == ("future.thing", {"a": 1})


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


def test_facts_tell_role_tools_and_usage_but_no_content() -> None:
    message = {
        "role": "assistant",
        "content": [{"text": "secret"}, {"toolUse": {"name": "weather", "input": {"city": "secret"}}}],
        "metadata": {"usage": {"inputTokens": 3}},
    }
    facts = encode(events.MessageAdded({"message": message, "message_id": 4}, "default")).facts
    assert facts == b'{"index":4,"role":"assistant","tools":["weather"],"usage":{"inputTokens":3}}'


@pytest.mark.parametrize("message", [None, 5, "text", {"content": 3}, {"content": [None, {"toolUse": 1}]}])
def test_facts_of_a_message_of_any_shape_do_not_fail(message: Any) -> None:
    assert encode(events.MessageAdded({"message": message, "message_id": 0})).facts.startswith(b'{"index":0')


def test_an_erased_event_is_not_lifted_because_there_is_nothing_to_lift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(envelope.UPCASTERS, ("custom.x", 1), lambda data: {"lifted": data["x"]})
    event = events.Custom("custom.x", {"x": 1})
    assert decode(b"17-3", entry_of(event)).event.data == {"lifted": 1}
    body = b'{"commitment":"' + b"c" * 43 + b'"}'
    erased = decode(b"17-3", entry_of(event, salt=b"", body=body)).event
    assert erased.is_erased
    assert (erased.version, dict(erased.data)) == (1, {"commitment": "c" * 43})


def test_an_erased_message_keeps_its_index_and_its_role_and_nothing_else() -> None:
    message = {"role": "assistant", "content": [{"text": "secret"}]}
    event = events.MessageAdded({"message": message, "message_id": 7, "created_at": "2026"}, "default")
    assert remains(parse(b"17-3", entry_of(event))) == {"message_id": 7, "role": "assistant"}
    assert remains(parse(b"17-3", entry_of(events.AgentUpdated({"state": {"role": "user"}}, "default")))) == {}
    assert remains(parse(b"17-3", entry_of(event, body=b"no JSON"))) == {}
