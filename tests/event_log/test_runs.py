"""The lease of a run: one at a time, renewed, lost, released, and told to stop."""

from __future__ import annotations

import pytest

from strands_session_log import CurrentRun, SessionLog, SessionRuns, errors, events
from support import wait_until


def test_a_second_run_does_not_begin_while_one_is_in_progress(session_log: SessionLog) -> None:
    runs = SessionRuns(session_log, "s")
    with runs.acquire("one"):
        with pytest.raises(errors.RunInProgressError, match="run 'one' of session 's'"):
            runs.acquire("two")
        assert runs.current() == CurrentRun("one", False)
    assert runs.current() is None
    runs.acquire("two").release()


def test_a_run_hears_that_it_is_to_stop_when_it_renews_its_lease(session_log: SessionLog) -> None:
    runs = SessionRuns(session_log, "s")
    assert not runs.stop()
    with runs.acquire("one") as lease:
        assert not lease.renew()
        assert not runs.stop("another")
        assert runs.stop("one")
        assert lease.renew()
        assert runs.current() == CurrentRun("one", True)
    with runs.acquire("two") as lease:
        assert not lease.renew()


def test_a_lease_that_ran_out_is_anybodys(session_log: SessionLog) -> None:
    runs = SessionRuns(session_log, "s")
    late = runs.acquire("one", seconds=0.05)
    wait_until(lambda: runs.current() is None, "the lease has run out")
    with runs.acquire("two"):
        with pytest.raises(errors.RunLeaseLostError):
            late.renew()
        late.release()
        assert runs.current() == CurrentRun("two", False)


def test_the_lease_goes_with_the_session(session_log: SessionLog) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    lease = SessionRuns(session_log, "s").acquire("one")
    session_log.delete("s")
    with pytest.raises(errors.RunLeaseLostError):
        lease.renew()


@pytest.mark.parametrize("run_id", ["", "a\n", 7])
def test_a_run_has_an_id_as_a_session_has(session_log: SessionLog, run_id: str) -> None:
    with pytest.raises(errors.InvalidIdError):
        SessionRuns(session_log, "s").acquire(run_id)
    # An empty one above all is not any.
    with pytest.raises(errors.InvalidIdError):
        SessionRuns(session_log, "s").stop(run_id)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lease_is_held_for_a_while(session_log: SessionLog, seconds: float) -> None:
    with pytest.raises(errors.InvalidSettingError, match="seconds"):
        SessionRuns(session_log, "s").acquire("one", seconds)
