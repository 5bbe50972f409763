"""A Python that has imported everything already: what it is asked to run, a fork of it becomes.

Standard streams, terminal, signals, exit code and shutdown of such a program are those of a process of its own; it only
has no imports to wait for. Whoever asks holds a socket; when that is closed, the program is killed. Any number of
processes may ask, and the first to connect ends the server by leaving. See `programs.py`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = ("strands_session_log", "strands_session_log_consumers")
_STREAMS = (("stdin", "r", "strict"), ("stdout", "w", "strict"), ("stderr", "w", "backslashreplace"))


def main() -> None:
    """Serve until the tests are over; in the forks, run the program, at whose end the interpreter ends as usual."""
    # Where `-m` would have had it.
    sys.path[0] = str(Path(__file__).parents[1])
    request = _Server(socket.socket(fileno=0)).serve()
    if request is not None:
        _run(request["arguments"])


def _import_everything() -> None:
    # Of the tests' own, what all of it imports.
    importlib.import_module("support")
    for package in map(importlib.import_module, _PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".testing." not in module.name:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
    # A collection would copy every page that the forks share.
    gc.freeze()


class _Server:
    """Takes requests as sockets; each is answered with the program's id, and with its exit code when it has ended."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._owner: socket.socket | None = None
        self._has_imported = self._is_over = False
        self._callers: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ)
        # A signal's number is written there, which wakes the selector.
        self._wake, wakes = socket.socketpair()
        self._wakes = wakes
        for end in (self._wake, wakes):
            end.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> dict[str, Any] | None:
        """Return in a fork, with what it has to do, and at the end, with nothing."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(1024)
                    self._bury()
                elif key.fileobj is self._listening:
                    self._welcome()
                elif key.data is not None:
                    self._end(key)
                elif isinstance(key.fileobj, socket.socket):
                    request = self._hear(key.fileobj)
                    if request or self._is_over:
                        return request

    def _welcome(self) -> None:
        asking, _ = self._listening.accept()
        self._owner = self._owner or asking
        self._selector.register(asking, selectors.EVENT_READ)

    def _end(self, caller: selectors.SelectorKey) -> None:
        """Kill the program of somebody who has gone, if it still runs."""
        if caller.data in self._callers:
            os.kill(caller.data, signal.SIGKILL)
            self._selector.unregister(caller.fileobj)

    def _hear(self, asking: socket.socket) -> dict[str, Any] | None:
        """Do what is asked, in a fork; or let go of who has left: what others had running ends as its sockets close."""
        _, descriptors, _, _ = socket.recv_fds(asking, 1, 4)
        if descriptors:
            return self._fork(*descriptors)
        self._selector.unregister(asking)
        asking.close()
        self._is_over = asking is self._owner
        if self._is_over:
            self._kill_all()
        return None

    def _fork(self, caller: int, *streams: int) -> dict[str, Any] | None:
        connection = socket.socket(fileno=caller)
        with connection.makefile("rb") as asked:
            request: dict[str, Any] = json.loads(asked.readline())
        if not self._has_imported:
            _import_everything()
            self._has_imported = True
        if not (program := os.fork()):
            self._leave(connection)
            _dress(request, streams)
            return request
        for descriptor in streams:
            os.close(descriptor)
        connection.sendall(b"%d\n" % program)
        self._callers[program] = connection
        self._selector.register(connection, selectors.EVENT_READ, program)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """Be no server any more."""
        signal.set_wakeup_fd(-1)
        watched = [key.fileobj for key in self._selector.get_map().values()]
        self._selector.close()
        for held in (*watched, self._wakes, connection, *self._callers.values()):
            if isinstance(held, socket.socket):
                held.close()

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                connection = self._callers.pop(ended[0])
                with contextlib.suppress(KeyError):
                    self._selector.unregister(connection)
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(ended[1]))
                connection.close()

    def _kill_all(self) -> None:
        for program in self._callers:
            os.kill(program, signal.SIGKILL)


def _dress(request: dict[str, Any], streams: tuple[int, ...]) -> None:
    """Be in the state in which an interpreter starts."""
    if request["start_new_session"]:
        os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, (descriptor, (name, mode, errors)) in enumerate(zip(streams, _STREAMS, strict=True)):
        os.dup2(descriptor, number)
        os.close(descriptor)
        line_buffering = name == "stderr" or os.isatty(number)
        stream = os.fdopen(number, mode, -1 if line_buffering else 8192, errors=errors, closefd=False)
        stream.reconfigure(line_buffering=line_buffering)  # type: ignore[attr-defined]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(arguments: list[str]) -> None:
    """As `python` would: `-m MODULE …` or `-c CODE …`."""
    sys.path[:0] = ["", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kind, program, *rest = arguments
    sys.argv[:] = [kind, *rest]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), module.__dict__)


if __name__ == "__main__":
    main()
