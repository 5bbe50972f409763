"""Stored sessions as OpenTelemetry's spans: sent by OTLP to a receiver that reads them by the protocol's own types."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from strands import Agent
from strands.multiagent import GraphBuilder

from strands_session_log import LocalKeys, SessionLog, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.otel import export_session, session_spans
from support import conversations
from support.command_line import Run
from support.conversations import FAILED, REFUND, TRIP
from support.processes import HOST, free_port
from support.receiving import WebhookReceiver

FAMILIES = ("invocation", "model", "tool", "node", "interrupt", "multi_agent")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def talks(log: SessionLog) -> SessionLog:
    conversations.write_short_ones(log)
    return log


def received(collector: WebhookReceiver) -> list[Span]:
    """The spans that came, in this order."""
    requests = [ExportTraceServiceRequest.FromString(one.body) for one in collector.taken]
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def endpoint(collector: WebhookReceiver) -> str:
    return collector.url.removesuffix("/hook")


def named(span: Span) -> dict[str, Any]:
    """Its attributes."""
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


def tree(spans: list[ReadableSpan]) -> dict[str, str]:
    """By the name of each span, the name of the one it is within."""
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: names[span.parent.span_id] if span.parent else "" for span in spans}


def test_each_call_of_an_agent_is_a_trace_with_its_model_calls_and_tools_in_it(
    talks: SessionLog, run: Run, collector: WebhookReceiver
) -> None:
    told = json.loads(run("otel", TRIP, "--endpoint", endpoint(collector), "--json").stdout)

    spans = received(collector)
    calls = [span for span in spans if not span.parent_span_id]
    assert [span.name for span in calls] == ["invoke_agent default"] * 3
    assert told == {
        "session_id": TRIP,
        "spans": len(spans),
        "traces": [span.trace_id.hex() for span in calls],
        "unfinished": 0,
    }
    first = [span for span in spans if span.trace_id == calls[0].trace_id]
    assert [span.name for span in first] == [
        "chat scripted",
        "execute_tool search",
        "chat scripted",
        "invoke_agent default",
    ]
    for span in first[:-1]:
        assert span.parent_span_id == calls[0].span_id
        assert calls[0].start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= calls[0].end_time_unix_nano
    model, tool = named(first[0]), named(first[1])
    assert model["gen_ai.conversation.id"] == tool["gen_ai.conversation.id"] == TRIP
    assert (model["gen_ai.operation.name"], model["gen_ai.usage.input_tokens"]) == ("chat", 1)
    assert (tool["gen_ai.tool.name"], tool["gen_ai.tool.call.id"]) == ("search", "call-search")
    assert talks.event(TRIP, tool["strands_session_log.event"]).event.type == "tool.started"


def test_exported_again_it_is_the_same_trace_with_the_same_spans(talks: SessionLog) -> None:
    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    assert export_session(talks, TRIP, first) == export_session(talks, TRIP, second)
    once, again = ([span.to_json() for span in one.get_finished_spans()] for one in (first, second))
    assert once == again
    ids = [span.context.span_id for span in first.get_finished_spans()]
    assert len(set(ids)) == len(ids)
    talks.fork(TRIP, at=talks.head(TRIP), into="another")
    traces = {span.context.trace_id for span in session_spans(talks, "another")}
    assert traces.isdisjoint(span.context.trace_id for span in first.get_finished_spans())


def test_what_was_said_is_told_only_when_that_is_wanted(
    talks: SessionLog, run: Run, collector: WebhookReceiver
) -> None:
    said = (b"Find me a flight", b"SK1234", b"cheaper one", b"timed out after 30 s", b"too many requests", b'"eur"')
    for session in (TRIP, FAILED, REFUND):
        run("otel", session, "--endpoint", endpoint(collector))
    assert not any(text in one.body for text in said for one in collector.taken)
    collector.taken.clear()
    for session in (TRIP, FAILED, REFUND):
        run("otel", session, "--endpoint", endpoint(collector), "--content")
    assert [text for text in said if not any(text in one.body for one in collector.taken)] == []
    call = next(span for span in received(collector) if not span.parent_span_id)
    (asked,) = json.loads(named(call)["gen_ai.input.messages"])
    assert asked == {
        "role": "user",
        "parts": [{"type": "text", "content": "Find me a flight to Oslo on Friday."}],
    }
    tool = next(span for span in received(collector) if span.name == "execute_tool search")
    assert json.loads(named(tool)["gen_ai.tool.call.arguments"]) == {"to": "OSL"}
    assert "SK1234" in named(tool)["gen_ai.tool.call.result"]


def test_what_failed_is_an_error_and_what_waits_for_a_person_is_not(
    talks: SessionLog, run: Run, collector: WebhookReceiver
) -> None:
    run("otel", "--all", "--endpoint", endpoint(collector))
    failed = {span.name: named(span)["error.type"] for span in received(collector) if span.status.code}
    assert failed == {
        "execute_tool book": "RuntimeError",
        "chat scripted": "RuntimeError",
        "invoke_agent reporter": "RuntimeError",
    }
    waits = [span for span in received(collector) if span.name == "invoke_agent clerk"][-1]
    assert (waits.status.code, [one.name for one in waits.events]) == (Status.STATUS_CODE_UNSET, ["interrupt.raised"])


def test_nodes_of_a_graph_are_in_the_trace_of_its_run(log: SessionLog) -> None:
    graph = GraphBuilder()
    for name in ("writer", "critic"):
        graph.add_node(Agent(model=ScriptedModel("done"), name=name, callback_handler=None), name)
    graph.add_edge("writer", "critic")
    graph.set_session_manager(ValkeySessionManager("s-1", log=log))
    graph.set_execution_timeout(60)
    graph.build()("hello")

    spans = list(session_spans(log, "s-1"))

    assert len({span.context.trace_id for span in spans}) == 1
    found = tree([span for span in spans if not span.name.startswith("chat")])
    assert found == {
        "invoke_workflow default_graph": "",
        "node writer": "invoke_workflow default_graph",
        "node critic": "invoke_workflow default_graph",
        "invoke_agent default_graph:writer": "node writer",
        "invoke_agent default_graph:critic": "node critic",
    }


def test_a_call_whose_process_died_is_told_as_unfinished_and_the_next_one_is_not_in_it(log: SessionLog) -> None:
    started = events.InvocationStarted({"invocation": "a"}, "a")
    tool = events.ToolStarted({"name": "book", "tool_use_id": "t-1"}, "a")
    log.append("s-1", [started, tool])
    log.append("s-1", [events.InvocationStarted({"invocation": "b"}, "a"), events.InvocationCompleted({}, "a")])

    spans = list(session_spans(log, "s-1"))

    assert [(span.name, "strands_session_log.unfinished" in (span.attributes or {})) for span in spans] == [
        ("execute_tool book", True),
        ("invoke_agent a", True),
        ("invoke_agent a", False),
    ]
    assert spans[0].context.trace_id == spans[1].context.trace_id != spans[2].context.trace_id


def test_an_agent_that_a_tool_calls_is_in_the_call_of_that_tool(log: SessionLog) -> None:
    call = {"name": "helper", "tool_use_id": "t-1"}
    within = [events.InvocationStarted({"invocation": "b"}, "inner"), events.InvocationCompleted({}, "inner")]
    around = [events.InvocationStarted({"invocation": "a"}, "outer"), events.ToolStarted(call, "outer")]
    after = [events.ToolCompleted(call, "outer"), events.InvocationCompleted({}, "outer")]
    log.append("s-1", [*around, *within, *after])

    assert tree(list(session_spans(log, "s-1"))) == {
        "invoke_agent inner": "execute_tool helper",
        "execute_tool helper": "invoke_agent outer",
        "invoke_agent outer": "",
    }


def test_a_span_leads_to_the_one_that_was_recorded_when_it_happened(log: SessionLog) -> None:
    log.append("s-1", events.InvocationStarted({"invocation": "a"}, "a", trace=TRACEPARENT))
    (span,) = session_spans(log, "s-1")
    (link,) = span.links
    assert f"00-{link.context.trace_id:032x}-{link.context.span_id:016x}-01" == TRACEPARENT


@pytest.mark.parametrize("data", [{}, {"message": 1}, {"message": {"role": [], "content": [1, {"text": 2}]}}])
def test_events_that_hold_anything_are_exported_as_far_as_they_can_be_read(
    log: SessionLog, data: dict[str, Any], run: Run, collector: WebhookReceiver
) -> None:
    junk = {**data, "name": "\ud800", "usage": {"inputTokens": 2**62}, "duration_ms": "long", "status": 7}
    kinds = [kind for name, kind in events.Event.known.items() if name.partition(".")[0] in FAMILIES]
    log.append("s-1", [kind(junk, "ä", time="yesterday") for kind in kinds])
    run("otel", "s-1", "--endpoint", endpoint(collector), "--content")
    assert received(collector)


def test_without_its_extra_it_says_what_to_install(talk: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert "pip install 'strands-session-log[otel]'" in run("otel", "s-42", exit_code=2).stderr


def test_a_receiver_that_takes_nothing_is_told_with_its_session(talks: SessionLog, run: Run) -> None:
    with WebhookReceiver(lambda handling, _: handling.answer(400)) as refusing:
        done = run("otel", TRIP, "--endpoint", endpoint(refusing), exit_code=4)
    assert f"spans of session '{TRIP}' were not taken" in done.stderr


def test_an_encrypted_session_is_not_exported_without_its_key(
    log: SessionLog, server_url: str, tmp_path: Path, run: Run
) -> None:
    with SessionLog.connect(server_url, log.namespace, encryption=LocalKeys.new(tmp_path / "keys")) as sealed:
        sealed.append("s-1", events.InvocationStarted({"invocation": "a"}, "a"))
    assert "is encrypted" in run("otel", "s-1", "--endpoint", f"http://{HOST}:{free_port()}", exit_code=6).stderr


def test_one_session_that_cannot_be_read_keeps_none_of_the_others_from_being_exported(
    talks: SessionLog, server_url: str, tmp_path: Path, run: Run, collector: WebhookReceiver
) -> None:
    with SessionLog.connect(server_url, talks.namespace, encryption=LocalKeys.new(tmp_path / "keys")) as sealed:
        sealed.append("a-1", events.InvocationStarted({"invocation": "a"}, "a"))
    done = run("otel", "--all", "--endpoint", endpoint(collector), exit_code=1)
    assert "a-1: event" in done.stderr
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == {*talks.session_ids()} - {"a-1"}


def test_who_takes_traces_by_the_environment_is_who_any_exporter_would_send_them_to(
    talks: SessionLog, run: Run, collector: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{HOST}:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url)
    run("otel", TRIP)
    assert received(collector)


def test_what_has_half_a_character_is_told_with_a_mark_for_it(log: SessionLog) -> None:
    manager = ValkeySessionManager("s-1", log=log)
    Agent(ScriptedModel("It says caf\udce9."), session_manager=manager, callback_handler=None)("Hello?")
    spans = session_spans(log, "s-1", content=True)
    (said, *_) = [json.loads(str((span.attributes or {})["gen_ai.output.messages"])) for span in spans]
    assert said[0]["parts"] == [{"type": "text", "content": "It says caf?."}]


def test_spans_with_much_content_are_sent_a_few_at_a_time(
    log: SessionLog, run: Run, collector: WebhookReceiver
) -> None:
    model, manager = ScriptedModel(lambda _: "word " * 100_000, chunk=100_000), ValkeySessionManager("s-1", log=log)
    agent = Agent(model, session_manager=manager, callback_handler=None)
    for _ in range(4):
        agent("Hello?")
    run("otel", "s-1", "--endpoint", endpoint(collector), "--content")
    assert len(received(collector)) == 8
    assert len(collector.taken) == 4
