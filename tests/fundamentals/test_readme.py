"""The README and the page about subscriptions, run as they stand, top to bottom, on a real server."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import signal
from pathlib import Path

import pytest

from strands_session_log import SessionLog, Subscriber
from support import programs
from support.command_line import runner, write_session

README = Path(__file__).parents[2] / "README.md"
METRICS = README.parent / "docs" / "metrics.md"
SUBSCRIPTIONS = README.parent / "docs" / "subscriptions.md"
VIEWER = README.parent / "docs" / "viewer.md"
RETENTION = README.parent / "docs" / "retention.md"
SUBJECTS = README.parent / "docs" / "subjects.md"
SEALS = README.parent / "docs" / "seals.md"
EXPORTS = README.parent / "docs" / "exports.md"
ENCRYPTION = README.parent / "docs" / "encryption.md"
ARCHIVE = README.parent / "docs" / "archive.md"
SEARCH = README.parent / "docs" / "search.md"
STREAMING = README.parent / "docs" / "streaming.md"
TESTING = README.parent / "docs" / "testing.md"
OTEL = README.parent / "docs" / "otel.md"
TUTORIAL = README.parent / "docs" / "tutorial.md"
URL = re.findall(r"^\$ export SESSION_LOG_URL=(.*)$", README.read_text(), re.MULTILINE)[0]
NOT_RUN = {
    "demo": "plays for seconds, and has tests of its own",
    "import": "reads what another session manager has written",
    "replay": "takes the time it took",
    "serve-metrics": "serves until it is ended",
    "tail": "follows until it is ended",
    "view": "serves until it is ended",
}


def blocks_of(page: Path, language: str = "python") -> list[str]:
    """Its Python, or another language of it."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands_of(page: Path) -> list[list[str]]:
    """What it lets one type at `session-log`, without what is for the shell."""
    lines = re.findall(r"^\$ session-log (.*)$", "\n".join(blocks_of(page, "console")), re.MULTILINE)
    return [shlex.split(re.split(r" [|>] ", line)[0], comments=True) for line in lines]


def run_as_program(code: str, directory: Path) -> str:
    """What it prints, run where there is nothing but it."""
    done = programs.run(["-c", code], cwd=directory, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_runs_as_it_stands_in_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = blocks_of(README)
    assert f'SessionLog.connect("{URL}")' in blocks[0]
    said = run_as_program("\n".join(blocks), tmp_path)
    assert said.startswith("Nice to meet you, Ada.[{'text': 'Nice to meet you, Ada.'}]\nYou are Ada."), said
    assert re.search(r"\nYou are welcome.*\n \{'role': 'assistant'", said), "word by word, and then the message"
    monkeypatch.chdir(tmp_path)
    run = runner(URL, "strands")
    ran = [command for command in commands_of(README) if command[0] not in NOT_RUN]
    assert len(ran) > 10
    for command in ran:
        # It asks, where there is somebody to ask; and what is sought may not be there.
        asks = command[0] == "rewind" and "--dry-run" not in command
        run(*command, *(["--yes"] if asks else []), exit_code=None if command[0] in ("grep", "search") else 0)


def test_the_first_snippets_of_the_readme_go_on_in_another_process(tmp_path: Path) -> None:
    first, second, *_ = blocks_of(README)
    *made, asked = first.splitlines()
    assert run_as_program(first, tmp_path) == "Nice to meet you, Ada."
    again = "\n".join(line for line in made if not line.startswith("agent"))
    assert "My name" in asked
    assert run_as_program(f"{again}\n{second}", tmp_path).startswith("[{'text': 'Nice to meet you, Ada.'}]\n")


def test_the_tutorial_runs_and_its_commands_show_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run_as_program("\n".join(blocks_of(TUTORIAL)), tmp_path)
    assert "It is sunny in Lisbon" in said
    assert "\n4 messages are there already\n" in said
    assert said.endswith("4 messages then\n")
    monkeypatch.chdir(tmp_path)
    commands = [command for command in commands_of(TUTORIAL) if command[0] not in NOT_RUN]
    assert len(commands) == 4
    for command in commands:
        runner("embedded:///./sessions", "strands")(*command)


def test_the_page_about_metrics_runs_from_top_to_bottom(tmp_path: Path) -> None:
    # Any port might be somebody's.
    elsewhere = "import prometheus_client; prometheus_client.start_http_server = lambda port: print(port)"
    assert run_as_program("\n".join([elsewhere, *blocks_of(METRICS)]), tmp_path) == "8000\n"


def test_the_page_about_retention_runs_from_top_to_bottom(tmp_path: Path) -> None:
    (policies,) = blocks_of(RETENTION, "toml")
    (tmp_path / "policies.toml").write_text(policies)
    apply = "\nprint(log.retention.apply('policies.toml').looked_at)\nlog.close()"
    assert run_as_program("\n".join(blocks_of(RETENTION)) + apply, tmp_path) == "1\n"


def test_the_page_about_subjects_runs_from_top_to_bottom(tmp_path: Path) -> None:
    found, is_complete, _ = run_as_program("\n".join([*blocks_of(SUBJECTS), "log.close()"]), tmp_path).split("\n")
    assert found.startswith("session s-42 (EventId(")
    assert is_complete == "True"
    assert '"kind":"end"' in (tmp_path / "user-77.jsonl").read_text()


def test_the_page_about_the_archive_resumes_a_session_from_it(tmp_path: Path) -> None:
    (block,) = blocks_of(ARCHIVE)
    local = re.sub(r"valkey://[^\"]*", f"embedded://{tmp_path}/log", block).replace("s3://bucket", str(tmp_path))
    assert run_as_program(f"{local}\nprint(log.head('s-42').revision)\nlog.close()", tmp_path) == "1\n"


def test_the_page_about_searching_finds_what_was_said(tmp_path: Path) -> None:
    (block,) = blocks_of(SEARCH)
    program = f"""{block}
from strands_session_log import events

said = {{"role": "user", "content": [{{"text": "I want my money back."}}]}}
with SessionLog.connect("embedded:") as log:
    log.append("s-42", events.MessageAdded({{"message": said, "message_id": 0}}, "default"))
    print(*refunds(log, Path("search.db")))
"""
    assert run_as_program(program, tmp_path) == "s-42 1: I want my money back.\n"


def test_the_page_about_testing_plays_a_session_again(tmp_path: Path) -> None:
    said = run_as_program("\n".join([*blocks_of(TESTING), "log.close()"]), tmp_path)
    played, differs, history, took, kept = said.splitlines()
    assert (played, history) == ("[]", str(dict.fromkeys(("plain", "tools", "failed", "waiting", "redacted"), 2)))
    assert differs.startswith("[\"turn 1: the agent has no tool 'forecast' any more\"")
    assert took.startswith("2:00:0")
    assert kept == "True"


def test_the_page_about_traces_exports_what_it_says(tmp_path: Path) -> None:
    spans, traces, _ = run_as_program("\n".join([*blocks_of(OTEL), "log.close()"]), tmp_path).split("\n")
    assert spans == "['chat scripted', 'invoke_agent default']"
    assert re.fullmatch(r"\('[0-9a-f]{32}',\)", traces)


def test_no_other_page_has_python_that_nobody_runs() -> None:
    pages = {page.name for page in README.parent.joinpath("docs").glob("*.md") if blocks_of(page)}
    # That of the format is run beside what it is about.
    about_agents = {METRICS.name, STREAMING.name, SUBSCRIPTIONS.name, TUTORIAL.name, VIEWER.name}
    about_evidence = {
        RETENTION.name,
        SUBJECTS.name,
        ARCHIVE.name,
        SEALS.name,
        EXPORTS.name,
        ENCRYPTION.name,
        SEARCH.name,
    }
    assert pages == {*about_agents, *about_evidence, SEARCH.name, TESTING.name, OTEL.name, "format.md"}


def test_the_page_about_seals_checks_a_proof(tmp_path: Path) -> None:
    (block,) = blocks_of(SEALS)
    program = f"""{block}
from strands_session_log import SessionLog, events
from strands_session_log.seals import SealedLog, SealWriter

with SessionLog.connect("embedded:") as log:
    log.append("s-42", events.Custom("custom.note", {{}}))
    SealWriter(log, "./seals", key).seal()
    print(b'"session":"s-42"' in check(SealedLog("./seals").proof("s-42").to_text(with_record=True)))
"""
    assert run_as_program(program, tmp_path) == "True\n"


def test_the_page_about_other_forms_sends_what_is_delivered(tmp_path: Path) -> None:
    (block,) = blocks_of(EXPORTS)
    program = f"""{block}
import asyncio
from strands_session_log import events

async def post(headers, body):
    print(headers["ce-type"], body)
    raise SystemExit

with SessionLog.connect("embedded:") as log:
    log.append("s-42", events.Custom("custom.note", {{"n": 1}}))
    asyncio.run(forward(log, post))
"""
    assert "custom.note" in run_as_program(program, tmp_path)


def test_the_page_about_encryption_keeps_keys_in_a_directory_and_at_a_key_service(tmp_path: Path) -> None:
    own, service = blocks_of(ENCRYPTION)
    program = f"""{own}
{service}
from strands_session_log import events

class Kms:
    def encrypt(self, KeyId, Plaintext, EncryptionContext):
        return {{"CiphertextBlob": Plaintext[::-1]}}

    def decrypt(self, CiphertextBlob, EncryptionContext):
        return {{"Plaintext": CiphertextBlob[::-1]}}

log.append("s-42", events.Custom("custom.note", {{"n": 1}}))
print([one.event.data for one in log.read("s-42")])
with SessionLog(log.client, "other", encryption=provider(Kms())) as served:
    served.append("s-42", events.Custom("custom.note", {{"n": 2}}))
    print([one.event.data for one in served.read("s-42")])
log.close()
"""
    assert run_as_program(program, tmp_path) == "[{'n': 1}]\n[{'n': 2}]\n"


def test_the_page_about_the_viewer_mounts_it_in_an_application(tmp_path: Path) -> None:
    (block,) = blocks_of(VIEWER)
    ask = """
from starlette.testclient import TestClient
with TestClient(web, "http://agents.example.com") as browser:
    print(browser.get("/sessions/").status_code, browser.get("/").status_code)
log.close()
"""
    mounted = re.sub(r"valkey://[^\"]*", f"embedded://{tmp_path}/log", block)
    assert run_as_program(mounted + ask, tmp_path) == "200 404\n"


def test_the_page_about_streaming_follows_a_session_from_an_application(tmp_path: Path) -> None:
    code = "\n".join(blocks_of(STREAMING))
    ask = """
from starlette.testclient import TestClient
from strands_session_log import events as kinds
log.append("s-42", kinds.Custom("custom.note", {"n": 1}))
with TestClient(web) as browser:
    print(browser.get("/events/s-43").status_code)
    with browser.websocket_connect("/socket/s-42") as following:
        print(following.receive_json()["data"]["data"])
with TestClient(Starlette(routes=[Route("/all", all_events)])) as browser:
    print(browser.get("/all?after=banana").status_code)
log.close()
"""
    local = re.sub(r"valkey://[^\"]*", f"embedded://{tmp_path}/log", code)
    assert run_as_program(local + ask, tmp_path) == "404\n{'n': 1}\n400\n"


def test_the_page_about_subscriptions_runs_from_top_to_bottom(session_log: SessionLog) -> None:
    write_session(session_log)
    with Subscriber(session_log, "audit") as deliveries:
        next(deliveries).park("why")
    printed: list[tuple[object, ...]] = []

    def show(*words: object) -> None:
        """The first block runs until somebody ends the process."""
        printed.append(words)
        if len(printed) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    code = "\n".join(blocks_of(SUBSCRIPTIONS))
    program = compile(code, str(SUBSCRIPTIONS), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    coroutine = eval(program, {"log": session_log, "print": show})
    assert inspect.iscoroutine(coroutine)
    asyncio.run(coroutine)
    assert [words[2] for words in printed[:4]] == ["message.added"] * 4
    assert printed[-1][-1] == "why"
    assert [one.is_replayed for one in session_log.parked("audit")] == [True]
