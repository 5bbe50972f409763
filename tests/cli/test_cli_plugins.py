"""Commands of other packages: found when installed, and harmless when broken. Real processes, real distributions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from support import programs
from support.programs import COMMAND_LINE

WORKING = '''
from strands_session_log.cli.api import JsonOption

EPILOG = "Example: session-log greet Ada"

def command(name: str, as_json: JsonOption = False) -> None:
    """Greet somebody."""
    print(f"Hello {name}!")
'''


class Install(Protocol):
    def __call__(self, command: str, code: str) -> None: ...


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install a distribution with one command."""

    def install(command: str, code: str) -> None:
        module = f"plugin_{command.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(code)
        information = tmp_path / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[strands_session_log.commands]\n{command} = {module}\n")

    return install


@pytest.fixture
def session_log_command(tmp_path: Path) -> Callable[..., Any]:
    """Call `session-log` in a process that has these distributions."""

    def run(*arguments: str) -> Any:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
        return programs.run([*COMMAND_LINE, *arguments], env=environment)

    return run


def test_a_command_of_another_package_is_one_like_all_others(
    install: Install, session_log_command: Callable[..., Any]
) -> None:
    install("greet", WORKING)
    assert session_log_command("greet", "Ada").stdout == "Hello Ada!\n"
    assert "Greet somebody." in session_log_command("--help").stdout
    assert "Example: session-log greet Ada" in session_log_command("greet", "--help").stdout


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("command =", "SyntaxError"),
        ("x = 1", "AttributeError"),
        ("def command(value: 'Nothing') -> None: ...", "NameError"),
        ("async def command() -> None: ...", "TypeError: `command` is a coroutine function"),
    ],
)
def test_a_broken_one_says_so_when_it_is_called_and_breaks_no_other(
    install: Install, session_log_command: Callable[..., Any], code: str, reason: str
) -> None:
    install("broken", code)
    assert session_log_command("--version").returncode == 0
    ended = session_log_command("broken", "--with", "arguments")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"session-log: the command broken of plugin_broken cannot be loaded: {reason}")


def test_one_that_lacks_its_extra_says_what_to_install(
    install: Install, session_log_command: Callable[..., Any]
) -> None:
    install("far", "from strands_session_log import errors\nraise errors.MissingExtraError('far', 'looking far')")
    ended = session_log_command("far")
    assert ended.returncode == 2
    assert ended.stderr == "session-log: looking far needs an extra: pip install 'strands-session-log[far]'\n"


def test_no_plugin_takes_the_place_of_a_command_of_our_own(
    install: Install, session_log_command: Callable[..., Any]
) -> None:
    install("doctor", WORKING)
    assert "Look at the server" in session_log_command("doctor", "--help").stdout
