"""Where a recorder writes."""

from __future__ import annotations

import threading

from ..keys import check_namespace
from ..server.urls import parse
from ..session_log import SessionLog


class Source:
    """A log, or the URL of one that is connected when it is first needed.

    Args:
        log: A log, or a URL as for `SessionLog.connect`.
        namespace: First part of every key, with a URL.

    Raises:
        InvalidUrlError: When the text is no URL of a server.
        InvalidIdError: When the namespace cannot be one.
    """

    def __init__(self, log: SessionLog | str, namespace: str) -> None:
        self._url, self._namespace, self._log = "", namespace, None if isinstance(log, str) else log
        self.begin()
        if isinstance(log, str):
            parse(log)
            check_namespace(namespace)
            self._url = log

    def begin(self) -> None:
        """Have a lock that nobody holds, also where the holder stayed in the process this one was forked from."""
        self._lock = threading.Lock()

    def log(self) -> SessionLog:
        """The log; may wait for the network.

        Raises:
            SessionLogError: When the server cannot be used now.
        """
        with self._lock:
            if self._log is None:
                self._log = SessionLog.connect(self._url, self._namespace)
            return self._log

    def close(self) -> None:
        """Close the connections, if they were opened here."""
        if self._url and self._lock.acquire(blocking=False):
            try:
                if self._log is not None:
                    self._log.close()
            finally:
                self._lock.release()
