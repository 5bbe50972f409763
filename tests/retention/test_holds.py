"""A held session: nothing of it goes, whoever asks, until it is released."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from strands import Agent

from strands_session_log import LegalHold, SessionLog, ValkeySessionManager, errors, events
from strands_session_log.event_log import eraser
from strands_session_log.ids import EventId
from strands_session_log.lifecycle.erasing import erase_original
from strands_session_log.testing.model import ScriptedModel
from support.erasing import SECRET, erased, exists, fill

WHO = {"by": "counsel", "reason": "matter 4711"}


def held_by(log: SessionLog, session_id: str = "s") -> list[EventId]:
    return [one.id for one in log.retention.holds(session_id) if one.id]


def test_a_held_session_is_neither_deleted_nor_erased_and_the_error_names_the_hold(log: SessionLog) -> None:
    fill(log, 3)
    hold = log.retention.hold("s", **WHO)
    before = [one.event.data for one in log.read("s")]
    for refused in (lambda: log.delete("s"), lambda: log.erase("s", 2, "asked to")):
        with pytest.raises(errors.SessionHeldError) as caught:
            refused()
        assert (caught.value.session_id, caught.value.holds) == ("s", (hold,))
    assert [one.event.data for one in log.read("s")] == before
    assert log.verify("s").ok


def test_once_released_it_is_a_session_like_any_other(log: SessionLog) -> None:
    fill(log, 3)
    log.retention.hold("s", **WHO)
    log.retention.release("s", by="counsel", reason="closed")
    assert log.erase("s", 2, "asked to") is not None
    assert log.verify("s").ok
    assert log.delete("s") == 6


def test_two_holds_end_each_for_itself(log: SessionLog) -> None:
    fill(log, 1)
    first, second = log.retention.hold("s", **WHO), log.retention.hold("s", by="ada", reason="another matter")
    assert [(one.id, one.by, one.reason) for one in log.retention.holds()] == [
        (first, "counsel", "matter 4711"),
        (second, "ada", "another matter"),
    ]
    log.retention.release("s", by="counsel", reason="closed", holds=[first])
    assert held_by(log) == [second]
    with pytest.raises(errors.SessionHeldError):
        log.delete("s")
    with pytest.raises(errors.SessionNotHeldError) as caught:
        log.retention.release("s", by="counsel", reason="closed", holds=[first])
    assert caught.value.holds == (second,)
    log.retention.release("s", by="ada", reason="closed")
    assert list(log.retention.holds()) == held_by(log) == []
    assert log.verify("s").ok


def test_what_is_not_held_cannot_be_released_and_what_is_not_there_not_held(log: SessionLog) -> None:
    fill(log, 1)
    with pytest.raises(errors.SessionNotHeldError):
        log.retention.release("s", **WHO)
    for refused in (log.retention.hold, log.retention.release):
        with pytest.raises(errors.SessionNotFoundError):
            refused("nobody", **WHO)
    assert not exists(log, log._events.keyspace.session("nobody").events)


@pytest.mark.parametrize("said", [{"by": "", "reason": "why"}, {"by": "who", "reason": " "}])
def test_who_holds_says_who_and_why(log: SessionLog, said: dict[str, str]) -> None:
    fill(log, 1)
    with pytest.raises(errors.InvalidSettingError):
        log.retention.hold("s", **said)
    assert held_by(log) == []


def test_only_a_hold_writes_the_events_of_one(log: SessionLog) -> None:
    """A session with the event and without the hold would look held, and not be."""
    for event in (events.SessionHeld({"by": "me"}), events.SessionReleased({"holds": []})):
        with pytest.raises(errors.EncodingError, match=r"log\.retention"):
            log.append("s", event)


def test_lists_tell_which_sessions_are_held(log: SessionLog) -> None:
    fill(log, 1)
    fill(log, 1, "other")
    log.retention.hold("s", **WHO)
    assert {info.session_id: info.held for info in log.sessions()} == {"s": True, "other": False}
    assert log.session("s").to_json()["held"] is True
    (hold,) = log.retention.holds()
    assert hold == LegalHold("s", hold.id, hold.since, "counsel", "matter 4711")
    assert hold.id is not None
    assert hold.since == hold.id.time


def test_a_fork_of_a_held_session_is_not_held(log: SessionLog) -> None:
    fill(log, 2)
    log.retention.hold("s", **WHO)
    log.fork("s", None, "fork")
    assert held_by(log, "fork") == []
    assert log.verify("fork").ok
    assert log.erase("fork", 1, "asked to") is not None
    assert log.delete("fork") == 5
    assert log.verify("s").ok


def test_an_erasure_that_reaches_a_held_fork_is_refused_before_anything_is_erased(log: SessionLog) -> None:
    fill(log, 3)
    for name in ("held", "free"):
        log.fork("s", None, name)
    log.retention.hold("held", **WHO)
    planned = log.plan_erasure("s", 2)
    assert sorted(planned.erased) == ["free", "s"]
    assert [id_.revision for id_ in planned.held["held"]] == [2]
    before = log.head("s")
    with pytest.raises(errors.SessionHeldError) as caught:
        log.erase("s", 2, "asked to")
    assert caught.value.session_id == "held"
    assert (log.head("s"), erased(log)) == (before, [])


def test_told_to_it_leaves_the_held_fork_and_goes_on_to_forks_of_that(log: SessionLog) -> None:
    fill(log, 3)
    log.fork("s", None, "held")
    log.fork("held", None, "further")
    log.retention.hold("held", **WHO)
    log.erase("s", 2, "asked to", leave_held=True)
    gone = {name: log.event(name, 2).event.is_erased for name in ("s", "held", "further")}
    assert gone == {"s": True, "held": False, "further": True}
    log.retention.release("held", **WHO)
    log.erase("s", 2, "asked to")
    assert log.event("held", 2).event.is_erased
    assert all(log.verify(name).ok for name in gone)


def test_a_hold_that_comes_while_content_is_erased_ends_that(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eraser, "STEP_ENTRIES", 10)
    fill(log, 100)
    steps: list[int] = []

    def hold_after_a_step(done: int, total: int) -> None:
        if not steps:
            log.retention.hold("s", **WHO)
        steps.append(done)

    with pytest.raises(errors.SessionHeldError):
        log.erase("s", 5, "asked to", hold_after_a_step)
    assert steps
    assert erased(log) == []
    assert log.verify("s").ok


def test_of_a_hold_and_a_deletion_at_once_one_wins(log: SessionLog) -> None:
    for attempt in range(20):
        session_id, barrier, ends = f"s{attempt}", Barrier(2), list[str]()
        fill(log, 1, session_id)

        def hold(session_id: str = session_id, barrier: Barrier = barrier, ends: list[str] = ends) -> None:
            barrier.wait()
            try:
                log.retention.hold(session_id, **WHO)
                ends.append("held")
            except errors.SessionLogError as error:
                ends.append(type(error).__name__)

        def delete(session_id: str = session_id, barrier: Barrier = barrier, ends: list[str] = ends) -> None:
            barrier.wait()
            try:
                log.delete(session_id)
                ends.append("deleted")
            except errors.SessionLogError as error:
                ends.append(type(error).__name__)

        threads = [Thread(target=one) for one in (hold, delete)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(ends) in (["SessionHeldError", "held"], ["SessionNotFoundError", "deleted"])
        assert len(held_by(log, session_id)) == ends.count("held")


def test_a_hold_that_is_sent_twice_is_one(log: SessionLog) -> None:
    """As when the reply to it was lost; also where it was released in between."""
    fill(log, 1)
    retainer, sent = log._events.retainer, list[tuple[object, ...]]()
    run = log._events.store.run_and_wait

    def keep(*call: object) -> object:
        sent.append(call)
        return run(*call)  # type: ignore[arg-type]

    retainer._store.run_and_wait = keep  # type: ignore[method-assign, assignment]
    hold = log.retention.hold("s", **WHO)
    run(*sent[0])  # type: ignore[arg-type]
    assert held_by(log) == [hold]
    log.retention.release("s", **WHO)
    run(*sent[0])  # type: ignore[arg-type]
    assert held_by(log) == []
    assert log.head("s").revision == 3
    assert log.verify("s").ok


def test_a_redaction_counts_in_a_held_session_and_its_original_stays_until_it_is_released(
    session_log: SessionLog,
) -> None:
    def agent() -> Agent:
        model = ScriptedModel(["Noted."])
        return Agent(model=model, session_manager=ValkeySessionManager("s", log=session_log), callback_handler=None)

    live = agent()
    live(f"My password is {SECRET}.")
    session_log.retention.hold("s", **WHO)
    manager = ValkeySessionManager("s", log=session_log)
    said = manager.list_messages("s", "default")[0]
    said.redact_message = {"role": "user", "content": [{"text": "[redacted]"}]}
    manager.update_message("s", "default", said)
    assert SECRET not in str(agent().messages)
    assert SECRET in str([one.event.data for one in session_log.read("s")])
    assert session_log.verify("s").ok
    session_log.retention.release("s", **WHO)
    agent()
    assert SECRET not in str([one.event.data for one in session_log.read("s")])
    assert session_log.verify("s").ok


def test_erasing_an_original_in_a_held_session_reads_none_of_it(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(session_log, 3)
    session_log.retention.hold("s", **WHO)
    with monkeypatch.context() as patched:
        patched.setattr(session_log._events, "read", None)
        erase_original(session_log._events, "s", "default", 0)
    assert erased(session_log) == []


def test_a_tombstone_is_not_reduced_while_a_session_of_its_id_is_held(log: SessionLog) -> None:
    fill(log, 1)
    log.delete("s", by="ada")
    fill(log, 1)
    log.retention.hold("s", **WHO)
    with pytest.raises(errors.SessionHeldError):
        log.reduce_tombstone("s")
    assert next(log.tombstones("s")).by == "ada"
    log.retention.release("s", **WHO)
    assert log.reduce_tombstone("s") == 1


def test_a_held_session_whose_head_is_lost_is_not_deleted(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.hold("s", **WHO)
    log.client.execute_command("DEL", log._events.keyspace.session("s").head)
    with pytest.raises(errors.SessionHeldError):
        log.delete("s")
    (hold,) = log.retention.holds()
    assert (hold.session_id, hold.id) == ("s", None)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("HDEL", "head", "held"), "held"),
        (("HSET", "head", "held", "1700000000000-1"), "held"),
        (("ZREM", "holds", "s"), "not listed among those that are since then"),
        (("ZADD", "due", "5", "s"), "to be deleted at 5 ms, though it is held"),
    ],
)
def test_who_ends_a_hold_by_hand_is_found(log: SessionLog, command: tuple[str, ...], problem: str) -> None:
    fill(log, 2)
    log.retention.hold("s", **WHO)
    assert log.verify("s").ok
    name, key, *rest = command
    log.client.execute_command(name, getattr(log._events.keyspace.session("s"), key), *rest)
    assert any(problem in line for line in log.verify("s").problems)


def test_an_erased_release_still_ends_the_hold(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.hold("s", **WHO)
    released = log.retention.release("s", **WHO)
    log.erase("s", [2, released], "names a person")
    assert log.verify("s").ok
    assert "counsel" not in str([one.event.data for one in log.read("s")])


def test_agents_go_on_with_a_held_session(session_log: SessionLog) -> None:
    agent = Agent(
        model=ScriptedModel(["One.", "Two."]),
        session_manager=ValkeySessionManager("s", log=session_log),
        callback_handler=None,
    )
    agent("First?")
    session_log.retention.hold("s", **WHO)
    agent("Second?")
    assert len(session_log.state("s").agents["default"].messages) == 4
    assert session_log.verify("s").ok


def test_a_held_session_is_not_swept_and_is_again_once_released(log: SessionLog) -> None:
    fill(log, 1)
    log.retention.set_ttl("s", timedelta(seconds=1))
    log.retention.hold("s", **WHO)
    assert log.retention.set_ttl("s", timedelta(seconds=1)) is None
    assert log.retention.sweep().deleted == 0
    log.retention.release("s", **WHO)
    due = log.retention.set_ttl("s", timedelta(seconds=1))
    assert due is not None
    assert due.timestamp() - time.time() < 2


def test_a_bundle_brings_a_session_back_held_and_about_whom_it_was(
    server_url: str, namespace: str, new_namespace: Callable[[], str]
) -> None:
    with (
        SessionLog.connect(server_url, namespace, subject_key=b"k" * 32) as log,
        SessionLog.connect(server_url, new_namespace(), subject_key=b"k" * 32) as other,
    ):
        fill(log, 2)
        log.subjects.annotate("s", "user-77")
        hold = log.retention.hold("s", **WHO)
        bundle = io.BytesIO()
        log.export(["s"], bundle)
        bundle.seek(0)
        other.import_(bundle)
        assert held_by(other) == [hold]
        with pytest.raises(errors.SessionHeldError):
            other.delete("s")
        assert [place.name for place in other.subjects.find("user-77")] == ["s"]
        assert other.verify("s").ok
        other.retention.release("s", **WHO)
        other.delete("s")
