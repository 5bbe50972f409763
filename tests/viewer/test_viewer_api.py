"""The viewer's API: what the pages show, as JSON, and what it says where it cannot."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
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
from strands_session_log_consumers.viewer.api.document import API, OPERATIONS
from support.asking import asking
from support.served_viewer import ServedViewer, streaming
from support.strands_agents import call
from support.tampering import tamper

ODD = "../a b#ü?"
IMAGE = b"\x89PNG\r\n\x1a\n\xff\x00"
ONE = f"{API}/sessions/talk"
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]

"""It asks under this name."""


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
    picture: Any = [{"text": "What is this?"}, {"image": {"format": "png", "source": {"bytes": IMAGE}}}]
    made(picture)


@pytest.fixture
def told(log: SessionLog) -> SessionLog:
    """A log with conversations, one of them under an odd id, and one with something erased."""
    talk(log, "talk")
    log.append(ODD, events.Custom("custom.note", {"text": "odd"}))
    log.append("notes", [events.Custom("custom.note", {"number": number}) for number in range(250)])
    log.append("notes", events.SessionAnnotated({"team": "billing"}))
    log.erase("notes", 7, reason="a test", by="Ada")
    return log


@pytest.fixture
def client(told: SessionLog) -> Iterator[TestClient]:
    with asking(told) as found:
        yield found


@pytest.fixture
def served(told: SessionLog) -> Iterator[ServedViewer]:
    """Over HTTP: asked in this process, schemathesis would keep an event loop of its own until that ends."""
    with ServedViewer(told) as viewer:
        yield viewer


def problem(client: TestClient, path: str, status: int) -> str:
    """The sentence that says why there is no answer."""
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    found = answer.json()
    assert (found["status"], found["type"]) == (status, "about:blank")
    return str(found["detail"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [one.name for one in OPERATIONS if one.name != "live"])
def test_no_question_makes_it_fail_or_answer_other_than_documented(served: ServedViewer, name: str) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/api/openapi.json").include(operation_id=name)
    (found,) = schema.get_all_operations()
    operation: Any = found.ok()  # type: ignore[union-attr]
    asked = strategies.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES))

    @settings(max_examples=25, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=asked, session=strategies.sampled_from(["talk", path_of(ODD), "notes", None]))
    def ask(case: Any, session: str | None) -> None:
        if session and "session_id" in case.path_parameters:
            # Of sessions that are there, more is to be found than of others.
            case.path_parameters["session_id"] = session
        answer = case.call_and_validate(checks=CHECKS)
        assert answer.status_code < 500

    ask()


def test_an_event_is_what_the_command_line_prints(client: TestClient, told: SessionLog) -> None:
    for recorded in told.read("talk"):
        found = client.get(f"{ONE}/events/{recorded.id.revision}").json()
        assert found == orjson.loads(orjson.dumps({**recorded.to_json(), "integrity": "intact"}))


def test_bytes_are_as_they_stand_in_the_log(client: TestClient) -> None:
    text = client.get(f"{ONE}/events?type=message.added").text
    assert '{"__bytes_encoded__":true,"data":"' + base64.b64encode(IMAGE).decode() + '"}' in text


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_of_events_lead_through_all_of_them_from_either_end(client: TestClient, order: str) -> None:
    found, asked = list[int](), {"order": order, "limit": "40"}
    while True:
        page = client.get(f"{API}/sessions/notes/events", params=asked).json()
        found += [int(one["id"].partition("-")[2]) for one in page["events"]]
        if page["next"] is None:
            break
        asked["after" if order == "oldest" else "before"] = page["next"]
    everything = list(range(1, page["head"] + 1))
    assert found == (everything if order == "oldest" else everything[::-1])


def test_events_are_chosen_by_type_and_agent(client: TestClient) -> None:
    page = client.get(f"{ONE}/events", params={"type": ["tool.*", "model.completed"], "agent": "default"}).json()
    assert {one["type"] for one in page["events"]} == {"tool.started", "tool.failed", "model.completed"}
    assert client.get(f"{ONE}/events?agent=nobody").json()["events"] == []


def test_sessions_are_filtered_and_paged(client: TestClient) -> None:
    first = client.get(f"{API}/sessions?limit=2").json()
    rest = client.get(f"{API}/sessions", params={"limit": 2, "before": first["next"]}).json()
    ids = [one["session_id"] for one in (*first["sessions"], *rest["sessions"])]
    assert sorted(ids) == sorted(["talk", "notes", ODD])
    assert [one["session_id"] for one in client.get(f"{API}/sessions?label=team%3Dbilling").json()["sessions"]] == [
        "notes"
    ]
    assert [one["session_id"] for one in client.get(f"{API}/sessions?q=A+picture").json()["sessions"]] == ["talk"]


def test_a_session_tells_how_far_it_is_checked_and_each_question_checks_on(
    client: TestClient, told: SessionLog
) -> None:
    assert client.get(ONE).json()["check"] is None
    while not (found := client.get(f"{ONE}/verify").json())["done"]:
        pass
    assert (found["intact"], found["revision"]) == (True, told.head("talk").revision)
    assert client.get(ONE).json()["check"]["link"] == client.get(ONE).json()["link"] == told.anchor("talk").link


def test_what_is_not_what_was_written_is_told(client: TestClient, told: SessionLog) -> None:
    told.append("s", [events.Custom("custom.note", {"number": number}) for number in range(9)])
    tamper(told, 5, lambda fields: {**fields, "body": b'{"number":77}'})
    assert client.get(f"{API}/sessions/s/events/5").json()["integrity"] == "broken at 5"
    assert client.get(f"{API}/sessions/s/verify").json()["broken_at"] == 5


def test_a_point_and_a_difference_are_what_they_were(client: TestClient, told: SessionLog) -> None:
    state = client.get(f"{ONE}/state?messages=1").json()
    (agent,) = state["agents"].values()
    assert (len(agent["messages"]), agent["message_count"], agent["state"]) == (1, 6, {"city": "Oslo"})
    first = client.get(f"{ONE}/state?at=3").json()
    assert first["revision"] == 3
    found = client.get(f"{ONE}/diff?a=3&b={state['revision']}").json()
    assert (found["before"], found["after"]) == (first["position"], state["position"])
    assert len(found["agents"]["default"]["added"]) + len(first["agents"]["default"]["messages"]) == 6


def test_turns_and_the_timeline_are_told(client: TestClient, told: SessionLog) -> None:
    turns = client.get(f"{ONE}/turns").json()["turns"]
    assert [one["title"] for one in turns] == ["What is this?", "Refund it."]
    assert client.get(f"{ONE}/turns?before={turns[0]['revision']}").json()["turns"] == turns[1:]
    block = client.get(f"{ONE}/timeline/0").content
    length = int.from_bytes(block[:4], "little")
    head = json.loads(block[4 : 4 + length])
    assert head["count"] == told.head("talk").revision
    assert len(block) == 4 + length + 12 * head["count"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{API}/sessions/nobody", 404, "nobody"),
        (f"{ONE}/events/9999", 404, "9999"),
        (f"{ONE}/events/zero", 400, "revision"),
        (f"{ONE}/events/{'9' * 5000}", 400, "revision"),
        (f"{ONE}/events?limit=0", 400, "limit"),
        (f"{ONE}/events?limit=1&limit=2", 400, "more than once"),
        (f"{ONE}/events?order=sideways", 400, "oldest, newest"),
        (f"{ONE}/state?at=yesterday-ish", 400, "yesterday-ish"),
        (f"{ONE}/state?when=1", 400, "'when'"),
        (f"{ONE}/timeline/9", 404, "block 9"),
        (f"{ONE}/live?after=x", 400, "after"),
        (f"{API}/sessions/nobody/live", 404, "nobody"),
        (f"{API}/sessions?label=x", 400, "name=value"),
        (f"{API}/sessions?before=nonsense", 400, "nonsense"),
        (f"{API}/sessions?agent=%E2%80%AE", 400, "U+202E"),
        (f"{API}/nothing", 404, "Not Found"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_sentence(client: TestClient, path: str, status: int, said: str) -> None:
    assert said in problem(client, path, status)


def test_who_has_no_token_or_comes_under_a_foreign_name_is_told_so_as_a_problem(told: SessionLog) -> None:
    with asking(told, token="a-token-that-is-long") as client:
        assert "token" in problem(client, ONE, 401)
        assert client.get(ONE, headers={"Authorization": "Bearer a-token-that-is-long"}).status_code == 200
        client.headers["host"] = "elsewhere.example"
        assert "name" in problem(client, ONE, 421)


def test_it_only_reads(client: TestClient) -> None:
    answer = client.delete(ONE)
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert answer.json()["status"] == 405


def test_browsers_get_a_page_of_it(client: TestClient) -> None:
    page = client.get("/api", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    for operation in OPERATIONS:
        assert f"GET {API}{operation.path}" in page.text
    assert client.get("/api").json()["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("mounted", "prefix"), [("/sessions", ""), ("/", "/sessions"), ("/inner", "/viewer/"), ("", "")]
)
def test_all_addresses_are_right_wherever_it_is_mounted(told: SessionLog, mounted: str, prefix: str) -> None:
    base = (mounted.rstrip("/") + prefix).rstrip("/")
    outer = Starlette(routes=[Mount(mounted, app(told, prefix=prefix, settings=ViewerSettings(hosts=("a.example",))))])
    with TestClient(outer, base_url="http://a.example") as client:
        described = client.get(f"{base}/api").json()
        (server,) = described["servers"]
        assert server["url"] == f"{base}{API}"
        assert client.get(f"{server['url']}/sessions").json()["sessions"]
        assert problem(client, f"{server['url']}/sessions/nobody", 404)
        for path in ("/", "/inbox", "/s/talk", f"/s/{path_of(ODD)}", "/s/talk/e/3", "/s/talk/verify", "/api"):
            page = client.get(f"{base}{path}", headers={"Accept": "text/html"})
            assert page.status_code == 200, path
            own = re.findall(r'(href|src|action|data-\w+)="(/[^"]*)"', page.text)
            assert all(one.startswith(f"{base}/") for _, one in own), own
            asked = {one: client.get(unescape(one)).status_code for what, one in own if what in ("href", "src")}
            assert 404 not in asked.values(), asked


def test_a_stream_tells_what_happens_and_goes_on_where_it_was_lost(told: SessionLog) -> None:
    head = told.head("notes").revision
    with ServedViewer(told) as viewer:
        with streaming(viewer, "", path=f"{API}/sessions/notes/live?after={head - 1}") as stream:
            last = stream.next("event")
            assert last.data == {
                **orjson.loads(orjson.dumps(told.event("notes", head).to_json())),
                "integrity": "intact",
            }
        told.append("notes", [events.Custom("custom.note", {"number": number}) for number in (1, 2)])
        with streaming(viewer, "", last.id, path=f"{API}/sessions/notes/live") as stream:
            assert [stream.next("event").data["data"] for _ in range(2)] == [{"number": 1}, {"number": 2}]
            told.append("notes", events.Custom("custom.note", {"number": 3}))
            assert stream.next("event").id == str(told.head("notes"))
