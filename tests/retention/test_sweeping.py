"""Sessions whose time is over go, all of them at once, and leave a tombstone; others stay."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from strands_session_log import RetentionReport, RetentionStep, SessionLog, errors, events, instrumentation
from strands_session_log.event_log import retaining
from strands_session_log.session_log import retention
from support.aging import age, sessions
from support.erasing import exists, fill

WHO = {"by": "counsel", "reason": "matter 4711"}
TTL = timedelta(days=30)


@pytest.fixture
def years_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are as old as if they were written long ago: both clocks are ahead."""
    ahead = timedelta(days=3650) // timedelta(milliseconds=1)
    real = retention._clock
    monkeypatch.setattr(retention, "_clock", lambda log: real(log) + ahead)


def test_a_session_without_an_event_for_its_time_to_live_goes_and_leaves_a_tombstone(log: SessionLog) -> None:
    for name in ("old", "new", "forever"):
        fill(log, 2, name)
    due = log.retention.set_ttl("new", TTL)
    assert due is not None
    assert abs(due - datetime.now(timezone.utc) - TTL) < timedelta(minutes=1)
    log.retention.set_ttl("old", "30d")
    age(log, "old", timedelta(days=31))
    steps = list[RetentionStep]()
    report = log.retention.sweep(by="cron", told=steps.append)
    assert report == RetentionReport(1, 1, 0, 0, 0)
    assert [(one.session_id, one.outcome, one.why) for one in steps] == [
        ("old", "deleted", "no event for 30d, its time to live")
    ]
    (tombstone,) = log.tombstones()
    assert (tombstone.session_id, tombstone.by, tombstone.reason) == (
        "old",
        "cron",
        "no event for 30d, its time to live",
    )
    assert sessions(log) == {"new", "forever"}
    assert not any(exists(log, key) for key in log._events.keyspace.session("old")[:6])


def test_with_each_event_its_time_begins_anew(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    age(log, "s", timedelta(days=31))
    log.append("s", events.Custom("custom.note", {}))
    assert log.retention.sweep() == RetentionReport(1, 0, 0, 0, 0)
    # It is not looked at again before it is due.
    assert log.retention.sweep().looked_at == 0


def test_an_event_that_comes_after_a_sweep_has_looked_keeps_the_session(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    age(log, "s", timedelta(days=31))
    looked = log._events.retainer.ttl

    def look_and_append(session_id: str) -> Any:
        found = looked(session_id)
        log.append(session_id, events.Custom("custom.note", {}))
        return found

    monkeypatch.setattr(log._events.retainer, "ttl", look_and_append)
    assert log.retention.sweep() == RetentionReport(1, 0, 0, 0, 1)
    assert sessions(log) == {"s"}


@pytest.mark.usefixtures("years_later")
def test_a_clock_that_has_gone_astray_deletes_nothing(log: SessionLog) -> None:
    """The sweeping machine's is ten years ahead, the server's is not: the script has the last word."""
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    assert log.retention.sweep().deleted == 0
    assert sessions(log) == {"s"}


def test_a_dry_run_deletes_nothing(log: SessionLog) -> None:
    for name in ("a", "held"):
        fill(log, 1, name)
        log.retention.set_ttl(name, TTL)
        age(log, name, timedelta(days=31))
    log.retention.hold("held", **WHO)
    age(log, "held", timedelta(days=31))
    assert log.retention.sweep(dry_run=True) == RetentionReport(1, 0, 1, 0, 0)
    assert log.retention.prune(older_than="1s", dry_run=True) == RetentionReport(2, 0, 1, 1, 0)
    assert sessions(log) == {"a", "held"}


def test_a_time_to_live_can_be_taken_back(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    assert (log.retention.ttl("s"), log.session("s").ttl) == (TTL, TTL)
    assert log.retention.set_ttl("s", None) is None
    assert log.retention.ttl("s") is None
    assert list(log._events.retainer.due(2**50)) == []
    assert log.verify("s").ok
    for refused in (lambda: log.retention.ttl("nobody"), lambda: log.retention.set_ttl("nobody", TTL)):
        with pytest.raises(errors.SessionNotFoundError):
            refused()


@pytest.mark.parametrize("ttl", ["soon", "0d", "200y", timedelta(0), 5])
def test_a_time_to_live_that_is_none_is_refused(log: SessionLog, ttl: Any) -> None:
    fill(log, 1)
    with pytest.raises(errors.InvalidSettingError):
        log.retention.set_ttl("s", ttl)


def test_a_fork_has_the_time_to_live_of_its_parent(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    log.fork("s", None, "fork")
    assert log.retention.ttl("fork") == TTL
    assert log.verify("fork").ok
    age(log, "fork", timedelta(days=31))
    assert log.retention.sweep().deleted == 1
    assert sessions(log) == {"s"}


def test_a_deleted_session_leaves_no_time_to_live_to_the_next_of_its_id(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    log.delete("s")
    fill(log, 1)
    assert log.retention.ttl("s") is None
    assert log.verify("s").ok


def test_many_that_are_due_at_the_same_moment_all_go(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "_PAGE", 3)
    for number in range(40):
        fill(log, 1, f"s{number}")
        log.retention.set_ttl(f"s{number}", TTL)
        age(log, f"s{number}", timedelta(days=31))
    assert log.retention.sweep().deleted == 40
    assert sessions(log) == set()


def test_prune_takes_what_is_older_and_not_among_the_last(log: SessionLog) -> None:
    for days in range(6):
        fill(log, 1, f"s{days}")
        age(log, f"s{days}", timedelta(days=days, hours=1))
    steps = list[RetentionStep]()
    report = log.retention.prune(older_than="3d", keep_last=4, reason="spring", by="ada", told=steps.append)
    assert report.deleted == 2
    assert sessions(log) == {"s0", "s1", "s2", "s3"}
    assert {one.why for one in steps} == {"no event for 3d, not among the last 4: spring"}
    assert {one.by for one in log.tombstones()} == {"ada"}
    # Without an age, the number alone counts.
    assert log.retention.prune(keep_last=1).deleted == 3
    assert sessions(log) == {"s0"}


def test_prune_counts_the_last_of_those_that_labels_name_and_of_each_value(log: SessionLog) -> None:
    for number, (customer, env) in enumerate([("a", "test"), ("a", "test"), ("b", "test"), ("b", "live")]):
        log.append(f"s{number}", events.SessionAnnotated({"customer": customer, "env": env}))
        age(log, f"s{number}", timedelta(days=10 + number))
    report = log.retention.prune(older_than="1d", keep_last=1, labels={"env": "test"}, per="customer", dry_run=True)
    assert report.due == 1
    assert log.retention.prune(older_than="1d", keep_last=1, labels={"env": "test"}).deleted == 2
    assert sessions(log) == {"s0", "s3"}


def test_prune_wants_an_age_or_a_number(log: SessionLog) -> None:
    fill(log, 1)
    with pytest.raises(errors.InvalidSettingError):
        log.retention.prune()
    with pytest.raises(errors.InvalidSettingError):
        log.retention.prune(older_than="-1d")
    assert sessions(log) == {"s"}


def test_a_session_that_moves_while_it_is_pruned_stays(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that exempts it, say, which is an event."""
    fill(log, 1)
    age(log, "s", timedelta(days=10))
    listed = log._events.listing.sessions

    def list_and_annotate(*arguments: Any, **more: Any) -> Any:
        found = listed(*arguments, **more)
        if found:
            log.append("s", events.SessionAnnotated({"case": "4711"}))
        return found

    monkeypatch.setattr(log._events.listing, "sessions", list_and_annotate)
    assert log.retention.prune(older_than="1d") == RetentionReport(1, 0, 0, 0, 1)
    assert sessions(log) == {"s"}


def test_held_sessions_are_passed_over_and_told_of(log: SessionLog) -> None:
    told = list[Any]()
    instrumentation.add_hook(told.append)
    try:
        for name in ("a", "b"):
            fill(log, 1, name)
        log.retention.hold("b", **WHO)
        for name in ("a", "b"):
            age(log, name, timedelta(days=10))
        steps = list[RetentionStep]()
        assert log.retention.prune(older_than="1d", told=steps.append) == RetentionReport(2, 1, 0, 1, 0)
    finally:
        instrumentation.set_hooks(())
    assert {one.session_id: one.outcome for one in steps} == {"a": "deleted", "b": "held"}
    assert [one for one in told if isinstance(one, instrumentation.SessionsSwept)] == [
        instrumentation.SessionsSwept(1, 1)
    ]


def test_what_is_gone_is_listed_nowhere(log: SessionLog) -> None:
    for number in range(5):
        fill(log, 1, f"s{number}")
        log.retention.set_ttl(f"s{number}", TTL)
        age(log, f"s{number}", timedelta(days=40))
    log.retention.prune(older_than="1d", keep_last=2)
    log.retention.sweep()
    assert log.sessions() == []
    assert list(log.session_ids()) == []
    assert log.count_sessions("-9000d") == 0
    assert len(list(log.tombstones())) == 5
    assert all(found.verification.ok for found in log.verify_all())


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("HSET", "head", "ttl", "soon"), "which is no time"),
        (("ZREM", "due", "s"), "not listed among those that are to be deleted"),
        (("HDEL", "head", "ttl"), "has no time to live"),
        (("ZADD", "due", "99999999999999", "s"), "later than its time to live says"),
    ],
)
def test_a_time_to_live_that_was_changed_by_hand_is_found(
    log: SessionLog, command: tuple[str, ...], problem: str
) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    assert log.verify("s").ok
    name, key, *rest = command
    log.client.execute_command(name, getattr(log._events.keyspace.session("s"), key), *rest)
    assert any(problem in line for line in log.verify("s").problems)


def test_what_somebody_else_has_put_among_what_is_due_is_passed_over(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", TTL)
    keys = log._events.keyspace.session("s")
    log.client.execute_command("ZADD", keys.due, "-inf", b"\xff", 5, "nobody", "inf", "later")
    age(log, "s", timedelta(days=31))
    assert log.retention.sweep().deleted == 1
    log.client.execute_command("SET", keys.due, "junk")
    with pytest.raises(errors.CorruptKeyError, match="due"):
        log.retention.sweep()


def test_no_key_of_a_session_expires(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", timedelta(seconds=1))
    keys = log._events.keyspace.session("s")
    assert all(log.client.execute_command("PTTL", key) < 0 for key in keys)
