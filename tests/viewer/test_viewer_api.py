"""The viewer's API: what the pages show, as JSON, and what it says where it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.viewer import ViewerSettings, app
from strands_session_log_consumers.viewer.addresses import path_of
from strands_session_log_consumers.viewer.api_document import API, OPERATIONS
from support.asking import asking
from support.strands_agents import call
from support.tampering import tamper

ODD = "../a b#ü?"
IMAGE = b"\x89PNG\r\n\x1a\n\xff\x00"
ONE = f"{API}/sessions/talk"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


@tool
def refund(order: str) -> str:
    """Refund an order."""
    raise ValueError(f"{order} is unknown")


def talk(log: SessionLog, session_id: str) -> None:
    """A conversation with a picture, a call that fails, and state."""
    manager = ValkeySessionManager(session_id, log=log)
    model = ScriptedModel([call("refund", order="881")], "It failed.", "A picture.")
    made = Agent(model=model, session_manager=manager, tools=[refund], callback_handler=None, state={"city": "Oslo"})
    made("Refund it.")
    made([{"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": IMAGE}}}])


@pytest.fixture
def told(log: SessionLog) -> SessionLog:
    """A log with conversations, one of them under an odd id, and one with something erased."""
    talk(log, "talk")
    talk(log, ODD)
    log.append("notes", [events.Custom("custom.note", {"number": number}) for number in range(250)])
    log.append("notes", events.SessionAnnotated({"team": "billing"}))
    log.erase("notes", 7, reason="a test", by="Ada")
    return log


@pytest.fixture
def client(told: SessionLog) -> Iterator[TestClient]:
    with asking(told) as found:
        yield found


def problem(client: TestClient, path: str, status: int) -> str:
    """The sentence that says why there is no answer."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    found = answer.json()
    assert found["status"] == status and found["type"] == "about:blank" and found["title"]
    return str(found["detail"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
def test_no_question_makes_the_api_fail_or_answer_other_than_documented(told: SessionLog) -> None:
    served = app(told)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", served).exclude(operation_id="live")
    for found in schema.get_all_operations():
        operation = found.ok()
        known = {"session_id": path_of(ODD), "revision": 3, "block": 0}
        for parameters in ({name: known[name] for name in known if f"{{{name}}}" in operation.path},):
            operation.Case(path_parameters=parameters, method="GET").call_and_validate(checks=CHECKS)

        def ask(case: Any) -> None:
            if "session_id" in case.path_parameters and case.meta.generation.mode.is_positive:
                # Of sessions that are there more is to be found than of others.
                case.path_parameters["session_id"] = path_of(ODD)
            case.call_and_validate(checks=CHECKS)

        chosen = settings(max_examples=40, deadline=None, derandomize=True, database=None)
        operation.as_strategy().example
        run = schemathesis_run(operation, ask, chosen)
        run()


def schemathesis_run(operation: Any, ask: Any, chosen: settings) -> Any:
    """Questions as they may be, and as they may not."""
    from hypothesis import given, strategies
    from schemathesis.generation import GenerationMode

    either = strategies.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    quiet = settings(chosen, suppress_health_check=list(HealthCheck))
    return quiet(given(case=either)(lambda case: ask(case)))
