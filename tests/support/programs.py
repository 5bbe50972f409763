"""Programs in processes of their own which start at once, because their imports were done before."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import IO, Any

COMMAND_LINE = ("-m", "strands_session_log.cli")
"""The arguments of a program that is `session-log`."""

_MODES = ("wb", "rb", "rb")


_SHARED = "SESSION_LOG_TEST_FORK_SERVER"
"""The variable that tells the workers of pytest-xdist where the one fork server of their run is."""


class _ForkServer:
    """A connection to a fork server. Whoever starts one, with the first program, has it end with this connection."""

    def __init__(self, control: socket.socket, started: subprocess.Popen[bytes] | None = None) -> None:
        self._control, self._process = control, started

    @classmethod
    def start(cls, path: Path) -> _ForkServer:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            # The first connection, so the server knows it for that of its owner.
            control = _connected(str(path))
            # By its path: the package it lies in takes a while to be imported, and may never be needed.
            server = Path(__file__).with_name("fork_server.py")
            process = subprocess.Popen(
                [sys.executable, server],
                cwd=server.parents[1],
                stdin=listening.fileno(),
                stdout=DEVNULL,
                start_new_session=True,
            )
        return cls(control, process)

    @classmethod
    def of_this_run(cls) -> _ForkServer:
        if path := os.environ.get(_SHARED):
            return cls(_connected(path))
        with TemporaryDirectory(prefix="session-log-programs-") as directory:
            return cls.start(Path(directory, "socket"))

    def ask(self, descriptors: Sequence[int], request: Mapping[str, Any]) -> socket.socket:
        mine, its = socket.socketpair()
        with its:
            mine.sendall(json.dumps(request).encode() + b"\n")
            socket.send_fds(self._control, [b"\0"], [its.fileno(), *descriptors])
        return mine

    def stop(self) -> None:
        self._control.close()
        if self._process:
            self._process.wait()


_server: _ForkServer | None = None


@contextmanager
def shared_server() -> Iterator[None]:
    """Have one fork server for the workers that are started meanwhile; it imports nothing before the first program."""
    with TemporaryDirectory(prefix="session-log-programs-") as directory:
        path = Path(directory, "socket")
        server = _ForkServer.start(path)
        os.environ[_SHARED] = str(path)
        try:
            yield
        finally:
            del os.environ[_SHARED]
            server.stop()


def stop_server() -> None:
    """Stop the fork server, if it is ours, and kill what is left of its programs; the next program starts another."""
    global _server
    if _server is not None:
        _server.stop()
        _server = None


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


class Program:
    """`python ARGUMENTS…`, with `subprocess.Popen`'s interface as far as the tests need it.

    The arguments are `-m MODULE …` or `-c CODE …`; SIGINT is heard even where the tests were told not to.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[Any] | None = DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        text: bool = False,
        start_new_session: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        pairs = [_stream(given, number, text) for number, given in enumerate((stdin, stdout, stderr))]
        self.stdin, self.stdout, self.stderr = (mine for _, mine in pairs)
        request = {
            "arguments": list(map(str, arguments)),
            "environment": dict(os.environ if env is None else env),
            "directory": str(cwd or Path.cwd()),
            "start_new_session": start_new_session,
        }
        try:
            self._connection = _started().ask([its for its, _ in pairs], request)
        finally:
            for its, _ in pairs:
                os.close(its)
        self._answers = self._connection.makefile("rb")
        self.pid = int(self._answers.readline())

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, as soon as there is one."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                # Written at once, so it is there as a whole or not at all.
                self.returncode = int(self._connection.recv(32))
            except (TimeoutError, BlockingIOError):
                raise TimeoutExpired(self.args, timeout or 0) from None
            self._answers.close()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, if there is one."""
        try:
            return self.wait(0)
        except TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # Its exit code may be on its way.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Tell it that nothing more will come, and return what it writes until its end."""
        if self.stdin:
            self.stdin.close()
        with ThreadPoolExecutor(2) as readers:
            reading = [stream and readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except TimeoutExpired:
                self.kill()
                raise
        output, errors = (read and read.result() for read in reading)
        return output, errors

    def __enter__(self) -> Program:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error:
            self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


def run(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60, cwd: Path | None = None
) -> CompletedProcess[str]:
    """Run a program to its end, and return what it wrote; nothing comes from its standard input."""
    with Program(arguments, env=env, stdout=PIPE, stderr=PIPE, text=True, cwd=cwd) as program:
        output, errors = program.communicate(timeout)
    assert program.returncode is not None
    return CompletedProcess(program.args, program.returncode, output, errors)


def _started() -> _ForkServer:
    global _server
    if _server is None:
        _server = _ForkServer.of_this_run()
    return _server


def _stream(given: int | IO[Any] | None, number: int, text: bool) -> tuple[int, IO[Any] | None]:
    """The program's end of a stream, and ours, if it is a pipe."""
    if given == DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    if given != PIPE:
        descriptor = number if given is None else given if isinstance(given, int) else given.fileno()
        return os.dup(descriptor), None
    reading, writing = os.pipe()
    mode = _MODES[number]
    mine, its = (writing, reading) if mode == "wb" else (reading, writing)
    return its, os.fdopen(mine, mode[0] if text else mode)
