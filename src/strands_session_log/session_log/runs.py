"""Runs of a session: one at a time, whichever process has it, and a signal by which any process can stop it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from ..errors import NotCopied, RunInProgressError, RunLeaseLostError, check_log, check_seconds, refuse_unknown
from ..event_log.diagnosis import naming
from ..ids import check_id
from ..scripts.runs import RunAction, RunReply, change_run, run_held

if TYPE_CHECKING:
    from .log import SessionLog

_KEY = ("hash", "delete the key: who holds the lease loses it, and ends the run")
_LEAST = 0.001


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The run that is in progress.

    Attributes:
        run_id: Its id.
        is_stopping: Whether it was told to stop.
    """

    run_id: str
    is_stopping: bool


class SessionRuns(NotCopied):
    """Sees to it that a session has one run at a time, and lets any process stop it.

    A run is whatever takes its lease. It need not be written to the log, which is fenced by itself: the lease is there
    so that the second one does not begin, and that others see when a worker is no more.

    ```python
    with SessionRuns(log, "s-42").acquire("run-1") as lease:
        while work_is_left():
            if lease.renew():
                break  # somebody called SessionRuns(log, "s-42").stop()
    ```

    Args:
        log: The log.
        session_id: The session; it need not exist yet.

    Raises:
        InvalidIdError: When the session id cannot be one.
    """

    _INSTEAD = "make another one"

    @refuse_unknown
    def __init__(self, log: SessionLog, session_id: str) -> None:
        check_log(log)
        self._store, self.session_id = log._events.store, check_id("session_id", session_id)

    def acquire(self, run_id: str, seconds: float = 15.0) -> RunLease:
        """Begin a run.

        Args:
            run_id: Its id.
            seconds: After how long without `RunLease.renew` it counts as ended.

        Raises:
            InvalidIdError: When the run id cannot be one.
            InvalidSettingError: When the seconds are none.
            RunInProgressError: When another one is in progress.
        """
        check_seconds("seconds", seconds, _LEAST)
        token = uuid4().hex
        reply = self._change("acquire", check_id("run_id", run_id), token, seconds)
        if reply.outcome == "held":
            raise RunInProgressError(self.session_id, reply.run_id)
        return RunLease(self, run_id, token, seconds)

    def current(self) -> CurrentRun | None:
        """The run that is in progress; None if none is, or its worker was not heard of for too long."""
        with self._naming():
            held = run_held(self._store, self.session_id)
        return CurrentRun(held.run_id, held.is_stopping) if held.run_id else None

    def stop(self, run_id: str | None = None) -> bool:
        """Tell a run to stop; its worker sees that when it renews its lease.

        Args:
            run_id: Which one; any that is in progress if left out.

        Returns:
            Whether it is in progress.

        Raises:
            InvalidIdError: When the run id cannot be one.
        """
        named = "" if run_id is None else check_id("run_id", run_id)
        return self._change("stop", named, "", 0).outcome == "done"

    def _change(self, action: RunAction, run_id: str, token: str, seconds: float) -> RunReply:
        with self._naming():
            return change_run(self._store, self.session_id, action, run_id, token, max(1, int(seconds * 1000)))

    def _naming(self) -> AbstractContextManager[None]:
        return naming(self._store, {self._store.keyspace.session(self.session_id).run: _KEY})


class RunLease(NotCopied):
    """The lease of a run, made by `SessionRuns.acquire`; leaving its `with` block releases it.

    Attributes:
        run_id: The run.
    """

    _INSTEAD = "acquire another one"

    def __init__(self, runs: SessionRuns, run_id: str, token: str, seconds: float) -> None:
        """Made by `SessionRuns.acquire`."""
        self._runs, self._token, self._seconds = runs, token, seconds
        self.run_id = run_id

    def renew(self) -> bool:
        """Hold it for as long again.

        Returns:
            Whether the run is to stop.

        Raises:
            RunLeaseLostError: When it ran out, or the session was deleted.
        """
        reply = self._runs._change("renew", self.run_id, self._token, self._seconds)
        if reply.outcome == "lost":
            raise RunLeaseLostError(self._runs.session_id, self.run_id)
        return reply.is_stopping

    def release(self) -> None:
        """Let the next run begin; nothing if it is lost already."""
        self._runs._change("release", self.run_id, self._token, 0)

    def __enter__(self) -> RunLease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
