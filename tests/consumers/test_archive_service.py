"""`session-log archive` as a process: killed at any step it has lost nothing, and it ends when it is told to."""

from __future__ import annotations

import http.client
import re
import signal
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry

from strands_session_log import SessionLog, errors, events, restore_archived
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.archiver import Archived, Archiver, Outcome
from strands_session_log_consumers.archive.service import ArchiveService
from strands_session_log_consumers.archive.settings import ArchiveSettings
from support import ValkeyliteServer
from support.programs import COMMAND_LINE, Program
from support.waiting import wait_until

NOW = ArchiveSettings(idle=0, drop=True)
STEPS = {
    "the bundle is half written": ("os", "fsync", 1),
    "the bundle is written": ("SessionArchive", "read_bundle", 2),
    "the bundle is read back": ("SessionArchive", "write_record", 1),
    "the record is half written": ("os", "fsync", 5),
    "the record is written": ("archiver", "drop_archived", 1),
}
"""Where it is held up: before so many calls of a function."""

PAUSED = """
import os, signal, sys
from strands_session_log import SessionLog
from strands_session_log_consumers.archive import SessionArchive, archiver

url, namespace, directory, place, name, number = sys.argv[1:]
holder = {"os": os, "SessionArchive": SessionArchive, "archiver": archiver}[place]
original, calls = getattr(holder, name), []

def paused(*arguments, **options):
    calls.append(name)
    if len(calls) == int(number):
        print("here", flush=True)
        signal.pause()
    return original(*arguments, **options)

setattr(holder, name, paused)
with SessionLog.connect(url, namespace) as log:
    print(archiver.Archiver(log, SessionArchive(directory)).archive("s", drop=True).outcome, flush=True)
"""


def say(log: SessionLog, session_id: str, count: int = 20) -> None:
    log.append(session_id, [events.Custom("custom.note", {"said": f"word {number}"}) for number in range(count)])


@pytest.mark.faults
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_has_lost_nothing_and_the_next_one_goes_on(
    session_log: SessionLog, server_url: str, tmp_path: Path, step: str
) -> None:
    say(session_log, "s")
    anchor, directory = session_log.anchor("s"), str(tmp_path / "archive")
    place, name, number = STEPS[step]
    output = tmp_path / "output"
    with output.open("wb") as log:
        arguments = ["-c", PAUSED, server_url, session_log.namespace, directory, place, name, str(number)]
        process = Program(arguments, stdout=log, stderr=log)
    wait_until(lambda: "here" in output.read_text() or process.poll() is not None, f"the moment when {step}")
    assert process.poll() is None, output.read_text()
    process.kill()
    process.wait(20)

    assert session_log.anchor("s") == anchor
    archive = SessionArchive(directory)
    assert len(archive.of_session(session_log.namespace, "s")) == (step == "the record is written")
    assert Archiver(session_log, archive).archive("s", drop=True).outcome is Outcome.DROPPED
    assert restore_archived(session_log, "s", archive)
    assert session_log.anchor("s") == anchor
    assert session_log.verify("s", feed=True).ok


def test_it_serves_metrics_and_ends_when_it_is_told_to(
    session_log: SessionLog, server_url: str, tmp_path: Path
) -> None:
    say(session_log, "s")
    output, where = tmp_path / "output", ("--url", server_url, "--namespace", session_log.namespace)
    options = ("--archive", str(tmp_path / "archive"), "--idle", "0s", "--every", "0.05s", "--metrics-port", "0")
    with output.open("wb") as log:
        process = Program([*COMMAND_LINE, "archive", *options, *where], stdout=log, stderr=log)

    def metrics() -> str:
        found = re.search(r"http://(\S+)/metrics", output.read_text())
        if not found:
            return ""
        connection = http.client.HTTPConnection(found[1], timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    archived = 'strands_session_log_archive_sessions_total{outcome="archived"} '
    wait_until(lambda: f"{archived}1.0" in metrics(), "a session to be archived")
    say(session_log, "t")
    wait_until(lambda: f"{archived}2.0" in metrics(), "another one to be archived")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, output.read_text()
    assert "Traceback" not in output.read_text()


@pytest.mark.faults
def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    told, registry = list[Archived](), CollectorRegistry()
    persistent = ValkeyliteServer(appendonly="yes", appendfsync="always")
    with persistent as server, SessionLog.connect(server.url, retry_for=0) as log:
        say(log, "s")
        service = ArchiveService(log, SessionArchive(str(tmp_path)), NOW, registry, told.append)
        server.kill()
        running = Thread(target=service.run, args=(0.05,))
        running.start()
        try:
            failed = "strands_session_log_archive_failed_sweeps_total"
            wait_until(lambda: registry.get_sample_value(failed), "a sweep that fails")
            server.restart()
            wait_until(lambda: told, "the session to be archived")
        finally:
            service.stop()
            running.join()
        assert [one.outcome for one in told] == [Outcome.DROPPED]


def test_an_archive_that_is_away_is_waited_for(session_log: SessionLog, tmp_path: Path) -> None:
    say(session_log, "s")
    told, registry, place = list[Archived](), CollectorRegistry(), tmp_path / "archive"
    place.write_text("no directory yet")
    service = ArchiveService(session_log, SessionArchive(str(place)), NOW, registry, told.append)
    running = Thread(target=service.run, args=(0.05,))
    running.start()
    try:
        failed = "strands_session_log_archive_failed_sweeps_total"
        wait_until(lambda: registry.get_sample_value(failed), "a sweep that fails")
        assert session_log.head("s").revision == 20
        place.unlink()
        wait_until(lambda: told, "the session to be archived")
    finally:
        service.stop()
        running.join()
    assert told[0].outcome is Outcome.DROPPED


def test_one_session_that_cannot_be_archived_keeps_no_other(session_log: SessionLog, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        say(session_log, name)
    key = session_log._events.keyspace.session("b").events
    session_log.client.execute_command("XDEL", key, str(session_log.event("b", 2).id))
    registry = CollectorRegistry()
    counts = ArchiveService(session_log, SessionArchive(str(tmp_path)), NOW, registry).sweep()
    assert counts == {Outcome.DROPPED: 2, Outcome.DAMAGED: 1}
    assert registry.get_sample_value("strands_session_log_archive_troubled_sessions") == 1
    with pytest.raises(errors.SessionNotFoundError):
        session_log.head("a")
