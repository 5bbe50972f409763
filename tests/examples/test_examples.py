"""The programs of `docs/examples`, run as they stand."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from starlette.testclient import TestClient

from strands_session_log import SessionLog
from support import programs
from support.command_line import message
from support.following import SOON
from support.postgres_server import PostgresServer
from support.processes import HOST
from support.served_app import ServedApp
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


def test_what_one_process_asks_another_one_answers(run: Runs, server: ValkeyliteServer, log: SessionLog) -> None:
    assert run("approval", "ask") == "stopped: interrupt\n"
    assert "approve-refund {'call': {'order': '881'}}" in run("approval", "inbox")
    code = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    words = ["-c", code, str(EXAMPLES / "approval.py"), "answer", "yes"]
    answered = programs.run(words, env={**os.environ, "SESSION_LOG_URL": server.url})
    assert "It is done." in answered.stdout, answered.stderr
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


def test_both_managers_work_at_once_while_sessions_move(run: Runs, log: SessionLog) -> None:
    assert run("migration_together").splitlines() == [
        "s-1 imported",
        "s-1 is kept by the log",
        "s-2 is kept by files",
        "s-3 is kept by the log",
        "s-2 imported",
        "s-2 is kept by the log",
        "s-1 conflict",
    ]
    lengths = {name: len(log.state(name).agents["default"].messages) for name in ("s-1", "s-2", "s-3")}
    assert lengths == {"s-1": 4, "s-2": 6, "s-3": 2}


class Frames:
    """Server-sent events, as they come."""

    def __init__(self, port: int, last: str = "") -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=SOON)
        self._connection.request("GET", "/runs/r-1/events", headers={"Last-Event-ID": last} if last else {})
        self._response = self._connection.getresponse()

    def close(self) -> None:
        self._connection.close()

    def until(self, node: str, what: str) -> list[tuple[str, dict[str, str]]]:
        """All up to what becomes of a node, each with its id."""
        found, id_ = list[tuple[str, dict[str, str]]](), ""
        while line := self._response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            id_ = value if name == "id" else id_
            if name == "data":
                found.append((id_, json.loads(value)))
                if (found[-1][1]["node"], found[-1][1]["is"]) == (node, what):
                    return found
        raise AssertionError("the stream has ended")


def test_a_page_that_is_opened_before_its_graph_runs_shows_every_node_word_by_word(load_on: Any) -> None:
    example = load_on("graph_page")
    with example.log, ServedApp(example.app) as served:
        frames = Frames(served.port)
        begun = http.client.HTTPConnection(HOST, served.port, timeout=SOON)
        begun.request("POST", "/runs/r-1", json.dumps({"text": "What should I pack?"}))
        assert begun.getresponse().status == 202
        begun.close()
        seen = frames.until("trip:research", "completed")
        # A page that was reloaded goes on where it was.
        frames.close()
        frames = Frames(served.port, last=seen[-1][0])
        seen += frames.until("trip:advice", "completed")
        frames.close()
    steps = [(told["node"], told["is"]) for _, told in seen if told["is"] not in ("word", "user")]
    assert steps == [
        *(("trip:research", what) for what in ("started", "assistant", "completed")),
        *(("trip:advice", what) for what in ("started", "assistant", "completed")),
    ]
    words = {
        node: "".join(told["text"] for _, told in seen if told["node"] == node and told["is"] == "word")
        for node, _ in steps
    }
    said = {told["node"]: told["text"] for _, told in seen if told["is"] == "assistant"}
    assert all(said[node].startswith(words[node]) for node in said)
    assert any(words.values())


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


@pytest.mark.postgresql
def test_each_message_is_in_postgresql_once_and_gone_when_it_is_erased(
    load_on: Any, log: SessionLog, tmp_path: Path
) -> None:
    psycopg = pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]'")
    example = load_on("audit_postgres")
    for session in ("s-1", "s-2"):
        log.append(session, [message(0, "user", "My card is 4711."), message(1, "assistant", "Thanks\x00\ud800.")])

    def rows() -> list[Any]:
        found = database.execute("SELECT session, role, content FROM said ORDER BY session, id").fetchall()
        return [tuple(row) for row in found]

    both = [("user", "My card is 4711."), ("assistant", "Thanks\ufffd?.")]
    with PostgresServer(tmp_path) as server, psycopg.connect(server.url, autocommit=True) as database:
        example.audit(log, database, at_most=4)
        assert rows() == [(session, *said) for session in ("s-1", "s-2") for said in both]
        log.delete_group("audit")
        example.audit(log, database, at_most=4)
        assert len(rows()) == 4, "delivered once more, they are the same rows"
        log.erase("s-1", 1, "asked for")
        log.delete("s-2")
        example.audit(log, database, at_most=2)
        assert rows() == [("s-1", "user", None), ("s-1", "assistant", "Thanks\ufffd?.")]
