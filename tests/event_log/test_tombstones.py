"""What stays of a deleted session, and for how long."""

from __future__ import annotations

import time
from dataclasses import replace

import orjson
import pytest

from strands_session_log import EventId, SessionLog, Tombstone, ValkeySessionManager, errors, events
from strands_session_log.event_log import deleter
from support.command_line import Run


def note() -> events.Event:
    return events.Custom("custom.note", {"secret": "said"})


def test_a_tombstone_says_what_was_deleted_when_by_whom_and_why_and_nothing_that_was_said(log: SessionLog) -> None:
    log.append("s", [note(), note()])
    first, last = log.read("s")
    log.delete("s", reason="asked for", by="ada")
    (tombstone,) = log.tombstones("s")
    assert tombstone == Tombstone("s", 2, last.link, first.link, tombstone.deleted_at, "ada", "asked for")
    assert abs((tombstone.deleted_at - last.id.time).total_seconds()) < 60
    keys = log._events.keyspace.session("s")
    stored = [
        log.client.execute_command("HGETALL", keys.tombstones),
        log.client.execute_command("XRANGE", keys.feed, "-", "+"),
    ]
    assert "said" not in str(stored)


def test_the_feed_tells_consumers_of_a_deletion(log: SessionLog) -> None:
    log.append("s", note())
    (recorded,) = log.read("s")
    with log.tail() as tail:
        log.delete("s", reason="asked for", by="ada")
        told = next(one for one in tail if one.type == "session.deleted")
    assert (told.session_id, told.agent, told.link, told.id.revision) == ("s", "", recorded.link, 1)
    assert told.facts == {"revision": 1, "first": recorded.link, "by": "ada", "reason": "asked for"}


def test_a_session_begun_anew_names_the_one_before_it(log: SessionLog) -> None:
    log.append("s", note())
    link = next(log.read("s")).link
    log.delete("s")
    log.append("s", note())
    (tombstone,) = log.tombstones("s")
    head = log.client.execute_command("HGET", log._events.keyspace.session("s").head, "predecessor")
    found = head.decode() if isinstance(head, bytes) else head
    assert found.split()[1:] == ["1", link]
    assert log.verify("s").ok
    assert tombstone.link == link


def test_of_many_lives_of_an_id_the_last_are_told_of(log: SessionLog) -> None:
    for _ in range(deleter.LIVES + 3):
        log.append("s", note())
        log.delete("s")
    assert len(list(log.tombstones("s"))) == deleter.LIVES


def test_a_reduced_tombstone_holds_hashes_and_still_finds_its_session(log: SessionLog) -> None:
    log.append("ada@example.com", note())
    log.delete("ada@example.com", reason="Ada asked", by="Grace")
    (before,) = log.tombstones("ada@example.com")
    assert log.reduce_tombstone("ada@example.com") == log.reduce_tombstone("ada@example.com") == 1
    (after,) = log.tombstones("ada@example.com")
    personal = {name: getattr(after, name) for name in ("session_id", "by", "reason")}
    assert after == replace(before, **personal)
    assert {text.split(":")[0] for text in personal.values()} == {"sha256"}
    stored = str(log.client.execute_command("HGETALL", log._events.keyspace.session("ada@example.com").tombstones))
    assert not any(text in stored for text in ("ada@", "Ada asked", "Grace"))
    with pytest.raises(errors.SessionNotFoundError):
        log.reduce_tombstone("nobody")


def test_tombstones_are_bounded_however_many_sessions_are_deleted(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleter, "KEPT", 5)
    monkeypatch.setattr(deleter, "MOST", 40)

    def delete(count: int) -> None:
        for number in range(count):
            log.append(f"s-{number}", note())
            log.delete(f"s-{number}")

    delete(60)
    # All are younger than an hour: then only the upper bound counts, in each partition.
    assert len(list(log.tombstones())) == 60
    monkeypatch.setattr(deleter, "KEPT_MS", -1)
    log.append("last", note())
    log.delete("last")
    partition = log._events.keyspace.partition("last")
    here = log.client.execute_command("HLEN", log._events.keyspace.tombstones(partition))
    assert here <= 5
    assert [one.session_id for one in log.tombstones("last")] == ["last"]


def test_beyond_the_upper_bound_even_young_tombstones_go(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleter, "KEPT", 2)
    monkeypatch.setattr(deleter, "MOST", 3)
    one_partition = [name for name in map(str, range(400)) if log._events.keyspace.partition(name) == 0][:10]
    for name in one_partition:
        log.append(name, note())
        log.delete(name)
    assert [one.session_id for name in one_partition for one in log.tombstones(name)] == one_partition[-3:]


def test_junk_among_tombstones_is_passed_over(log: SessionLog) -> None:
    log.append("s", note())
    log.delete("s")
    key = log._events.keyspace.session("s").tombstones
    for number, junk in enumerate(("", "[", "7", "[7]", '[{"revision": "x"}]', '[{"deleted": 1e300}]', b"\xff")):
        log.client.execute_command("HSET", key, f"junk{number}", junk)
    huge = {"revision": 1, "link": "", "first": "", "deleted": 10**17}
    log.client.execute_command("HSET", key, "huge", orjson.dumps([huge]))
    assert [one.session_id for one in log.tombstones() if one.session_id] == ["s"]
    log.append("s", note())
    log.client.execute_command("HSET", key, deleter._field("s"), "junk")
    log.delete("s")
    assert len(list(log.tombstones("s"))) == 1


def test_a_session_manager_that_deletes_leaves_a_tombstone_too(log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=log)
    manager.delete_session("s")
    assert [one.session_id for one in log.tombstones("s")] == ["s"]


def test_the_command_line_asks_by_whom_and_why(run: Run, log: SessionLog) -> None:
    log.append("s", note())
    assert run("delete", "s", "--yes", "--reason", "asked for", "--by", "ada").exit_code == 0
    (tombstone,) = log.tombstones("s")
    assert (tombstone.by, tombstone.reason) == ("ada", "asked for")


def test_erasures_forks_and_rewinds_say_by_whom(log: SessionLog) -> None:
    log.append("s", [note(), note()])
    log.erase("s", 1, reason="asked for", by="ada")
    log.fork("s", None, "fork", by="grace")
    log.rewind("s", 2, by="alan")
    assert next(log.read("s", types="payload.erased")).event.data == {
        "erased": [str(next(log.read("s")).id)],
        "reason": "asked for",
        "by": "ada",
    }
    assert next(log.read("fork", types="session.forked")).event.data["by"] == "grace"
    assert next(log.read("s", types="session.rewound")).event.data["by"] == "alan"
    assert log.verify("s").ok
    assert log.verify("fork").ok


def test_an_id_names_one_event_or_one_deletion_however_quickly_a_session_is_begun_anew(log: SessionLog) -> None:
    with log.tail() as tail:
        for _ in range(30):
            log.append("s", note())
            log.delete("s")
        told = [next(tail) for _ in range(60)]
    assert [one.type for one in told] == ["custom.note", "session.deleted"] * 30
    assert sorted({one.id for one in told}) == [one.id for one in told]


def forward_clock(log: SessionLog, session: str) -> int:
    """What comes after the last event of a session is dated by a clock that was an hour ahead."""
    later = int(time.time() * 1000) + 3_600_000
    log.client.execute_command("HSET", log._events.keyspace.session(session).head, "ms", later)
    return later


def test_a_session_begun_anew_begins_later_than_the_one_before_ended_though_the_clock_went_back(
    log: SessionLog,
) -> None:
    log.append("s", note())
    later = forward_clock(log, "s")
    log.delete("s")
    (tombstone,) = log.tombstones("s")
    assert tombstone.deleted_at == EventId(later + 1, 1).time
    ago = log._events.life("s").deleted_ago
    assert ago is not None
    assert 0 <= ago < 60
    assert log.append("s", note()).ms == later + 2


def test_a_fork_goes_on_later_than_the_session_that_had_its_id_before_ended_though_the_clock_went_back(
    log: SessionLog,
) -> None:
    log.append("fork", note())
    later = forward_clock(log, "fork")
    log.delete("fork")
    log.append("s", note())
    for ms in (later + 2, later + 4):
        log.fork("s", None, "fork")
        assert next(log.read("fork", types="session.forked")).id.ms == ms
        assert log.verify("fork").ok
        log.delete("fork")
