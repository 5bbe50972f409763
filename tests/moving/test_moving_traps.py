"""A directory to import from may be prepared by somebody else: nothing in it is waited for, or leads out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

from strands_session_log import SessionLog
from strands_session_log.errors import SessionLogError
from strands_session_log.moving import ExportError, FileSessions, Snapshots, Source, export_session
from strands_session_log.snapshot.keys import keys_in
from support.command_line import Run, write_session
from support.moving_agents import contents, file_agent, move_in
from support.programs import COMMAND_LINE, Program

SNAPSHOT = {"schema_version": "1.0", "scope": "agent", "created_at": "2025-01-01T00:00:00Z", "data": {"messages": []}}


def write_files(place: Path, session: str) -> Path:
    file_agent(place, session=session)("Hello?")
    multi_agent = place / f"session_{session}" / "multi_agents" / "multi_agent_graph"
    multi_agent.mkdir(parents=True, exist_ok=True)
    (multi_agent / "multi_agent.json").write_text('{"type": "graph", "id": "graph"}')
    return place / f"session_{session}"


def write_snapshots(place: Path, session: str) -> Path:
    latest = place / session / "scopes" / "agent" / "default" / "snapshots"
    latest.mkdir(parents=True)
    (latest / "snapshot_latest.json").write_text(json.dumps(SNAPSHOT))
    return place / session


def to_pipe(path: Path, aside: Path) -> None:
    path.rename(aside)
    os.mkfifo(path)


def to_link(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to(aside)


KINDS: dict[str, tuple[Callable[[Path, str], Path], Callable[[Path], Source]]] = {
    "file-session": (write_files, FileSessions),
    "snapshots": (write_snapshots, Snapshots),
}
# A directory that is none holds nothing, as Strands sees it; all others must fail, and say where.
NOT_THERE = {"session_trap", "agent_default", "multi_agent_graph", "trap", "agent", "default"}


def parts(kind: str, place: Path) -> Iterator[Path]:
    session = KINDS[kind][0](place, "trap")
    yield from sorted({session, *session.rglob("*")})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trap", [to_pipe, to_link])
def test_no_part_of_a_session_is_waited_for_or_leads_elsewhere(
    tmp_path: Path, new_namespace: Callable[[], str], server_url: str, kind: str, trap: Callable[[Path, Path], None]
) -> None:
    write, opened = KINDS[kind]
    tried = 0
    for number in range(len(list(parts(kind, tmp_path / "count")))):
        place = tmp_path / str(number)
        write(place, "good")
        path = list(parts(kind, place))[number]
        trap(path, tmp_path / f"aside-{number}")
        with SessionLog.connect(server_url, namespace=new_namespace()) as log:
            outcomes = {one.session_id: one for one in move_in(opened(place), log)}
        assert outcomes["good"].outcome == "imported", (path, outcomes)
        if trap is to_link or path.name not in NOT_THERE:
            assert outcomes["trap"].outcome == "failed", path
            assert str(path) in outcomes["trap"].problem
        tried += 1
    assert tried > 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_is_no_directory_is_refused(run: Run, tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a directory" in run("import", f"{kind}:{tmp_path / 'pipe'}", exit_code=2).stderr


def test_a_source_that_is_named_by_a_link_is_read(log: SessionLog, tmp_path: Path) -> None:
    write_files(tmp_path / "files", "s")
    (tmp_path / "link").symlink_to("files")
    assert [one.outcome for one in move_in(tmp_path / "link", log)] == ["imported"]


def test_an_export_replaces_a_link_and_not_what_it_leads_to(log: SessionLog, run: Run, tmp_path: Path) -> None:
    write_session(log)
    place, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for directory in (place, elsewhere):
        directory.mkdir()
    (elsewhere / "mine").write_text("content")
    (place / "session_s-42").symlink_to(elsewhere)

    assert "exists already" in run("export", "s-42", "--to", "file-session", str(place), exit_code=1).stderr
    run("export", "s-42", "--to", "file-session", str(place), "--force")

    assert not (place / "session_s-42").is_symlink()
    assert contents(elsewhere) == {"mine": b"content"}


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch, lambda path: path.symlink_to("/dev/zero")])
def test_an_export_to_what_is_no_directory_is_refused(
    log: SessionLog, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    write_session(log)
    make(tmp_path / "out")
    with pytest.raises(ExportError, match="exists"):
        export_session(log, "s-42", tmp_path / "out")


def test_a_pipe_of_anchors_is_refused_but_for_one_that_the_shell_opened(
    log: SessionLog, run: Run, server_url: str, tmp_path: Path
) -> None:
    write_session(log)
    noted = run("anchor", "s-42").stdout_bytes
    os.mkfifo(tmp_path / "pipe")
    refused = run("verify", "--all", "--expect-file", str(tmp_path / "pipe"), exit_code=2)
    assert refused.stderr == f"session-log: --expect-file {tmp_path / 'pipe'}: cannot be read: not a file\n"

    read, write = os.pipe()
    os.write(write, noted)
    os.close(write)
    assert "1 intact" in run("verify", "--all", "--expect-file", f"/dev/fd/{read}").stdout
    os.close(read)
    environment = {**os.environ, "SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": log.namespace}
    verify = [*COMMAND_LINE, "verify", "--all", "--expect-file", "-"]
    with Program(verify, env=environment, stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdin is not None
        program.stdin.write(noted.decode())
        assert "1 intact" in program.communicate(60)[0]


def test_a_file_of_keys_is_a_file_or_a_link_to_one(tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links."""
    (tmp_path / "data").write_text("k" * 44)
    (tmp_path / "key").symlink_to("data")
    assert keys_in(str(tmp_path / "key"), "x") == [b"k" * 44]
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        with pytest.raises(SessionLogError, match="cannot be read: not a file"):
            keys_in(path, "x")
