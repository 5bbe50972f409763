"""`session-log view`: what it serves, for whom, and how it begins and ends."""

from __future__ import annotations

import ast
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer import command
from support import wait_until
from support.command_line import Run
from support.programs import COMMAND_LINE, Program
from support.strands_agents import runs_the_demo
from support.viewing import ViewerProcess

LONG = "a-token-of-more-than-16-characters"


def test_the_address_that_is_printed_opens_the_sessions_and_no_other_does(
    talk: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with ViewerProcess(environment, tmp_path) as viewer, httpx.Client(follow_redirects=True) as browser:
        assert browser.get(viewer.url).status_code == 401
        page = browser.get(viewer.address)
        assert page.status_code == 200
        assert "s-42" in page.text
        assert "token" not in str(page.url)
        assert browser.get(f"{viewer.url}/s/s-42").status_code == 200


def test_a_session_and_a_point_of_it_are_opened_at_once(
    talk: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with ViewerProcess(environment, tmp_path, "s-42", "--at", "4", "--no-token") as viewer:
        assert viewer.address == f"{viewer.url}/s/s-42?at=4"
        assert "Let me look." in httpx.get(viewer.address).text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_when_it_is_told_to(
    log: SessionLog, environment: Mapping[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with ViewerProcess(environment, tmp_path) as viewer:
        viewer.process.send_signal(number)
        assert viewer.process.wait(20) == 0
        assert "Traceback" not in viewer.output


def test_behind_a_prefix_all_addresses_begin_with_it(
    talk: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with ViewerProcess(environment, tmp_path, "--prefix", "/agents", "--no-token") as viewer:
        page = httpx.get(f"{viewer.url}/agents/")
        assert page.status_code == 200
        addresses = {part.partition('"')[0] for part in page.text.split('href="')[1:]}
        assert len(addresses) > 3
        assert {one for one in addresses if not one.startswith(("/agents/", "#"))} == set()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--host", "0.0.0.0"], "--token"),
        (["--host", "0.0.0.0", "--no-token"], "--token"),
        (["--host", "192.0.2.1", "--token", "short"], "16 characters"),
        (["--token", LONG, "--no-token"], "--no-token"),
        (["--token", LONG, "--trust-proxy"], "--trust-proxy"),
        (["--answer-url", "ftp://example.com"], "--answer-url"),
        (["--answers", "refund"], "--answers"),
        (["--answers", "refund=approve"], "--answers"),
        (["--access-log", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_what_would_leave_the_door_open_is_wrong_usage(
    log: SessionLog, run: Run, options: list[str], named: str
) -> None:
    assert named in run("view", *options, exit_code=2).stderr


def test_a_port_that_is_taken_is_told_in_one_line(log: SessionLog, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (line,) = run("view", "--port", str(taken.getsockname()[1]), exit_code=2).stderr.splitlines()
    assert "cannot listen" in line
    assert "--port 0" in line


def test_behind_a_proxy_any_name_is_taken_and_https_believed(
    talk: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with ViewerProcess(environment, tmp_path, "--trust-proxy") as viewer:
        assert "token" not in viewer.address
        headers = {"Host": "agents.example.com", "X-Forwarded-Proto": "https"}
        assert httpx.get(viewer.url, headers=headers).status_code == 200


def test_a_token_is_taken_from_the_environment_and_outlives_the_viewer(
    talk: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    told = {**environment, "SESSION_LOG_VIEWER_TOKEN": LONG}
    with httpx.Client(follow_redirects=True) as browser:
        with ViewerProcess(told, tmp_path) as first:
            assert browser.get(first.address).status_code == 200
        with ViewerProcess(told, tmp_path) as second:
            assert browser.get(second.url).status_code == 200


def test_who_looked_at_what_is_noted_where_only_its_owner_reads_it(
    log: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    noted = tmp_path / "looks.jsonl"
    with ViewerProcess(environment, tmp_path, "--access-log", str(noted)):
        assert stat.S_IMODE(noted.stat().st_mode) == 0o600


def test_a_browser_is_opened_where_there_is_one_and_it_is_wanted(
    log: SessionLog, environment: Mapping[str, str], tmp_path: Path
) -> None:
    opened, browser = tmp_path / "opened", tmp_path / "browser.py"
    # It is in the foreground until its page is there, as a browser that people have named themselves may be.
    browser.write_text(
        "import sys, httpx, pathlib\n"
        "page = httpx.get(sys.argv[1], follow_redirects=True, timeout=60)\n"
        f"pathlib.Path({str(opened)!r}).write_text(f'{{page.status_code}}\\n')\n"
    )
    called = {**environment, "BROWSER": f"{sys.executable} {browser} %s"}
    with Program([*COMMAND_LINE, "view", "--port", "0"], env=called, stderr=subprocess.DEVNULL) as program:
        wait_until(lambda: opened.exists() and opened.read_text() == "200\n", "the browser to have its page")
        program.terminate()


def test_whatever_the_viewer_imports_of_others_is_known_to_be_of_its_extra() -> None:
    modules = Path(command.__file__).parent.rglob("*.py")
    nodes = [node for module in modules for node in ast.walk(ast.parse(module.read_text()))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    named = {name.partition(".")[0] for name in plain | parts} - sys.stdlib_module_names
    assert named - {"orjson", "strands_session_log", "typer"} == set(command._EXTRA)


def test_without_its_extra_it_says_what_to_install(log: SessionLog, environment: Mapping[str, str]) -> None:
    program = (
        "import sys\nsys.modules['starlette'] = None\nfrom strands_session_log.cli import main\n"
        "sys.argv = ['session-log', 'view', '--port', '0']\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "strands-session-log[viewer]" in ended.stderr


def test_to_list_the_commands_loads_nothing_of_it(environment: Mapping[str, str]) -> None:
    program = (
        "import sys\nfrom strands_session_log.cli import main\nsys.argv = ['session-log', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*sys.modules, sep='\\n')"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "See conversations in a browser" in shown
    assert not set(shown.splitlines()) & {"starlette", "uvicorn", "nh3", "jinja2"}


@runs_the_demo
def test_the_demo_is_shown_in_the_viewer_until_it_is_ended(environment: Mapping[str, str], tmp_path: Path) -> None:
    log, told = tmp_path / "log", {**environment, "TMPDIR": str(tmp_path), "BROWSER": "true %s"}
    with log.open("wb") as output, Program([*COMMAND_LINE, "demo", "--view"], env=told, stderr=output) as program:
        wait_until(lambda: "Ctrl-C ends it" in log.read_text() or program.poll() is not None, "the viewer", timeout=60)
        assert "Serving http" in log.read_text(), log.read_text()
        address = log.read_text().split()[1]
        page = httpx.get(address, follow_redirects=False)
        with httpx.Client(cookies=page.cookies) as browser:
            shown = browser.get(httpx.URL(address).join(page.headers["location"]))
        program.terminate()
        assert program.wait(20) == 0
    assert "pack" in shown.text
    assert list(tmp_path.glob("session-log-demo-*")) == []
