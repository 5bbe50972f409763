"""Where a recorder writes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import check_log
from ..keys import DEFAULT_NAMESPACE, check_namespace
from ..server import parse_url
from ..session_log import SessionLog, check_is_of


class LazyLog:
    """A log, or the URL of one that is connected when it is first needed.

    Args:
        log: A log, or a URL as for `SessionLog.connect`.
        namespace: First part of every key, `strands` if left out; a log has its own.
        prepare: Told of the log once it is there.

    Raises:
        InvalidUrlError: When the text is no URL of a server.
        InvalidIdError: When the namespace cannot be one.
        ValueError: When the log is of another namespace.
    """

    def __init__(
        self, log: SessionLog | str, namespace: str | None, prepare: Callable[[SessionLog], object] = lambda log: None
    ) -> None:
        self._url, self._log, self._prepare = "", None if isinstance(log, str) else log, prepare
        self._namespace = DEFAULT_NAMESPACE if namespace is None else namespace
        self.begin()
        if isinstance(log, str):
            parse_url(log)
            check_namespace(self._namespace)
            self._url = log
        else:
            check_log(log)
            check_is_of(log, namespace)
            prepare(log)

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
                self._prepare(self._log)
            return self._log

    def close(self) -> None:
        """Close the connections, if they were opened here."""
        if self._url and self._lock.acquire(blocking=False):
            try:
                if self._log is not None:
                    self._log.close()
            finally:
                self._lock.release()
