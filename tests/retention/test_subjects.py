"""What is about a person is found, exported and erased over all sessions."""

from __future__ import annotations

import asyncio
import base64
import hmac
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent

from strands_session_log import (
    LocalKeys,
    SessionLog,
    SessionRecorder,
    SnapshotSettings,
    SubjectPlace,
    SubjectReport,
    Subscriber,
    ValkeySessionManager,
    ValkeyStorage,
    errors,
    events,
)
from strands_session_log.event_log import eraser
from strands_session_log.session_log import subject_erasure
from strands_session_log.session_log.subject_keys import SubjectKeys
from strands_session_log.testing.model import ScriptedModel
from support.disk import bytes_on_disk, holders
from support.erasing import SECRET, exists, fill, note
from support.servers import Server, ValkeyliteServer
from support.waiting import wait_until

KEY = b"k" * 32
WHO = {"by": "counsel", "reason": "matter 4711"}


@pytest.fixture
def people(server_url: str, namespace: str) -> Iterator[SessionLog]:
    """A log with a key for persons."""
    with SessionLog.connect(server_url, namespace, subject_key=KEY) as log:
        yield log


def agent_of(log: SessionLog, session_id: str, *replies: str, subject: str = "user-77") -> Agent:
    manager = ValkeySessionManager(session_id, log=log, subject=subject)
    return Agent(model=ScriptedModel(list(replies)), session_manager=manager, callback_handler=None)


def names(log: SessionLog, subject: str = "user-77") -> list[str]:
    return sorted(place.name for place in log.subjects.find(subject))


def exported(log: SessionLog, subject: str = "user-77") -> list[dict[str, Any]]:
    file = io.BytesIO()
    log.subjects.export(subject, file)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def erase(log: SessionLog, subject: str = "user-77", **more: Any) -> SubjectReport:
    return log.subjects.erase(subject, **{"reason": "request 4711", "by": "privacy", **more})


def test_a_session_is_about_whom_its_manager_names_and_the_name_stands_nowhere(people: SessionLog) -> None:
    agent_of(people, "s", "Noted.")("Hello.")
    fill(people, 1, "other")
    (place,) = people.subjects.find("user-77")
    assert place == SubjectPlace("session", "s")
    assert names(people, "user-7") == []
    assert holders(people, "user-77") == []
    assert people.state("s").labels == people.session("s").labels == {}
    assert people.verify("s").ok


def test_it_is_said_once_however_often_the_session_is_resumed(people: SessionLog) -> None:
    for _ in range(3):
        agent_of(people, "s", "Noted.")("Hello.")
    assert len(list(people.read("s", types="session.annotated"))) == 1


def test_a_recorder_says_it_too(people: SessionLog) -> None:
    recorder = SessionRecorder(people, "s", subject="user-77", ttl="30d")
    agent = Agent(model=ScriptedModel(["Noted."]), hooks=[recorder], callback_handler=None)
    agent("Hello.")
    assert recorder.close()
    assert names(people) == ["s"]
    assert people.session("s").ttl is not None


def test_a_session_that_begins_anew_is_about_them_again(people: SessionLog) -> None:
    agent = agent_of(people, "s", "Noted.", "Again.")
    agent("Hello.")
    people.delete("s")
    people.append("s", note(1))
    assert names(people) == ["s", "s"]
    assert {place.kind for place in people.subjects.find("user-77")} == {"session", "tombstone"}


def test_keys_are_rotated_the_first_writes_and_all_find(people: SessionLog, server_url: str) -> None:
    with SessionLog.connect(server_url, people.namespace, subject_key=[b"n" * 32, KEY]) as rotated:
        assert people.subjects.hash_of("user-77") != rotated.subjects.hash_of("user-77")
        people.append("old", note(1))
        people.subjects.annotate("old", "user-77")
        rotated.append("new", note(1))
        rotated.subjects.annotate("new", "user-77")
        assert names(people) == ["old"]
        assert names(rotated) == ["new", "old"]
        assert erase(rotated).is_complete
        assert names(people) == []
        assert names(rotated) == []


def test_the_hash_is_the_one_that_the_page_about_the_format_says() -> None:
    vectors = json.loads((Path(__file__).parents[2] / "docs" / "vectors" / "subjects.json").read_text())
    key = base64.b64decode(vectors["key"])
    for one in vectors["subjects"]:
        parts = (b"strands-session-log subject", one["subject"].encode())
        told = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        digest = hmac.digest(key, told, "sha256")
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == one["hash"]
        assert SubjectKeys(key).hashes(one["subject"]) == (one["hash"],)


def test_without_a_key_nobody_is_named(log: SessionLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for refused in (
        lambda: list(log.subjects.find("user-77")),
        lambda: ValkeySessionManager("s", log=log, subject="a"),
    ):
        with pytest.raises(errors.InvalidSettingError, match="subject_key"):
            refused()
    with pytest.raises(errors.InvalidSettingError, match="subject_key"):
        SessionRecorder("valkey://localhost:1", "s", subject="user-77")
    with pytest.raises(errors.SessionLogError, match="32 random"):
        SessionLog(log.client, log.namespace, subject_key=b"short")
    file = tmp_path / "key"
    file.write_bytes(b"# persons\n" + KEY + b"\n")
    monkeypatch.setenv("SESSION_LOG_SUBJECT_KEY_FILE", str(file))
    assert list(SessionLog(log.client, log.namespace).subjects.find("user-77")) == []


@pytest.mark.parametrize("subject", ["", " ", "x" * 2000, 77, "\ud800"])
def test_who_can_be_nobody_is_refused_and_not_repeated(people: SessionLog, subject: Any) -> None:
    with pytest.raises(errors.InvalidSettingError) as caught:
        people.subjects.annotate("s", subject)
    assert "xxx" not in str(caught.value)


def test_only_the_log_writes_whom_a_session_is_about(people: SessionLog) -> None:
    """In the clear, or without the index, it would be found by nobody."""
    with pytest.raises(errors.EncodingError, match="annotate"):
        people.append("s", events.SessionAnnotated({"subjects": ["user-77"]}))


def test_some_events_of_a_session_may_be_about_somebody(people: SessionLog) -> None:
    people.append("s", [note(1, SECRET), note(2, "of others")])
    people.subjects.annotate("s", "user-77", events=[1])
    (place,) = people.subjects.find("user-77")
    assert place.events is not None
    assert [id_.revision for id_ in place.events] == [1]
    lines = exported(people)
    assert [line["data"]["number"] for line in lines if line["kind"] == "event"] == [1]
    assert erase(people).is_complete
    assert [one.event.is_erased for one in people.read("s")][:2] == [True, False]
    assert names(people) == []
    assert people.verify("s").ok
    with pytest.raises(errors.RevisionNotFoundError):
        people.subjects.annotate("s", "user-77", events=[99])


def test_forks_are_about_whom_their_parent_is(people: SessionLog) -> None:
    agent_of(people, "s", "Noted.")(SECRET)
    people.fork("s", None, "fork")
    people.append("fork", note(1, SECRET))
    assert names(people) == ["fork", "s"]
    assert people.verify("fork").ok
    assert erase(people).is_complete
    assert holders(people, SECRET) == []


def test_a_fork_made_before_it_was_said_loses_what_it_shares_and_is_named(people: SessionLog) -> None:
    people.append("s", note(1, SECRET))
    people.fork("s", None, "fork")
    people.append("fork", note(2, "its own"))
    people.subjects.annotate("s", "user-77")
    (place,) = people.subjects.find("user-77")
    assert place.forks == ("fork",)
    (step,) = erase(people).steps
    assert any("'fork'" in told for told in step.notes)
    assert [one.event.is_erased for one in people.read("fork")][:3] == [True, False, False]
    assert holders(people, SECRET) == []


def test_a_dry_run_erases_nothing(people: SessionLog) -> None:
    agent_of(people, "s", "Noted.")(SECRET)
    report = erase(people, dry_run=True)
    assert (report.count("due"), report.is_complete) == (1, False)
    assert report.steps[0].events == people.head("s").revision
    assert holders(people, SECRET)


def test_held_sessions_are_told_of_and_left(people: SessionLog) -> None:
    for name in ("free", "held"):
        people.append(name, note(1, SECRET))
        people.subjects.annotate(name, "user-77")
    people.retention.hold("held", **WHO)
    report = erase(people)
    assert {step.place.name: step.outcome for step in report.steps} == {"free": "erased", "held": "held"}
    assert not report.is_complete
    assert names(people) == ["held"]
    people.retention.release("held", **WHO)
    assert erase(people).is_complete
    assert holders(people, SECRET) == []


def test_what_was_interrupted_goes_on(people: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_erasure, "_AT_ONCE", 10)
    monkeypatch.setattr(eraser, "STEP_ENTRIES", 10)
    fill(people, 35)
    people.subjects.annotate("s", "user-77")
    calls = list[int]()

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        erase(people, progress=stop)
    assert names(people) == ["s"]
    assert holders(people, SECRET)
    assert erase(people).is_complete
    assert holders(people, SECRET) == []
    assert names(people) == []
    assert people.verify("s").ok


def test_what_a_live_agent_writes_meanwhile_goes_too_or_is_told(people: SessionLog) -> None:
    people.append("s", note(1, SECRET))
    people.subjects.annotate("s", "user-77")

    def write(done: int, total: int) -> None:
        people.append("s", note(done, SECRET))

    (step,) = erase(people, progress=write).steps
    assert step.outcome == "unfinished"
    assert names(people) == ["s"]
    assert erase(people).is_complete
    assert holders(people, SECRET) == []


def test_sessions_can_be_deleted_and_nothing_but_hashes_is_left(people: SessionLog) -> None:
    people.append("user-77-chat", note(1, SECRET))
    people.subjects.annotate("user-77-chat", "user-77")
    (place,) = people.subjects.find("user-77")
    assert place.named_in == ("its id",)
    (step,) = erase(people, delete=True).steps
    assert step.outcome == "deleted"
    (tombstone,) = people.tombstones()
    assert tombstone.session_id.startswith("sha256:")
    assert tombstone.subjects == ()
    keys = people._events.keyspace.session("user-77-chat")
    assert "user-77" not in str(people.client.execute_command("HGETALL", keys.tombstones))
    assert names(people) == []


def test_what_forks_share_goes_also_where_the_session_is_deleted(people: SessionLog) -> None:
    fill(people, 3)
    people.fork("s", into="f", at=3)
    people.append("f", note(4))
    people.fork("s", into="held", at=3)
    people.retention.hold("held", **WHO)
    people.subjects.annotate("s", "user-77")
    (step,) = erase(people, delete=True).steps
    assert step.outcome == "deleted"
    assert [text.split(":")[0] for text in step.notes[:2]] == [
        "fork 'f' is not said to be about the person",
        "fork 'held' is held, and has what they share",
    ]
    assert [one.event.is_erased for one in people.read("f", types="custom.note")] == [True, True, True, False]
    assert not any(one.event.is_erased for one in people.read("held"))
    assert people.verify("f").ok


def test_tombstones_of_their_sessions_are_found_and_reduced(people: SessionLog) -> None:
    people.append("s", note(1))
    people.subjects.annotate("s", "user-77")
    people.delete("s", by="user-77", reason="they asked")
    (place,) = people.subjects.find("user-77")
    assert (place.kind, place.named_in) == ("tombstone", ("who deleted it",))
    assert exported(people)[1]["by"] == "user-77"
    assert erase(people).count("reduced") == 1
    assert names(people) == []
    assert next(people.tombstones("s")).by.startswith("sha256:")


def about_two(log: SessionLog, session_id: str = "s") -> None:
    log.append(session_id, note(1))
    for subject in ("user-77", "user-88"):
        log.subjects.annotate(session_id, subject)
    log.delete(session_id, by="ada")


def test_a_tombstone_that_was_reduced_for_one_is_exported_and_reduced_for_another(people: SessionLog) -> None:
    about_two(people)
    about_two(people, "t")
    assert erase(people).count("reduced") == 2
    lines = [line for line in exported(people, "user-88") if line["kind"] == "tombstone"]
    assert [line["session_id"][:7] for line in lines] == ["sha256:"] * 2
    assert erase(people, "user-88").count("reduced") == 2
    assert names(people, "user-88") == []
    assert [one.subjects for one in people.tombstones()] == [(), ()]


def test_a_reduced_tombstone_of_an_id_that_is_held_now_stays(people: SessionLog) -> None:
    about_two(people)
    assert erase(people).is_complete
    people.append("s", note(1))
    people.retention.hold("s", **WHO)
    assert erase(people, "user-88").count("held") == 1
    assert len(names(people, "user-88")) == 1
    people.retention.release("s", **WHO)
    assert erase(people, "user-88").is_complete
    assert names(people, "user-88") == []


def test_of_an_id_each_life_that_was_about_them_is_exported_once(people: SessionLog) -> None:
    about_two(people)
    people.append("s", note(1))
    people.delete("s", by="grace", reason="of nobody")
    about_two(people)
    told = [line["by"] for line in exported(people) if line["kind"] == "tombstone"]
    assert told == ["ada", "ada"]


def test_a_reason_that_names_them_is_refused_and_not_repeated(people: SessionLog) -> None:
    for said in ({"reason": "User-77 asked"}, {"by": "user-77"}):
        with pytest.raises(errors.InvalidSettingError) as caught:
            erase(people, **said)
        assert "ser-77" not in str(caught.value)


def test_stored_values_are_exported_and_deleted(people: SessionLog) -> None:
    storage = ValkeyStorage(people, subject="user-77")
    asyncio.run(storage.write("a/b", SECRET.encode()))
    asyncio.run(storage.namespace("c").write("d", b"more"))
    asyncio.run(storage.write("gone", b"soon"))
    asyncio.run(storage.delete("gone"))
    asyncio.run(ValkeyStorage(people).write("of/others", b"kept"))
    assert names(people) == ["a/b", "c/d"]
    values = {line["key"]: line["data_base64"] for line in exported(people) if line["kind"] == "storage"}
    assert values.keys() == {"a/b", "c/d"}
    assert erase(people).count("deleted") == 2
    assert names(people) == []
    assert holders(people, SECRET) == []
    assert asyncio.run(storage.list()) == ["of/others"]


def test_an_export_has_all_there_is_line_by_line(people: SessionLog) -> None:
    agent_of(people, "s", "Noted.")(SECRET)
    people.append("s", events.SessionAnnotated({"team": "a"}))
    first, session, *lines, last = exported(people)
    assert (first["kind"], first["format"], first["version"]) == ("export", "strands-session-log/subject", 1)
    assert "user-77" not in str(first)
    assert (session["session_id"], session["labels"], session["held"]) == ("s", {"team": "a"}, False)
    assert [line["id"] for line in lines] == [str(one.id) for one in people.read("s")]
    assert SECRET in str(lines)
    assert last == {"kind": "end", "sessions": 1, "events": len(lines), "stored_values": 0, "unreadable": 0}


def test_an_index_that_was_lost_is_made_anew(people: SessionLog) -> None:
    people.append("s", note(1))
    people.subjects.annotate("s", "user-77")
    people.append("t", [note(1), note(2)])
    people.subjects.annotate("t", "user-77", events=[2])
    for name in ("s", "t"):
        keys = people._events.keyspace.session(name)
        people.client.execute_command("DEL", keys.subjects)
        people.client.execute_command("HDEL", keys.head, "subjects")
    assert names(people) == []
    assert any("reindex" in line for line in people.verify("s").problems)
    assert people.subjects.reindex() == 2
    assert {place.name: place.events is None for place in people.subjects.find("user-77")} == {"s": True, "t": False}
    assert people.verify("s").ok


def test_what_a_deleted_session_was_about_is_in_no_index(people: SessionLog) -> None:
    people.append("s", note(1))
    people.subjects.annotate("s", "user-77")
    people.subjects.annotate("s", "user-88", events=[1])
    people.delete("s")
    assert list(people._events.subjects.lines([people.subjects.hash_of("user-77")])) == []
    assert list(people._events.subjects.lines([people.subjects.hash_of("user-88")])) == []
    assert next(people.tombstones("s")).subjects == (
        people.subjects.hash_of("user-77"),
        people.subjects.hash_of("user-88"),
    )


def test_what_handlers_said_of_it_is_exported_and_goes(people: SessionLog) -> None:
    people.append("s", note(1, SECRET))
    people.subjects.annotate("s", "user-77")
    with Subscriber(people, "audit", keep_errors="full", max_attempts=1) as deliveries:
        next(deliveries).fail(ValueError(f"cannot handle {SECRET}"))
    texts = [line["text"] for line in exported(people) if line["kind"] == "parked_error"]
    assert SECRET in str(texts)
    erase(people)
    assert SECRET not in str([one.error for one in people.parked("audit")])
    assert holders(people, SECRET) == []


def test_in_an_encrypted_log_they_are_found_exported_and_erased_too(
    server_url: str, namespace: str, tmp_path: Path
) -> None:
    keys = LocalKeys.new(tmp_path / "keys")
    with SessionLog.connect(server_url, namespace, subject_key=KEY, encryption=keys) as log:
        log.append("s", [note(1, SECRET), note(2, "of others")])
        log.subjects.annotate("s", "user-77", events=[1])
        agent_of(log, "whole", "Noted.")(SECRET)
        asyncio.run(ValkeyStorage(log, subject="user-77").write("kept", SECRET.encode()))
        held = log.retention.hold("whole", **WHO)
        assert holders(log, SECRET) == holders(log, WHO["reason"]) == []
        assert next(log.retention.holds("whole")).reason == WHO["reason"]
        lines = exported(log)
        assert lines[-1]["unreadable"] == 0
        assert any(line["kind"] == "storage" for line in lines)
        log.retention.release("whole", holds=[held], **WHO)
        with SessionLog.connect(server_url, namespace, subject_key=KEY) as without:
            with pytest.raises(errors.EncryptionError):
                erase(without)
            assert not log.event("s", 1).event.is_erased
        assert erase(log).is_complete
        assert log.event("s", 1).event.is_erased
        assert not log.event("s", 2).event.is_erased
        assert names(log) == []
        assert all(log.verify(name).ok for name in ("s", "whole"))


def test_after_an_erasure_the_text_occurs_nowhere_on_disk_either(caplog: pytest.LogCaptureFixture) -> None:
    """In a fresh RDB file and a rewritten append-only file, byte by byte."""
    caplog.set_level(0)
    with ValkeyliteServer(appendonly="yes", rdbcompression="no") as server:
        _everything_that_is_about_somebody(server)
        with SessionLog(server.client(), subject_key=KEY) as log:
            assert SECRET.encode() in bytes_on_disk(server)
            report = erase(log)
            assert report.is_complete, report.steps
            assert SECRET not in str(report)
            assert SECRET not in caplog.text
            assert "user-77" not in caplog.text
            found = bytes_on_disk(server)
            assert SECRET.encode() not in found
            assert b"user-77" not in found
            again = io.BytesIO()
            log.subjects.export("user-77", again)
            assert SECRET.encode() not in again.getvalue()
            assert not any(SECRET in str(one.error) for one in log.parked("audit"))
            assert all(one.verification.ok for one in log.verify_all())


def _everything_that_is_about_somebody(server: Server) -> None:
    """Messages, states, snapshots, forks, stored values, compressed bodies, parked errors."""
    often = SnapshotSettings(threshold=2)
    with SessionLog(server.client(), subject_key=KEY, compress="zstd", snapshots=often) as log:
        agent = agent_of(log, "s", *["Noted."] * 3)
        agent.state.set("about", SECRET)
        for _ in range(3):
            agent(f"My password is {SECRET}. " + "And more of that. " * 50)
        snapshot = log._events.keyspace.session("s").snapshot
        wait_until(lambda: exists(log, snapshot), "a snapshot")
        log.fork("s", None, "fork")
        asyncio.run(ValkeyStorage(log, subject="user-77").write("kept", SECRET.encode()))
        with Subscriber(log, "audit", keep_errors="full", max_attempts=1) as deliveries:
            for _ in range(5):
                next(deliveries).fail(ValueError(f"cannot handle {SECRET}"))
