"""Sessions held against seals: what an administrator does to a history shows, what may happen to it does not alarm."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from strands_session_log import SessionLog, Verification, errors, events
from strands_session_log.seals import (
    SealDirectory,
    SealedLog,
    SealWriter,
    SigningKey,
    make_key_file,
)
from support.command_line import Run
from support.tampering import entries_of, forge_all, put, tamper

KEY = SigningKey.make("example.com/agents")
EVENTS = 20


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "seals"


@pytest.fixture
def sealer(log: SessionLog, place: Path) -> SealWriter:
    """Of a log in which a session of 20 events was sealed at 10, and at 20."""
    sealer = SealWriter(log, place, KEY)
    log.append("s", [note(number) for number in range(10)])
    log.append("other", note())
    sealer.seal()
    for number in range(10, EVENTS):
        log.append("s", note(number))
    sealer.seal()
    return sealer


def forget_feed(log: SessionLog) -> None:
    """What an administrator does so that the feed contradicts nothing."""
    keys = log._events.keyspace.session("s")
    log.client.execute_command("DEL", keys.feed, keys.snapshot)


def verified(log: SessionLog, place: Path) -> Verification:
    return log.verify("s", against=SealedLog(place, [KEY.verifier]))


def rewritten(log: SessionLog) -> None:
    """Another word in the middle, and everything after it chained anew."""
    entries = entries_of(log)
    id_, fields = entries[4]
    entries[4] = id_, {**fields, "body": b'{"number":99}'}
    forge_all(log, entries)


def cut_off(log: SessionLog) -> None:
    forge_all(log, entries_of(log)[:15])


def other_times(log: SessionLog) -> None:
    """The same events a second later, which are then of other ids."""
    moved = [(f"{int(id_.partition('-')[0]) + 1000}-{id_.partition('-')[2]}", one) for id_, one in entries_of(log)]
    forge_all(log, [(id_, {**fields, "base": b"0-0"}) for id_, fields in moved])


def taken_away(log: SessionLog) -> None:
    keys = log._events.keyspace.session("s")
    log.client.execute_command("DEL", keys.events, keys.head, keys.ids)
    log.client.execute_command("ZREM", keys.sessions, "s")


def with_a_tombstone_that_is_a_lie(log: SessionLog) -> None:
    """Rewritten, and a tombstone made up as if it were the next session of its id."""
    entries, keys = entries_of(log), log._events.keyspace.session("s")
    log.delete("s")
    forge_all(log, entries[:4] + [(id_, {**one, "body": b"{}"}) for id_, one in entries[4:]])
    log.client.execute_command("HSET", keys.head, "predecessor", "1 1 x")


ATTACKS: dict[str, tuple[Callable[[SessionLog], None], str]] = {
    "rewritten": (rewritten, "has another link than was sealed"),
    "cut off": (cut_off, "ends at revision 15"),
    "at other times": (other_times, "it has another history"),
    "taken away": (taken_away, "no tombstone tells that it was deleted"),
    "a false tombstone": (with_a_tombstone_that_is_a_lie, "has another link than was sealed"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_history_that_is_replaced_as_a_whole_is_detected(
    name: str, log: SessionLog, sealer: SealWriter, place: Path
) -> None:
    attack, told = ATTACKS[name]
    attack(log)
    forget_feed(log)
    if name == "rewritten":
        assert log.verify("s").ok, "nothing on the server contradicts it"
    found = verified(log, place)
    assert not found.ok
    assert any(told in problem for problem in found.problems), found.problems
    assert found.sealed == 2
    everything = {one.session_id: one for one in log.verify_all(against=SealedLog(place)) if one.session_id}
    assert [name for name, one in everything.items() if not one.verification.ok] == ["s"]
    # What an attacker's session goes on with is sealed, too, and the old records contradict it for ever.
    sealer.seal()
    assert not verified(log, place).ok


def test_an_untouched_log_never_alarms(log: SessionLog, sealer: SealWriter, place: Path) -> None:
    """Whatever happens to sessions that may: erasing, forking, rewinding, deleting, beginning anew."""
    log.fork("s", 12, "fork")
    log.erase("s", 3, reason="asked for")
    log.append("other", note())
    sealer.seal()
    log.rewind("s", 5)
    log.delete("other", reason="asked for")
    log.append("other", note(1))
    log.delete("fork")
    for _ in range(2):
        assert verified(log, place).ok
        found = list(log.verify_all(against=SealedLog(place, [KEY.verifier])))
        assert [one for one in found if not one.verification.ok] == []
        sealer.seal()
    assert verified(log, place).sealed == 4


def test_a_deletion_that_was_sealed_is_known_when_its_tombstone_is_gone(
    log: SessionLog, sealer: SealWriter, place: Path
) -> None:
    log.delete("s")
    with pytest.raises(errors.SessionNotFoundError):
        verified(log, place)
    tombstones = log._events.keyspace.session("s").tombstones
    saved = log.client.execute_command("DUMP", tombstones)
    log.client.execute_command("DEL", tombstones)
    assert "no tombstone tells" in verified(log, place).problems[0]
    log.client.execute_command("RESTORE", tombstones, 0, saved)
    sealer.seal()
    log.client.execute_command("DEL", tombstones, f"{tombstones}:times")
    with pytest.raises(errors.SessionNotFoundError):
        verified(log, place)


def test_a_reduced_tombstone_is_one(log: SessionLog, sealer: SealWriter, place: Path) -> None:
    log.delete("s")
    log.reduce_tombstone("s")
    assert sealer.seal().deletions == 1
    tombstones = log._events.keyspace.session("s").tombstones
    log.client.execute_command("DEL", tombstones, f"{tombstones}:times")
    with pytest.raises(errors.SessionNotFoundError):
        verified(log, place)
    named = [one for one in log.verify_all(against=place) if one.session_id and not one.verification.ok]
    assert named == []


def test_what_was_deleted_and_is_put_back_is_told(log: SessionLog, sealer: SealWriter, place: Path) -> None:
    keys = log._events.keyspace.session("s")
    saved = {key: log.client.execute_command("DUMP", key) for key in (keys.events, keys.head)}
    log.delete("s")
    sealer.seal()
    for key, content in saved.items():
        log.client.execute_command("RESTORE", key, 0, content)
    log.client.execute_command("DEL", keys.tombstones, f"{keys.tombstones}:times")
    assert any("its events are there again" in problem for problem in verified(log, place).problems)


def test_a_fork_brings_back_the_events_of_a_deleted_session_and_that_is_no_alarm(
    log: SessionLog, sealer: SealWriter, place: Path
) -> None:
    log.fork("s", 20, "copy")
    log.delete("s")
    sealer.seal()
    log.fork("copy", 20, "s")
    sealer.seal()
    assert verified(log, place).ok


def test_every_byte_of_the_seals_counts(log: SessionLog, sealer: SealWriter, place: Path, tmp_path: Path) -> None:
    """Of what the newest checkpoint covers; of older ones and of signatures, too, where all are looked at."""
    files = [file for file in place.rglob("*") if file.is_file() and file.name != ".lock"]
    assert len(files) > 5
    for file in files:
        name = str(file.relative_to(place))
        content = file.read_bytes()
        for at in range(0, len(content), max(1, len(content) // 7)):
            copy = tmp_path / "copy"
            shutil.copytree(place, copy)
            (copy / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert not is_intact(log, copy) or is_outgrown(name), (name, at)
            shutil.rmtree(copy)


def is_outgrown(name: str) -> bool:
    """Tiles of the seal before, which nothing needs any more."""
    return name.endswith((".p/3", "1/000.p/0"))


def is_intact(log: SessionLog, place: Path) -> bool:
    try:
        return all(one.verification.ok for one in log.verify_all(against=SealedLog(place, [KEY.verifier])))
    except errors.SealError:
        return False


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5", "checkpoints/3"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\n" * 40, b"0" * 8192])
def test_whatever_stands_in_place_of_a_file_is_a_typed_error(
    name: str, content: bytes, log: SessionLog, sealer: SealWriter, place: Path
) -> None:
    (place / name).write_bytes(content)
    assert not is_intact(log, place)


def test_a_pipe_a_link_and_a_huge_file_are_not_waited_for(log: SessionLog, sealer: SealWriter, place: Path) -> None:
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()):
        (place / "checkpoint").unlink()
        make(place / "checkpoint")
        assert not is_intact(log, place)
        if (place / "checkpoint").is_dir():
            (place / "checkpoint").rmdir()
            break
    with (place / "checkpoint").open("wb") as file:
        file.truncate(1 << 40)
    assert not is_intact(log, place)


def test_seals_that_were_set_back_are_told_by_those_that_came_after(
    log: SessionLog, sealer: SealWriter, place: Path
) -> None:
    (place / "checkpoint").write_bytes((place / "checkpoints" / "3").read_bytes())
    beside = [one for one in log.verify_all(against=SealedLog(place, [KEY.verifier])) if one.session_id is None]
    assert "was set back" in beside[0].verification.problems[0]


def test_a_rewritten_seal_is_detected_against_one_that_was_kept(
    log: SessionLog, sealer: SealWriter, place: Path, tmp_path: Path
) -> None:
    """Who has the key, too, may sign another history; not one that goes on from what somebody else has kept."""
    kept = SealedLog(place, [KEY.verifier]).checkpoint
    forged = tmp_path / "forged"
    tamper(log, 20, lambda fields: {**fields, "link": b"A" * 43})
    log.client.execute_command("HSET", log._events.keyspace.session("s").head, "link", "A" * 43)
    SealWriter(log, forged, KEY).seal()
    with pytest.raises(errors.SealDamagedError, match="records were taken away"):
        SealedLog(forged, [KEY.verifier]).check(kept, "the kept one")
    log.append("third", note())
    SealWriter(log, forged, KEY).seal()
    other = SealedLog(forged, [KEY.verifier])
    assert len(other) >= kept.size
    with pytest.raises(errors.SealDamagedError, match="the history was rewritten"):
        other.check(kept, "the kept one")
    # Equal in size, and another tree: two signatures of one key that cannot both be.
    assert other.root_at(kept.size) != kept.root


def test_seals_of_another_namespace_are_refused(
    log: SessionLog, sealer: SealWriter, place: Path, server_url: str, new_namespace: Callable[[], str]
) -> None:
    with SessionLog.connect(server_url, new_namespace()) as other:
        found = other.verify_all(against=place)
        with pytest.raises(errors.SealMismatchError, match="namespace"):
            next(found)


def test_the_command_tells_of_seals_and_of_who_signed_them(
    log: SessionLog, run: Run, place: Path, tmp_path: Path
) -> None:
    file = tmp_path / "k"
    verifier = str(make_key_file(file, "example.com/agents").verifier)
    log.append("s", [note(), note()])
    log.append("gone", note())
    run("seal", "--to", str(place), "--key", str(file))
    against = ("--against", str(place), "--key", verifier)
    assert "held against 1 sealed record" in run("verify", "s", *against).stdout
    everything = run("verify", "--all", *against).stdout
    assert "held against 3 sealed records of example.com/agents" in everything
    assert "signed by example.com/agents+" in everything
    unsigned = run("verify", "s", "--against", str(place))
    assert "is not checked" in unsigned.stderr
    assert json.loads(run("verify", "s", *against, "--json").stdout)["sealed"] == 1
    other = SigningKey.make("example.com/agents").verifier
    told = run("verify", "s", "--against", str(place), "--key", str(other), exit_code=1)
    assert "is not signed by" in told.stderr
    log.delete("gone")
    run("seal", "--to", str(place), "--key", str(file))
    told = run("verify", "gone", *against, exit_code=3)
    assert "as the seals tell" in told.stderr
    put(log, log._events.keyspace.session("s").events, entries_of(log)[:1])
    told = run("verify", "--all", *against, exit_code=1).stdout
    assert "has another history" in told or "ends at revision" in told
    assert run("verify", "s", "--against", str(tmp_path / "nothing"), exit_code=3).stderr


def test_a_store_without_a_lock_lets_no_two_sign_one_size(log: SessionLog, place: Path) -> None:
    """Where locks are not to be had, what is pending is written by one only."""
    log.append("s", note())
    directory = SealDirectory(place)
    assert directory.create("pending/0", b"other")
    assert not directory.create("pending/0", b"ours")
    assert directory.read("pending/0") == b"other"
    assert directory.names("pending") == ["0"]
