"""`session-log fork --edit`: a session as if something else had been said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors, events, fork_edited
from strands_session_log.event_log import forker
from strands_session_log.scripts import FORK
from strands_session_log.testing import ScriptedModel
from support import FaultProxy
from support.command_line import Run, write_session
from support.servers import Server


def contents(log: SessionLog, session_id: str) -> list[Any]:
    return [record.shown["content"] for record in log.state(session_id).agents["default"].messages]


def test_an_agent_answers_anew_what_was_changed_and_the_other_session_stays(log: SessionLog, run: Run) -> None:
    def agent(session_id: str, answer: str) -> Agent:
        manager = ValkeySessionManager(session_id, log=log)
        return Agent(ScriptedModel(answer), session_manager=manager, callback_handler=None)

    picture: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    agent("s", "Sunny.")([{"text": "In Lisbon?"}, picture])
    asked = next(one.id for one in log.read("s") if one.event.type == "message.added")
    before = contents(log, "s")

    made = json.loads(
        run("fork", "s", "t", "--at", str(asked), "--edit", str(asked), "--text", "In Porto?", "--json").stdout
    )
    resumed = agent("t", "Rain.")
    resumed()

    assert [one["content"] for one in resumed.messages] == [[{"text": "In Porto?"}, picture], [{"text": "Rain."}]]
    assert log.event("t", made["edited"]).event.type == "message.updated"
    assert contents(log, "s") == before
    assert log.verify("t").ok


def test_what_a_tool_returned_can_be_changed(talk: SessionLog, run: Run) -> None:
    run("fork", "s-42", "t", "--edit", "5", "--text", "-3 °C")
    assert contents(talk, "t")[2] == [
        {"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "-3 °C"}]}}
    ]


def test_what_stands_beside_the_answer_of_a_tool_stays(talk: SessionLog) -> None:
    (answer,), beside = contents(talk, "s-42")[2], [{"text": "and hurry"}, {"document": {"name": "map"}}]
    said = {"role": "user", "content": [beside[0], answer, beside[1]]}
    talk.append("s-42", events.MessageUpdated({"message": said, "message_id": 2}, "default"))
    fork_edited(talk, "s-42", None, "t", message=5, text="-3 °C")
    changed = {"toolResult": {**answer["toolResult"], "content": [{"text": "-3 °C"}]}}
    assert contents(talk, "t")[2] == [beside[0], changed, beside[1]]


def test_what_cannot_be_edited_is_refused_before_anything_is_made(talk: SessionLog, run: Run) -> None:
    redaction = {"role": "user", "content": [{"text": "-"}]}
    talk.append("s-42", events.MessageRedacted({"message_id": 0, "redact_message": redaction}, "default"))
    for words, told in (
        (["--edit", "3"], "--edit and --text go together"),
        (["--edit", "2", "--text", "x"], "the event of a message that is copied"),
        (["--at", "5", "--edit", "6", "--text", "x"], "the event of a message that is copied"),
        (["--edit", "3", "--text", "x"], "redacted or erased"),
    ):
        assert told in run("fork", "s-42", "t", *words, exit_code=2).stderr
    assert [one.session_id for one in talk.sessions()] == ["s-42"]


class Killed(BaseException):
    """The process was."""


@pytest.mark.parametrize("method", ["_copy", "_put_in_place"])
def test_whoever_is_killed_before_the_fork_is_made_leaves_none(
    talk: SessionLog, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def dying(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(forker.Forker, method, dying)
    monkeypatch.setattr(forker.Forker, "_take_back", lambda *_: None)
    with pytest.raises(Killed):
        fork_edited(talk, "s-42", None, "t", message=3, text="And in Porto?")
    assert [one.session_id for one in talk.sessions()] == ["s-42"]


def test_whoever_is_killed_once_it_is_made_leaves_one_that_says_the_other_thing(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    with SessionLog.connect(tcp_server.url) as log, SessionLog.connect(proxy.url, retry_for=0) as behind:
        write_session(log)
        behind.fork("s-42", 3, "so that the server knows the script")
        proxy.swallow_replies(1, of=FORK.sha.encode())
        with pytest.raises(errors.ServerUnavailableError):
            fork_edited(behind, "s-42", None, "t", message=3, text="And in Porto?")
        assert contents(log, "t")[0] == [{"text": "And in Porto?"}]
        assert log.verify("t").ok


def test_what_is_erased_while_a_message_is_edited_does_not_survive_in_the_fork(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    said = {"role": "user", "content": [{"text": "In Lisbon?"}, picture]}
    log.append("s", events.MessageAdded({"message": said, "message_id": 0, "created_at": ""}, "default"))
    copy = forker.Forker._copy

    def erasing(self: forker.Forker, *arguments: Any) -> Any:
        monkeypatch.undo()
        copied = copy(self, *arguments)
        log.erase("s", 1, "asked for")
        return copied

    monkeypatch.setattr(forker.Forker, "_copy", erasing)
    with pytest.raises(errors.MessageNotEditableError, match="redacted or erased"):
        fork_edited(log, "s", None, "t", message=1, text="In Porto?")
    assert [one.session_id for one in log.sessions()] == ["s"]
