"""What verifying makes of heads, of directories, and of a namespace as a whole."""

from __future__ import annotations

import json
import re

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.audit.sessions import _members
from support import ValkeyliteServer
from support.command_line import Run, message
from support.tampering import tamper


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def conversation(log: SessionLog, session_id: str = "s") -> None:
    """A session whose head says much."""
    log.append(session_id, events.AgentCreated({"agent_id": "a", "state": {}}, "a"))
    for index in (0, 1, 2, 7, 4):
        log.append(session_id, [message(index, "user", "hello", agent="a")])
    log.append(session_id, [note(), note()])


def set_head(log: SessionLog, session_id: str, field: str, value: str | None) -> None:
    key = log._events.keyspace.session(session_id).head
    if value is None:
        log.client.execute_command("HDEL", key, field)
    else:
        log.client.execute_command("HSET", key, field, value)


TOLD = {
    "forks": "names a fork in words that are none",
    **dict.fromkeys(("parent", "root"), "made of"),
    "ancestors": "other ancestors",
    "predecessor": "used before",
    "ms": "stream ends with event|its field 'ms' holds|no field 'ms'",
    "revision": "stream ends at revision|other spellings|its field 'revision' holds",
    "link": "its field 'link' holds|no field 'link'",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("created", value) for value in (None, "0", "junk")),
        *(("agent:a:messages", value) for value in (None, "0-7", "0-2,4-4", "0-2,4-4,7-7,9-9", "00-2,4-4,7-7", "junk")),
        *(("agent:a:moved", value) for value in (None, "1-1", "junk")),
        *(("agent:b:messages", value) for value in ("0-1", "")),
        ("agent:b:moved", "1-1"),
        *(("erased", value) for value in ("1-1", "junk")),
        *(("forks", value) for value in ("junk", "1-1 token fork nobody")),
        *((name, "s") for name in ("parent", "root", "ancestors")),
        *(("predecessor", value) for value in ("1 1 " + 43 * "A", "junk")),
        *(("ms", value) for value in ("0", "+1", "junk", None)),
        *(("revision", value) for value in ("07", "9", "junk")),
        *(("link", value) for value in ("", "junk", None)),
    ],
)
def test_a_head_that_says_what_no_event_lets_it_say_is_a_problem(
    log: SessionLog, field: str, value: str | None
) -> None:
    conversation(log)
    assert log.verify("s").problems == ()
    set_head(log, "s", field, value)
    (problem,) = log.verify("s").problems
    assert re.search(TOLD.get(field, f"head says '?{field}'? "), problem)


@pytest.mark.parametrize("field", ["parent", "root", "ancestors"])
@pytest.mark.parametrize("value", [None, "other", "s\nother"])
def test_a_fork_whose_head_tells_of_another_line_is_a_problem(log: SessionLog, field: str, value: str | None) -> None:
    conversation(log)
    log.fork("s", 4, "f")
    log.fork("f", None, "g")
    for name in ("f", "g"):
        assert log.verify(name).problems == ()
    set_head(log, "g", field, value)
    assert log.verify("g").problems


def test_a_parent_without_a_note_of_its_fork_is_a_problem(log: SessionLog) -> None:
    """What is erased there would not be erased here."""
    conversation(log)
    log.fork("s", 4, "f")
    set_head(log, "s", "forks", None)
    (problem,) = log.verify("f").problems
    assert problem == "'s' has no note of this fork, so that what is erased there would stay here"


def test_a_session_that_the_directory_does_not_list_is_found(log: SessionLog, run: Run) -> None:
    for name in ("s", "hidden", "a:events", "we*rd[id]"):
        conversation(log, name)
    for name in ("hidden", "we*rd[id]"):
        log.client.execute_command("ZREM", log._events.keyspace.session(name).sessions, name)
    found = {one.session_id: one.verification.problems for one in log.verify_all()}
    unlisted = ("the session is not listed in the directory",)
    assert found == {"s": (), "a:events": (), "hidden": unlisted, "we*rd[id]": unlisted}
    shown = run("verify", "--all", exit_code=1).stdout
    assert shown.splitlines()[-1] == "4 sessions: 2 intact, 2 broken"
    assert "hidden" in shown
    assert "✓" not in shown
    assert "✓" in run("verify", "--all", "--verbose", exit_code=1).stdout


@pytest.mark.parametrize("gone", [("events",), ("head",), ("events", "head"), ("events", "head", "sessions")])
def test_a_session_that_was_taken_away_is_found(log: SessionLog, gone: tuple[str, ...]) -> None:
    conversation(log)
    keys = log._events.keyspace.session("s")
    for name in gone:
        log.client.execute_command("DEL", getattr(keys, name))
    (found,) = log.verify_all()
    assert found.session_id == "s"
    assert not found.verification.ok
    assert not log.verify("s").ok


def test_a_session_that_was_deleted_is_no_problem(log: SessionLog, run: Run) -> None:
    conversation(log)
    log.delete("s")
    assert list(log.verify_all(feed=True)) == []
    assert run("verify", "--all").stdout == "0 sessions: 0 intact, 0 broken\n"
    run("verify", "s", exit_code=3)


def test_a_tombstone_that_was_taken_away_is_a_problem(log: SessionLog) -> None:
    conversation(log)
    log.delete("s")
    log.client.execute_command("DEL", log._events.keyspace.session("s").tombstones)
    (found,) = log.verify_all()
    assert (found.session_id, found.verification.ok) == (None, False)
    assert found.verification.problems == ("the feed tells that 's' was deleted at revision 8, no tombstone does",)


def test_one_bad_session_does_not_end_the_others(log: SessionLog, run: Run) -> None:
    names = [f"s{number}" for number in range(8)]
    for name in names:
        conversation(log, name)
    keys = {name: log._events.keyspace.session(name) for name in names}
    execute = log.client.execute_command
    execute("SET", keys["s0"].events, "junk")
    execute("DEL", keys["s1"].head)
    execute("SET", keys["s1"].head, "junk")
    tamper(log, 2, lambda fields: {**fields, "body": b"\xff"}, "s2")
    tamper(log, 2, lambda fields: {b"x": b"y"}, "s3")  # type: ignore[dict-item]
    execute("XADD", keys["s4"].events, "99999999999999999-1", "a", "b")
    execute("ZADD", keys["s5"].sessions, "inf", b"\xff", "-inf", "", "7", "s1", "inf", "s5")
    execute("XADD", keys["s6"].feed, "*", "junk", "junk")
    found = {one.session_id: one.verification for one in log.verify_all() if one.session_id}
    assert {name for name, verification in found.items() if verification.ok} == {"s6", "s7"}
    assert set(found) == {*names}
    beside = [one.verification.problems for one in log.verify_all() if one.session_id is None]
    told = " ".join(problem for problems in beside for problem in problems)
    ids = (r"b'\xff', which is no session id", "b'', which is no session id", "'s1', which belongs to another")
    for what in (*ids, "cannot be read"):
        assert what in told
    *lines, summary = run("verify", "--all", "--json", exit_code=1).stdout.splitlines()
    assert json.loads(summary)["broken"] == 6
    assert all(json.loads(line)["ok"] is False for line in lines)


@pytest.mark.parametrize("key", ["feed", "sessions", "tombstones"])
def test_a_feed_a_directory_or_tombstones_that_are_none_are_told(log: SessionLog, key: str) -> None:
    conversation(log)
    log.append("gone", note())
    log.delete("gone")
    for name in ("s", "gone"):
        log.client.execute_command("DEL", getattr(log._events.keyspace.session(name), key))
        log.client.execute_command("SET", getattr(log._events.keyspace.session(name), key), "junk")
    assert not all(one.verification.ok for one in log.verify_all())


def test_where_scan_is_not_allowed_it_is_told() -> None:
    with ValkeyliteServer() as server:
        server.client().execute_command("ACL SETUSER", "auditor", "on", ">secret", "~*", "+@all", "-scan")
        with SessionLog.connect(server.url.replace("//", "//auditor:secret@")) as log:
            conversation(log)
            found = list(log.verify_all())
    assert [one.verification.ok for one in found] == [True, False]
    assert "cannot be looked for" in found[-1].verification.problems[0]


def test_thousands_of_sessions_of_one_moment_are_all_listed(log: SessionLog) -> None:
    keys = [log._events.keyspace.sessions(partition) for partition in range(log.partitions)]
    for number in range(2500):
        log.client.execute_command("ZADD", keys[0], 7 if number % 2 else number, f"s{number}")
    listed = list(_members(log._events, keys[0]))
    assert sorted(listed) == sorted(b"s%d" % number for number in range(2500))
