"""What every server must do when content is erased; a part of `contract.LogContract`."""

from __future__ import annotations

from typing import Any

import pytest

from .. import chain, events
from ..codec import FIELDS, encode, parse, text_of
from ..errors import InvalidPointError, RevisionNotFoundError, SessionNotFoundError
from ..event_log import ANY, AgentAt
from ..event_log.chained_batch import Position, chain_batch
from ..events import Event, PayloadErased
from ..ids import EventId
from ..scripts import APPEND
from ..server import text
from ..session_log import SessionLog

SECRET = "correct-horse-battery-staple"


def _said(index: int, words: str = "hi", role: str = "user") -> Event:
    message = {"role": role, "content": [{"text": words}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, "default")


def _conversation(log: SessionLog) -> list[EventId]:
    """Four messages, the second of which holds the secret."""
    texts = ("hello", f"the password is {SECRET}", "thanks", "welcome")
    for index, said in enumerate(texts):
        log.append("s", _said(index, said, "assistant" if index % 2 else "user"))
    return [one.id for one in log.read("s")]


def _stored(log: SessionLog) -> str:
    """Everything the session's stream, head and feed hold."""
    keys = log._events.keyspace.session("s")
    commands = (("XRANGE", keys.events, "-", "+"), ("HGETALL", keys.head), ("XRANGE", keys.feed, "-", "+"))
    return str([_plain(log.client.execute_command(*command)) for command in commands])


def _plain(reply: Any) -> Any:
    """The same with bodies that were compressed as what they say."""
    if isinstance(reply, dict):
        return {name: _plain(value) for name, value in reply.items()}
    if isinstance(reply, (list, tuple)):
        return [_plain(one) for one in reply]
    return text_of(reply) if isinstance(reply, bytes) else reply


class ErasureContract:
    """Erasing: the content is gone, all else stands, the chain still verifies."""

    def test_erased_content_is_gone_and_the_chain_still_verifies(self, log: SessionLog) -> None:
        """Its salt is gone too, so it cannot be guessed from its commitment."""
        ids = _conversation(log)
        assert SECRET in _stored(log)
        log.erase("s", ids[1], reason="a password")
        assert SECRET not in _stored(log)
        assert log.verify("s").ok
        entry = next(fields for id_, fields in log._events.entries("s") if text(id_) == str(ids[1]))
        assert [text(name).encode() for name in entry] == list(FIELDS)
        assert parse(str(ids[1]), entry).salt == ""

    def test_all_else_stays_as_it_was(self, log: SessionLog) -> None:
        """Ids, links and envelopes of every event, and the data of every other."""
        ids = _conversation(log)
        before = list(log.read("s"))
        log.erase("s", ids[1], reason="a password")
        after = list(log.read("s"))[:4]
        assert [(one.id, one.link, one.event.event_id, one.event.time) for one in after] == [
            (one.id, one.link, one.event.event_id, one.event.time) for one in before
        ]
        assert [one.event for one in after if one.id != ids[1]] == [one.event for one in before if one.id != ids[1]]
        assert [one.id for one in after if one.event.is_erased] == [ids[1]]

    def test_the_log_tells_what_was_erased_and_why(self, log: SessionLog) -> None:
        """In an event, in the head, and in the feed for those who keep copies."""
        ids = _conversation(log)
        recorded = log.erase("s", [ids[1], ids[2]], reason="a password")
        last = list(log.read("s"))[-1]
        assert last.id == recorded
        assert last.event.data == {"erased": [str(ids[1]), str(ids[2])], "reason": "a password"}
        keys = log._events.keyspace.session("s")
        assert log.client.execute_command("HGET", keys.head, "erased") in (b"2-3", "2-3")
        envelope = log.client.execute_command("XREVRANGE", keys.feed, "+", "-", "COUNT", 1)[0][1]
        assert '{"erased":"2-3"}' in str(envelope)

    def test_events_are_named_by_id_text_or_revision(self, log: SessionLog) -> None:
        """One or several, each as often as one likes."""
        ids = _conversation(log)
        log.erase("s", [1, str(ids[1]), ids[1]], reason="why")
        log.erase("s", 3, reason="why")
        log.erase("s", str(ids[3]), reason="why")
        assert [one.event.is_erased for one in log.read("s", types="message.*")] == [True] * 4
        head = log._events.keyspace.session("s").head
        assert log.client.execute_command("HGET", head, "erased") in (b"1-4", "1-4")

    def test_erasing_what_is_erased_changes_nothing(self, log: SessionLog) -> None:
        """It succeeds, and nothing is recorded."""
        ids = _conversation(log)
        log.erase("s", ids[1], reason="a password")
        before = _stored(log)
        assert log.erase("s", [ids[1], 2], reason="again") is None
        assert log.erase("s", [], reason="nothing") is None
        assert _stored(log) == before

    def test_what_does_not_exist_cannot_be_erased(self, log: SessionLog) -> None:
        """And nothing else that was named with it is."""
        with pytest.raises(SessionNotFoundError, match="'s'"):
            log.erase("s", 1, reason="why")
        ids = _conversation(log)
        unknown: list[Any] = [0, 9, EventId(ids[3].ms, 9), EventId(ids[3].ms + 1, 4)]
        for point in unknown:
            with pytest.raises(RevisionNotFoundError):
                log.erase("s", [ids[1], point], reason="why")
        with pytest.raises(InvalidPointError):
            log.erase("s", "-5m", reason="why")
        assert not any(one.event.is_erased for one in log.read("s"))

    def test_an_erased_message_keeps_its_place_in_the_conversation(self, log: SessionLog) -> None:
        """Also for those who look at an earlier point."""
        ids = _conversation(log)
        log.erase("s", ids[1], reason="a password")
        for at in (4, None):
            agent = log.state("s", at=at).agents["default"]
            assert [record.message_id for record in agent.messages] == [0, 1, 2, 3]
            assert [record.erased for record in agent.messages] == [False, True, False, False]
            assert agent.window[1] == {"role": "assistant", "content": [{"text": "[erased]"}]}

    def test_erased_records_count_as_if_they_had_not_been_written(self, log: SessionLog) -> None:
        """What stood before them stands again; nothing fails."""
        log.append("s", [events.SessionCreated({"session_id": "s"}), events.MultiAgentCreated({"node": 1}, "graph")])
        log.append("s", [events.AgentCreated({"state": {"n": number}}, "default") for number in range(2)])
        log.erase("s", [1, 2, 4], reason="why")
        state = log.state("s")
        assert (state.session, state.multi_agents, state.agents["default"].state) == (None, {}, {"n": 0})
        assert state.agents["default"].revision == 4
        assert log.erase("s", [3, 5], reason="the record of the first erasure, too") == list(log.read("s"))[-1].id
        assert log.state("s").agents["default"].record is None
        assert log.verify("s").ok

    def test_labels_go_with_the_event_that_attached_them(self, log: SessionLog) -> None:
        """Also for a log that knows them already, and from a snapshot."""
        log.append("s", events.SessionAnnotated({"team": "billing"}))
        log.append("s", events.SessionAnnotated({"team": SECRET, "customer": SECRET}))
        assert log.state("s").labels == {"team": SECRET, "customer": SECRET}
        log.erase("s", 2, reason="a customer's name")
        assert log.state("s").labels == {"team": "billing"}
        assert SECRET not in _stored(log)
        assert log.verify("s").ok

    def test_verification_notices_what_was_erased_without_a_record(self, log: SessionLog) -> None:
        """The server's administrator removes content the way an erasure does, behind the log's back."""
        ids = _conversation(log)
        log.erase("s", ids[0], reason="by the book")
        log.erase("s", 5, reason="the record of it, which still names what was erased")
        key = log._events.keyspace.session("s").events
        entries = list(log._events.entries("s"))
        log.client.execute_command("DEL", key)
        for id_, fields in entries:
            entry = {text(name): value for name, value in fields.items()}
            if text(id_) == str(ids[1]):
                commitment = chain.commitment(chain.from_text(entry["salt"]), entry["body"])
                entry |= {"salt": b"", "body": chain.to_text(commitment)}
            log.client.execute_command("XADD", key, id_, *(part for pair in entry.items() for part in pair))
        unexplained, of_head = log.verify("s").problems
        assert unexplained == f"event {ids[1]} (message.added) was erased, but nothing tells why"
        assert of_head.startswith("the session's head says erased '1-1,5-5'")

    def test_the_session_goes_on_after_an_erasure(self, log: SessionLog) -> None:
        """For writers who knew of it and for those who did not; indices stay taken, fences stay right."""
        other = SessionLog(log.client, log.namespace, allow_eviction=True)
        ids = _conversation(other)
        log.erase("s", ids[-1], reason="the last one")
        other.append("s", _said(4), expected=AgentAt("default", revision=4, next_message=4))
        log.append("s", _said(5))
        assert [one.event.type for one in log.read("s", after=4)] == [PayloadErased.TYPE, *["message.added"] * 2]
        assert log.verify("s").ok

    def test_a_batch_that_has_landed_is_still_recognised(self, log: SessionLog) -> None:
        """A driver may repeat an append after its content was erased."""
        keys = log._events.keyspace.session("s")
        call = chain_batch("s", [encode(_said(0, SECRET)), encode(_said(1))], ANY, Position())
        script_keys = keys.begin
        APPEND(log.client, script_keys, call.arguments)
        first = APPEND(log.client, script_keys, call.arguments)
        log.erase("s", 1, reason="why")
        assert APPEND(log.client, script_keys, call.arguments) == first
        assert SECRET not in _stored(log)
        assert len(list(log.read("s"))) == 3

    def test_what_is_derived_from_the_session_goes_with_it(self, log: SessionLog) -> None:
        """Snapshot and live deltas may hold what was erased."""
        ids = _conversation(log)
        keys = log._events.keyspace.session("s")
        log.client.execute_command("HSET", keys.snapshot, "state", SECRET)
        log.client.execute_command("XADD", keys.live, "*", "delta", SECRET)
        log.erase("s", ids[1], reason="a password")
        for key in (keys.snapshot, keys.live, keys.rewrite):
            assert log.client.execute_command("EXISTS", key) == 0
        assert log.client.execute_command("TTL", keys.events) == -1
