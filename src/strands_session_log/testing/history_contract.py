"""The part of the contract that is about comparing, forking and rewinding, see `contract.LogContract`."""

from __future__ import annotations

import pytest

from .. import events
from ..errors import (
    ConcurrentWriteError,
    RevisionNotFoundError,
    SessionExistsError,
    SessionNotFoundError,
    UnansweredToolCallsError,
)
from ..event_log import AgentAt
from ..events import Event
from ..ids import EventId
from ..session_log import SessionLog

FORKS = ("fork", "another", "a-third", "fourth")
"""In a cluster, not all of them are where the parent is."""


def _said(index: int, words: str = "hi", agent: str = "default") -> Event:
    message = {"role": "assistant" if index % 2 else "user", "content": [{"text": words}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, agent)


def _conversation(log: SessionLog, session_id: str = "s") -> list[EventId]:
    """Four messages and a change of the agent's state between any two of them."""
    log.append(session_id, events.SessionCreated({"session_id": session_id}))
    for index in range(4):
        state = {"agent_id": "default", "state": {"turn": index}}
        log.append(session_id, [events.AgentUpdated(state, "default"), _said(index, f"message {index}")])
    return [one.id for one in log.read(session_id)]


class HistoryContract:
    """Comparing, forking, rewinding: from any event, and nothing is lost or mixed up."""

    def test_two_points_differ_in_what_happened_between_them(self, log: SessionLog) -> None:
        """In either direction, named in any way."""
        ids = _conversation(log)
        agent = log.diff("s", 3, str(ids[6])).agents["default"]
        assert [change.index for change in agent.added] == [1, 2]
        assert [(change.path, change.before, change.after) for change in agent.state] == [(("turn",), 0, 2)]
        assert [change.index for change in log.diff("s", 7, 3).agents["default"].removed] == [1, 2]
        assert log.diff("s", ids[8]).is_empty
        with pytest.raises(RevisionNotFoundError):
            log.diff("s", 1, 99)

    def test_labels_are_those_of_each_point_whatever_becomes_of_the_agents(self, log: SessionLog) -> None:
        """A fork has those there were; a rewind takes none back."""
        _conversation(log)
        log.append("s", events.SessionAnnotated({"ticket": 42, "team": "billing"}))
        log.append("s", events.SessionAnnotated({"team": None, "rating": {"stars": 5}}))
        assert [log.state("s", at).labels for at in (9, 10)] == [{}, {"ticket": 42, "team": "billing"}]
        assert log.state("s").labels == {"ticket": 42, "rating": {"stars": 5}}
        log.fork("s", 10, "fork")
        assert log.state("fork").labels == {"ticket": 42, "team": "billing"}
        assert not log.rewind("s", 5, dry_run=True).labels
        log.rewind("s", 5)
        assert log.state("s").labels == {"ticket": 42, "rating": {"stars": 5}}
        assert {change.path[0]: change.kind for change in log.diff("s", 10).labels} == {
            "team": "removed",
            "rating": "added",
        }

    def test_a_fork_has_what_the_session_had_and_goes_its_own_way(self, log: SessionLog) -> None:
        """Wherever it is kept; the session does not notice."""
        _conversation(log)
        before = list(log.read("s"))
        for into in FORKS:
            made = log.fork("s", 5, into)
            assert made.revision == 6
            *copied, forked = log.read(into)
            assert (copied, forked.id, forked.event.type) == (before[:5], made, "session.forked")
            log.append(into, _said(2, "another way"), expected=AgentAt("default", before[4].id, next_message=2))
            assert log.verify(into).ok
            assert (log.state(into).session or {})["session_id"] == into
        assert list(log.read("s")) == before
        assert log.verify("s").ok

    def test_a_fork_keeps_indices_and_fences(self, log: SessionLog) -> None:
        """Its head is as if everything had been said in it."""
        _conversation(log)
        log.fork("s", None, "fork")
        with pytest.raises(ConcurrentWriteError):
            log.append("fork", _said(3))
        with pytest.raises(ConcurrentWriteError):
            log.append("fork", _said(4), expected=AgentAt("default", revision=7))
        log.append("fork", _said(4), expected=AgentAt("default", revision=9, next_message=4))

    def test_a_fork_takes_no_place_that_is_taken(self, log: SessionLog) -> None:
        """And needs something to be made of."""
        _conversation(log)
        log.append("taken", events.Custom("custom.note", {}))
        for into in ("taken", "s"):
            with pytest.raises(SessionExistsError):
                log.fork("s", 3, into)
        with pytest.raises(SessionNotFoundError):
            log.fork("nobody", None, "fork")
        with pytest.raises(RevisionNotFoundError):
            log.fork("s", 99, "fork")
        assert sorted(info.session_id for info in log.sessions()) == ["s", "taken"]

    def test_what_is_erased_is_erased_in_every_fork_that_has_it(self, log: SessionLog) -> None:
        """Also in forks of forks; not the other way round."""
        _conversation(log)
        log.fork("s", 5, "fork")
        log.fork("fork", None, "another")
        log.fork("s", 2, "a-third")
        log.erase("s", 3, reason="a password")
        for name, erased in (("s", [3]), ("fork", [3]), ("another", [3]), ("a-third", [])):
            assert [one.id.revision for one in log.read(name) if one.event.is_erased] == erased
            assert log.verify(name).ok
        log.erase("fork", 5, reason="only here")
        assert not next(log.read("s", after=4)).event.is_erased

    def test_a_fork_outlives_the_session_it_was_made_of(self, log: SessionLog) -> None:
        """And says where it comes from."""
        ids = _conversation(log)
        log.fork("s", 5, "fork")
        assert log.verify("fork").parent == ("s", ids[4])
        log.delete("s")
        assert log.verify("fork").ok
        assert log.delete("fork") == 6

    def test_after_a_rewind_the_agents_hold_what_they_held_then(self, log: SessionLog) -> None:
        """The transcript keeps all of it, and who does not know of it is refused."""
        _conversation(log)
        then = log.state("s", 5).agents["default"]
        log.rewind("s", 5)
        now = log.state("s").agents["default"]
        assert (now.window, now.state, len(now.messages)) == (then.window, then.state, 4)
        with pytest.raises(ConcurrentWriteError):
            log.append("s", _said(4), expected=AgentAt("default", revision=9, next_message=4))
        log.rewind("s", 9)
        assert log.diff("s", 9).is_empty
        assert log.verify("s").ok

    def test_a_dry_run_of_a_rewind_tells_what_would_change_and_writes_nothing(self, log: SessionLog) -> None:
        """The same point is refused as when it is meant."""
        ids = _conversation(log)
        planned = log.rewind("s", 5, dry_run=True)
        assert (planned.before, planned.after) == (ids[8], ids[4])
        assert planned.agents["default"].window_left == (2, 3)
        assert log.head("s") == ids[8]
        with pytest.raises(RevisionNotFoundError):
            log.rewind("s", 99, dry_run=True)
        with pytest.raises(SessionNotFoundError):
            log.rewind("nobody", 5, dry_run=True)

    def test_a_point_at_which_a_tool_has_not_answered_is_refused(self, log: SessionLog) -> None:
        """With the nearest points that will do."""
        call = {"role": "assistant", "content": [{"toolUse": {"name": "add", "toolUseId": "1", "input": {}}}]}
        answer = {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": []}}]}
        for index, message in enumerate(({"role": "user", "content": [{"text": "?"}]}, call, answer)):
            log.append("s", events.MessageAdded({"message": message, "message_id": index}, "default"))
        ids = [one.id for one in log.read("s")]
        with pytest.raises(UnansweredToolCallsError) as refused:
            log.fork("s", 2, "fork")
        assert (refused.value.calls, refused.value.nearest) == ({"default": ["add"]}, (ids[0], ids[2]))
        for dry_run in (True, False):
            with pytest.raises(UnansweredToolCallsError):
                log.rewind("s", 2, dry_run=dry_run)
        log.fork("s", 2, "fork", allow_unanswered=True)
        assert len(log.state("fork").agents["default"].window) == 2
