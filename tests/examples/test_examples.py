"""The programs of `docs/examples`, run as they stand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog
from support.processes import HOST
from support.servers import ValkeyliteServer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def one_server() -> Iterator[ValkeyliteServer]:
    """A server for all examples: they use the namespace that everybody does."""
    server = ValkeyliteServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(one_server: ValkeyliteServer) -> ValkeyliteServer:
    """An empty one."""
    one_server.execute("FLUSHALL")
    return one_server


@pytest.fixture
def log(server: ValkeyliteServer) -> Iterator[SessionLog]:
    """What an example writes."""
    with SessionLog.connect(server.url) as log:
        yield log


def load(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def load_on(server: ValkeyliteServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads an example that opens its log by itself."""
    monkeypatch.setenv("SESSION_LOG_URL", server.url)
    return load


class Runs(Protocol):
    def __call__(self, name: str, *arguments: str) -> str: ...


@pytest.fixture
def run(load_on: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runs:
    """Runs an example in a directory of its own, and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> str:
        load_on(name).main(*arguments)
        return capsys.readouterr().out

    return run


def test_every_example_is_in_the_list_and_has_a_test() -> None:
    page, tests = (EXAMPLES / "README.md").read_text(), Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"[{path.name}]({path.name})" in page
        assert f'"{path.stem}"' in tests


def test_the_chat_resumes_behind_fastapi(load_on: Any) -> None:
    example = load_on("fastapi_chat")
    with example.log, TestClient(example.app) as browser:
        assert browser.get("/chats/c-1").status_code == 404
        assert browser.post("/chats/c-1", json={"text": "Hello"}).json() == {"answer": "That was message 1."}
        assert browser.post("/chats/c-1", json={"text": "And now?"}).json() == {"answer": "That was message 3."}
        assert [one["role"] for one in browser.get("/chats/c-1").json()] == ["user", "assistant"] * 2


def test_what_one_process_asks_another_one_answers(run: Runs, log: SessionLog) -> None:
    assert run("approval", "ask") == "stopped: interrupt\n"
    assert "approve-refund {'call': {'order': '881'}}" in run("approval", "inbox")
    assert "It is done." in run("approval", "answer", "yes")
    assert "refunded 881" in str([record.message for record in log.state("order-881").agents["default"].messages])


def test_a_guardrail_leaves_nothing_of_the_prompt(run: Runs) -> None:
    said = run("guardrail")
    assert "[redacted]" in said
    assert "4711" not in said
    assert said.endswith("intact: True\n")


def test_a_mirror_has_what_the_files_have(run: Runs) -> None:
    assert run("mirror").endswith("complete: True\n2 messages in the log\n")


def test_sessions_move_in_while_the_old_manager_goes_on(run: Runs) -> None:
    said = run("migration")
    assert "s-42 imported\n" in said
    assert "s-42 completed\n" in said
    assert said.endswith("6 messages\n")


def test_the_lambda_handler_resumes_between_two_calls(load_on: Any) -> None:
    example = load_on("aws_lambda")
    event = {"pathParameters": {"session": "s-1"}, "body": json.dumps({"text": "Hello"})}
    answers = [json.loads(example.handler(event, None)["body"])["answer"] for _ in range(2)]
    example.open_log().close()
    assert answers == ["That was message 1.", "That was message 3."]


def test_the_entry_point_of_agentcore_answers_in_the_session_of_the_runtime(load_on: Any) -> None:
    example = load_on("agentcore")
    with example.log:
        answers = [example.answer({"prompt": "Hello"}, SimpleNamespace(session_id="s" * 33)) for _ in range(2)]
    assert answers == [{"result": "That was message 1."}, {"result": "That was message 3."}]


def test_a_tenant_sees_no_other(run: Runs, server: ValkeyliteServer) -> None:
    said = run("tenants", server.url, f"{HOST}:{server.port}")
    assert "its own:" in said
    assert "the other's: ForbiddenError" in said
