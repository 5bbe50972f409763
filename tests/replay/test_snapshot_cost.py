"""What a resume loads: about what the agents hold, whatever became of the session, and what saving that costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager, SlidingWindowConversationManager

from strands_session_log import SessionLog, SnapshotSettings, ValkeySessionManager, events
from strands_session_log.snapshot.blobs import decompress
from strands_session_log.snapshot.parts import FACTOR, GAP, held_spans
from strands_session_log.snapshot.segments import records_of
from strands_session_log.testing.model import ScriptedModel
from support.clients import client_of
from support.sampling import sampled

SMALL = SnapshotSettings(threshold=16, segment=64, points=4, spacing=64)


@pytest.fixture
def log(make_client: Callable[..., Any], namespace: str) -> Iterator[SessionLog]:
    with SessionLog(make_client(), namespace, snapshots=SMALL) as log:
        yield log
        log._replay.close()


def said(index: int, agent: str = "a") -> events.Event:
    message = {"role": "user", "content": [{"text": f"{index} {random.Random(index).randbytes(200).hex()}"}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, agent)


def removed(count: int, agent: str = "a") -> events.Event:
    return events.AgentUpdated({"conversation_manager_state": {"removed_message_count": count}}, agent)


def loaded(log: SessionLog, session: str = "s") -> tuple[int, int]:
    """How many messages and events a resume loads now, as it does at first."""
    assert log._replay.settle()
    found = log._events.snapshots.load(session, None)
    assert found is not None
    assert not found.more
    messages = sum(len(records_of(decompress(blob))) for blob in found.segments.values())
    return messages, len(found.entries) - (found.point is not None)


def most(log: SessionLog, session: str = "s") -> int:
    """How many of both it may load."""
    spans = [span for agent in log._replay.from_log(session).agents.values() for span in held_spans(agent)]
    held = sum(last - first for first, last in spans)
    return FACTOR * held + GAP * len(spans) + SMALL.threshold


def agent(log: SessionLog, manages: Any) -> Agent:
    model, manager = ScriptedModel("Hello."), ValkeySessionManager("s", log=log)
    return Agent(model=model, session_manager=manager, conversation_manager=manages, callback_handler=None)


class TestWhatAResumeLoads:
    def test_a_window_opened_on_a_long_session_costs_what_it_holds_after_one_turn(self, log: SessionLog) -> None:
        agent(log, NullConversationManager())("Hi.")
        log.append("s", [said(index, "default") for index in range(2, 900)])
        log.state("s")
        assert loaded(log)[0] == 900
        with pytest.warns(UserWarning, match="was managed by"):
            agent(log, SlidingWindowConversationManager(window_size=10))("Hi.")
        messages, following = loaded(log)
        assert messages <= FACTOR * 10
        assert following < SMALL.threshold

    def test_what_shrinks_while_a_snapshot_is_being_saved_is_noticed(self, log: SessionLog) -> None:
        for index in range(200):
            log.append("s", said(index))
        for index in range(200, 216):
            log.append("s", [said(index), removed(index - 3)])
        assert loaded(log)[0] <= FACTOR * 4 + SMALL.threshold

    def test_a_window_that_lies_scattered_is_saved_once_and_not_looked_at_for_ever(self, log: SessionLog) -> None:
        log.append("s", [said(index) for index in range(600)])
        log.append("s", [said(600)])
        every_sixth = [[index, index] for index in range(0, 600, 6)]
        log.append("s", [events.WindowChanged({"items": every_sixth, "removed": 0, "next": 601}, "a")])
        assert log._replay.settle(10)
        log.append("s", [said(index) for index in range(601, 601 + SMALL.threshold)])
        assert log._replay.settle(10)
        saved = log._replay.saved_bytes
        for index in range(620, 624):
            log.append("s", [said(index)])
            log.state("s")
            assert log._replay.settle(10)
        assert log._replay.saved_bytes == saved

    def test_a_rewind_to_what_was_dropped_long_ago_reads_the_log_only_once(self, log: SessionLog) -> None:
        for index in range(100):
            log.append("s", [said(index), removed(max(0, index - 3))])
        log.rewind("s", 40)
        loaded(log)
        again = log._replay._refresh("s")
        assert again is not None
        assert again.state.agents["a"].window[-1] == said(19).data["message"]
        assert not again.cost(SMALL).has_absent

    @pytest.mark.parametrize("seed", sampled(range(6), 3))
    def test_it_is_at_most_about_twice_what_is_held_whatever_happened(self, log: SessionLog, seed: int) -> None:
        rnd, count, session = random.Random(seed), 0, "s"
        log.append("s", [removed(0), removed(0, "b")])
        for turn in range(40):
            more = rnd.choice([1, 2, 2, 5, 90])
            log.append(session, [said(index) for index in range(count, count + more)])
            count += more
            match rnd.randrange(8):
                case 0:
                    log.append(session, removed(max(0, count - rnd.choice([2, 10, 40]))))
                case 1:
                    first = rnd.randrange(count)
                    items = [[0, rnd.randrange(3)], [first, min(count - 1, first + rnd.randrange(20))]]
                    log.append(session, events.WindowChanged({"items": items, "removed": 0, "next": count}, "a"))
                case 2:
                    log.rewind(session, rnd.randrange(2, 3 + count), allow_unanswered=True)
                case 3:
                    log.fork(session, None, f"fork {turn}", allow_unanswered=True)
                    session = f"fork {turn}"
                case 4:
                    erase_something(log, session, rnd)
                case 5:
                    log.append(session, said(count, "b"))
            log.append(session, [said(count), removed(log._replay.from_log(session).agents["a"].removed)])
            count += 1
            assert sum(loaded(log, session)) <= most(log, session), (seed, turn)
        assert log.state(session) == log._replay.from_log(session)
        assert log.verify(session).ok


def erase_something(log: SessionLog, session: str, rnd: random.Random) -> None:
    """Something of it, unless that was said by nobody any more."""
    found = [one.id for one in log.read(session, types=["message.added"]) if not one.event.is_erased]
    if found:
        log.erase(session, rnd.choice(found), "test")


def sent(log: SessionLog) -> int:
    """How many bytes the server has sent so far."""
    found: int = client_of(log).info("stats")["total_net_output_bytes"]
    return found


def calls(log: SessionLog) -> int:
    """How many scripts that only read were called so far: of those that write none loads anything."""
    found: int = client_of(log).info("commandstats").get("cmdstat_evalsha_ro", {}).get("calls", 0)
    return found


class TestWhatSavingCosts:
    def test_a_writer_does_not_download_what_is_stored(self, log: SessionLog) -> None:
        log.append("s", [said(index) for index in range(960)])
        log.state("s")
        assert loaded(log)[0] == 960
        stored = client_of(log).memory_usage(log._events.keyspace.session("s").snapshot)
        before = sent(log)
        for index in range(960, 960 + 2 * SMALL.threshold):
            log.append("s", said(index))
        assert log._replay.settle()
        assert sent(log) - before < stored / 2
        messages, following = loaded(log)
        assert messages > 960
        assert following < SMALL.threshold

    def test_a_window_that_slides_is_looked_at_no_more_often_than_events_are_saved(self, log: SessionLog) -> None:
        before = calls(log)
        for index in range(160):
            log.append("s", [said(index), removed(max(0, index - 7))])
            assert log._replay.settle()
        assert calls(log) - before <= 320 // SMALL.threshold
