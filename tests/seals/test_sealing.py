"""Sealing: what changed is added to a log outside the server, whatever happens on the way."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.errors import SealBusyError, SealDamagedError, SealMismatchError, SealNotFoundError
from strands_session_log.seals import (
    SealDirectory,
    SealedLog,
    SealProof,
    SealRecord,
    SealWriter,
    SigningKey,
    checkpoint_problems,
)
from support.command_line import Run

KEY = SigningKey.make("example.com/agents")


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "seals"


def record_of(sealed: SealedLog, session_id: str) -> SealRecord:
    return sealed.records_of(session_id)[-1].record


def test_what_changed_is_sealed_once(log: SessionLog, place: Path) -> None:
    sealer = SealWriter(log, place, KEY)
    assert sealer.seal().checkpoint is None, "there is nothing to seal"
    ids = {name: log.append(name, [note(), note()]) for name in ("a", "b", "ü\U0001f600")}
    first = sealer.seal()
    assert (first.sessions, first.deletions, first.checkpoint and first.checkpoint.size) == (3, 0, 4)
    assert sealer.seal().sessions == 0, "nothing has changed since"
    assert sealer.seal(everything=True).sessions == 0
    log.append("b", note())
    log.delete("a")
    second = sealer.seal()
    assert (second.sessions, second.deletions) == (1, 1)
    sealed = SealedLog(place, [KEY.verifier])
    assert len(sealed) == 7
    found = record_of(sealed, "ü\U0001f600")
    assert (found.revision, found.id) == (2, ids["ü\U0001f600"])
    assert found.link == log.anchor("ü\U0001f600").link
    assert record_of(sealed, "b").revision == 3
    assert record_of(sealed, "a").is_deleted
    assert sealed.mark.namespace == log.namespace


def test_what_was_active_in_the_minute_before_a_seal_is_not_sealed_again(log: SessionLog, place: Path) -> None:
    sealer = SealWriter(log, place, KEY)
    for number in range(5):
        log.append(f"s-{number}", note())
        assert sealer.seal().sessions == 1
    assert len(SealedLog(place)) == 10


def test_every_record_is_proven_from_its_checkpoint_without_the_others(log: SessionLog, place: Path) -> None:
    for number in range(7):
        log.append(f"s-{number}", note())
    SealWriter(log, place, KEY).seal()
    sealed = SealedLog(place, [KEY.verifier])
    for number in range(7):
        proof = SealProof.parse(sealed.proof(f"s-{number}").to_text(with_record=True))
        assert proof.verify([KEY.verifier]).size == 8
        assert json.loads(proof.record)["session"] == f"s-{number}"
    with pytest.raises(SealNotFoundError, match="no record of session 'nobody'"):
        sealed.proof("nobody")


class Killed(Exception):
    """The sealer's process ended here."""


class Dying(SealDirectory):
    """A directory whose user is killed at its n-th write.

    Args:
        path: The directory.
        at: Which one.
    """

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path)
        self._left = at

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed

    def create(self, name: str, content: bytes) -> bool:
        self._live()
        return super().create(name, content)

    def replace(self, name: str, content: bytes) -> None:
        self._live()
        super().replace(name, content)

    def discard(self, name: str) -> None:
        self._live()
        super().discard(name)


@pytest.mark.parametrize("begun", [0, 254, 300])
def test_a_seal_that_is_killed_anywhere_leaves_the_old_one_and_is_finished_by_the_next(
    log: SessionLog, place: Path, tmp_path: Path, begun: int
) -> None:
    for number in range(begun):
        log.append(f"before-{number}", note())
    before = SealWriter(log, place, KEY).seal().checkpoint
    for number in range(3):
        log.append(f"s-{number}", note())
    for writes in count():
        copy = tmp_path / f"{writes}"
        if begun:
            shutil.copytree(place, copy)
        try:
            SealWriter(log, Dying(copy, writes), KEY).seal()
            break
        except Killed:
            is_sealed = begun or (copy / "checkpoint").exists()
        if is_sealed:
            # It is whole, signed, and of the same history: the one before, or already the new one.
            kept = SealedLog(copy, [KEY.verifier])
            assert len(kept) in (before.size if before else 0, (before.size if before else 0) + 4)
            if before:
                kept.check(before, "the one before")
        SealWriter(log, copy, KEY).seal()
        sealed = SealedLog(copy, [KEY.verifier])
        assert [one.record.revision for one in sealed.records_of("s-1")] == [1]
        assert len(sealed) == (before.size if before else 0) + 4
        assert SealWriter(log, copy, KEY).seal().sessions == 0
        assert not (copy / "pending" / str(before.size if before else 0)).exists()
    assert writes > 5


def test_what_was_begun_is_finished_with_the_records_it_was_begun_with(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    with pytest.raises(Killed):
        SealWriter(log, Dying(place, 1), KEY).seal()
    log.append("s", note())
    done = SealWriter(log, place, KEY).seal()
    assert (done.finished, done.sessions) == (1, 1)
    assert [one.record.revision for one in SealedLog(place, [KEY.verifier]).records_of("s")] == [1, 2]


def test_what_was_begun_by_nobody_with_a_key_is_not_finished(log: SessionLog, place: Path) -> None:
    """Else whoever may write to the directory has signed what he likes."""
    log.append("s", note())
    with pytest.raises(Killed):
        SealWriter(log, Dying(place, 1), SigningKey.make(KEY.name)).seal()
    with pytest.raises(ValueError, match="signed by another key"):
        SealWriter(log, place, KEY).seal()
    pending = place / "pending" / "0"
    pending.write_bytes(pending.read_bytes()[:-1])
    with pytest.raises(SealDamagedError):
        SealWriter(log, place, KEY).seal()
    assert not (place / "checkpoint").exists()


def test_two_sealers_at_once_are_told_apart(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    with SealDirectory(place).locked(), pytest.raises(SealBusyError, match="another process seals there"):
        SealWriter(log, place, KEY).seal()
    assert SealWriter(log, place, KEY).seal().sessions == 1


def test_a_directory_is_of_one_namespace_and_one_key(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    SealWriter(log, place, KEY).seal()
    with pytest.raises(SealMismatchError, match="namespace"):
        SealedLog(place).check_namespace("another")
    with pytest.raises(SealDamagedError, match="is not signed by example"):
        SealWriter(log, place, SigningKey.make("example.com/other")).seal()
    successor = SigningKey.make(KEY.name)
    log.append("s", note())
    assert SealWriter(log, place, successor, [KEY.verifier]).seal().sessions == 1
    assert SealedLog(place, [successor.verifier]).signed_by == (successor.verifier,)


def test_a_session_whose_head_cannot_be_read_is_named_and_the_others_are_sealed(log: SessionLog, place: Path) -> None:
    for name in ("a", "b", "c"):
        log.append(name, note())
    keys = log._events.keyspace
    log.client.execute_command("HSET", keys.session("a").head, "link", "junk")
    log.client.execute_command("DEL", keys.session("b").head)
    log.client.execute_command("SET", keys.session("b").head, "a text")
    done = SealWriter(log, place, KEY).seal()
    assert (done.sessions, sorted(done.skipped)) == (1, ["a", "b"])


def test_the_command_makes_a_key_seals_and_proves(log: SessionLog, run: Run, tmp_path: Path, place: Path) -> None:
    log.append("s-42", note())
    told = run("seal", "--to", str(place), exit_code=2)
    assert "--new-key" in told.stderr
    key = str(tmp_path / "seal.key")
    verifier = run("seal", "--new-key", key, "--name", "example.com/agents").stdout.strip()
    assert verifier.startswith("example.com/agents+")
    done = json.loads(run("seal", "--to", str(place), "--key", key, "--json").stdout)
    assert (done["sessions"], done["size"]) == (1, 2)
    assert "sealed 0 sessions; 2 records in all" in run("seal", "--to", str(place), "--key", key).stdout
    kept = tmp_path / "kept"
    kept.write_bytes((place / "checkpoint").read_bytes())
    log.append("s-42", note())
    run("seal", "--to", str(place), "--key", key)
    proof = SealProof.parse(run("seal", "--to", str(place), "--prove", "s-42", "--trusted", verifier).stdout)
    assert json.loads(proof.record)["revision"] == 2
    told = run("seal", "--to", str(place), "--consistency", str(kept), "--trusted", verifier).stdout
    assert told.startswith("old 2\n")
    assert told.endswith((place / "checkpoint").read_text())


def test_a_clock_that_was_set_ahead_or_back_hides_nothing(
    log: SessionLog, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may set the server's clock could else have new sessions begin at times that no seal looks at."""
    sealer, clock = SealWriter(log, place, KEY), log._events.clock
    log.append("a", note())
    with monkeypatch.context() as patch:
        patch.setattr(log._events, "clock", lambda key: clock(key) + 10**9)
        sealer.seal()
    log.append("b", note())
    assert sealer.seal().sessions == 1
    log.append("c", note())
    keys = log._events.keyspace.session("c")
    log.client.execute_command("ZADD", keys.sessions, 1_000, "c")
    with monkeypatch.context() as patch:
        patch.setattr(log._events, "clock", lambda key: clock(key) - 10**9)
        assert sealer.seal().sessions == 1


def test_what_came_there_without_an_append_is_sealed_when_all_is_looked_at(log: SessionLog, place: Path) -> None:
    sealer = SealWriter(log, place, KEY)
    log.append("a", note())
    sealer.seal()
    log.append("old", note())
    log.client.execute_command("ZADD", log._events.keyspace.session("old").sessions, 1_000, "old")
    assert sealer.seal().sessions == 0
    assert sealer.seal(everything=True).sessions == 1


def test_a_seal_that_is_about_to_be_finished_is_no_alarm(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    SealWriter(log, place, KEY).seal()
    log.append("s", note())
    for writes in range(20):
        with suppress(Killed):
            SealWriter(log, Dying(place, writes), KEY).seal()
        assert list(checkpoint_problems(SealedLog(place, [KEY.verifier]))) == []
        if len(SealedLog(place)) > 2:
            break
    assert len(SealedLog(place)) == 4


def test_seals_that_go_on_while_others_verify_are_no_alarm(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    SealWriter(log, place, KEY).seal()
    sealed = SealedLog(place, [KEY.verifier])
    for number in range(300):
        log.append(f"s-{number}", note())
        if number % 30 == 0:
            SealWriter(log, place, KEY).seal()
    SealWriter(log, place, KEY).seal()
    assert [one for one in log.verify_all(against=sealed) if not one.verification.ok] == []
    assert sealed.proof("s").verify([KEY.verifier]).size == 2


def test_seals_that_are_gone_are_not_begun_anew_by_who_knows_them(log: SessionLog, place: Path) -> None:
    log.append("s", note())
    sealer = SealWriter(log, place, KEY)
    sealer.seal()
    shutil.rmtree(place)
    with pytest.raises(SealDamagedError, match="it is gone, and with it 2 records"):
        sealer.seal()
