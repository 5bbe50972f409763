"""An import that is run again: after an interruption, after changes on either side, or only to see what it would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.moving import importing, plan
from support.moving_agents import assert_same, file_agent, log_agent, move_in, moved, write_messages


class Stop(Exception):
    """Somebody pulled the plug."""


def dbsize(log: SessionLog) -> int:
    return int(log.client.execute_command("DBSIZE"))


def test_an_import_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 450, "long")
    write_messages(tmp_path, 2, "next")

    def pull_the_plug(session_id: str, written: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        move_in(tmp_path, session_log, progress=pull_the_plug)
    assert len(session_log.state("long").agents["default"].messages) < 200

    outcomes = move_in(tmp_path, session_log)

    assert [(one.outcome, one.events) for one in outcomes] == [("completed", 253), ("imported", 5)]
    assert [one.id.revision for one in session_log.read("long")] == list(range(1, 454))
    assert log_agent(session_log, session="long").messages == file_agent(tmp_path, session="long").messages
    assert session_log.verify("long").ok


def test_what_is_there_is_skipped(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 3)
    moved(tmp_path, session_log)
    before = session_log.verify("s")

    assert [(one.outcome, one.events) for one in move_in(tmp_path, session_log)] == [("skipped", 0)]

    assert session_log.verify("s") == before


def test_an_import_catches_up_with_an_old_manager_that_went_on(tmp_path: Path, session_log: SessionLog) -> None:
    file_agent(tmp_path, ["One."])("Question?")
    moved(tmp_path, session_log)
    file_agent(tmp_path, ["Two."], state={"turns": 2})("Another?")

    (caught_up,) = move_in(tmp_path, session_log)

    assert (caught_up.outcome, caught_up.messages) == ("completed", 2)
    assert_same(log_agent(session_log), file_agent(tmp_path))
    assert move_in(tmp_path, session_log)[0].outcome == "skipped"


def test_a_session_that_went_on_in_the_log_is_not_touched_again(tmp_path: Path, session_log: SessionLog) -> None:
    file_agent(tmp_path, ["One."])("Question?")
    moved(tmp_path, session_log)
    log_agent(session_log, ["Two."])("Another?")
    assert move_in(tmp_path, session_log)[0].outcome == "skipped"

    file_agent(tmp_path, ["Three."])("And in the files?")
    (outcome,) = move_in(tmp_path, session_log)

    assert outcome.outcome == "conflict"
    assert "but not the state of 'default', message 2 of 'default', message 3 of 'default'" in outcome.problem
    assert "delete it from the log" in outcome.problem
    assert len(session_log.state("s").agents["default"].messages) == 4


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_message_changed_in_the_files_since_is_a_conflict(
    tmp_path: Path, session_log: SessionLog, change: str
) -> None:
    write_messages(tmp_path, 3)
    moved(tmp_path, session_log)
    path = next(tmp_path.rglob("message_1.json"))
    if change == "edited":
        path.write_text(path.read_text().replace("Message 1", "Never said"))
    else:
        path.unlink()

    (outcome,) = move_in(tmp_path, session_log)

    assert outcome.outcome == "conflict"
    assert "message 1 of 'default'" in outcome.problem


def test_a_session_of_the_logs_own_is_left_alone(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 3)
    session_log.append("s", events.Custom("custom.note", {}))

    assert move_in(tmp_path, session_log)[0].outcome == "conflict"

    assert [one.event.type for one in session_log.read("s")] == ["custom.note"]


def test_somebody_who_writes_during_an_import_wins(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 450)

    def intrude(session_id: str, written: int, total: int) -> None:
        session_log.append(session_id, events.Custom("custom.note", {}))

    (outcome,) = move_in(tmp_path, session_log, progress=intrude)

    assert (outcome.outcome, outcome.problem) == ("conflict", "another writer appended to it during the import")
    assert session_log.state("s").revision == 201


def test_a_session_that_is_deleted_during_its_import_stays_deleted(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 450)

    (outcome,) = move_in(tmp_path, session_log, progress=lambda session_id, *_: session_log.delete(session_id))

    assert outcome.problem == "it was deleted during the import; import it again to have it anew"
    assert session_log.sessions() == []


def test_a_dry_run_tells_what_it_would_do_and_writes_nothing(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 3)
    before = dbsize(session_log)

    (outcome,) = move_in(tmp_path, session_log, dry_run=True)

    assert (outcome.outcome, outcome.events, outcome.messages) == ("imported", 6, 3)
    assert dbsize(session_log) == before
    assert session_log.sessions() == []


def test_of_two_imports_at_once_the_later_is_told_that_it_came_too_late(
    tmp_path: Path, session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin with the same event; only one of them has what follows."""
    write_messages(tmp_path / "short", 1, "s")
    write_messages(tmp_path / "long", 3, "s")
    nothing = plan.find(session_log, "s")
    assert [one.outcome for one in move_in(tmp_path / "short", session_log)] == ["imported"]
    before = list(session_log.read("s"))
    elsewhere = SessionLog(session_log.client, session_log.namespace, allow_eviction=True)
    monkeypatch.setattr(importing, "find", lambda *_, **__: nothing)
    assert [one.outcome for one in move_in(tmp_path / "long", elsewhere)] == ["conflict"]
    assert list(session_log.read("s")) == before
