"""Events as CloudEvents: what the SDK of that standard reads of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import EventId, Recorded, SessionLog, Subscriber, events
from strands_session_log.exports.cloudevents import (
    HttpMessage,
    cloud_event,
    delivery_event,
    http_batch,
    http_binary,
    http_structured,
)
from support.command_line import Run

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ID = EventId(1_767_225_600_123, 7)
VISIBLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


def recorded(event: events.Event) -> Recorded:
    return Recorded(ID, event, "AIn-uGoQVMXDaau4grH8HJSo8j4ujMt-DrfuQBxXZwk")


def by_sdk(message: HttpMessage) -> BaseCloudEvent:
    """What the SDK makes of a message; in binary mode, all of it is in headers."""
    read = from_structured if message.headers["content-type"].startswith("application/cloudevents") else from_binary
    return read(HTTPMessage(message.headers, message.body), JSONFormat())


def as_text(value: Any) -> str:
    return str(value)


def test_an_event_has_what_every_cloudevent_has() -> None:
    said = events.Custom("custom.note", {"text": "Zoë"}, agent="the agent", trace=TRACE)
    found = cloud_event(recorded(said), "s 42/ü", "strands")
    assert found == {
        "specversion": "1.0",
        "id": "1767225600123-7",
        "source": "/strands/s%2042%2F%C3%BC",
        "type": "strands-session-log.custom.note",
        "subject": "the agent",
        "sequence": "7",
        "time": said.time,
        "link": "AIn-uGoQVMXDaau4grH8HJSo8j4ujMt-DrfuQBxXZwk",
        "uuid": said.event_id,
        "schemaversion": 1,
        "traceparent": TRACE,
        "datacontenttype": "application/json",
        "data": {"text": "Zoë"},
    }


@given(VISIBLE, VISIBLE, st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(-5, 5) | st.none()))
def test_the_sdk_reads_the_same_in_every_mode(session_id: str, agent: str, data: dict[str, Any]) -> None:
    found = cloud_event(recorded(events.Custom("custom.note", data, agent=agent)), session_id, "strands")
    for message in (http_structured(found), http_binary(found)):
        read = by_sdk(message)
        assert read.get_data() == data
        told = {name: value for name, value in found.items() if name not in ("data", "time")}
        attributes = read.get_attributes()
        assert {name: as_text(attributes[name]) for name in told} == {name: as_text(one) for name, one in told.items()}
        assert message.headers.keys() <= {"content-type"} or all(value.isascii() for value in message.headers.values())


def test_names_of_attributes_are_what_the_standard_allows() -> None:
    said = events.Custom("custom.note", {}, agent="a", trace=TRACE)
    for name in cloud_event(recorded(said), "s", "strands"):
        assert re.fullmatch("[a-z0-9]{1,20}", name)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
def test_a_time_that_is_none_is_that_of_the_server(time: str) -> None:
    found = cloud_event(recorded(events.Custom("custom.note", {}, time=time)), "s", "strands")
    assert found["time"] == "2026-01-01T00:00:00.123Z"
    by_sdk(http_binary(found))


def test_what_is_no_trace_is_not_told_as_one() -> None:
    assert "traceparent" not in cloud_event(recorded(events.Custom("custom.note", {}, trace="x\r\nevil: 1")), "s", "n")


def test_a_batch_may_have_any_number_of_events() -> None:
    some = [cloud_event(recorded(events.Custom("custom.note", {"n": n})), "s", "strands") for n in range(3)]
    for count in range(4):
        message = http_batch(some[:count])
        assert message.headers == {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
        assert json.loads(message.body) == some[:count]


@pytest.mark.parametrize("bodies", [True, False])
def test_a_consumer_passes_deliveries_on(log: SessionLog, bodies: bool) -> None:
    log.append("s-42", events.Custom("custom.note", {"text": "hello"}, agent="a"))
    with Subscriber(log, "forward", bodies=bodies) as deliveries:
        delivery = next(iter(deliveries))
        found = delivery_event(delivery, log.namespace)
        delivery.ack()
    read = by_sdk(http_binary(found))
    assert read.get_source() == f"/{log.namespace}/s-42"
    assert read.get_type() == "strands-session-log.custom.note"
    assert read.get_data() == ({"text": "hello"} if bodies else {})
    assert found["sequence"] == "1"
    assert found["link"] == log.anchor("s-42").link


def test_a_session_is_exported_as_a_batch(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "s-42.json"
    run("export", "s-42", "--to", "cloudevents", str(path))
    found = json.loads(path.read_bytes())
    assert found == [cloud_event(one, "s-42", talk.namespace) for one in talk.read("s-42")]
    for one in found:
        assert by_sdk(http_structured(one)).get_id() == one["id"]


def test_what_was_erased_says_so(talk: SessionLog) -> None:
    talk.erase("s-42", 3, "asked for")
    found = cloud_event(talk.event("s-42", 3), "s-42", talk.namespace)
    assert found["erased"] is True
    assert "pack" not in json.dumps(found)
