"""What every server must do for the log: subclass `LogContract`, give it a `log` fixture, and run pytest.

The suite is public so that whoever runs a server kind this project does not test can find out in a minute whether the
log's guarantees hold there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from .. import chain, events
from ..errors import (
    ConcurrentWriteError,
    EncodingError,
    InvalidPointError,
    LogForkedError,
    RevisionNotFoundError,
    SessionNotFoundError,
)
from ..event_log import NO_SESSION, AgentAt, SessionAt
from ..event_log.chained_batch import Position
from ..events import Event, Recorded
from ..ids import START, EventId
from ..scripts import APPEND
from ..session_log import SessionLog
from .erasure_contract import ErasureContract
from .history_contract import HistoryContract
from .listing_contract import ListingContract
from .once_contract import OnceContract
from .tail_contract import TailContract


def note(number: int = 0) -> Event:
    """An unfenced event to tell apart by its number."""
    return events.Custom("custom.note", {"number": number})


def said(index: int, text: str = "hi", agent: str = "default") -> Event:
    """A message of an agent."""
    message = {"role": "user", "content": [{"text": text}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, agent)


def types(recorded: Sequence[Recorded]) -> list[str]:
    """The types of events, in order."""
    return [one.event.type for one in recorded]


class AppendContract:
    """Appending: in order, all or nothing, fenced on request, exactly once."""

    def test_events_come_back_in_order_with_gapless_revisions(self, log: SessionLog) -> None:
        """The revision is the 1-based position; the time never goes backwards."""
        for number in range(5):
            log.append("s", note(number))
        recorded = list(log.read("s"))
        assert [one.event.data["number"] for one in recorded] == [0, 1, 2, 3, 4]
        assert [one.id.revision for one in recorded] == [1, 2, 3, 4, 5]
        assert [one.id for one in recorded] == sorted(one.id for one in recorded)

    def test_append_returns_the_id_of_the_last_event(self, log: SessionLog) -> None:
        """The id read back is the id returned."""
        last = log.append("s", [note(1), note(2)])
        assert last == list(log.read("s"))[-1].id

    def test_what_was_written_is_what_is_read(self, log: SessionLog) -> None:
        """Every envelope field survives."""
        event = events.Custom("custom.x", {"größe": [1, None, "ß\U0001f600"]}, "a:b{c}", trace="00-1-2-01")
        log.append("s", event)
        assert next(log.read("s")).event == event

    def test_a_batch_with_one_bad_event_leaves_nothing(self, log: SessionLog) -> None:
        """All or nothing, for a value that cannot be stored and for an index that is taken."""
        with pytest.raises(EncodingError):
            log.append("s", [note(), events.Custom("custom.x", {"bad": object()})])
        log.append("s", said(0))
        with pytest.raises(ConcurrentWriteError):
            log.append("s", [note(), said(1), said(0)])
        assert types(list(log.read("s"))) == ["message.added"]

    def test_a_message_index_is_taken_once(self, log: SessionLog) -> None:
        """Within a batch, across batches, for each agent of its own."""
        log.append("s", [said(0), said(1), said(0, agent="other")])
        with pytest.raises(ConcurrentWriteError) as refusal:
            log.append("s", said(1))
        assert refusal.value.actual == {"agent": "default", "message": 1}
        with pytest.raises(ConcurrentWriteError):
            log.append("s", [said(2), said(2)])

    def test_an_index_beyond_the_next_is_accepted_and_the_gap_can_be_filled(self, log: SessionLog) -> None:
        """Also below zero: the log judges only whether an index is taken."""
        for index in (5, 0, 3, 4, -2, 1, 2):
            log.append("s", said(index))
        for index in (-2, 0, 1, 2, 3, 4, 5):
            with pytest.raises(ConcurrentWriteError):
                log.append("s", said(index))
        assert [m.message_id for m in log.state("s").agents["default"].messages] == [-2, 0, 1, 2, 3, 4, 5]

    def test_a_fence_on_the_agent_refuses_a_writer_who_missed_a_move(self, log: SessionLog) -> None:
        """Notes, updates of old messages and other agents do not move it; messages and state do."""
        log.append("s", said(0), expected=AgentAt("default", revision=0, next_message=0))
        changed = events.MessageUpdated({"message": {}, "message_id": 0}, "default")
        log.append("s", [note(), changed, said(0, agent="other")])
        log.append("s", said(1), expected=AgentAt("default", revision=1, next_message=1))
        with pytest.raises(ConcurrentWriteError) as refusal:
            log.append("s", said(2), expected=AgentAt("default", revision=1))
        assert (refusal.value.expected, refusal.value.actual) == (
            {"agent": "default", "revision": 1},
            {"agent": "default", "revision": 5},
        )
        with pytest.raises(ConcurrentWriteError):
            log.append("s", said(7), expected=AgentAt("default", next_message=7))

    def test_a_fence_on_the_session_refuses_any_other_event(self, log: SessionLog) -> None:
        """Exact revision, or no session at all."""
        log.append("s", note(), expected=NO_SESSION)
        log.append("s", note(), expected=SessionAt(1))
        for expected in (NO_SESSION, SessionAt(1), SessionAt(9)):
            with pytest.raises(ConcurrentWriteError) as refusal:
                log.append("s", note(), expected=expected)
            assert refusal.value.actual == {"revision": 2}

    def test_a_writer_who_knows_nothing_of_the_others_lands_all_the_same(self, log: SessionLog) -> None:
        """The unfenced lane follows the head wherever it is."""
        other = SessionLog(log.client, log.namespace, allow_eviction=True)
        for number in range(6):
            (log, other)[number % 2].append("s", note(number))
        assert [one.event.data["number"] for one in other.read("s")] == list(range(6))
        assert log.verify("s").ok

    def test_repeating_a_call_word_for_word_stores_nothing_twice(self, log: SessionLog) -> None:
        """What a driver does after a time-out, also when others wrote meanwhile."""
        from ..codec import encode
        from ..event_log.chained_batch import chain_batch
        from ..event_log.expected import ANY

        keys = log._events.keyspace.session("s")
        call = chain_batch("s", [encode(note(1)), encode(said(0))], ANY, Position())
        script_keys = keys.begin
        APPEND(log.client, script_keys, call.arguments)
        first = APPEND(log.client, script_keys, call.arguments)
        log.append("s", note(2))
        assert APPEND(log.client, script_keys, call.arguments) == first
        assert [one.event.data.get("number") for one in log.read("s")] == [1, None, 2]

    def test_a_new_head_is_told_to_whoever_chained_onto_an_old_one(self, log: SessionLog) -> None:
        """A call for a position that has passed writes nothing."""
        log.append("s", note(1))
        log._events.remember("s", Position(START, ""))
        log.append("s", note(2))
        log._events.remember("s", Position(EventId(1, 7), chain.to_text(b"x" * 32).decode()))
        log.append("s", note(3))
        assert [one.event.data["number"] for one in log.read("s")] == [1, 2, 3]
        assert log.verify("s").ok


class ReadContract:
    """Reading, listing, deleting, proving."""

    def test_a_session_that_does_not_exist_has_no_events_and_no_state(self, log: SessionLog) -> None:
        """Reading is empty; whatever needs the session says that it is missing."""
        assert list(log.read("nobody")) == []
        for ask in (log.state, log.verify, log.delete):
            with pytest.raises(SessionNotFoundError, match="nobody"):
                ask("nobody")

    def test_reading_starts_after_and_ends_with_the_points_given(self, log: SessionLog) -> None:
        """As revisions, as event ids, as times."""
        for number in range(1, 6):
            log.append("s", note(number))
        recorded = list(log.read("s"))
        assert list(log.read("s", after=2, until=4)) == recorded[2:4]
        assert list(log.read("s", after=str(recorded[1].id), until=recorded[3].id)) == recorded[2:4]
        assert list(log.read("s", after="-1h", until="2999-01-01")) == recorded
        assert list(log.read("s", after="2999-01-01")) == []
        with pytest.raises(RevisionNotFoundError):
            list(log.read("s", until=6))

    def test_every_revision_is_found_by_bisection(self, log: SessionLog) -> None:
        """Many of them may share a millisecond."""
        for size in (1, 30, 1, 7, 1, 1):
            log.append("s", [note() for _ in range(size)])
        ids = [one.id for one in log.read("s")]
        assert [log.resolve("s", revision) for revision in range(1, len(ids) + 1)] == ids

    def test_reading_can_be_narrowed_to_types_and_an_agent(self, log: SessionLog) -> None:
        """A trailing `.*` takes a whole family."""
        log.append("s", [note(), said(0), said(0, agent="other"), events.AgentUpdated({}, "other")])
        assert types(list(log.read("s", types="message.*", agent="other"))) == ["message.added"]
        assert types(list(log.read("s", types=["agent.updated", "custom.*"]))) == ["custom.note", "agent.updated"]

    def test_reading_pages_through_any_number_of_events(self, log: SessionLog) -> None:
        """More than fit a page, with bodies of very different sizes."""
        for start in range(0, 1000, 100):
            log.append("s", [note(n) for n in range(start, start + 100)])
            log.append("s", events.Custom("custom.big", {"text": "x" * 100_000}))
        numbers = [one.event.data["number"] for one in log.read("s", types="custom.note")]
        assert numbers == list(range(1000))

    def test_the_state_at_a_point_is_the_fold_of_what_had_happened(self, log: SessionLog) -> None:
        """Later events do not show."""
        for index in range(4):
            log.append("s", said(index))
        assert [len(log.state("s", at=revision).agents["default"].messages) for revision in (1, 2, 3, 4)] == [
            1,
            2,
            3,
            4,
        ]

    def test_an_event_that_is_not_there_is_told_apart_from_a_session_that_is_not(self, log: SessionLog) -> None:
        """Whether its id is older or younger than the session, or has another event's time."""
        last = log.append("s", [note(), note()])
        for missing in (EventId(5, 12), EventId(last.ms + 1, 3), EventId(last.ms + 1, 2)):
            with pytest.raises(RevisionNotFoundError, match="has no event"):
                log.state("s", at=missing)
        assert log.state("s", at=last).revision == 2
        with pytest.raises(SessionNotFoundError):
            log.state("nobody", at=EventId(5, 12))

    def test_the_directory_lists_sessions_by_last_activity_and_pages(self, log: SessionLog) -> None:
        """A page ends where the next begins, also when many sessions share a millisecond."""
        names = [f"s{number:02}" for number in range(25)]
        for name in names:
            log.append(name, note())
        log.append("s03", note())
        everything = log.sessions(limit=100)
        assert {info.session_id for info in everything} == set(names)
        assert everything == sorted(everything, key=lambda info: (info.last_event_at, info.session_id), reverse=True)
        assert next(info for info in everything if info.session_id == "s03").revision == 2
        paged: list[Any] = []
        while page := log.sessions(limit=4, before=paged[-1] if paged else None):
            paged += page
        assert paged == everything

    def test_deleting_a_session_removes_all_its_keys_and_no_other(self, log: SessionLog) -> None:
        """The neighbour whose id begins the same keeps everything."""
        log.append("user1", [note(), said(0)])
        log.append("user10", [note(), said(0)])
        assert log.delete("user1") == 2
        assert [info.session_id for info in log.sessions()] == ["user10"]
        keys = log._events.keyspace.session("user1")
        for key in (keys.events, keys.head, keys.snapshot, keys.live, keys.rewrite):
            assert log.client.execute_command("EXISTS", key) == 0
        assert log.verify("user10").ok

    def test_a_deleted_session_can_begin_anew(self, log: SessionLog) -> None:
        """With a chain of its own."""
        log.append("s", [note(1), said(0)])
        log.delete("s")
        assert log.append("s", said(0)).revision == 1
        assert log.verify("s").ok

    def test_verification_names_the_event_that_was_changed(self, log: SessionLog) -> None:
        """The server's administrator rewrites one body; the rest still stands."""
        for number in range(4):
            log.append("s", note(number))
        key = log._events.keyspace.session("s").events
        entries = log.client.execute_command("XRANGE", key, "-", "+")
        log.client.execute_command("DEL", key)
        for position, (entry_id, fields) in enumerate(entries):
            pairs = [part for pair in fields.items() for part in pair]
            if position == 2:
                pairs[-1] = b'{"number":99}'
            log.client.execute_command("XADD", key, entry_id, *pairs)
        verification = log.verify("s")
        assert not verification.ok
        assert [problem for problem in verification.problems if "-3 " in problem] == list(verification.problems)

    def test_verification_notices_events_that_are_missing(self, log: SessionLog) -> None:
        """One taken from the middle, and one from the end."""
        for number in range(4):
            log.append("s", note(number))
        ids = [str(one.id) for one in log.read("s")]
        key = log._events.keyspace.session("s").events
        log.client.execute_command("XDEL", key, ids[1])
        assert "revision 2 is missing" in log.verify("s").problems[0]
        log.client.execute_command("XDEL", key, ids[3])
        assert any("stands at revision 4" in problem for problem in log.verify("s").problems)

    def test_a_hole_in_the_history_is_named_by_the_event_read_last(self, log: SessionLog) -> None:
        """However it is read; as an id, which has its time, too."""
        ids = [log.append("s", note(number)) for number in range(4)]
        log.client.execute_command("XDEL", log._events.keyspace.session("s").events, str(ids[2]))
        for read in (log.read, log.read_checked):
            with pytest.raises(LogForkedError) as caught:
                list(read("s", after=1))
            assert (caught.value.session_id, caught.value.position) == ("s", ids[1])
        log._events.snapshots.drop("s", False)
        with pytest.raises(LogForkedError) as caught:
            log.state("s")
        assert caught.value.position == ids[1]

    def test_an_event_is_read_by_its_revision_or_id(self, log: SessionLog) -> None:
        """A time is refused, and so is what the session does not have."""
        ids = [log.append("s", note(number)) for number in range(3)]
        assert [log.event("s", point).event.data["number"] for point in (1, ids[1], str(ids[2]))] == [0, 1, 2]
        for missing in (4, 0, EventId(ids[1].ms + 1, 2), EventId(ids[2].ms, 4)):
            with pytest.raises(RevisionNotFoundError):
                log.event("s", missing)
        with pytest.raises(InvalidPointError):
            log.event("s", "-5m")
        for point in (1, ids[0]):
            with pytest.raises(SessionNotFoundError):
                log.event("nobody", point)

    def test_the_head_of_a_session_is_its_last_event(self, log: SessionLog) -> None:
        """There is none of a session that is not there."""
        last = log.append("s", [note(), note()])
        assert log.head("s") == last
        with pytest.raises(SessionNotFoundError):
            log.head("nobody")

    def test_all_sessions_are_iterated_over_newest_first(self, log: SessionLog) -> None:
        """As `sessions` lists them, page by page."""
        for number in range(5):
            log.append(f"s-{number}", note())
        assert list(log.session_ids()) == [info.session_id for info in log.sessions()]

    def test_the_feed_names_every_event_once_and_tells_no_content(self, log: SessionLog) -> None:
        """Its sequence has no gaps, so lag is a subtraction."""
        for name in ("a", "b", "c"):
            log.append(name, [said(0, text="secret"), note()])
        ours: list[tuple[str, str]] = []
        for partition in range(log._events.keyspace.partitions):
            reply = log.client.execute_command("XRANGE", log._events.keyspace.feed(partition), "-", "+")
            entries = [(EventId.parse(entry_id), _decoded(fields)) for entry_id, fields in reply]
            assert [entry_id.revision for entry_id, _ in entries] == list(range(1, len(entries) + 1))
            assert all("secret" not in str(fields) for _, fields in entries)
            ours += [(fields["session"], fields["id"]) for _, fields in entries]
        expected = [(name, str(one.id)) for name in ("a", "b", "c") for one in log.read(name)]
        assert sorted(ours) == sorted(expected)


class LogContract(
    AppendContract, OnceContract, ReadContract, ListingContract, ErasureContract, HistoryContract, TailContract
):
    """Everything above; subclass this."""


def _decoded(fields: dict[Any, Any]) -> dict[str, str]:
    return {
        (name.decode() if isinstance(name, bytes) else name): (value.decode() if isinstance(value, bytes) else value)
        for name, value in fields.items()
    }
