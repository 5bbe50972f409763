"""Runs of sessions, and forks with another text, as users type them; checked, not executed."""

from __future__ import annotations

from strands_session_log import (
    CurrentRun,
    Delta,
    EditedFork,
    EventId,
    RunLease,
    SessionLog,
    SessionRuns,
    errors,
    fork_edited,
)

log = SessionLog.connect("valkey://localhost")
runs = SessionRuns(log, "s-42")
try:
    lease: RunLease = runs.acquire("run-1", seconds=15)
    is_stopping: bool = lease.renew()
    lease.release()
    with runs.acquire(run_id="run-2") as other:
        run_id: str = other.run_id
except errors.RunInProgressError as busy:
    told: tuple[str, str] = busy.session_id, busy.run_id
except errors.RunLeaseLostError as lost:
    told = lost.session_id, lost.run_id
current: CurrentRun | None = runs.current()
if current:
    named: tuple[str, bool] = current.run_id, current.is_stopping
was_told: bool = runs.stop() or runs.stop("run-1")
for item in log.live("s-42", types=["custom.*", "agent.*"]):
    revision: int = item.revision if isinstance(item, Delta) else item.id.revision
try:
    fork: EditedFork = fork_edited(log, "s-42", 7, "s-43", message=7, text="And in Porto?", by="ada")
    both: tuple[EventId, EventId] = fork.id, fork.edited
except errors.MessageNotEditableError as refused:
    why: tuple[str, object, str] = refused.session_id, refused.point, refused.reason
