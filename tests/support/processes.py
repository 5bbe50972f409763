"""Child processes on loopback ports that never outlive the test run."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import pytest

HOST = "127.0.0.1"

# Below the range the kernel takes client ports from: a client that reconnects to a stopped server on an ephemeral
# port can connect to itself, and then the server cannot have its port back.
_PORTS = range(20_000, 30_000)
# Sets PR_SET_PDEATHSIG and becomes the server: unlike a `preexec_fn`, it is safe beside other threads.
_GUARD = ["setpriv", "--pdeathsig", "KILL"]
_IMPORTED_BY_TESTS = [
    *("pytest", "strands", "strands_session_log.session_manager", "strands_session_log.testing.model"),
    *("strands_session_log.subscription", "support", "subscription.helpers"),
]
_running: set[subprocess.Popen[bytes]] = set()


def free_port() -> int:
    """A loopback port nobody listens on now; someone else may still be faster, so starting must be retried."""
    for port in random.sample(_PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise OSError("no free loopback port")


def forks() -> Any:
    """The context of `multiprocessing` whose processes start at once: what tests import was imported before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_BY_TESTS)
    with pytest.MonkeyPatch.context() as patch:
        # Python 3.11 does not tell the fork server where we look for modules.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        ensure_running()
    return context


def spawn(command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one exits, however it exits."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_guard(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches the whole foreground group: the server has to survive it until its fixture stops it.
            start_new_session=True,
        )
    _running.add(process)
    return process


def end(process: subprocess.Popen[bytes], timeout: float = 5.0) -> None:
    """Ask a process to exit, and insist if it does not."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _running.discard(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and wait until the process is gone."""
    process.kill()
    process.wait()
    _running.discard(process)


def _guard() -> list[str]:
    # The signal comes when the *thread* that forked ends, so only the main thread may ask for it.
    is_main = threading.current_thread() is threading.main_thread()
    return _GUARD if is_main and shutil.which(_GUARD[0]) else []


@atexit.register
def _kill_the_rest() -> None:
    for process in list(_running):
        kill(process)
