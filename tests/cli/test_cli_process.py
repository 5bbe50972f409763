"""`session-log` as a process: terminals, pipes, signals, completion, and a missing extra."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import PIPE

import pytest

from strands_session_log import SessionLog, events
from support import FaultProxy, wait_until
from support.programs import COMMAND_LINE, Program, run
from support.servers import Server
from support.terminal import Terminal

EXECUTABLE = Path(sys.executable).with_name("session-log")
MANY = 5_000
DRIVER_TIMEOUT = 10.0


@pytest.fixture
def log(server_url: str, namespace: str) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, namespace) as log:
        log.append("s-42", [events.Custom("custom.note", {"text": "red"}), events.Custom("custom.note", {})])
        yield log


def interrupt(process: Program | subprocess.Popen[str]) -> None:
    """SIGINT, again if it came in the moment between asking and listening, which Python does not notice."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def call(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run([*COMMAND_LINE, *arguments], env=environment)


def test_on_a_terminal_delete_asks_naming_the_session_and_its_events(
    log: SessionLog, terminal: Callable[..., Terminal]
) -> None:
    asking = terminal("delete", "s-42")
    asking.until("Delete session s-42 with its 2 events for good? [y/N]")
    asking.type("y\n")

    assert "Deleted s-42 with its 2 events." in asking.to_the_end()
    assert asking.process.wait() == 0
    assert log.sessions() == []


def test_a_declined_deletion_deletes_nothing_and_ends_with_1(
    log: SessionLog, terminal: Callable[..., Terminal]
) -> None:
    asking = terminal("delete", "s-42")
    asking.until("[y/N]")
    asking.type("n\n")

    assert "nothing was deleted" in asking.to_the_end()
    assert asking.process.wait() == 1
    assert log.sessions()


def test_control_c_at_the_question_deletes_nothing_and_ends_with_130(
    log: SessionLog, terminal: Callable[..., Terminal]
) -> None:
    asking = terminal("delete", "s-42")
    asking.until("[y/N]")
    interrupt(asking.process)

    assert "Traceback" not in asking.to_the_end()
    assert asking.process.wait() == 130
    assert log.sessions()


def test_colours_are_for_terminals_and_can_be_turned_off(
    log: SessionLog, terminal: Callable[..., Terminal], environment: Mapping[str, str]
) -> None:
    assert "\x1b[36m" in terminal("sessions").to_the_end()
    assert "\x1b[36m" not in terminal("sessions", NO_COLOR="1").to_the_end()
    assert "\x1b" not in call(environment, "sessions").stdout


def test_lines_fit_the_terminal_but_go_whole_into_a_pipe(
    log: SessionLog, terminal: Callable[..., Terminal], environment: Mapping[str, str]
) -> None:
    log.append("s-42", events.Custom("custom.note", {"text": "long " * 50 + "end"}))

    shown = terminal("events", "s-42", COLUMNS="80", NO_COLOR="1").to_the_end()

    assert max(map(len, shown.split("\r\n"))) <= 80 + len("\x1b[1m\x1b[0m") * 10
    assert "end" not in shown
    assert 'end"' in call(environment, "events", "s-42").stdout


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_leaves_early_is_answered_at_once_and_without_complaint(
    log: SessionLog, environment: Mapping[str, str], options: tuple[str, ...]
) -> None:
    for _ in range(MANY // 500):
        log.append("s-42", [events.Custom("custom.note", {"text": "x" * 200}) for _ in range(500)])

    with Program([*COMMAND_LINE, "events", "s-42", *options], env=environment, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A test run in the background ignores SIGINT, and so would every program it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_command_ends_with_130_and_without_a_traceback(
    environment: Mapping[str, str], tcp_server: Server, proxy: FaultProxy
) -> None:
    proxy.hold_replies()
    command = [str(EXECUTABLE), "sessions", "--url", proxy.url]
    with subprocess.Popen(command, env=environment, stderr=PIPE, text=True) as process:
        wait_until(lambda: proxy.connections, "the command to wait for the server")
        interrupt(process)
        assert process.stderr is not None
        assert process.stderr.read().strip() == ""
    assert process.returncode == 130


def test_session_ids_are_completed(log: SessionLog, environment: Mapping[str, str]) -> None:
    log.append("other", events.Custom("custom.note", {}))

    assert completions(environment, "session-log show s-") == ["s-42"]
    for words in ("verify", "erase", "grep pattern"):
        assert sorted(completions(environment, f"session-log {words} ")) == ["other", "s-42"]


@pytest.mark.parametrize("url", ["valkey://127.0.0.1:1", "nonsense", "embedded:", "embedded:///not/there"])
def test_completion_without_a_server_offers_nothing_and_is_silent(environment: Mapping[str, str], url: str) -> None:
    assert completions({**environment, "SESSION_LOG_URL": url}, "session-log show s-") == []


def test_completion_does_not_wait_for_a_server_that_does_not_answer(environment: Mapping[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"valkey://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        assert completions({**environment, "SESSION_LOG_URL": url}, "session-log show s-") == []

    assert time.monotonic() - started < DRIVER_TIMEOUT


def completions(environment: Mapping[str, str], line: str) -> list[str]:
    asked = {"_SESSION_LOG_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    found = call({**environment, **asked})
    assert found.stderr == ""
    return found.stdout.split()


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_program_says_what_to_install(environment: Mapping[str, str], missing: str) -> None:
    program = f"import sys; sys.modules['{missing}'] = None; from strands_session_log.cli import main; main()"

    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "session-log: the command line needs an extra: pip install 'strands-session-log[cli]'"
    ]


def test_the_executable_prints_its_version(environment: Mapping[str, str]) -> None:
    printed = subprocess.run([EXECUTABLE, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.startswith("session-log ")


def test_the_executable_finds_what_is_in_the_environment(log: SessionLog, environment: Mapping[str, str]) -> None:
    printed = subprocess.run([str(EXECUTABLE), "sessions"], env=environment, capture_output=True, text=True, check=True)
    assert "s-42" in printed.stdout
