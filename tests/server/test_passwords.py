"""Passwords reach nothing that is shown or logged, whatever goes wrong on the way."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

import pytest
import valkey
from typer.testing import CliRunner, Result

from strands_session_log import SessionLog, errors
from strands_session_log.cli.app import app
from support import Cluster, ValkeyliteServer
from support.processes import HOST, free_port
from support.sentinel import sentinel_of
from support.servers import Server

SECRET = "hunter2"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server that takes another password."""
    with ValkeyliteServer() as server:
        server.execute("ACL", "SETUSER", "somebody", "on", ">right", "~*", "+@all")
        yield server


@pytest.fixture(scope="module")
def without_auth() -> Iterator[Server]:
    """A server that does not know how to log in, and says what it was asked to do."""
    with ValkeyliteServer(rename_command='AUTH ""') as server:
        yield server


def failure(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """All that is shown and logged when a log cannot be opened."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.SessionLogError) as caught:
        SessionLog.connect(url, retry_for=0.1)
    shown = "".join(traceback.format_exception(caught.value))
    return f"{shown}{caught.value!r}{vars(caught.value)}{caplog.text}"


@pytest.mark.parametrize("spelling", ["//somebody:hunter2@{}", "//{}?username=somebody&pass%77ord=hunter2"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_password_that_is_refused(
    spelling: str, protocol: int, guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"valkey:{spelling.format(f'{HOST}:{guarded.port}')}"
    shown = failure(f"{url}{'&' if '?' in url else '?'}protocol={protocol}", caplog)

    assert "check user and password" in shown
    assert SECRET not in shown


def test_a_server_that_repeats_what_it_does_not_understand(
    without_auth: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with without_auth.client() as client, pytest.raises(valkey.ResponseError, match=SECRET):
        client.execute_command("AUTH", SECRET)

    shown = failure(f"valkey://:{SECRET}@{HOST}:{without_auth.port}", caplog)

    assert "unknown command 'AUTH'" in shown
    assert SECRET not in shown


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    for topology, path in (("", ""), ("+cluster", ""), ("+sentinel", "/mymaster")):
        assert SECRET not in failure(f"valkey{topology}://u:{SECRET}@{HOST}:{free_port()}{path}", caplog)
    assert SECRET not in failure(f"unix:///no/such/socket?password={SECRET}", caplog)


def test_in_a_cluster_and_behind_a_sentinel(
    cluster: Cluster, guarded: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert SECRET not in failure(f"valkey+cluster://u:{SECRET}@{HOST}:{cluster.nodes[0].port}", caplog)
    with sentinel_of(guarded) as port:
        assert SECRET not in failure(f"valkey+sentinel://u:{SECRET}@{HOST}:{port}/mymaster", caplog)


COMMANDS = (("sessions",), ("sessions", "--json"), ("doctor",), ("doctor", "--json"), ("tail", "s"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("url", ["//u:hunter2@{}", "//{}?pass%77ord=hunter2", "//u:hunter2@{}/one", "//hun:hunter2"])
def test_on_a_terminal(command: tuple[str, ...], url: str, guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given = f"valkey:{url.format(f'{HOST}:{guarded.port}')}"
    results = [
        CliRunner().invoke(app, [*command, "--url", given]),
        CliRunner().invoke(app, ["--url", given, *command]),
        CliRunner().invoke(app, [*command], env={"SESSION_LOG_URL": given}),
    ]
    for result in results:
        assert result.exit_code != 0
        assert SECRET not in _all_of(result)
    assert SECRET not in caplog.text


def test_doctor_and_demo_hide_one_that_is_right(guarded: Server) -> None:
    url = f"valkey://somebody:right@{HOST}:{guarded.port}"
    for command in (["doctor"], ["doctor", "--json"], ["demo"], ["sessions"]):
        result = CliRunner().invoke(app, [*command, "--url", url])
        assert ":right" not in _all_of(result)
    assert f"somebody:***@{HOST}:{guarded.port}" in CliRunner().invoke(app, ["doctor", "--url", url]).output


@pytest.mark.parametrize("place", ["valkey://u:{}@h", "unix:/s?password={}", "embedded:?password={}", "h;password={}"])
def test_an_import_from_a_url_without_its_kind(place: str) -> None:
    result = CliRunner().invoke(app, ["import", place.format(SECRET)])
    assert result.exit_code == 2
    assert "not a place to import from" in " ".join(result.output.split())
    assert SECRET not in _all_of(result)


def _all_of(result: Result) -> str:
    raised = "".join(traceback.format_exception(result.exception)) if result.exception else ""
    return result.output + raised
