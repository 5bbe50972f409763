"""What is about a person is found, exported and erased in an archive, too; what cannot be reached there is told."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import LocalKeys, SessionLog, SubjectReport, errors, restore_archived
from strands_session_log.testing.emptying import empty
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.archiver import Archiver, Outcome
from support.command_line import Run, runner
from support.erasing import SECRET, fill

KEY = b"k" * 32


@pytest.fixture
def archive(tmp_path: Path) -> SessionArchive:
    return SessionArchive(str(tmp_path / "archive"))


@pytest.fixture
def log(server_url: str, namespace: str, archive: SessionArchive) -> Iterator[SessionLog]:
    """A log with a key for persons, and an archive."""
    with SessionLog.connect(server_url, namespace, subject_key=KEY, archive=archive) as log:
        yield log


@pytest.fixture
def sealing(
    server_url: str, new_namespace: Callable[[], str], archive: SessionArchive, tmp_path: Path
) -> Iterator[SessionLog]:
    """The same, with keys for content."""
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, new_namespace(), subject_key=KEY, archive=archive, encryption=keys) as log:
        yield log


def dropped(log: SessionLog, session_id: str = "s", archive: SessionArchive | None = None) -> None:
    to = archive or log.archive
    assert isinstance(to, SessionArchive)
    assert Archiver(log, to).archive(session_id, drop=True).outcome is Outcome.DROPPED


def about(log: SessionLog, session_id: str = "s", events_: list[int] | None = None) -> None:
    fill(log, 3, session_id)
    log.subjects.annotate(session_id, "user-77", events=events_)


def erase(log: SessionLog, **more: Any) -> SubjectReport:
    return log.subjects.erase("user-77", **{"reason": "request 4711", "by": "privacy", **more})


def outcomes(report: SubjectReport) -> dict[str, str]:
    return {one.place.kind: one.outcome for one in report.steps}


def has_secret(directory: Path) -> bool:
    """Whether a bundle below a directory has what was said."""
    found = list[bytes]()
    for file in directory.rglob("*.zip"):
        with zipfile.ZipFile(file) as bundle:
            found += [bundle.read(name) for name in bundle.namelist()]
    return SECRET.encode() in b"".join(found)


def exported(log: SessionLog) -> list[dict[str, Any]]:
    file = io.BytesIO()
    log.subjects.export("user-77", file)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_what_is_in_the_archive_only_is_found_and_exported(log: SessionLog, archive: SessionArchive) -> None:
    about(log)
    about(log, "partly", [2])
    fill(log, 1, "of others")
    for name in ("s", "partly", "of others"):
        dropped(log, name)
    found = {one.name: one for one in log.subjects.find("user-77") if one.kind == "archive"}
    assert found.keys() == {"s", "partly"}
    assert found["s"].events is None
    assert [one.revision for one in found["partly"].events or ()] == [2]
    assert found["s"].where.startswith(str(archive.files.shown))

    lines = exported(log)
    said = [(one["session_id"], one["data"]) for one in lines if one["kind"] == "event" and SECRET in str(one)]
    assert sorted(name for name, _ in said) == ["partly", "s", "s", "s"]
    assert lines[-1]["unreadable"] == 0


def test_it_is_erased_there_and_what_comes_back_verifies(log: SessionLog, tmp_path: Path) -> None:
    about(log)
    about(log, "partly", [2])
    for name in ("s", "partly"):
        dropped(log, name)
    planned = erase(log, dry_run=True)
    assert {one.outcome for one in planned.steps} == {"due"}
    assert has_secret(tmp_path)

    report = erase(log)
    assert outcomes(report) == {"archive": "erased", "tombstone": "reduced"}
    assert report.is_complete
    assert list(log.session_ids()) == []
    assert [*log.subjects.find("user-77")] == []
    assert restore_archived(log, "partly")
    assert [one.event.is_erased for one in log.read("partly", types="custom.note")] == [False, True, False]
    assert log.verify("partly").ok


def test_deleted_with_the_sessions_it_does_not_come_back(log: SessionLog, tmp_path: Path) -> None:
    about(log)
    dropped(log)
    report = erase(log, delete=True)
    assert outcomes(report) == {"archive": "deleted", "tombstone": "reduced"}
    assert report.is_complete
    assert list(tmp_path.rglob("*.zip")) == []
    assert not restore_archived(log, "s")


def test_a_copy_of_what_is_on_the_server_goes_at_once(log: SessionLog, archive: SessionArchive, tmp_path: Path) -> None:
    about(log)
    assert Archiver(log, archive).archive("s").outcome is Outcome.ARCHIVED
    assert [one["kind"] for one in exported(log)].count("event") == 4
    assert outcomes(erase(log)) == {"session": "erased", "archive": "erased"}
    assert not has_secret(tmp_path)
    assert log.verify("s").ok


def test_what_is_encrypted_has_its_key_shredded(sealing: SessionLog) -> None:
    about(sealing)
    dropped(sealing)
    (planned, _) = erase(sealing, dry_run=True).steps
    assert (planned.outcome, planned.events) == ("due", 4)
    assert "shredding" in planned.notes[0]
    report = erase(sealing)
    assert outcomes(report) == {"archive": "shredded", "tombstone": "reduced"}
    assert report.is_complete
    assert [*sealing.subjects.find("user-77")] == []
    assert restore_archived(sealing, "s")
    with pytest.raises(errors.KeyShreddedError, match="4711"):
        sealing.state("s")


def test_of_an_encrypted_session_that_is_about_others_too_only_their_events_go(sealing: SessionLog) -> None:
    about(sealing, "s", [2])
    dropped(sealing)
    assert outcomes(erase(sealing)) == {"archive": "erased", "tombstone": "reduced"}
    assert restore_archived(sealing, "s")
    assert [one.event.is_erased for one in sealing.read("s", types="custom.note")] == [False, True, False]


def test_what_an_archive_does_not_let_go_is_left_and_told(server_url: str, namespace: str, tmp_path: Path) -> None:
    locked = SessionArchive(str(tmp_path / "locked"), object_lock=True)
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, namespace, subject_key=KEY, archive=locked, encryption=keys) as log:
        about(log, "all")
        about(log, "partly", [2])
        for name in ("all", "partly"):
            dropped(log, name)
        for dry_run in (True, False):
            report = erase(log, dry_run=dry_run)
            found = {one.place.name: one for one in report.steps if one.place.kind == "archive"}
            assert found["all"].outcome == ("due" if dry_run else "shredded")
            assert found["partly"].outcome == "left"
            assert "only some events" in found["partly"].notes[-1]
            assert not report.is_complete


@pytest.mark.parametrize("delete", [False, True])
def test_a_fork_in_the_archive_that_nobody_said_is_about_them_is_told(log: SessionLog, delete: bool) -> None:
    fill(log, 3)
    log.fork("s", into="before", at=3)
    log.subjects.annotate("s", "user-77")
    log.fork("s", into="since", at=4)
    for fork in ("before", "since"):
        dropped(log, fork)
    notes = [note for step in erase(log, delete=delete).steps for note in step.notes if "fork" in note]
    assert len(notes) == 1
    assert notes[0].startswith("fork 'before' is in an archive, and has what they share")


def test_a_copy_is_about_whom_it_was_when_it_was_read_whatever_is_erased_meanwhile(
    log: SessionLog, archive: SessionArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about(log)
    export = log.export

    def erased_behind(*args: Any, **more: Any) -> Any:
        found = export(*args, **more)
        assert erase(log).is_complete
        return found

    with monkeypatch.context() as patched:
        patched.setattr(log, "export", erased_behind)
        Archiver(log, archive).archive("s")
    assert has_secret(tmp_path)
    assert outcomes(erase(log)) == {"archive": "erased"}
    assert not has_secret(tmp_path)


def test_of_several_sessions_of_an_id_none_is_taken_for_another(log: SessionLog) -> None:
    about(log)
    dropped(log)
    fill(log, 5, "s")
    dropped(log)
    for delete in (False, True):
        report = erase(log, delete=delete)
        assert (outcomes(report)["archive"], report.is_complete) == ("left", False)
    assert restore_archived(log, "s")
    assert [one.event.is_erased for one in log.read("s")] == [False] * 5


def test_what_is_removed_of_a_deleted_session_takes_no_later_one_of_its_id_along(
    log: SessionLog, archive: SessionArchive
) -> None:
    about(log)
    assert Archiver(log, archive).archive("s").outcome is Outcome.ARCHIVED
    log.delete("s")
    fill(log, 5, "s")
    dropped(log)
    report = erase(log)
    assert outcomes(report) == {"archive": "deleted", "tombstone": "reduced"}
    assert len(archive.of_session(log.namespace, "s")) == 1
    assert restore_archived(log, "s")
    assert log.head("s").revision == 5


def test_the_key_of_several_sessions_of_an_id_is_not_shredded_for_one(sealing: SessionLog) -> None:
    fill(sealing, 5, "s")
    dropped(sealing)
    about(sealing)
    # What began later is what comes back, and can be erased.
    dropped(sealing)
    assert outcomes(erase(sealing))["archive"] == "erased"
    with io.BytesIO() as file:
        archive = sealing.archive
        assert isinstance(archive, SessionArchive)
        first = archive.of_session(sealing.namespace, "s")[0]
        file.write(archive.read(sealing.namespace, first).read())
        empty(sealing)
        sealing.import_(file)
    assert len([one for one in sealing.read("s") if one.event.has_content]) == 5


def test_the_key_of_a_session_that_has_its_id_now_is_not_shredded(
    server_url: str, namespace: str, tmp_path: Path
) -> None:
    locked = SessionArchive(str(tmp_path / "locked"), object_lock=True)
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, namespace, subject_key=KEY, archive=locked, encryption=keys) as log:
        about(log)
        assert Archiver(log, locked).archive("s").outcome is Outcome.ARCHIVED
        log.delete("s")
        fill(log, 3, "s")
        (step, _) = erase(log).steps
        assert (step.outcome, "same key" in step.notes[0]) == ("left", True)
        assert all(one.event.has_content for one in log.read("s"))


def test_without_the_archive_its_tombstone_says_what_is_left(
    log: SessionLog, server_url: str, archive: SessionArchive
) -> None:
    about(log)
    dropped(log)
    with SessionLog.connect(server_url, log.namespace, subject_key=KEY) as alone:
        for dry_run in (True, False):
            (step,) = erase(alone, dry_run=dry_run).steps
            assert (step.place.kind, step.outcome) == ("tombstone", "left")
            assert "give the log that archive" in step.notes[0]
    assert erase(log).is_complete


def test_what_cannot_be_read_there_is_told_and_keeps_nothing_else(log: SessionLog, tmp_path: Path) -> None:
    about(log)
    dropped(log)
    about(log, "hot")
    (file,) = tmp_path.rglob("*.zip")
    file.write_bytes(b"no bundle")
    assert exported(log)[-1]["unreadable"] == 1
    report = erase(log)
    assert [(one.place.name, one.outcome) for one in report.steps][:2] == [("hot", "erased"), ("s", "left")]
    assert "cannot be read" in report.steps[1].notes[0]
    assert erase(log, delete=True).is_complete
    assert not file.exists()


def test_who_is_interrupted_before_it_is_archived_again_goes_on(
    log: SessionLog, archive: SessionArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about(log)
    dropped(log)

    def lost(*_: object, **__: object) -> str:
        raise errors.ArchiveUnavailableError("there", "write", "gone")

    with monkeypatch.context() as patched:
        patched.setattr(archive, "renew", lost)
        with pytest.raises(errors.ArchiveUnavailableError):
            erase(log)
    assert has_secret(tmp_path)
    assert erase(log).is_complete
    assert not has_secret(tmp_path)
    assert log.verify("s").ok


def test_what_was_archived_before_anybody_noted_whom_it_is_about_is_found(log: SessionLog, tmp_path: Path) -> None:
    about(log)
    dropped(log)
    (record,) = (one for one in tmp_path.rglob("*.json") if one.name != "archive.json")
    told = json.loads(record.read_text())
    del told["subjects"]
    record.write_text(json.dumps(told))
    assert "archive" in [one.kind for one in log.subjects.find("user-77")]


def test_brought_back_it_is_held_and_about_whom_it_was(
    sealing: SessionLog, server_url: str, archive: SessionArchive
) -> None:
    about(sealing)
    sealing.subjects.annotate("s", "user-78", events=[1])
    before = sealing.subjects.marks("s")
    dropped(sealing)
    with SessionLog.connect(server_url, sealing.namespace, archive=archive) as keyless:
        # It cannot read whom the session is about; what is left of it tells.
        assert restore_archived(keyless, "s")
    assert sorted(sealing.subjects.marks("s")) == sorted(before)
    assert [one.events for one in sealing.subjects.find("user-77") if one.kind == "session"] == [None]
    assert erase(sealing).is_complete


def test_a_session_that_was_held_when_it_was_archived_is_so_once_it_is_back(
    log: SessionLog, server_url: str, archive: SessionArchive
) -> None:
    about(log)
    log.retention.hold("s", reason="matter 12", by="counsel")
    assert Archiver(log, archive).archive("s").outcome is Outcome.ARCHIVED
    # As after the loss of the server.
    empty(log)
    with SessionLog.connect(server_url, log.namespace, subject_key=KEY, archive=archive) as anew:
        assert restore_archived(anew, "s")
        assert [one.reason for one in anew.retention.holds()] == ["matter 12"]
        report = erase(anew)
        assert outcomes(report) == {"session": "held", "archive": "held"}
        assert not report.is_complete


@pytest.mark.parametrize("delete", [False, True])
def test_what_was_held_when_it_was_archived_stays_where_the_server_has_lost_it(
    sealing: SessionLog, server_url: str, archive: SessionArchive, delete: bool
) -> None:
    about(sealing)
    sealing.retention.hold("s", reason="matter 12", by="counsel")
    assert Archiver(sealing, archive).archive("s").outcome is Outcome.ARCHIVED
    keys = sealing._events.cipher.provider
    empty(sealing)
    with SessionLog.connect(server_url, sealing.namespace, subject_key=KEY, archive=archive, encryption=keys) as anew:
        (step,) = erase(anew, delete=delete).steps
        assert (step.outcome, "restore s" in step.notes[0]) == ("held", True)
        assert restore_archived(anew, "s")
        anew.retention.release("s", reason="matter 12", by="counsel")
        assert erase(anew, delete=delete).is_complete
        assert [*anew.subjects.find("user-77")] == []


def test_the_commands_look_into_the_archive(
    log: SessionLog, server_url: str, archive: SessionArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "subject.key").write_bytes(KEY)
    monkeypatch.setenv("SESSION_LOG_SUBJECT_KEY_FILE", str(tmp_path / "subject.key"))
    run: Run = runner(server_url, log.namespace)
    about(log)
    dropped(log)
    where = ("--archive", str(tmp_path / "archive"))
    assert "archived s  all of it" in run("subject", "find", "user-77", *where).output
    wanted = ("subject", "erase", "user-77", "--reason", "request 4711", "--yes")
    assert "stays" in run(*wanted, exit_code=1).output
    run(*wanted, *where)
