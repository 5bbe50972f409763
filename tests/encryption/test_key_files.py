"""Files of keys: whoever is killed, out of room, or late, no key is lost, and none is left that is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import KeyDirectory, LocalKeys, WrappedKeys, errors
from strands_session_log.encryption import wrapped
from strands_session_log.encryption.records import KeyRecord
from support.full_disk import without_room
from support.killing import killed_at_each_step


@pytest.fixture
def looks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process knows of keys stays what it knows for the time of a test, unless it has a reason to look."""
    monkeypatch.setattr(wrapped, "_LOOKS_EVERY", 600.0)


def record_of(keys: LocalKeys, session_id: str) -> Path:
    return keys._directory._file(session_id)


def content(keys: LocalKeys) -> bytes:
    return b"".join(file.read_bytes() for file in keys.path.rglob("*") if file.is_file())


def test_a_key_that_is_shredded_is_there_or_gone_whenever_that_is_killed_and_nothing_of_it_is_left_the_next_time(
    keys: LocalKeys, tmp_path: Path
) -> None:
    made, copy = keys.create("s").id, tmp_path / "copy"
    (key,) = keys.keys_of("s").keys
    shutil.copytree(keys.path, copy)
    steps, shredded = 0, 0
    with record_of(keys, "s").open("rb") as before:
        opened = [before]
        for step in killed_at_each_step(lambda: LocalKeys(keys.path).shred("s")):
            steps, others = step, LocalKeys(keys.path)
            try:
                assert others.find("s", made)
            except errors.KeyShreddedError:
                shredded += 1
            others.shred("s")
            assert set(opened[-1].read()) == {0}, f"killed at step {step}"
            assert key.wrapped not in content(others)
            assert not [*(keys.path / "aside").iterdir()]
            shutil.rmtree(keys.path)
            shutil.copytree(copy, keys.path)
            opened[-1].close()
            opened.append(record_of(keys, "s").open("rb"))
        opened[-1].close()
    assert 0 < shredded < steps


def test_no_key_is_lost_whenever_a_rotation_is_killed(keys: LocalKeys) -> None:
    made = keys.create("s").id
    for step in killed_at_each_step(lambda: LocalKeys(keys.path).rotate_master()):
        assert LocalKeys(keys.path).find("s", made), f"killed at step {step}"
    fresh = LocalKeys(keys.path)
    assert len(fresh.master_ids) == 1
    assert fresh.find("s", made)
    assert not [*(keys.path / "aside").iterdir()]


def test_what_stands_there_is_not_overwritten_when_it_was_about_to_be_replaced(keys: LocalKeys) -> None:
    made, file = keys.create("s").id, record_of(keys, "s")
    os.link(file, keys.path / "aside" / f"{file.name}.left")
    keys.create("t")
    assert LocalKeys(keys.path).find("s", made)
    assert not [*(keys.path / "aside").iterdir()]


def test_a_full_disk_leaves_all_as_it_was_and_nothing_beside(keys: LocalKeys) -> None:
    made, before = keys.create("s").id, content(keys)
    with without_room(100):
        for change in (lambda: keys.rotate("s"), lambda: keys.shred("s"), lambda: keys.create("t"), keys.rotate_master):
            with pytest.raises(errors.KeyStoreError, match="File too large"):
                change()
    assert content(keys) == before
    assert LocalKeys(keys.path).find("s", made)


@pytest.mark.parametrize("away", [lambda place: place.symlink_to("nowhere"), lambda place: place.symlink_to(place)])
def test_no_master_key_is_destroyed_while_some_of_the_records_cannot_be_listed(
    keys: LocalKeys, away: Callable[[Path], None], tmp_path: Path
) -> None:
    made, folder = keys.create("s").id, record_of(keys, "s").parent
    folder.rename(tmp_path / "away")
    away(folder)
    with pytest.raises(errors.KeyStoreError, match=r"No such file|symbolic link"):
        keys.rotate_master()
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert LocalKeys(keys.path).find("s", made)


def test_a_key_made_elsewhere_a_moment_ago_is_found(keys: LocalKeys, looks_seldom: None) -> None:
    keys.create("s")
    assert keys.current("s")
    newer = LocalKeys(keys.path).rotate("s")
    found = keys.find("s", newer.id)
    assert found is not None
    assert found.id == newer.id


def test_who_has_read_a_key_before_the_master_key_was_changed_opens_it_afterwards(
    keys: LocalKeys, looks_seldom: None
) -> None:
    first = keys.create("s")
    keys.rotate("s")
    late = LocalKeys(keys.path)
    assert late.current("s"), "the older key is known, and was not unwrapped"
    keys.rotate_master()
    assert late.find("s", first.id)


def test_a_session_that_was_given_a_new_key_after_shredding_goes_on_at_once(
    keys: LocalKeys, looks_seldom: None
) -> None:
    keys.create("s")
    keys.shred("s")
    with pytest.raises(errors.KeyShreddedError):
        keys.current("s")
    newer = LocalKeys(keys.path).rotate("s")
    found = keys.current("s")
    assert found is not None
    assert found.id == newer.id


def test_a_rotation_that_another_one_overtakes_goes_on(keys: LocalKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    made, others = keys.create("s").id, LocalKeys(keys.path)
    unwrap = keys._unwrap

    def overtaken(value: bytes, context: Any) -> bytes:
        keys._unwrap = unwrap
        for _ in range(2):
            others.rotate_master()
        return unwrap(value, context)

    keys._unwrap = overtaken
    keys.rotate_master()
    assert LocalKeys(keys.path).find("s", made)


def test_a_key_that_was_just_made_is_not_missed_for_what_another_thread_had_read_before(
    keys: LocalKeys, monkeypatch: pytest.MonkeyPatch, looks_seldom: None
) -> None:
    change = keys._change

    def overtaken(session_id: str, how: Callable[[KeyRecord], KeyRecord]) -> None:
        before = keys._look_up(session_id)
        change(session_id, how)
        keys._known[session_id] = before

    monkeypatch.setattr(keys, "_change", overtaken)
    assert keys.create("s").session_id == "s"


def test_a_file_that_takes_the_place_of_another_is_told_from_it_whatever_the_clock_says(keys: LocalKeys) -> None:
    keys.create("s")
    file, later = record_of(keys, "s"), 1 << 62
    os.utime(file, ns=(later, later))
    before = file.stat().st_mtime_ns
    keys.rotate("s")
    assert file.stat().st_mtime_ns > before


def test_where_nothing_can_be_locked_the_error_says_so(keys: LocalKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(errors.KeyStoreError, match="No locks available"):
        keys.create("s")


def test_all_directories_on_the_way_to_the_first_key_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, sync = set[int](), os.fsync

    def noting(descriptor: int) -> None:
        written.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    place = tmp_path / "mounted" / "wrapped"
    WrappedKeys(KeyDirectory(place), wrap=lambda key, _: key, unwrap=lambda key, _: key).create("s")
    (record,) = place.rglob("*.json")
    assert {one.stat().st_ino for one in [record, *record.parents[:5]]} <= written


def test_a_directory_that_cannot_be_written_out_alone_is_no_error(
    keys: LocalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refusing(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    assert keys.create("s")
