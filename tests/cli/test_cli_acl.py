"""`session-log acl`: users who may do what a role does."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from strands_session_log import ROLES, SessionLog, errors, events
from support import ValkeyliteServer
from support.command_line import Run

ANNOTATED = events.Custom("custom.note", {"number": 1})


def test_the_line_makes_a_user_whose_password_was_told_once(run: Run, tcp_server: ValkeyliteServer) -> None:
    printed = run("acl", "writer", "--namespace", "acl")
    password = printed.stderr.split()[-1]
    assert password not in printed.stdout
    tcp_server.execute(*shlex.split(printed.stdout))

    url = tcp_server.url.replace("://", f"://acl-writer:{password}@")
    with SessionLog.connect(url, namespace="acl", retry_for=0) as log:
        log.append("s-1", ANNOTATED)
        with pytest.raises(errors.ForbiddenError):
            log.delete("s-1")
    with pytest.raises(errors.ForbiddenError):
        SessionLog.connect(url, namespace="acl2", retry_for=0)


def test_a_password_of_ones_own_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    printed = run("acl", "auditor", "--user", "jane", "--password-file", str(tmp_path / "password"), "--json")
    found = json.loads(printed.stdout)
    assert (found["user"], found["role"], printed.stderr) == ("jane", "auditor", "")
    assert "#f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7" in found["rules"]


def test_a_user_who_was_there_before_keeps_nothing(run: Run, tcp_server: ValkeyliteServer) -> None:
    tcp_server.execute("ACL", "SETUSER", "jane", "on", "nopass", "+@all", "~*")
    tcp_server.execute(*shlex.split(run("acl", "viewer", "--user", "jane").stdout))
    assert b"+xadd" not in str(tcp_server.execute("ACL", "LIST")).encode()
    refused = tcp_server.execute("ACL", "DRYRUN", "jane", "FLUSHALL")
    assert "no permissions" in str(refused)


@pytest.mark.parametrize("namespace", ["a*[b]?", 'a"b', "a\\b", "plain"])
def test_valkey_cli_takes_the_line_whatever_the_namespace_is_called(
    namespace: str, run: Run, tcp_server: ValkeyliteServer
) -> None:
    line = run("acl", "viewer", "--user", "jane", "--namespace", namespace).stdout
    tcp_server.execute(*shlex.split(line))

    def may(key: str) -> bool:
        return str(tcp_server.execute("ACL", "DRYRUN", "jane", "GET", key)) in ("OK", "b'OK'")

    assert may(f"{namespace}:config")
    assert not may(f"{namespace}x:config")
    assert not may("axb:config")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody",), "it can be witness, viewer"),
        (("viewer", "--namespace", "a b"), "no pattern with spaces"),
        (("viewer", "--user", "a b"), "--user NAME without spaces"),
        (("viewer", "--password-file", "/nowhere/file"), "cannot be read"),
        (("viewer", "--password-file", "/dev/null"), "/dev/null"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], told: str, run: Run) -> None:
    assert told in run("acl", *arguments, exit_code=2).stderr


def test_every_role_has_a_line(run: Run) -> None:
    for role in ROLES:
        assert run("acl", role.name).stdout.startswith("ACL SETUSER ")
