"""A fork is a session of its own that begins as another one was."""

from __future__ import annotations

from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors, events
from strands_session_log.event_log import chained_batch, forker
from strands_session_log.ids import EventId
from strands_session_log.server import text
from strands_session_log.testing.model import ScriptedModel
from support.erasing import SECRET, fill, note
from support.strands_agents import add, call, make_agent


def in_session(log: SessionLog, session_id: str, *script: Any) -> Any:
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None)


def texts(agent: Any) -> list[str]:
    return [message["content"][0].get("text", "") for message in agent.messages]


def head(log: SessionLog, session_id: str) -> dict[str, str]:
    found = log.client.execute_command("HGETALL", log._events.keyspace.session(session_id).head)
    return {text(name): text(value) for name, value in found.items()}


def set_head(log: SessionLog, session_id: str, **fields: str | None) -> None:
    key = log._events.keyspace.session(session_id).head
    for name, value in fields.items():
        log.client.execute_command(*(("HDEL", key, name) if value is None else ("HSET", key, name, value)))


def ids(log: SessionLog, session_id: str = "s") -> list[EventId]:
    return [one.id for one in log.read(session_id)]


def erased(log: SessionLog, session_id: str) -> list[int]:
    return [one.id.revision for one in log.read(session_id) if one.event.is_erased]


def reasons(log: SessionLog, session_id: str) -> list[str]:
    return [one.event.data["reason"] for one in log.read(session_id, types="payload.erased")]


def test_an_agent_goes_on_in_a_fork_and_the_other_session_stays_as_it_is(session_log: SessionLog) -> None:
    in_session(session_log, "s", "Hello.")("Hi!")
    then = session_log.state("s").position
    in_session(session_log, "s", "Fine.")("How are you?")
    session_log.fork("s", then, "f")
    forked = in_session(session_log, "f", "Blue.")
    assert texts(forked) == ["Hi!", "Hello."]
    forked("Your favourite colour?")
    assert texts(in_session(session_log, "f")) == ["Hi!", "Hello.", "Your favourite colour?", "Blue."]
    assert texts(in_session(session_log, "s")) == ["Hi!", "Hello.", "How are you?", "Fine."]
    assert session_log.state("f").session["session_id"] == "f"  # type: ignore[index]
    assert session_log.verify("f").ok
    assert session_log.verify("s").ok


def test_the_events_are_copied_as_they_are_and_the_first_of_its_own_follows_them(session_log: SessionLog) -> None:
    fill(session_log, 5)
    before = list(session_log.read("s"))
    made = session_log.fork("s", 3, "f")
    *copied, forked = session_log.read("f")
    assert copied == before[:3]
    assert (forked.id, forked.id.revision, forked.event.type) == (made, 4, "session.forked")
    at = before[2]
    assert forked.event.data == {"parent": "s", "root": "s", "at": str(at.id), "link": at.link, "session_id": "f"}
    assert list(session_log.read("s")) == before


def test_the_head_of_a_fork_is_that_of_a_session_in_which_all_of_it_was_said(session_log: SessionLog) -> None:
    def said(index: int, agent: str) -> events.Event:
        return events.MessageAdded({"message": {"role": "user"}, "message_id": index}, agent)

    session_log.append("s", [events.AgentCreated({}, "ä"), said(-2, "ä"), said(0, "ä"), said(1, "ä"), said(7, "b")])
    session_log.append("s", [note(1), events.WindowChanged({}, "c"), events.MessageUpdated({"message_id": 0}, "ä")])
    session_log.erase("s", [3, 6], "why")
    session_log.fork("s", None, "f")
    last, expected, found = list(session_log.read("f"))[-1], head(session_log, "s"), head(session_log, "f")
    assert expected.pop("forks").endswith(" fork f")
    own = {"revision": str(last.id.revision), "ms": str(last.id.ms), "link": last.link}
    assert found == {**expected, **own, "parent": "s", "root": "s", "ancestors": "s"}


def test_indices_taken_in_the_copy_stay_taken_and_its_fences_hold(session_log: SessionLog) -> None:
    in_session(session_log, "s", "Hello.")("Hi!")
    session_log.fork("s", None, "f")
    taken = events.MessageAdded({"message": {}, "message_id": 1}, "default")
    with pytest.raises(errors.ConcurrentWriteError):
        session_log.append("f", taken)
    one, other = in_session(session_log, "f", "One."), in_session(session_log, "f", "Two.")
    one("1?")
    with pytest.raises(errors.ConcurrentWriteError):
        other("2?")


def test_consumers_are_told_of_the_fork_and_not_of_what_it_copied(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    feed = session_log._events.keyspace.session("f").feed
    entries = session_log.client.execute_command("XRANGE", feed, "-", "+")
    told = [{text(name): text(value) for name, value in fields.items()} for _, fields in entries]
    mine = [one for one in told if one["session"] == "f"]
    assert [one["type"] for one in mine] == ["session.forked"]
    assert mine[0]["facts"] == f'{{"parent":"s","at":"{ids(session_log)[1]}"}}'
    assert "f" in [info.session_id for info in session_log.sessions()]


def test_a_session_of_many_and_of_large_events_is_copied_in_bounded_steps(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forker, "COPY_ENTRIES", 50)
    fill(session_log, 300)
    for number in range(5):
        session_log.append("s", note(number, "x" * forker.COPY_BYTES))
    told: list[tuple[int, int]] = []
    session_log.fork("s", None, "f", progress=lambda done, total: told.append((done, total)))
    done = [done for done, _ in told]
    assert told[-1] == (305, 305)
    assert done[-4:] == [302, 303, 304, 305]
    assert len(done) >= 10
    assert all(number + 50 in done or number + 50 > 300 for number in done if number % 50 == 0)
    assert list(session_log.read("f"))[:305] == list(session_log.read("s"))
    assert session_log.verify("f").ok


def test_a_fork_begins_where_the_session_stood_at_a_time(session_log: SessionLog) -> None:
    last = fill(session_log, 3)[-1]
    session_log.append("s", note(3))
    made = session_log.fork("s", last.time, "f")
    assert made.revision - 1 == max(one.revision for one in ids(session_log) if one.ms <= last.ms)
    with pytest.raises(errors.SessionNotFoundError):
        session_log.fork("s", "2001-01-01", "g")


def test_a_session_that_exists_is_never_forked_into(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.append("f", note(0))
    for into in ("f", "s"):
        with pytest.raises(errors.SessionExistsError, match=f"'{into}'.*another id"):
            session_log.fork("s", 2, into)
    assert len(ids(session_log, "f")) == 1
    assert "forks" not in head(session_log, "s")


def test_what_does_not_exist_cannot_be_forked(session_log: SessionLog) -> None:
    with pytest.raises(errors.SessionNotFoundError, match="'s'"):
        session_log.fork("s", None, "f")
    last = fill(session_log, 3)[-1]
    for missing in (9, EventId(last.ms + 1, 3)):
        with pytest.raises(errors.RevisionNotFoundError):
            session_log.fork("s", missing, "f")
    with pytest.raises(errors.SessionNotFoundError):
        session_log.fork("s", 0, "f")
    with pytest.raises(errors.InvalidIdError):
        session_log.fork("s", 1, "")
    assert [info.session_id for info in session_log.sessions()] == ["s"]
    assert "forks" not in head(session_log, "s")


def test_a_point_at_which_a_tool_has_not_answered_is_refused_unless_allowed(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("add", a=1, b=2)], "Three."], tools=[add])("One and two?")
    calling = next(
        one.id for one in session_log.read("s", types="message.added") if "toolUse" in str(one.event.data["message"])
    )
    with pytest.raises(errors.UnansweredToolCallsError, match="'default' waits for add") as refused:
        session_log.fork("s", calling, "f")
    for number, nearest in enumerate(refused.value.nearest):
        session_log.fork("s", str(nearest), f"f{number}")
    session_log.fork("s", calling, "f", allow_unanswered=True)
    assert "toolUse" in str(session_log.state("f").agents["default"].window[-1])


def test_forks_of_forks_know_their_line_and_verify(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.append("f", note(7))
    session_log.fork("f", None, "g")
    session_log.append("g", note(8))
    assert head(session_log, "g") | {"parent": "f", "root": "s", "ancestors": "s\nf"} == head(session_log, "g")
    verification = session_log.verify("g")
    assert verification.ok
    assert verification.parent == ("f", ids(session_log, "f")[-1])
    assert session_log.verify("s").parent is None


def test_a_fork_needs_its_parent_no_more(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.delete("s")
    session_log.append("f", note(7))
    assert session_log.verify("f").ok
    assert len(ids(session_log, "f")) == 4


def test_a_deleted_fork_can_be_made_anew(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.delete("f")
    assert session_log.fork("s", 3, "f").revision == 4
    assert session_log.verify("f").ok


def test_erasing_reaches_the_forks_and_theirs_as_far_as_they_have_it(session_log: SessionLog) -> None:
    fill(session_log, 6)
    session_log.fork("s", 4, "f")
    session_log.fork("f", 2, "g")
    session_log.erase("s", [2, 3, 6], "a password")
    assert (erased(session_log, "s"), erased(session_log, "f"), erased(session_log, "g")) == ([2, 3, 6], [2, 3], [2])
    for name in "sfg":
        assert reasons(session_log, name) == ["a password"]
        assert session_log.verify(name).ok
    assert [head(session_log, name)["erased"] for name in "sfg"] == ["2-3,6-6", "2-3", "2-2"]


def test_erasing_in_a_fork_leaves_the_session_it_was_made_of_alone(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.erase("f", 2, "why")
    assert (erased(session_log, "s"), erased(session_log, "f")) == ([], [2])
    assert session_log.verify("f").ok


def test_erasing_reaches_the_fork_of_a_fork_that_was_deleted(session_log: SessionLog) -> None:
    fill(session_log, 3)
    for name, after in ("fs", "gf", "hg"):
        session_log.fork(after, None, name)
    session_log.delete("f")
    session_log.delete("g")
    session_log.erase("s", 2, "why")
    assert erased(session_log, "h") == [2]
    assert session_log.verify("h").ok


def test_erasing_passes_over_whatever_else_is_under_a_forks_name_now(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", None, "f")
    session_log.delete("f")
    fill(session_log, 3, "f")
    session_log.erase("s", 2, "why")
    assert erased(session_log, "f") == []


def test_what_a_guardrail_redacts_is_erased_in_the_forks_too(session_log: SessionLog) -> None:
    in_session(session_log, "s", "Noted.")(f"It is {SECRET}.")
    session_log.fork("s", None, "f")
    manager = in_session(session_log, "s")._session_manager
    session = manager.session_repository if hasattr(manager, "session_repository") else manager
    message = session.list_messages("s", "default")[0]
    message.redact_message = {"role": "user", "content": [{"text": "[redacted]"}]}
    session.update_message("s", "default", message)
    assert SECRET not in str([one.event.data for one in session_log.read("f")])
    assert texts(in_session(session_log, "f"))[0] == "[erased]"


def test_a_fork_from_before_an_erasure_tells_why_content_is_missing(session_log: SessionLog) -> None:
    fill(session_log, 4)
    session_log.erase("s", [1, 2], "first")
    session_log.erase("s", [3, 4], "second")
    session_log.fork("s", 3, "f")
    named = [(one.event.data["erased"], one.event.data["reason"]) for one in session_log.read("f", after=4)]
    one, two, three, *_ = map(str, ids(session_log))
    assert named == [([one, two], "first"), ([three], "second")]
    assert head(session_log, "f")["erased"] == "1-3"
    assert session_log.verify("f").ok


def test_a_fork_tells_of_more_erasures_than_a_batch_may_have_events(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(session_log, 18)
    for revision in range(1, 19):
        session_log.erase("s", [revision], "asked for")
    monkeypatch.setattr(chained_batch, "MOST_EVENTS", 17)
    session_log.fork("s", 18, "f")
    assert reasons(session_log, "f") == ["asked for"] * 18
    assert session_log.verify("f").ok


def test_the_event_that_tells_of_a_fork_can_be_erased_and_the_session_still_verifies(session_log: SessionLog) -> None:
    fill(session_log, 3)
    made = session_log.fork("s", 2, "f")
    session_log.erase("f", made, "why")
    assert session_log.verify("f").ok
    assert session_log.verify("f").parent == ("s", ids(session_log)[1])


@pytest.mark.parametrize(
    "fields",
    [
        {"root": None},
        {"parent": None},
        {"root": None, "parent": None},
        {"root": "f"},
        {"root": "other"},
        {"parent": "nobody"},
    ],
    ids=str,
)
def test_a_head_that_does_not_tell_where_the_fork_comes_from_is_reported(
    session_log: SessionLog, fields: dict[str, str | None]
) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    set_head(session_log, "f", **fields)
    assert any("session's head says that it was made of" in line for line in session_log.verify("f").problems)


def test_a_session_that_is_no_fork_cannot_be_passed_off_as_one(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.append("own", note(0))
    set_head(session_log, "own", root="s", parent="s", ancestors="s")
    assert not session_log.verify("own").ok
    copy(session_log, "s", "stolen")
    assert "its link differs" in session_log.verify("stolen").problems[0]
    set_head(session_log, "stolen", root="s", parent="s", ancestors="s")
    assert any("made of no other" in problem for problem in session_log.verify("stolen").problems)


def test_a_fork_cannot_be_passed_off_as_another(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    copy(session_log, "f", "g")
    assert "the events are those of session 'f'" in session_log.verify("g").problems


def test_an_event_of_a_fork_that_tells_of_another_origin_is_reported(session_log: SessionLog) -> None:
    first = session_log.append("s", note(0))
    link = next(session_log.read("s")).link
    session_log.append("x", [note(0), note(1)])
    origin = {"parent": "s", "root": "s", "at": str(first), "link": link, "session_id": "x"}
    session_log.append("x", events.SessionForked(origin))
    problems = session_log.verify("x").problems
    assert any("says that it follows event" in line for line in problems)
    assert any("names the root 's', not 'x'" in line for line in problems)


def test_a_parent_with_another_history_is_reported(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    keys = session_log._events.keyspace.session("s")
    session_log.client.execute_command("DEL", keys.events, keys.head)
    fill(session_log, 3)
    (problem,) = session_log.verify("f").problems
    assert "the parent 's' has another history" in problem


def test_a_parent_that_was_deleted_and_begun_anew_is_no_other_history(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.delete("s")
    fill(session_log, 3)
    assert session_log.verify("f").ok


def test_a_fork_under_the_id_of_its_deleted_grandparent_is_intact(session_log: SessionLog) -> None:
    """It has the events of the one that had its id, but none of that one's forks are its own."""
    fill(session_log, 3)
    session_log.fork("s", 2, "f")
    session_log.fork("s", 2, "sibling")
    session_log.delete("s")
    session_log.fork("sibling", 3, "s")
    assert [one.session_id for one in session_log.verify_all(feed=True) if not one.verification.ok] == []


def copy(log: SessionLog, session_id: str, into: str) -> None:
    """What an administrator of the server could do."""
    keys = log._events.keyspace.session(into)
    for id_, fields in log._events.entries(session_id):
        log.client.execute_command("XADD", keys.events, id_, *(part for pair in fields.items() for part in pair))
    set_head(log, into, **head(log, session_id))
    log.client.execute_command("ZADD", keys.sessions, 0, into)
