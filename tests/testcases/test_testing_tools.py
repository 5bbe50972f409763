"""What `strands_session_log.testing` has for tests of consumers, of retention, and of readers of a log with a past."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from strands import Agent

from strands_session_log import (
    LocalKeys,
    RetentionPolicies,
    RetentionPolicy,
    SessionLog,
    Subscriber,
    ValkeySessionManager,
    errors,
    events,
)
from strands_session_log.testing import Clock, ScriptedModel, crash, write_history

SOON = 1.0


def note(log: SessionLog, *numbers: int, session: str = "s") -> None:
    for number in numbers:
        log.append(session, events.Custom("custom.note", {"number": number}))


def test_what_a_crashed_consumer_had_in_hand_is_anothers_as_its_next_attempt(log: SessionLog) -> None:
    note(log, 1, 2, 3)
    handled = list[int]()
    with Subscriber(log, "g", claim_after=SOON, bodies=True) as deliveries:
        for delivery in deliveries:
            assert delivery.event
            handled.append(delivery.event.data["number"])
            crash(deliveries)
    assert handled == [1], "the loop has ended, whatever was fetched"
    with Subscriber(log, "g", claim_after=SOON, bodies=True) as deliveries:
        found = [next(deliveries) for _ in range(3)]
        assert [(one.event and one.event.data["number"], one.attempts) for one in found] == [(1, 2), (2, 2), (3, 2)]
        assert deliveries.ack(found) == found


def test_acks_after_the_crash_count_for_nothing(log: SessionLog) -> None:
    note(log, 1)
    with Subscriber(log, "g", claim_after=SOON) as deliveries:
        delivery = next(deliveries)
        crash(deliveries)
        with pytest.raises(errors.SessionLogError, match="cut off"):
            delivery.ack(confirm=True)
    with Subscriber(log, "g", claim_after=SOON) as deliveries:
        assert next(deliveries).attempts == 2


def test_a_consumer_of_coroutines_crashes_as_well(log: SessionLog) -> None:
    note(log, 1, 2)

    async def main() -> list[int]:
        handled = list[int]()
        async with Subscriber(log, "g", claim_after=SOON) as deliveries:
            async for delivery in deliveries:
                handled.append(delivery.attempts)
                crash(deliveries)
        async with Subscriber(log, "g", claim_after=SOON) as deliveries:
            handled.append((await anext(aiter(deliveries))).attempts)
        return handled

    assert asyncio.run(main()) == [1, 2]


def test_what_is_written_by_a_clock_lies_at_its_times_and_verifies(log: SessionLog) -> None:
    began = datetime.now(timezone.utc)
    clock = Clock(log, ago="90d")
    with clock.writing() as past:
        agent = Agent(
            ScriptedModel("A jacket.", "A scarf."),
            session_manager=ValkeySessionManager("s", log=past),
            callback_handler=None,
        )
        agent("What should I pack?")
        clock.advance("2h")
        agent("And for the evening?")
        assert not log.sessions(), "it is brought over at the end"
    (session,) = log.sessions()
    assert timedelta(0) <= session.created_at - (began - timedelta(days=90)) < timedelta(minutes=5)
    assert timedelta(hours=2) <= session.last_event_at - session.created_at < timedelta(hours=2, minutes=5)
    assert log.verify("s").ok
    then = log.state("s", session.created_at + timedelta(hours=1)).agents["default"].messages
    assert [one.shown["content"][0]["text"] for one in then] == ["What should I pack?", "A jacket."]
    written = [datetime.fromisoformat(one.event.time) for one in log.read("s")]
    assert all(abs(one.id.time - at) < timedelta(minutes=5) for one, at in zip(log.read("s"), written, strict=True))


def test_an_agent_resumes_what_lies_in_the_past_and_retention_finds_it(log: SessionLog) -> None:
    clock = Clock(log, ago=timedelta(days=40))
    with clock.writing() as past:
        note(past, 1, session="old")
        clock.advance("39d")
        note(past, 1, session="new")
    policies = RetentionPolicies((RetentionPolicy("month", {}, timedelta(days=30)),))
    assert log.retention.apply(policies, dry_run=True).due == 1
    Agent(ScriptedModel("Yes."), session_manager=ValkeySessionManager("old", log=log), callback_handler=None)("There?")
    assert log.verify("old").ok
    assert log.retention.apply(policies, dry_run=True).due == 0


def test_erasures_and_rewinds_lie_in_the_past_with_what_they_name(log: SessionLog) -> None:
    clock = Clock(log, ago="10d")
    with clock.writing() as past:
        agent = Agent(
            ScriptedModel("One.", "Two."), session_manager=ValkeySessionManager("s", log=past), callback_handler=None
        )
        agent("1")
        first = past.head("s").revision
        clock.advance("1d")
        agent("2")
        past.rewind("s", first)
        past.erase("s", 4, "asked for")
    assert log.verify("s").ok
    assert [one.id.revision for one in log.read("s") if one.event.is_erased] == [4]
    (told,) = log.read("s", types="payload.erased")
    assert isinstance(told.event, events.PayloadErased)
    assert [log.event("s", one).id for one in told.event.erased] == [log.event("s", 4).id]


def test_a_clock_says_what_it_cannot_do(log: SessionLog, tmp_path: object) -> None:
    clock = Clock(log, ago="1h")
    with pytest.raises(errors.InvalidSettingError, match="let the clock begin earlier"):
        clock.advance("2h")
    with pytest.raises(errors.InvalidSettingError, match="fork it in the log itself"), clock.writing() as past:
        past.fork("s", past.append("s", events.Custom("custom.note", {})), "t")
    with pytest.raises(errors.InvalidSettingError, match="give one without encryption"):
        Clock(SessionLog(log.client, log.namespace, encryption=LocalKeys.new(f"{tmp_path}/keys")))
    for ago in ("25000d", "100y", "999999999d", timedelta.max):
        with pytest.raises(errors.InvalidSettingError, match="let it begin after 1970"):
            Clock(log, ago)
    assert not log.sessions()


def test_what_breaks_off_brings_nothing_over(log: SessionLog) -> None:
    with pytest.raises(errors.SessionNotFoundError), Clock(log).writing() as past:
        past.erase("s-9", past.append("s", events.Custom("custom.note", {})), "asked for")
    assert not log.sessions()


def test_one_session_that_is_there_already_keeps_all_of_them_out(log: SessionLog) -> None:
    note_of = events.Custom("custom.note", {})
    log.append("s-1", note_of)

    def write() -> None:
        with Clock(log).writing() as past:
            for session_id in ("s-0", "s-1", "s-2"):
                past.append(session_id, note_of)

    with pytest.raises(errors.SessionExistsError, match="s-1"):
        write()
    assert list(log.session_ids()) == ["s-1"]


def test_the_oldest_times_there_are_verify(log: SessionLog) -> None:
    with Clock(log, "55y").writing() as past:
        past.append("s", [events.Custom("custom.note", {}), events.Custom("custom.note", {})])
    assert log.verify("s").ok
    assert log.session("s").created_at.year < 1980


def test_a_log_with_history_has_of_everything_and_is_whole(log: SessionLog) -> None:
    written = write_history(log, 10, "30d", seed=7)
    assert {kind: len(ids) for kind, ids in written.items()} == dict.fromkeys(
        ("plain", "tools", "failed", "waiting", "redacted"), 2
    )
    assert all(audited.verification.ok for audited in log.verify_all(feed=True))
    newest, *_, oldest = log.sessions()
    assert timedelta(20) < newest.last_event_at - oldest.last_event_at < timedelta(30)
    assert log.state(written["waiting"][0]).interrupts
    assert "My card is" not in str(list(log.read(written["redacted"][0])))
    assert "tool.failed" in {one.event.type for one in log.read(written["failed"][0])}
    with Subscriber(log, "audit", start="beginning", types="message.added") as deliveries:
        assert next(deliveries).session_id in {name for ids in written.values() for name in ids}


def test_the_same_seed_writes_the_same_history(log: SessionLog, new_namespace: Callable[[], str]) -> None:
    def said(other: SessionLog) -> list[object]:
        write_history(other, 5, "2d", seed=3)
        read = (one for name in sorted(other.session_ids()) for one in other.read(name))
        return [(one.event.type, one.event.data.get("message", {}).get("content")) for one in read]

    with SessionLog(log.client, new_namespace()) as other:
        assert said(log) == said(other)
