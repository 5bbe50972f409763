"""An embedded server that went away for good is started again, by whoever needs it next.

Its supervisor brings a server back that dies. But it may be killed itself, and gives up after some deaths in a row:
then a connection that finds nobody starts both again. That is done in a thread of its own, one for each client and
process, so that a call waits for it no longer than it may, and a start that takes longer is not cut short.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import valkey

from ..concurrency import Backoff, WorkerThread
from ..errors import EmbeddedServerError

# valkey-py calls itself typed, but much of it is not.
_driver: Any = valkey
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
"""Seconds between two starts, see `Backoff`."""
_FORGIVEN = 60.0
"""Seconds after which a start counts as the first again."""


class Reviver:
    """Starts the server of a directory again.

    Args:
        directory: The directory.
        start: Makes sure that the server runs, and tells where it listens.

    Attributes:
        directory: The directory.
    """

    def __init__(self, directory: str, start: Callable[[], str]) -> None:
        self.directory, self._start = directory, start
        self._socket_path = ""
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._pause, self._begun_at = 0.0, -_FORGIVEN
        self._begin_anew()

    def revive(self, seconds: float | None) -> str:
        """Wait until the server runs again.

        Args:
            seconds: How long at most.

        Returns:
            Where it listens.

        Raises:
            EmbeddedServerError: When it does not, with the reason; the next call tries again, though not at once.
        """
        if self._thread.is_elsewhere:
            self._begin_anew()
        with self._lock:
            if not self._thread.is_alive:
                self._begin()
        if not self._thread.join(seconds):
            raise EmbeddedServerError(self.directory, "it went away, and takes long to start again")
        if self._failure is not None:
            raise self._failed(self._failure)
        return self._socket_path

    def _begin_anew(self) -> None:
        """A forked process has no thread, and its lock may be held for good."""
        self._thread, self._lock = WorkerThread("session-log-server-start"), Lock()
        self._failure: Exception | None = None

    def _begin(self) -> None:
        now = time.monotonic()
        if (left := self._begun_at + self._pause - now) > 0:
            raise self._failed(self._failure) if self._failure else self._away(left)
        if now - self._begun_at > max(_FORGIVEN, 2 * self._pause):
            self._backoff.reset()
        self._pause, self._begun_at = self._backoff.pause(), now
        self._thread.start(self._run)

    def _run(self) -> None:
        try:
            self._socket_path, self._failure = self._start(), None
        except Exception as error:
            self._failure = error

    def _failed(self, failure: Exception) -> EmbeddedServerError:
        """Each call has an error of its own."""
        if isinstance(failure, EmbeddedServerError):
            return EmbeddedServerError(self.directory, failure.reason, failure.log)
        return EmbeddedServerError(self.directory, str(failure))

    def _away(self, left: float) -> EmbeddedServerError:
        return EmbeddedServerError(self.directory, f"it went away again, and is started in {left:.1f} s")


def connection_class(reviver: Reviver) -> type:
    """A connection that has the server started again when nobody listens, and tells nothing to another user's."""
    directory = reviver.directory

    class EmbeddedConnection(_driver.UnixDomainSocketConnection):  # type: ignore[misc]
        driver_class = _driver.UnixDomainSocketConnection

        def _connect(self) -> Any:
            try:
                connected = super()._connect()
            except (FileNotFoundError, ConnectionRefusedError):
                self.path = reviver.revive(self.socket_connect_timeout)
                connected = super()._connect()
            if (owner := _owner(connected)) not in (None, os.geteuid()):
                connected.close()
                raise EmbeddedServerError(directory, f"another user (uid {owner}) answers at {self.path}")
            return connected

    return EmbeddedConnection


def _owner(connected: socket.socket) -> int | None:
    """The user who listens at the other end, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)
