"""What somebody else made is read without waiting for it, and without leaving the directory it lies in."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from strands_session_log.cli.exporters import write_all
from strands_session_log.files import Folder, create_file, lock, open_named, replace_file, unlock
from support.killing import killed_at_each_step


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # The path of a socket may not be long.
        here = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}" if Path("/proc/self/fd").exists() else str(path))
        os.close(here)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


TRAPS = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "directory": Path.mkdir,
    "link to a pipe": link_to_a_pipe,
    "link to a device": link_to("/dev/zero"),
    "link to a terminal": link_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("make", TRAPS.values(), ids=TRAPS)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "trap")
    descriptors = len(os.listdir("/dev/fd"))  # noqa: PTH208
    with pytest.raises(OSError):
        Folder(tmp_path).read("trap")
    with pytest.raises(OSError):
        open_named(tmp_path / "trap")
    assert len(os.listdir("/dev/fd")) == descriptors  # noqa: PTH208


def test_a_link_is_followed_where_it_was_named_and_not_where_it_was_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    with open_named(tmp_path / "link") as opened:
        assert opened.read() == b"content"
    with pytest.raises(OSError, match="a symbolic link, which is not followed"):
        Folder(tmp_path).read("link")


def test_a_directory_that_was_named_may_be_a_link_but_none_below_it(tmp_path: Path) -> None:
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "below" / "file").write_text("content")
    (tmp_path / "named").symlink_to("real")
    (tmp_path / "real" / "aside").symlink_to("below")
    folder = Folder(tmp_path / "named")
    assert (folder / "below").read("file") == b"content"
    assert folder.folders() == ["aside", "below"]
    with pytest.raises(OSError, match="a symbolic link, which is not followed"):
        (folder / "aside").names()
    with pytest.raises(OSError, match="a symbolic link, which is not followed"):
        (folder / "aside").read("file")


def test_a_directory_that_becomes_a_link_after_it_was_listed_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "file").write_text("content")
    folder = Folder(tmp_path / "folder") / "below"
    assert folder.names() == ["file"]
    (tmp_path / "folder" / "below").rename(tmp_path / "elsewhere")
    (tmp_path / "folder" / "below").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a symbolic link, which is not followed"):
        folder.read("file")


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert (Folder(tmp_path) / "nowhere").names() == []


def test_a_pipe_that_this_process_was_given_is_read_to_its_end() -> None:
    read, write = os.pipe()
    os.write(write, b"content")
    with open_named(f"/dev/fd/{read}") as opened:
        os.close(write)
        assert stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode)
        assert opened.read() == b"content"
    os.close(read)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than 512 MB"):
        Folder(tmp_path).read("holes")


def test_a_file_is_there_whole_or_not_at_all_whenever_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for _ in killed_at_each_step(lambda: create_file(path, b"all of it", 0o600)):
        assert not path.exists() or path.read_bytes() == b"all of it"
        path.unlink(missing_ok=True)
    assert path.read_bytes() == b"all of it"
    assert path.stat().st_mode & 0o077 == 0
    assert not create_file(path, b"another")


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_nothing_is_left_of_a_file_that_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], object]
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", b"some")
    assert [*tmp_path.iterdir()] == []


def test_a_lock_is_given_up_also_where_a_process_was_forked_that_has_it(tmp_path: Path) -> None:
    read, write = os.pipe()
    held = lock(tmp_path / "lock", waits=False)
    with pytest.raises(BlockingIOError):
        lock(tmp_path / "lock", waits=False)
    if (child := os.fork()) == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    unlock(held)
    try:
        unlock(lock(tmp_path / "lock", waits=False))
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_what_was_exported_stays_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, sync = list[int](), os.fsync

    def noting(descriptor: int) -> None:
        written.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    write_all([b"some"], tmp_path / "export")
    assert written == [one.stat().st_ino for one in (tmp_path / "export", tmp_path)]
