"""Sessions in an archive: written, read back and verified before anything is dropped, wherever that ends."""

from __future__ import annotations

import fcntl
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from strands_session_log import Anchor, LocalKeys, SessionLog, drop_archived, errors, events, restore_archived
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.archiver import Archived, Archiver, Outcome
from strands_session_log_consumers.archive.checking import problems_of_copy
from strands_session_log_consumers.archive.records import ArchivedName, folder_of, hash_of
from strands_session_log_consumers.archive.settings import ArchiveSettings
from strands_session_log_consumers.archive.store import FileStore
from strands_session_log_consumers.archive.sweep import Sweep
from support import Keyspace
from support.full_disk import without_room

AT_ONCE = ArchiveSettings(idle=0)
DROP = ArchiveSettings(idle=0, drop=True)


@pytest.fixture(params=["directory", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionArchive]:
    url = str(tmp_path / "archive") if request.param == "directory" else f"memory://{tmp_path}"
    yield SessionArchive(url)
    if request.param == "memory":
        MemoryFileSystem().rm(str(tmp_path), recursive=True)


@pytest.fixture
def directory(tmp_path: Path) -> SessionArchive:
    return SessionArchive(str(tmp_path / "archive"))


def say(log: SessionLog, session_id: str, count: int = 3) -> Anchor:
    log.append(session_id, [events.Custom("custom.note", {"said": f"word {number}"}) for number in range(count)])
    return log.anchor(session_id)


def swept(log: SessionLog, archive: SessionArchive, settings: ArchiveSettings = AT_ONCE) -> dict[str, Outcome]:
    return {one.session_id: one.outcome for one in Sweep(log, archive, settings).run()}


def content_of(log: SessionLog, archive: SessionArchive, session_id: str) -> bytes:
    """All text of the bundle that counts."""
    file = archive.open_bundle(log.namespace, session_id)
    assert file is not None
    with file, zipfile.ZipFile(file) as bundle:
        return b"".join(bundle.read(name) for name in bundle.namelist())


def test_what_is_archived_verifies_by_itself_and_is_on_record(session_log: SessionLog, archive: SessionArchive) -> None:
    anchor = say(session_log, "s")
    assert swept(session_log, archive) == {"s": Outcome.ARCHIVED}

    (found,) = archive.of_session(session_log.namespace, "s")
    assert (found.session_id, found.revision, found.link) == ("s", anchor.revision, anchor.link)
    assert found.last_event == session_log.head("s")
    file = archive.open_bundle(session_log.namespace, "s")
    assert file is not None
    with file:
        assert problems_of_copy(file, anchor) == []
    assert [one.id.revision for one in session_log.read("s")] == [1, 2, 3]


def test_what_is_archived_is_not_written_again(session_log: SessionLog, archive: SessionArchive) -> None:
    say(session_log, "s")
    swept(session_log, archive)
    assert swept(session_log, archive) == {}
    assert Archiver(session_log, archive).archive("s").outcome is Outcome.THERE


def test_a_session_is_dropped_and_its_tombstone_says_where_it_is(
    session_log: SessionLog, archive: SessionArchive
) -> None:
    anchor = say(session_log, "s")
    assert swept(session_log, archive, DROP) == {"s": Outcome.DROPPED}

    (tombstone,) = session_log.tombstones("s")
    (found,) = archive.of_session(session_log.namespace, "s")
    assert (tombstone.link, tombstone.by) == (anchor.link, "archiver")
    assert tombstone.archived == archive.where(session_log.namespace, found.name.bundle)
    assert "word" not in str(tombstone)
    assert session_log.sessions() == []
    assert [one.session_id for one in archive.sessions(session_log.namespace)] == ["s"]


def test_only_what_is_idle_and_has_the_labels_is_archived(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "open")
    say(session_log, "closed")
    session_log.append("closed", events.SessionAnnotated({"status": "closed"}))
    assert swept(session_log, directory, ArchiveSettings(idle=3600)) == {}
    assert swept(session_log, directory, ArchiveSettings(idle=0, labels={"status": "closed"})) == {
        "closed": Outcome.ARCHIVED
    }


def test_what_was_active_lately_is_kept_hot(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    kept = ArchiveSettings(idle=0, drop=True, keep_hot=3600)
    assert swept(session_log, directory, kept) == {"s": Outcome.ARCHIVED}
    assert session_log.head("s").revision == 3


def test_a_session_that_gets_an_event_meanwhile_is_not_dropped(session_log: SessionLog) -> None:
    anchor = say(session_log, "s")
    at = session_log.head("s")
    say(session_log, "s", 1)
    with pytest.raises(errors.ConcurrentWriteError, match="written by someone else"):
        drop_archived(session_log, "s", at, anchor.link, "elsewhere")
    assert session_log.head("s").revision == 4
    assert list(session_log.tombstones("s")) == []


class Interrupted(SessionArchive):
    """Something happens before, or after, one of the steps."""

    def __init__(self, url: str, step: str, happens: Callable[[], object], after: bool = False) -> None:
        super().__init__(url)
        self._step, self._happens, self._after = step, happens, after

    def _at(self, step: str, do: Callable[[], Any]) -> Any:
        if step == self._step and not self._after:
            self._happens()
        found = do()
        if step == self._step and self._after:
            self._happens()
        return found

    def write_bundle(self, namespace: str, name: ArchivedName, content: IO[bytes]) -> None:
        self._at("write", lambda: super(Interrupted, self).write_bundle(namespace, name, content))

    def write_record(self, namespace: str, session: Any) -> None:
        self._at("record", lambda: super(Interrupted, self).write_record(namespace, session))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["write", "record"])
def test_an_event_at_any_step_keeps_the_session(
    session_log: SessionLog, tmp_path: Path, step: str, after: bool
) -> None:
    say(session_log, "s")
    archive = Interrupted(str(tmp_path), step, lambda: say(session_log, "s", 1), after)
    assert Archiver(session_log, archive).archive("s", drop=True).outcome is Outcome.MOVED
    assert session_log.head("s").revision == 4
    assert Archiver(session_log, SessionArchive(str(tmp_path))).archive("s", drop=True).outcome is Outcome.DROPPED


class Crash(Exception):
    """The process is gone."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["write", "record"])
def test_what_ends_at_any_step_loses_nothing_and_is_made_up_for(
    session_log: SessionLog, tmp_path: Path, step: str, after: bool
) -> None:
    def crash() -> None:
        raise Crash

    anchor = say(session_log, "s")
    with pytest.raises(Crash):
        Archiver(session_log, Interrupted(str(tmp_path), step, crash, after)).archive("s", drop=True)
    assert session_log.anchor("s") == anchor

    archive = SessionArchive(str(tmp_path))
    assert len(archive.of_session(session_log.namespace, "s")) == (step == "record" and after)
    assert Archiver(session_log, archive).archive("s", drop=True).outcome is Outcome.DROPPED
    assert archive.of_session(session_log.namespace, "s")[-1].link == anchor.link


class Corrupting(SessionArchive):
    """A store that does not keep what it is given."""

    def write_bundle(self, namespace: str, name: ArchivedName, content: IO[bytes]) -> None:
        content.seek(0)
        whole = content.read()
        super().write_bundle(namespace, name, BytesIO(whole[: len(whole) // 2]))


def test_what_is_not_read_back_as_it_was_written_is_never_dropped(session_log: SessionLog, tmp_path: Path) -> None:
    anchor = say(session_log, "s")
    archive = Corrupting(str(tmp_path))
    found = Archiver(session_log, archive).archive("s", drop=True)
    assert found.outcome is Outcome.FAILED
    assert "read back it is not intact" in found.why
    assert session_log.anchor("s") == anchor
    assert archive.of_session(session_log.namespace, "s") == []


def test_a_copy_that_was_damaged_since_is_written_anew_before_the_drop(
    session_log: SessionLog, directory: SessionArchive, tmp_path: Path
) -> None:
    anchor = say(session_log, "s")
    swept(session_log, directory)
    (bundle,) = tmp_path.rglob("*.zip")
    content = bundle.read_bytes()
    bundle.write_bytes(content[:1000] + b"?" + content[1001:])

    assert Archiver(session_log, directory).archive("s", drop=True).outcome is Outcome.DROPPED
    file = directory.open_bundle(session_log.namespace, "s")
    assert file is not None
    with file:
        assert problems_of_copy(file, anchor) == []


def test_a_session_that_is_not_what_was_written_is_neither_archived_nor_dropped(
    session_log: SessionLog, directory: SessionArchive
) -> None:
    say(session_log, "s")
    keys = session_log._events.keyspace.session("s")
    session_log.client.execute_command("XDEL", keys.events, str(session_log.event("s", 2).id))
    found = Archiver(session_log, directory).archive("s", drop=True)
    assert found.outcome is Outcome.DAMAGED
    assert session_log.head("s").revision == 3
    assert directory.names(session_log.namespace) == {}


def test_a_session_with_forks_stays_until_they_are_deleted(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    session_log.fork("s", 2, "fork")
    assert swept(session_log, directory, DROP) == {"s": Outcome.FORKED, "fork": Outcome.DROPPED}
    # What is erased in it must be erased there, too, once the fork comes back.
    assert swept(session_log, directory, DROP) == {"s": Outcome.FORKED}


def test_a_session_that_is_held_stays_and_is_archived(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    session_log.retention.hold("s", reason="case 7", by="ada")
    assert swept(session_log, directory, DROP) == {"s": Outcome.HELD}
    assert session_log.head("s").revision == 4
    assert len(directory.of_session(session_log.namespace, "s")) == 1


def test_what_is_erased_later_goes_from_the_archive_with_the_next_sweep(
    session_log: SessionLog, archive: SessionArchive
) -> None:
    say(session_log, "s")
    swept(session_log, archive)
    assert b"word 1" in content_of(session_log, archive, "s")

    session_log.erase("s", 2, reason="asked to")
    assert swept(session_log, archive, ArchiveSettings(idle=3600)) == {"s": Outcome.ARCHIVED}
    assert len(archive.of_session(session_log.namespace, "s")) == 1
    assert b"word 1" not in content_of(session_log, archive, "s")


def test_what_is_deleted_for_good_goes_from_the_archive_with_the_next_sweep(
    session_log: SessionLog, archive: SessionArchive
) -> None:
    say(session_log, "s")
    say(session_log, "other")
    swept(session_log, archive)
    session_log.delete("s", reason="asked to")
    assert swept(session_log, archive) == {"s": Outcome.FORGOTTEN}
    assert [one.session_id for one in archive.sessions(session_log.namespace)] == ["other"]


def test_so_it_does_where_only_a_hash_tells_which_it_was(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    swept(session_log, directory)
    session_log.delete("s", reason="asked to")
    session_log.reduce_tombstone("s")
    assert list(swept(session_log, directory).values()) == [Outcome.FORGOTTEN]
    assert list(directory.sessions(session_log.namespace)) == []


def test_so_does_a_bundle_that_came_to_no_record(session_log: SessionLog, archive: SessionArchive) -> None:
    say(session_log, "s")
    say(session_log, "other")
    swept(session_log, archive)
    for name in ("s", "other"):
        (one,) = archive.of_session(session_log.namespace, name)
        archive.files.remove(f"{folder_of(session_log.namespace)}/{one.name.record}")
    session_log.delete("s", reason="asked to")
    assert swept(session_log, archive) == {"other": Outcome.ARCHIVED, "s": Outcome.FORGOTTEN}
    assert not [file for file in archive.files.names(folder_of(session_log.namespace)) if hash_of("s") in file]


def test_what_an_archiver_left_that_was_killed_while_it_wrote_goes_with_the_next_sweep(
    session_log: SessionLog, directory: SessionArchive, tmp_path: Path
) -> None:
    say(session_log, "s")
    swept(session_log, directory)
    (bundle,) = (tmp_path / "archive").rglob("*.zip")
    left, written = bundle.with_name(".left.tmp"), bundle.with_name(".written.tmp")
    left.write_bytes(bundle.read_bytes())
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert swept(session_log, directory) == {}
        assert (left.exists(), written.exists()) == (False, True)
    assert swept(session_log, directory) == {}
    assert [*(tmp_path / "archive").rglob("*.tmp")] == []


def test_a_pipe_in_an_archive_is_not_waited_for(
    session_log: SessionLog, directory: SessionArchive, tmp_path: Path
) -> None:
    say(session_log, "s")
    swept(session_log, directory)
    (record,) = (tmp_path / "archive").rglob("*/*/*/*.json")
    record.unlink()
    os.mkfifo(record)
    with pytest.raises(errors.ArchiveUnavailableError, match="not a file"):
        directory.of_session(session_log.namespace, "s")


def test_folders_that_are_made_for_a_bundle_are_written_out(
    session_log: SessionLog, directory: SessionArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, sync = set[int](), os.fsync

    def noting(descriptor: int) -> None:
        written.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    say(session_log, "s")
    swept(session_log, directory)
    (bundle,) = (tmp_path / "archive").rglob("*.zip")
    assert {one.stat().st_ino for one in [bundle, *bundle.parents[:5]]} <= written


def test_what_has_a_time_to_live_is_not_kept_beyond_it(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    session_log.retention.set_ttl("s", "30d")
    assert swept(session_log, directory, DROP) == {}
    assert Archiver(session_log, directory).archive("s").outcome is Outcome.ARCHIVED


def test_the_second_life_of_an_id_is_archived_beside_the_first(
    session_log: SessionLog, directory: SessionArchive
) -> None:
    first = say(session_log, "s")
    swept(session_log, directory, DROP)
    second = say(session_log, "s", 2)
    assert swept(session_log, directory, DROP) == {"s": Outcome.DROPPED}
    assert [one.link for one in directory.of_session(session_log.namespace, "s")] == [first.link, second.link]


def test_a_sweep_ends_after_the_session_that_is_being_archived(
    session_log: SessionLog, directory: SessionArchive
) -> None:
    for number in range(3):
        say(session_log, f"s-{number}")
    done = list[Archived]()
    for one in Sweep(session_log, directory, AT_ONCE, lambda: bool(done)).run():
        done.append(one)
    assert [one.outcome for one in done] == [Outcome.ARCHIVED]


def test_a_dry_run_writes_nothing(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    found = {one.session_id: one.outcome for one in Sweep(session_log, directory, DROP).run(dry_run=True)}
    assert found == {"s": Outcome.DROPPED}
    assert directory.names(session_log.namespace) == {}
    assert session_log.head("s").revision == 3


class Locked(FileStore):
    """A store that lets nobody replace or remove a file, as S3 does with object lock."""

    def write(self, name: str, content: IO[bytes]) -> None:
        if self.read(name, BytesIO()):
            raise errors.ArchiveUnavailableError(self.where(name), "write", "Access Denied")
        super().write(name, content)

    def remove(self, name: str) -> None:
        raise errors.ArchiveUnavailableError(self.where(name), "remove", "Access Denied")


@pytest.fixture
def locked(tmp_path: Path) -> SessionArchive:
    archive = SessionArchive(str(tmp_path / "locked"), object_lock=True)
    archive.files = Locked(str(tmp_path / "locked"))
    return archive


def test_a_locked_archive_takes_nothing_that_is_not_encrypted(session_log: SessionLog, locked: SessionArchive) -> None:
    say(session_log, "s")
    assert swept(session_log, locked, DROP) == {"s": Outcome.PLAIN}
    assert session_log.head("s").revision == 3
    assert locked.names(session_log.namespace) == {}


def test_a_locked_archive_takes_what_is_encrypted_and_a_key_that_is_shredded_closes_it(
    session_log: SessionLog, locked: SessionArchive, server_url: str, tmp_path: Path
) -> None:
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, session_log.namespace, encryption=keys, archive=locked) as log:
        say(log, "s")
        # What has been erased, held and released is, too.
        log.erase("s", 3, reason="asked to")
        log.retention.hold("s", reason="case 7", by="ada")
        log.retention.release("s", reason="closed", by="ada")
        anchor = log.anchor("s")
        assert swept(log, locked, DROP) == {"s": Outcome.DROPPED}
        (found,) = locked.of_session(log.namespace, "s")
        assert found.is_encrypted
        assert b"word 1" not in content_of(log, locked, "s")
        assert restore_archived(log, "s")
        assert log.anchor("s") == anchor
        assert "word 1" in str([one.event.data for one in log.read("s")])
        # One that has an event in clear is not encrypted.
        say(session_log, "t")
        say(log, "t")
        assert Archiver(log, locked).archive("t").outcome is Outcome.PLAIN


def test_that_an_archive_is_locked_is_noted_in_it(session_log: SessionLog, locked: SessionArchive) -> None:
    assert swept(session_log, locked, DROP) == {}
    again = SessionArchive(locked.files.shown)
    assert again.is_locked(session_log.namespace)
    with pytest.raises(errors.InvalidSettingError, match="the archive says True"):
        SessionArchive(locked.files.shown, object_lock=False).is_locked(session_log.namespace)


def test_what_cannot_be_removed_is_marked_and_counts_no_more(
    session_log: SessionLog, directory: SessionArchive, locked: SessionArchive
) -> None:
    say(session_log, "s")
    swept(session_log, directory)
    directory.files = Locked(directory.files.shown)
    (found,) = directory.of_session(session_log.namespace, "s")
    assert directory.forget(session_log.namespace, found.name) is False
    assert directory.of_session(session_log.namespace, "s") == []
    assert directory.open_bundle(session_log.namespace, "s") is None


@pytest.mark.parametrize("session_id", ["s", "..", "a b*?[x]", "é" * 256, "100%2F..", "~root"])
@pytest.mark.parametrize("namespace", ["strands", "..", ".", "n*?[x] %", "ü" * 100])
def test_no_name_leads_out_of_the_archive(
    tmp_path: Path, session_id: str, namespace: str, server_url: str, keyspace: Keyspace
) -> None:
    archive = SessionArchive(str(tmp_path / "archive"))
    with SessionLog.connect(server_url, namespace) as log:
        say(log, session_id)
        assert Archiver(log, archive).archive(session_id, drop=True).outcome is Outcome.DROPPED
        assert [one.session_id for one in archive.sessions(namespace)] == [session_id]
        begins = f"{namespace}:".encode()
        keyspace.delete({key for key in keyspace.under("*") if key.startswith(begins)})
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert [path.name for path in (tmp_path / "archive").iterdir()] == [folder_of(namespace)]


def test_a_record_that_somebody_else_wrote_is_none(session_log: SessionLog, directory: SessionArchive) -> None:
    say(session_log, "s")
    swept(session_log, directory)
    (found,) = directory.of_session(session_log.namespace, "s")
    path = f"{folder_of(session_log.namespace)}/{found.name.record}"
    for content in (b"", b"{", b"[]", b"null", b'{"version": 1}', found.to_bytes().replace(b'"s"', b'"t"')):
        directory.files.write(path, BytesIO(content))
        assert directory.of_session(session_log.namespace, "s") == []
        assert list(directory.sessions(session_log.namespace)) == []
        assert directory.open_bundle(session_log.namespace, "s") is None


def test_an_archive_that_cannot_be_reached_drops_nothing_and_says_so(session_log: SessionLog, tmp_path: Path) -> None:
    anchor = say(session_log, "s")
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(errors.ArchiveUnavailableError, match="the archive cannot"):
        swept(session_log, SessionArchive(str(tmp_path / "file")), DROP)
    assert session_log.anchor("s") == anchor


class Choosy(FileStore):
    """A store that refuses some files."""

    def __init__(self, url: str, refused: Sequence[str]) -> None:
        super().__init__(url)
        self._refused = [hash_of(name) for name in refused]

    def write(self, name: str, content: IO[bytes]) -> None:
        if any(one in name for one in self._refused):
            raise errors.ArchiveUnavailableError(self.where(name), "write", "Access Denied")
        super().write(name, content)


def test_one_session_that_the_store_refuses_keeps_no_other(session_log: SessionLog, directory: SessionArchive) -> None:
    for name in ("a", "b", "c", "d"):
        say(session_log, name)
    directory.files = Choosy(directory.files.shown, ["a", "b"])
    found = swept(session_log, directory, DROP)
    assert found == {"a": Outcome.FAILED, "b": Outcome.FAILED, "c": Outcome.DROPPED, "d": Outcome.DROPPED}
    for name in ("c", "d"):
        say(session_log, name)
    directory.files = Choosy(directory.files.shown, ["a", "b", "c", "d"])
    with pytest.raises(errors.ArchiveUnavailableError, match="Access Denied"):
        swept(session_log, directory, DROP)


def test_a_session_too_large_for_the_disk_keeps_no_other(session_log: SessionLog, directory: SessionArchive) -> None:
    session_log.append("large", events.Custom("custom.note", {"said": os.urandom(200_000).hex()}))
    say(session_log, "s")
    with without_room(150_000):
        found = {one.session_id: one for one in Sweep(session_log, directory, AT_ONCE).run()}
    assert (found["large"].outcome, found["s"].outcome) == (Outcome.FAILED, Outcome.ARCHIVED)
    assert "cannot be used: File too large" in found["large"].why
    assert swept(session_log, directory) == {"large": Outcome.ARCHIVED}


def test_a_password_in_the_url_is_not_shown(tmp_path: Path) -> None:
    archive = SessionArchive(f"memory://user:hunter2@{tmp_path}")
    assert "hunter2" not in archive.where("strands", "x")
