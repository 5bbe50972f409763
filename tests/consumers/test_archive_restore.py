"""Sessions that come back from an archive: when an agent resumes them, once, and never what was deleted since."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import (
    SessionLog,
    ValkeySessionManager,
    drop_archived,
    errors,
    events,
    forget_archived,
    restore_archived,
)
from strands_session_log.scripts import retention
from strands_session_log.testing.model import ScriptedModel
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.archiver import Archiver, Outcome
from support.command_line import Run, runner


@pytest.fixture
def archive(tmp_path: Path) -> SessionArchive:
    return SessionArchive(str(tmp_path / "archive"))


@pytest.fixture
def log(server_url: str, session_log: SessionLog, archive: SessionArchive) -> Iterator[SessionLog]:
    """A log that brings sessions back."""
    with SessionLog.connect(server_url, session_log.namespace, archive=archive) as log:
        yield log


@pytest.fixture
def run(server_url: str, session_log: SessionLog) -> Run:
    return runner(server_url, session_log.namespace)


def agent_of(log: SessionLog, *answers: str, session_id: str = "s") -> Agent:
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=ScriptedModel(list(answers)), session_manager=manager, callback_handler=None)


def talk(log: SessionLog, session_id: str = "s") -> list[tuple[str, str]]:
    agent_of(log, "nice to meet you", session_id=session_id)("my name is Ada")
    return told(log, session_id)


def told(log: SessionLog, session_id: str = "s") -> list[tuple[str, str]]:
    return [(str(one.id), one.link) for one in log.read(session_id)]


def dropped(log: SessionLog, archive: SessionArchive, session_id: str = "s") -> None:
    assert Archiver(log, archive).archive(session_id, drop=True).outcome is Outcome.DROPPED
    assert told(log, session_id) == []


def is_well(log: SessionLog, session_id: str = "s") -> bool:
    assert log.verify(session_id, feed=True).problems == ()
    assert [problem for one in log.verify_all(feed=True) for problem in one.verification.problems] == []
    return True


def test_an_agent_resumes_what_is_in_the_archive_only(log: SessionLog, archive: SessionArchive) -> None:
    before = talk(log)
    dropped(log, archive)

    agent = agent_of(log, "you are Ada")
    assert "my name is Ada" in str(agent.messages)
    assert told(log) == before
    agent("who am I?")
    assert told(log)[: len(before)] == before
    assert len(told(log)) > len(before)
    assert is_well(log)


def test_it_is_archived_and_dropped_and_brought_back_again_and_again(log: SessionLog, archive: SessionArchive) -> None:
    talk(log)
    for number in range(3):
        dropped(log, archive)
        agent_of(log, f"answer {number}")("go on")
        # Of one life the newest bundle counts.
        assert len(archive.of_session(log.namespace, "s")) == 1
    assert "answer 2" in str(agent_of(log, "x").messages)
    assert is_well(log)
    assert len([*log.tombstones("s")]) == 3


def test_many_that_bring_it_back_at_once_do_so_once(log: SessionLog, archive: SessionArchive, server_url: str) -> None:
    before = talk(log)
    dropped(log, archive)
    begin, failed = threading.Barrier(6), list[BaseException]()

    def resume() -> None:
        try:
            with SessionLog.connect(server_url, log.namespace, archive=archive) as other:
                begin.wait()
                assert "my name is Ada" in str(agent_of(other, "x").messages)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=resume) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert told(log)[: len(before)] == before
    assert feed_of(log).count(b"session.imported") == 1
    assert is_well(log)


def feed_of(log: SessionLog) -> list[bytes]:
    """All that stands in the feeds."""
    keys = [log._events.keyspace.feed(partition) for partition in range(log.partitions)]
    entries = [entry for key in keys for entry in log._events.store.command("XRANGE", key, "-", "+")]
    return [part for _, fields in entries for part in fields.values()]


def test_an_agent_that_still_has_it_goes_on_once_it_is_back(log: SessionLog, archive: SessionArchive) -> None:
    agent = agent_of(log, "first", "second")
    agent("one")
    dropped(log, archive)
    with pytest.raises(Exception, match=r"not on the server any more|written by someone else"):
        agent("two")
    assert restore_archived(log, "s")
    assert "second" in str(agent_of(log, "second")("two"))
    assert is_well(log)


def test_a_session_that_is_there_stays_as_it_is(log: SessionLog, archive: SessionArchive) -> None:
    talk(log)
    Archiver(log, archive).archive("s")
    agent_of(log, "more")("go on")
    now = told(log)
    assert restore_archived(log, "s")
    assert told(log) == now


def test_what_was_deleted_for_good_does_not_come_back(log: SessionLog, archive: SessionArchive) -> None:
    talk(log)
    Archiver(log, archive).archive("s")
    log.delete("s", reason="asked to")
    assert not restore_archived(log, "s")
    assert agent_of(log, "hello").messages == []


def test_what_was_forgotten_does_not_come_back_even_if_the_bundle_does(
    log: SessionLog, archive: SessionArchive
) -> None:
    talk(log)
    dropped(log, archive)
    bundle = archive.open_bundle(log.namespace, "s")
    assert bundle is not None
    assert forget_archived(log, "s", reason="asked to", by="ada") == 1
    (tombstone,) = log.tombstones("s")
    assert (tombstone.archived, tombstone.reason, tombstone.by) == ("", "asked to", "ada")
    assert not restore_archived(log, "s")
    with bundle, pytest.raises(errors.ImportRefusedError, match="deleted here"):
        log.import_(bundle)


def test_an_older_bundle_does_not_come_in_place_of_the_last(log: SessionLog, archive: SessionArchive) -> None:
    talk(log)
    older = BytesIO()
    log.export("s", older)
    agent_of(log, "newer")("go on")
    dropped(log, archive)
    with pytest.raises(errors.ImportRefusedError, match="was archived at event"):
        log.import_(older)
    assert restore_archived(log, "s")
    assert "newer" in str(agent_of(log, "x").messages)


def test_the_archive_tells_where_the_tombstone_is_gone(log: SessionLog, archive: SessionArchive) -> None:
    before = talk(log)
    dropped(log, archive)
    key = log._events.keyspace.session("s").tombstones
    log.client.execute_command("UNLINK", key, f"{key}:times")
    agent_of(log, "x")
    assert told(log)[: len(before)] == before


class Away:
    """An archive that cannot be asked."""

    def open_bundle(self, namespace: str, session_id: str, link: str | None = None) -> Any:
        raise errors.ArchiveUnavailableError("s3://bucket", "read", "connection refused")


def test_where_the_archive_cannot_be_asked_no_second_session_begins(
    log: SessionLog, archive: SessionArchive, server_url: str
) -> None:
    talk(log)
    dropped(log, archive)
    with SessionLog.connect(server_url, log.namespace, archive=Away()) as other:
        with pytest.raises(SessionException, match="connection refused"):
            ValkeySessionManager("s", log=other)
        # What is there needs no archive.
        log.append("other", events.Custom("custom.note", {}))
        ValkeySessionManager("other", log=other)
    assert told(log) == []


def test_a_bundle_that_is_missing_or_damaged_is_told_and_begins_nothing(
    log: SessionLog, archive: SessionArchive, tmp_path: Path
) -> None:
    talk(log)
    dropped(log, archive)
    (bundle,) = tmp_path.rglob("*.zip")
    content = bundle.read_bytes()
    bundle.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    with pytest.raises(SessionException):
        ValkeySessionManager("s", log=log)
    bundle.unlink()
    with pytest.raises(errors.ArchivedCopyError, match="no bundle"):
        restore_archived(log, "s")
    for record in tmp_path.rglob("*.json"):
        record.unlink()
    with pytest.raises(errors.ArchivedSessionMissingError, match="does not have it"):
        restore_archived(log, "s")
    assert told(log) == []
    bundle.write_bytes(content)


def test_a_late_packet_of_the_drop_does_not_drop_it_again(log: SessionLog, archive: SessionArchive) -> None:
    before = talk(log)
    at, link = log.head("s"), log.anchor("s").link
    dropped(log, archive)
    store, keys = log._events.store, log._events.keyspace.session("s")
    (text,) = store.command("HVALS", keys.tombstones)
    token = json.loads(text)[0]["token"]
    assert restore_archived(log, "s")
    limits = {"stay": 10_000, "stay_ms": 3_600_000, "most": 65_536, "lives": 16}
    condition = retention.still_the_same(at, link, "")
    again = retention.delete(store, "s", token, "", "archived", condition=condition, archived="x", **limits)
    assert again == len(before)
    assert told(log) == before


def test_what_was_erased_in_its_parent_meanwhile_does_not_come_back_with_a_fork(
    log: SessionLog, archive: SessionArchive
) -> None:
    log.append("parent", [events.Custom("custom.note", {"said": f"word {number}"}) for number in range(3)])
    log.fork("parent", 3, "s")
    dropped(log, archive)
    log.erase("parent", 2, reason="asked to")
    assert restore_archived(log, "s")
    assert "word 1" not in str([one.event.data for one in log.read("s")])
    assert "word 2" in str([one.event.data for one in log.read("s")])
    # And what is erased from now on goes there, too.
    log.erase("parent", 3, reason="asked to")
    assert "word 2" not in str([one.event.data for one in log.read("s")])
    assert is_well(log)


def test_what_moved_while_it_was_read_is_not_dropped(log: SessionLog, archive: SessionArchive) -> None:
    talk(log)
    at, link = log.head("s"), log.anchor("s").link
    log.fork("s", at, "fork")
    log.delete("fork")
    # A fork that is gone since is named by the head all the same: the check before was of another moment.
    drop_archived(log, "s", at, link, "there")
    assert told(log) == []


@pytest.mark.parametrize("archive", [object(), "s3://bucket", 7])
def test_what_cannot_open_bundles_is_no_archive(server_url: str, archive: Any) -> None:
    with pytest.raises(errors.InvalidSettingError, match="give an Archive"):
        SessionLog.connect(server_url, archive=archive)


def test_without_an_archive_nothing_is_asked_and_restoring_says_so(session_log: SessionLog) -> None:
    assert session_log.archive is None
    with pytest.raises(errors.InvalidSettingError, match="give an Archive"):
        restore_archived(session_log, "s")


def test_the_commands_lead_a_session_there_and_back(log: SessionLog, run: Run, tmp_path: Path) -> None:
    before, where = talk(log), ("--archive", str(tmp_path / "archive"))
    assert "would be archived" in run("archive", "--idle", "0s", "--once", "--dry-run", *where).output
    assert "nothing is due" in run("archive", "--once", *where).output
    assert "dropped from the server" in run("archive", "s", "--drop", *where).output
    assert "1 day" not in run("archived", *where).output
    (line,) = map(json.loads, run("archived", "--verify", "--json", *where).output.splitlines())
    assert (line["session_id"], line["revision"], line["problems"]) == ("s", len(before), [])
    run("archived", "s", "--get", str(tmp_path / "s.zip"), *where)
    assert "intact" in run("verify", str(tmp_path / "s.zip")).output
    assert (tmp_path / "s.zip").stat().st_mode & 0o077 == 0
    run("archived", "s", "--get", str(tmp_path / "s.zip"), *where, exit_code=5)
    run("restore", "s", *where)
    assert told(log) == before
    run("restore", "nobody", *where, exit_code=3)
    run("archive", "nobody", *where, exit_code=3)
    run("archived", "nobody", *where, exit_code=3)
    run("archived", "--forget", *where, exit_code=2)
    run("archive", exit_code=2)
    run("archive", "--idle", "soon", *where, exit_code=2)
    run("archive", "s", "--drop", "--json", *where)
    run("archived", "s", "--forget", "--yes", *where)
    assert "no session" in run("archived", *where).output
    run("restore", "s", *where, exit_code=3)
    assert told(log) == []


def test_metrics_of_a_sweep_are_written_for_a_textfile_collector(log: SessionLog, run: Run, tmp_path: Path) -> None:
    talk(log)
    metrics = tmp_path / "archive.prom"
    where = ("--archive", str(tmp_path / "archive"), "--metrics-file", str(metrics))
    run("archive", "--idle", "0s", "--once", "--drop", *where)
    assert 'strands_session_log_archive_sessions_total{outcome="dropped"} 1.0' in metrics.read_text()
