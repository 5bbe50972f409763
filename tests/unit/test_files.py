"""What somebody else made is read without waiting for it, and without leaving the directory it lies in."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from strands_session_log.files import Folder, open_named


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
