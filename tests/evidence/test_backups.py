"""Backups: all there is in bundles, what has changed since a seal, and bringing it back, the newest first."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from strands_session_log import SessionLog, verify_bundle
from strands_session_log.errors import BundleTooLargeError, InvalidSettingError
from strands_session_log.evidence import sessions_in
from strands_session_log.seals import SealedLog, SealWriter, SigningKey
from support.bundles import Bundle, bundle_of
from support.command_line import Run, message, runner
from support.tampering import entries_of


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str]) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, new_namespace()) as log:
        yield log


@pytest.fixture
def there(server_url: str, elsewhere: SessionLog) -> Run:
    """`session-log` on the empty log."""
    return runner(server_url, elsewhere.namespace)


@pytest.fixture
def seal(log: SessionLog, tmp_path: Path) -> Callable[[], SealedLog]:
    """Seals what stands there, and reads the seals."""
    key = SigningKey.make("example.com/agents")

    def sealed() -> SealedLog:
        SealWriter(log, tmp_path / "seals", key).seal()
        return SealedLog(tmp_path / "seals")

    return sealed


def names_in(bundle: Bundle) -> set[str]:
    return {one["session_id"] for one in bundle.manifest["sessions"]}


def test_a_backup_tells_what_was_deleted_and_an_older_one_does_not_bring_it_back(
    talk: SessionLog, elsewhere: SessionLog
) -> None:
    talk.append("other", message(0, "user", "Hello"))
    monday = bundle_of(talk)
    talk.delete("s-42", reason="asked to")
    talk.append("other", message(1, "assistant", "Hi"))
    tuesday = bundle_of(talk)
    (life,) = tuesday.manifest["deleted"]
    assert (life["session"], life["reason"], "token" in life) == ("s-42", "asked to", False)
    assert monday.manifest["deleted"] == []
    assert bundle_of(talk, "other").manifest["deleted"] == []

    outcomes = [
        {one.session_id: one.outcome for one in elsewhere.import_(io.BytesIO(one.data), skip_refused=True)}
        for one in (tuesday, monday)
    ]
    assert outcomes == [{"other": "imported"}, {"other": "skipped", "s-42": "deleted"}]
    assert entries_of(elsewhere, "other") == entries_of(talk, "other")
    assert [problem for one in elsewhere.verify_all(feed=True) for problem in one.verification.problems] == []


def test_a_backup_since_a_seal_has_what_changed_since(talk: SessionLog, seal: Callable[[], SealedLog]) -> None:
    talk.append("other", message(0, "user", "Hello"))
    first = seal()
    size = len(first)
    assert names_in(bundle_of(talk, since=first)) == set()
    talk.append("other", message(1, "assistant", "Hi"))
    talk.append("third", message(0, "user", "Hello"))
    bundle = bundle_of(talk, since=first)
    assert names_in(bundle) == {"other", "third"}
    assert bundle.manifest["since"]["checkpoint"] == size
    assert verify_bundle(io.BytesIO(bundle.data)).ok
    newest = seal()
    assert names_in(bundle_of(talk, since=newest)) == set()
    assert names_in(bundle_of(talk, since=(newest, size))) == {"other", "third"}
    assert bundle_of(talk, since=(newest, size)).manifest["since"] == bundle.manifest["since"]


def test_since_a_seal_is_about_all_sessions(talk: SessionLog, seal: Callable[[], SealedLog]) -> None:
    with pytest.raises(InvalidSettingError, match="since"):
        bundle_of(talk, "s-42", since=seal())


def test_a_bundle_has_the_seal_that_covers_a_session(talk: SessionLog, seal: Callable[[], SealedLog]) -> None:
    seals = seal()
    talk.append("s-42", message(4, "user", "Thanks."))
    bundle = bundle_of(talk, "s-42", seals=seals.find)
    assert bundle.manifest["sessions"][0]["sealed"] == len(seals)
    (found,) = verify_bundle(io.BytesIO(bundle.data)).sessions
    assert found.problems == ()
    assert found.seal
    assert (found.seal.revision, found.seal.size) == (6, len(seals))


def test_the_seal_of_an_earlier_life_of_the_id_is_not_that_of_the_session(
    talk: SessionLog, seal: Callable[[], SealedLog]
) -> None:
    seals = seal()
    talk.delete("s-42")
    talk.append("s-42", message(0, "user", "Anew."))
    for found in (seals, None):
        bundle = bundle_of(talk, "s-42", seals=(found or seals).find)
        assert bundle.manifest["sessions"][0]["sealed"] is None
        assert verify_bundle(io.BytesIO(bundle.data)).ok
    assert bundle_of(talk, "s-42", seals=seal().find).manifest["sessions"][0]["sealed"]


def test_more_sessions_than_a_verifier_reads_are_refused(talk: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strands_session_log.evidence.exporting.MOST_SESSIONS", 1)
    talk.append("other", message(0, "user", "Hello"))
    with pytest.raises(BundleTooLargeError, match="1 sessions"):
        bundle_of(talk)


def test_what_has_no_room_in_one_bundle_goes_to_further_ones_and_all_come_back_together(
    talk: SessionLog,
    run: Run,
    there: Run,
    elsewhere: SessionLog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("strands_session_log.evidence.exporting.MOST_SESSIONS", 2)
    for name in ("second", "third", "gone"):
        talk.append(name, message(0, "user", "Hello"))
    talk.delete("gone")
    talk.fork("s-42", None, "fork")
    run("export", "--all", "--to", "evidence", str(tmp_path / "all.zip"))
    files = [str(tmp_path / name) for name in ("all.zip", "all.2.zip")]
    assert sorted(map(str, tmp_path.glob("*.zip"))) == sorted(files)
    assert all(verify_bundle(file).ok for file in files)
    there("import", *files)
    names = {"s-42", "second", "third", "fork"}
    assert {*elsewhere.session_ids()} == names
    assert all(elsewhere.anchor(name) == talk.anchor(name) for name in names)
    assert [one.session_id for one in elsewhere.tombstones()] == ["gone"]
    assert "exists already" in run("export", "--all", "--to", "evidence", files[0], exit_code=1).output


def test_a_list_that_grows_too_long_for_a_verifier_is_split_too(
    talk: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.append("other", message(0, "user", "Hello"))
    monkeypatch.setattr("strands_session_log.evidence.exporting.MOST_MANIFEST", 1000)
    first, further = io.BytesIO(), list[io.BytesIO]()

    def more(number: int) -> AbstractContextManager[io.BytesIO]:
        assert number == len(further) + 2
        further.append(io.BytesIO())
        return nullcontext(further[-1])

    found = talk.export(None, first, more=more)
    assert [len(one.sessions) for one in (found, *found.more)] == [1, 1]
    assert {sessions_in(one)[0] for one in (first, *further)} == {"s-42", "other"}


def test_the_command_line_takes_backups_since_a_seal_and_restores_the_newest_first(
    talk: SessionLog, run: Run, there: Run, elsewhere: SessionLog, seal: Callable[[], SealedLog], tmp_path: Path
) -> None:
    monday, tuesday, seals = str(tmp_path / "a monday.zip"), str(tmp_path / "a tuesday.zip"), str(tmp_path / "seals")
    talk.append("other", message(0, "user", "Hello"))
    talk.append("gone", message(0, "user", "Hello"))
    size = len(seal())
    run("export", "--all", "--to", "evidence", monday)
    talk.append("other", message(1, "assistant", "Hi"))
    talk.delete("gone")
    seal()
    run("export", "--all", "--to", "evidence", tuesday, "--since-seal", f"{seals}@{size}", "--seals", seals)
    assert names_in(Bundle(Path(tuesday).read_bytes())) == {"other"}

    told = [json.loads(line) for line in there("import", monday, tuesday, "--json").stdout.splitlines()]
    outcomes = {(Path(one["bundle"]).stem, one["session_id"]): one["outcome"] for one in told}
    assert outcomes == {
        ("a tuesday", "other"): "imported",
        ("a monday", "other"): "skipped",
        ("a monday", "s-42"): "imported",
        ("a monday", "gone"): "deleted",
    }
    for name in ("s-42", "other"):
        assert entries_of(elsewhere, name) == entries_of(talk, name)
    assert "2 sessions: 2 intact" in there("verify", "--all", "--feed").stdout
    assert "needs --all" in run("export", "s-42", "--to", "evidence", "-", "--since-seal", seals, exit_code=2).stderr
