"""Runs of sessions as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from strands_session_log import CurrentRun, Delta, RunLease, SessionLog, SessionRuns, errors

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
