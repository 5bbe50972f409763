"""What verifying holds against the events: times, links noted elsewhere, and what the feed told of them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from strands_session_log import Anchor, SessionLog, chain, errors, events
from strands_session_log.audit import witness
from strands_session_log.event_log import reader
from support import wait_until
from support.command_line import Run, message
from support.tampering import Fields, entries_of, forge_all, moved_by, put, tamper

YEARS_MS = 3 * 365 * 86_400_000
A_LINK = "A" * 43


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def fill(log: SessionLog, count: int = 5, session_id: str = "s") -> list[str]:
    """So many events, each an append of its own; their links."""
    for number in range(count):
        log.append(session_id, note(number))
    return [one.link for one in log.read(session_id)]


def forged(entries: list[tuple[str, Fields]], revision: int) -> list[tuple[str, Fields]]:
    """One event with another body."""
    body = {"body": b'{"number":"forged"}'}
    return [(id_, {**fields, **body} if at == revision else fields) for at, (id_, fields) in enumerate(entries, 1)]


def feed_of(log: SessionLog, session_id: str = "s") -> str:
    return log._events.keyspace.session(session_id).feed


def without_feed(log: SessionLog) -> None:
    log.client.execute_command("DEL", feed_of(log))


# Times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [1, 3])
def test_a_session_moved_three_years_back_is_a_problem(log: SessionLog, batches: int) -> None:
    for _ in range(batches):
        log.append("s", [note(), note()])
    without_feed(log)
    keys, moved = log._events.keyspace.session("s"), moved_by(-YEARS_MS, entries_of(log))
    put(log, keys.events, moved)
    ms = moved[-1][0].partition("-")[0]
    log.client.execute_command("HSET", keys.head, "ms", ms, "created", moved[0][0].partition("-")[0])
    log.client.execute_command("ZADD", keys.sessions, ms, "s")
    problems = log.verify("s").problems
    assert sum("has another time than its writer gave it" in problem for problem in problems) == 2 * batches
    assert sum("a time was changed" in problem for problem in problems) == batches - 1


def test_a_session_moved_by_a_minute_shows_wherever_a_batch_follows(log: SessionLog) -> None:
    log.append("s", [note(), note()])
    log.append("s", note())
    without_feed(log)
    *first, last = entries_of(log)
    put(log, log._events.keyspace.session("s").events, [*moved_by(-60_000, first), last])
    problems = log.verify("s").problems
    assert any("a time was changed" in problem for problem in problems)


def test_what_users_say_of_the_time_raises_no_alarm(log: SessionLog) -> None:
    log.append("s", events.Custom("custom.note", {}, time="2003-02-01T00:00:00+00:00"))
    log.append("s", events.Custom("custom.note", {}, time="long ago", event_id="an-id-of-mine"))
    log.append("s", events.Custom("custom.note", {}, event_id="0190ffff-0000-7000-8000-000000000000"))
    assert log.verify("s").problems == ()


def test_forks_and_rewinds_of_an_old_session_raise_no_alarm(log: SessionLog) -> None:
    log.append("s", events.SessionCreated({"session_id": "s", "session_type": "AGENT"}))
    log.append("s", events.AgentCreated({"agent_id": "a", "state": {}}, "a"))
    log.append("s", [message(index, "user", "hello", agent="a") for index in range(3)])
    log.rewind("s", 3)
    log.fork("s", 4, "fork")
    log.fork("fork", 2, "another")
    log.fork("fork", None, "a-third")
    assert [one.verification.problems for one in log.verify_all(feed=True)] == [()] * 4


# Links noted elsewhere ------------------------------------------------------------------------------------------------


def test_a_whole_history_forged_with_all_its_links_is_caught_by_a_link_that_was_noted(log: SessionLog) -> None:
    links = fill(log)
    forge_all(log, forged(entries_of(log), 2))
    without_feed(log)
    assert log.verify("s").ok
    for expected in ((5, links[4]), f"3:{links[2]}", Anchor("s", 2, links[1])):
        (problem,) = log.verify("s", expect=[expected]).problems
        assert "has another link than was noted" in problem
    assert log.verify("s", expect=[(1, links[0])]).expected == 1
    assert log.verify("s", expect=[(1, links[0])]).ok


def test_a_session_cut_short_is_caught_by_a_link_that_was_noted(log: SessionLog) -> None:
    links = fill(log)
    forge_all(log, entries_of(log)[:3])
    without_feed(log)
    (problem,) = log.verify("s", expect=[(5, links[4])]).problems
    assert problem == "a link was noted of revision 5, but the session ends at 3"


@pytest.mark.parametrize(
    "expected", ["", "x", "0:" + A_LINK, "3:" + A_LINK[1:], "3:" + A_LINK[:-1] + "B", (3, ""), (3,), 3]
)
def test_what_is_no_anchor_is_refused(log: SessionLog, expected: Any) -> None:
    fill(log)
    with pytest.raises(errors.InvalidAnchorError, match="is no anchor"):
        log.verify("s", expect=[expected])


@pytest.mark.parametrize(
    "name", ["s", "with space ", " s", '"quoted"', "{x}", "sé ", "a#b", "#c", "\u3000x", "7:" + A_LINK]
)
def test_an_anchor_reads_back_as_it_was_printed(log: SessionLog, name: str) -> None:
    anchor = Anchor(name, 7, A_LINK)
    assert list(Anchor.parse_lines(["# noted today\n", "\n", f"{anchor}\n"])) == [anchor]
    assert len(str(anchor).splitlines()) == 1


def test_the_lines_that_anchor_prints_are_read_back_by_verify(log: SessionLog, run: Run, tmp_path: Any) -> None:
    for name in ("s", "t u", "v"):
        fill(log, 3, name)
    for how in ((), ("--json",)):
        file = tmp_path / f"anchors{len(how)}"
        file.write_bytes(run("anchor", *how).stdout_bytes)
        assert "3 sessions: 3 intact" in run("verify", "--all", "--expect-file", str(file)).stdout
        assert "held against 1 noted link" in run("verify", "t u", "--expect-file", str(file)).stdout
        run("verify", "nobody", "--expect-file", str(file), exit_code=2)
    expected, _, _ = run("anchor", "s").stdout.partition(" ")
    run("verify", "s", "--expect", expected, "--expect", expected)
    forge_all(log, forged(entries_of(log, "v"), 1), "v")
    without_feed(log)
    assert "broken" in run("verify", "--all", "--expect-file", str(file), exit_code=1).stdout
    log._events.delete("v")
    run("verify", "--all", "--expect-file", str(file), exit_code=1)
    run("verify", "s", "--expect", "nonsense", exit_code=2)
    file.write_bytes(b"\x9f\xff\x00")
    run("verify", "--all", "--expect-file", str(file), exit_code=2)


def test_a_session_deleted_since_its_link_was_noted_is_accounted_for(log: SessionLog) -> None:
    links = fill(log)
    log.delete("s")
    assert list(log.verify_all(expect=[Anchor("s", 5, links[4])])) == []
    (other,) = log.verify_all(expect=[Anchor("s", 5, A_LINK)])
    assert "a link was noted of revision 5, but the session is not there" in other.verification.problems


@pytest.mark.parametrize(
    "junk", [{"body": b"no JSON"}, {"retained": b"[]"}, {"v": b"one"}, {"body": b"\xff"}, {"agent": b"\xff"}], ids=str
)
def test_what_nobody_can_read_is_a_problem_however_well_it_is_chained(log: SessionLog, junk: Fields) -> None:
    fill(log)
    entries = [(id_, {**fields, **junk} if at == 2 else fields) for at, (id_, fields) in enumerate(entries_of(log))]
    forge_all(log, entries)
    without_feed(log)
    (problem,) = log.verify("s").problems
    assert "-3 cannot be read" in problem


# The feed -------------------------------------------------------------------------------------------------------------


def test_a_rewritten_message_is_caught_by_the_feed(log: SessionLog) -> None:
    fill(log)
    forge_all(log, forged(entries_of(log), 3))
    problems = log.verify("s").problems
    assert len(problems) == 3
    assert all("is not the one that the feed told of when it was appended" in problem for problem in problems)


def test_a_session_cut_short_is_caught_by_the_feed(log: SessionLog) -> None:
    fill(log)
    forge_all(log, entries_of(log)[:3])
    (problem,) = log.verify("s").problems
    assert problem == "the feed tells of 2 more events, up to revision 5, but the session ends at 3"


@pytest.mark.parametrize(
    ("field", "value"), [("id", b"7-3"), ("type", b"custom.other"), ("agent", b"x"), ("link", A_LINK.encode())]
)
def test_an_envelope_that_differs_from_its_event_is_a_problem(log: SessionLog, field: str, value: bytes) -> None:
    fill(log)
    entries = log.client.execute_command("XRANGE", feed_of(log), "-", "+")
    changed = [(id_, dict(fields)) for id_, fields in entries]
    changed[2][1][field.encode()] = value
    put(log, feed_of(log), [(id_, [part for pair in one.items() for part in pair]) for id_, one in changed])
    assert any("the feed told of" in problem for problem in log.verify("s").problems)


def test_what_is_trimmed_is_not_broken(log: SessionLog, run: Run) -> None:
    fill(log, 9)
    log.client.execute_command("XTRIM", feed_of(log), "MAXLEN", 4)
    verification = log.verify("s", feed=True)
    assert (verification.ok, verification.witnessed) == (True, (6, 9))
    assert "witnessed 6\u20139; older is trimmed" in run("verify", "s").stdout
    without_feed(log)
    assert (log.verify("s").ok, log.verify("s").witnessed) == (True, None)
    assert "not witnessed" in run("verify", "s").stdout


def test_envelopes_before_a_deletion_belong_to_the_former_life(log: SessionLog) -> None:
    fill(log, 5)
    log.delete("s", by="Ada", reason="why")
    fill(log, 3)
    verification = log.verify("s", feed=True)
    assert (verification.problems, verification.witnessed) == ((), (1, 3))
    assert [(life.revision, life.by, life.reason) for life in verification.deleted] == [(5, "Ada", "why")]


def test_a_tombstone_tells_of_text_only_and_hashes_all_that_may_be_personal(log: SessionLog) -> None:
    name = "sha256:ada@example.com"
    log.append(name, note())
    for told in ({"by": "\udcff"}, {"reason": "\udcff"}):
        with pytest.raises(errors.EncodingError):
            log.delete(name, **told)
    log.delete(name, by="Ada")
    for _ in range(2):
        assert log.reduce_tombstone(name) == 1
    (tombstone,) = log.tombstones(name)
    assert tombstone.session_id == f"sha256:{sha256(name.encode()).hexdigest()}"
    assert [one for one in log.verify_all(feed=True) if not one.verification.ok] == []


def test_a_fork_under_an_id_that_was_used_before_says_so(log: SessionLog) -> None:
    fill(log, 5)
    log.append("f", note())
    log.delete("f")
    log.fork("s", 3, "f")
    assert log.verify("f", feed=True).problems == ()
    log.client.execute_command("HDEL", log._events.keyspace.session("f").head, "predecessor")
    assert len(log.verify("f").problems) == 2


def test_copied_events_of_forks_need_no_envelope(log: SessionLog) -> None:
    fill(log, 5)
    log.fork("s", 4, "f")
    log.append("f", note())
    verification = log.verify("f", feed=True)
    assert (verification.problems, verification.witnessed) == ((), (5, 6))


def test_a_deletion_that_never_was_is_a_problem(log: SessionLog) -> None:
    """Whoever forges a history may want the feed to forget the true one."""
    fill(log, 5)
    last = entries_of(log)[-1][1]
    envelope = ("session", "s", "id", "1795900000000-5", "type", "session.deleted", "agent", "", "link")
    log.client.execute_command("XADD", feed_of(log), "9999999999999-6", *envelope, last["link"], "facts", "{}")
    assert "the feed tells that the session was deleted at revision 5, its head does not" in log.verify("s").problems
    key = log._events.keyspace.session("s").head
    log.client.execute_command("HSET", key, "predecessor", f"1795900000000 5 {last['link'].decode()}")
    assert log.verify("s").problems


def test_an_event_that_the_feed_does_not_tell_of_is_found_where_that_is_asked_for(log: SessionLog, run: Run) -> None:
    for number in range(5):
        # Only what is clearly older than the feed's newest, and younger than its oldest, can be missing.
        log.append("s", note(number))
        at = log.head("s").ms
        wait_until(lambda: log._events.now_ms("s") > at, "the clock to go on", interval=0.001)  # noqa: B023
    ids = [id_ for id_, _ in log.client.execute_command("XRANGE", feed_of(log), "-", "+")]
    log.client.execute_command("XDEL", feed_of(log), ids[2])
    assert log.verify("s").ok
    verification = log.verify("s", feed=True)
    (gap,) = [one for one in log.verify_all(feed=True) if one.session_id is None]
    (problem,) = verification.problems
    missing = log._events.locate("s", 3)
    assert f"the feed does not tell of event {missing}" in problem
    assert "the feed lacks 1 envelopes before" in gap.verification.problems[0]
    assert "1 problem beside them" in run("verify", "--all", "--feed", exit_code=1).stdout
    run("verify", "--all")


def test_all_sessions_take_one_pass_over_the_feed_of_each_partition(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        fill(log, 3, f"s{number}")
    asked: list[str] = []
    fetch = reader.fetch

    def spy(store: Any, key: str, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Any:
        asked.extend([key] if command == b"XRANGE" else [])
        return fetch(store, key, start, end, count, command)

    monkeypatch.setattr(witness, "fetch", spy)
    assert all(one.verification.ok for one in log.verify_all())
    # One page that has it all, and one that is empty.
    assert asked
    assert max(map(asked.count, asked)) == 2


def test_other_spellings_of_the_same_bytes_are_problems(log: SessionLog) -> None:
    def respelled(text: bytes) -> bytes:
        """Other text for the same bytes: the last character has bits that nobody reads."""
        others = (
            text[:-1] + bytes([last]) for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )
        return next(one for one in others if one != text and chain.from_text(one) == chain.from_text(text))

    for field in ("salt", "link"):
        for change in (respelled, lambda text: text + b"=", lambda text: text + b"\n"):
            log._events.delete("s")
            fill(log, 3)
            tamper(log, 2, lambda fields, field=field, change=change: {**fields, field: change(fields[field])})  # type: ignore[misc]
            assert not log.verify("s").ok, (field, change)
    fill(log, 3, "e")
    log.erase("e", 2, reason="why")
    tamper(log, 2, lambda fields: {**fields, "body": respelled(fields["body"])}, "e")
    assert not log.verify("e").ok


@pytest.mark.parametrize("kind", ["extra", "missing", "reordered", "twice"])
def test_other_fields_than_an_entry_has_are_a_problem(log: SessionLog, kind: str) -> None:
    fill(log, 3)
    entries: list[tuple[str, Any]] = list(entries_of(log))
    flat = [part for pair in entries[1][1].items() for part in pair]
    changed = {
        "extra": [*flat, "more", "x"],
        "missing": flat[:10] + flat[12:],
        "reordered": flat[2:] + flat[:2],
        "twice": [*flat[:2], *flat],
    }[kind]
    entries[1] = (entries[1][0], changed)
    put(log, log._events.keyspace.session("s").events, entries)
    (problem,) = log.verify("s").problems
    assert ("cannot be read: it has no field b'trace'" if kind == "missing" else "has other fields than") in problem
