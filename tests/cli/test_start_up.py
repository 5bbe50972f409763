"""What a command does not need it does not import: nobody waits at a prompt for Strands, or for another command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from support.sampling import sampled

PROGRAM = """
import sys
from strands_session_log.cli import main
try:
    main()
except SystemExit as ended:
    print(*sys.modules, sep="\\n")
    sys.exit(ended.code)
"""
OURS = "strands_session_log."


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    return {**os.environ, "SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace}


def imported(environment: Mapping[str, str], *arguments: str) -> set[str]:
    """The modules that are there when the command has ended."""
    called = [sys.executable, "-c", PROGRAM, *arguments]
    return set(subprocess.run(called, env=environment, capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.mark.parametrize("arguments", [["--version"], ["sessions", "--help"]], ids=" ".join)
def test_what_asks_no_server_loads_neither_the_log_nor_the_driver(
    environment: Mapping[str, str], arguments: list[str]
) -> None:
    found = imported(environment, *arguments)
    assert not found & {"strands", "opentelemetry", "valkey.client", "prometheus_client", f"{OURS}event_log"}


@pytest.mark.parametrize("command", sampled(("--help", "sessions", "verify --all", "anchor", "doctor", "groups"), 3))
def test_no_command_but_the_demo_loads_strands(log: object, environment: Mapping[str, str], command: str) -> None:
    assert log
    found = imported(environment, *command.split())
    assert not found & {"strands", "opentelemetry", "prometheus_client", f"{OURS}session_manager", f"{OURS}demo"}


def test_a_command_loads_no_other_and_nothing_that_only_another_needs(
    log: object, environment: Mapping[str, str]
) -> None:
    assert log
    found = imported(environment, "sessions")
    commands = {name for name in found if name.startswith(f"{OURS}cli.commands.")}
    assert commands == {f"{OURS}cli.commands.sessions"}
    unneeded = ("subscription.", "audit.verifying", "tail.catch_up", "scripts.roles")
    assert not [name for name in found if name.removeprefix(OURS).startswith(unneeded)]
