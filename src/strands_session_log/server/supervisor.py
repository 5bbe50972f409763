"""The process that keeps an embedded server for exactly as long as somebody uses it.

`embedded.py` runs this file by its path, not as a module of the package: its start is part of every cold start, so it
must import nothing but a little of the standard library. Everything rests on `flock`, which the kernel releases
however a process dies:

- `users.lock` is shared by all users. Whoever gets it exclusively knows that nobody is left.
- `supervisor.lock` is held by the supervisor for its life. The opener that starts it hands it over already locked.
- `server.lock` is inherited by the server. It is free only when no process that may write the data is left.

The directory belongs to the user that runs this, and nobody else may write to it: that is checked whenever something in
it is opened, by descriptor. Its files are the user's alone and not reached through links: what others put in place of a
lock would be truncated, in place of the log shown, in place of the data written to.
"""

# ruff: noqa: PTH104, PTH106, PTH108, PTH118, PTH120
# Importing pathlib or typing would take longer than importing all of the modules below.

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import sys
import time
from contextlib import suppress

START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.002
_DEATHS, _DEATHS_SECONDS = 5, 30.0
_UNUSED = 0
_PR_SET_PDEATHSIG = 1
# It skips only a snapshot; the append-only file is written out and synced.
_SHUTDOWN = b"SHUTDOWN NOSAVE\r\n"
_NO_EXCERPTS = b"CONFIG SET commandlog-request-larger-than -1 commandlog-reply-larger-than -1\r\n"


def main(arguments: list[str]) -> int:
    """Take `BINARY DIRECTORY SOCKET SUPERVISOR_LOCK_FD kept|temporary`; write `ready` once the server serves."""
    if os.fork():
        # The opener waits for this process only; the supervisor itself becomes an orphan, which init reaps.
        os._exit(0)
    binary, directory, socket_path, held, fate = arguments
    os.set_inheritable(int(held), False)
    os.umask(0o077)
    unused = False
    try:
        # The server works here, too, whatever becomes of the directory's name.
        os.fchdir(open_directory(directory))
        supervisor = Supervisor([binary, *_options(socket_path)], directory, socket_path)
        unused = supervisor.run()
        if unused and fate == "temporary" and supervisor.owns_directory():
            _remove(directory)
    except OSError as error:
        _log(str(error))
    # Before `users.lock`, which goes with the process: whoever gets that one must find this one free.
    os.close(int(held))
    return 0 if unused else 1


class Supervisor:
    """One server and its end.

    Args:
        command: Starts the server.
        directory: Where the locks are.
        socket_path: Where the server listens.
    """

    def __init__(self, command: list[str], directory: str, socket_path: str) -> None:
        self._command, self._directory, self._socket = command, directory, socket_path
        self._users = open_lock(directory, "users.lock")
        self._server: int | None = None
        self._deaths: list[float] = []
        self._events = _signal_pipe()

    def run(self) -> bool:
        """Serve; true when it ended because nobody uses the directory any more."""
        try:
            if not self._start():
                return False
            _tell(b"ready\n")
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            self._watch_users()
            return self._serve()
        finally:
            self._stop()

    def _serve(self) -> bool:
        while True:
            events = os.read(self._events[0], 64)
            if _UNUSED in events or signal.SIGTERM in events:
                return _UNUSED in events
            if self._has_died() and not self._revive():
                return False

    def _watch_users(self) -> None:
        # Not at the top: it would make every cold start 3 ms slower.
        import threading

        def wait_for_the_last() -> None:
            fcntl.flock(self._users, fcntl.LOCK_EX)
            os.write(self._events[1], bytes([_UNUSED]))

        threading.Thread(target=wait_for_the_last, daemon=True).start()

    def _revive(self) -> bool:
        while True:
            now = time.monotonic()
            self._deaths = [death for death in self._deaths if now - death < _DEATHS_SECONDS] + [now]
            if len(self._deaths) >= _DEATHS:
                _log(f"the server died {_DEATHS} times within {_DEATHS_SECONDS:.0f} s, giving up")
                return False
            _log("the server died, starting it again")
            if self._start():
                return True

    def _start(self) -> bool:
        """Start the server and wait until it serves; false when it does not."""
        lock = self._claim() if self.owns_directory() else None
        if lock is None:
            return False
        _tell(b".")
        self._server = _spawn(self._command, lock)
        # From here on the server alone holds it.
        os.close(lock)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self._has_died():
            match probe(self._socket):
                case "ready":
                    with suppress(OSError):
                        # Older servers do not know these, and refuse to start with them.
                        _ask(self._socket, _NO_EXCERPTS)
                    return True
                case "loading":
                    # The opener waits for as long as it hears something.
                    _tell(b".")
                    deadline = time.monotonic() + START_SECONDS
            time.sleep(_POLL_SECONDS)
        self._stop()
        return False

    def _claim(self) -> int | None:
        """Lock `server.lock`, asking a server that lost its supervisor to leave."""
        lock = open_lock(self._directory, "server.lock")
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if try_lock(lock):
                return lock
            with suppress(OSError):
                _ask(self._socket, _SHUTDOWN)
            time.sleep(_POLL_SECONDS)
        _log("another server holds server.lock and does not stop")
        os.close(lock)
        return None

    def _has_died(self) -> bool:
        if self._server is not None and os.waitpid(self._server, os.WNOHANG)[0]:
            self._server = None
        return self._server is None

    def _stop(self) -> None:
        """End the server, the more forcefully the longer it takes, and leave no trace of its socket."""
        if not self.owns_directory():
            # A server that ends properly removes its socket by name, and at that name may be another's by now.
            self._signal(signal.SIGKILL)
            return
        if not self._has_died():
            # The command takes effect at once, a signal only at the server's next tick, up to 100 ms later.
            with suppress(OSError):
                _ask(self._socket, _SHUTDOWN)
            self._await_death(1.0)
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGKILL)
        _remove_socket(self._socket)

    def owns_directory(self) -> bool:
        """Whether the directory is still the one the locks are in; somebody may have removed it."""
        return is_still(self._users, os.path.join(self._directory, "users.lock"))

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None and not self._has_died():
            os.kill(self._server, number)
            self._await_death(_STOP_SECONDS)

    def _await_death(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._has_died() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def probe(socket_path: str) -> str:
    """Whether a server is `ready`, `loading` or `gone`; one that answers with another error serves."""
    reply = b""
    with suppress(OSError):
        reply = _ask(socket_path, b"PING\r\n")
    if reply.startswith(b"-LOADING"):
        return "loading"
    return "ready" if reply else "gone"


def open_lock(directory: str, name: str) -> int:
    """Open a lock file without locking it; only this process has the descriptor."""
    return open_own(directory, name, os.O_RDWR | os.O_CREAT)


def open_own(directory: str, name: str, flags: int) -> int:
    """Open a file that is this user's alone, in a directory that is.

    Raises:
        OSError: When it is a link, or no file, or another user's, or the directory is.
    """
    place = open_directory(directory)
    try:
        # Without O_NONBLOCK a pipe would be waited for.
        opened = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=place)
    except OSError:
        _require_file(os.stat(name, dir_fd=place, follow_symlinks=False), name)
        raise
    finally:
        os.close(place)
    try:
        _require_file(os.fstat(opened), name)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _require_file(status: os.stat_result, name: str) -> None:
    require_own(status, name)
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(f"{name} in it is no file; remove it")
    # It may be cut, and what else has this content with it. None is fine: it was removed just now.
    if status.st_nlink > 1:
        raise PermissionError(f"{name} in it is a hard link; remove it")


def open_directory(directory: str) -> int:
    """Open a directory that belongs to this user, and to which nobody else may write.

    Raises:
        OSError: When it is not such a one.
    """
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(place)
    wrong = ""
    if status.st_uid != os.geteuid():
        wrong = f"it belongs to another user (uid {status.st_uid}); run as that user, or choose a directory of your own"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        wrong = "others may write to it; chmod 700 it, or choose one below it"
    if wrong:
        os.close(place)
        raise PermissionError(wrong)
    return place


def require_own(status: os.stat_result, name: str) -> None:
    """Refuse what others may have put into the directory while they could.

    Raises:
        PermissionError: When it is a link, or another user's.
    """
    if stat.S_ISLNK(status.st_mode):
        raise PermissionError(f"{name} in it is a symbolic link, which is not followed; remove it")
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{name} in it belongs to another user (uid {status.st_uid}); remove it")


def try_lock(lock: int) -> bool:
    """Lock exclusively unless somebody else holds the lock in any way."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(descriptor: int, path: str) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _ask(socket_path: str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        connection.connect(socket_path)
        connection.sendall(command)
        return connection.recv(64)


def _options(socket_path: str) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "dir": ".",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        # Of every event of 1 KB, some 60 bytes of overhead are saved by filling stream nodes well.
        "stream-node-max-bytes": "65536",
        # Excerpts of slow commands would outlive an erasure.
        "slowlog-log-slower-than": "-1",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _spawn(command: list[str], lock: int) -> int:
    """Start the server with the lock in its hands; on Linux it dies with this process."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    supervisor = os.getpid()
    if server := os.fork():
        return server
    try:
        os.set_inheritable(lock, True)
        # Standard output is the opener's pipe, standard error the log.
        os.dup2(2, 1)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() == supervisor:
            os.execv(command[0], command)
    except OSError as error:
        _log(f"{command[0]}: {error}")
    finally:
        os._exit(127)


def _signal_pipe() -> tuple[int, int]:
    """A pipe that tells the numbers of the signals this process gets, so that none is missed or comes at a bad time."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    # The opener may have blocked them in the thread that started this process.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return read, write


def _remove_socket(socket_path: str) -> None:
    with suppress(OSError):
        os.unlink(socket_path)
    with suppress(OSError):
        # Only a directory made for nothing but the socket is empty now.
        os.rmdir(os.path.dirname(socket_path))


def _remove(directory: str) -> None:
    """Remove a directory so that no opener sees half of it: first it is gone under its name, then its content goes."""
    import shutil

    doomed = f"{directory}.removed-{os.getpid()}"
    with suppress(OSError):
        os.rename(directory, doomed)
        shutil.rmtree(doomed)


def _tell(message: bytes) -> None:
    # The opener may be gone, or be long past listening; that is no reason to stop.
    with suppress(OSError):
        os.write(1, message)


def _log(message: str) -> None:
    print(f"supervisor {os.getpid()}: {message}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
