"""`session-log rerun`: a session is run on from an earlier point in a fork, and what differs is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors
from strands_session_log.testing import ScriptedModel, recorded_messages, rerun, stand_in
from support import rerun_models
from support.command_line import Run

MODELS = "support.rerun_models"


@pytest.fixture
def spoken(log: SessionLog) -> SessionLog:
    """A session `s` of two questions, with a tool and bytes in it; its first prompt is its fourth event."""
    manager = ValkeySessionManager("s", log=log)
    agent = rerun_models.make_agent(rerun_models.the_same(), manager)
    picture: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    agent([{"text": "What should I pack?"}, picture])
    agent("Thanks")
    rerun_models.RAN.clear()
    return log


def asked(log: SessionLog) -> int:
    """The first prompt."""
    return next(one.id.revision for one in log.read("s", types="message.added"))


def printed(run: Run, *words: str, exit_code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("rerun", "s", *words, "--json", exit_code=exit_code).stdout)
    return found


def test_the_same_model_says_the_same_and_no_tool_runs(spoken: SessionLog, run: Run) -> None:
    before, at = recorded_messages(spoken, "s"), str(asked(spoken))
    for more in ([], ["--agent", f"{MODELS}:make_agent"]):
        found = printed(run, "--at", at, "--model", f"{MODELS}:the_same", *more)
        assert found["same"]
        assert [turn["differences"] for turn in found["turns"]] == [[], []]
        assert [one["content"] for one in recorded_messages(spoken, found["into"])][3:] == [
            [{"text": "A light jacket."}],
            [{"text": "Thanks"}],
            [{"text": "You are welcome."}],
        ]
    assert not rerun_models.RAN
    assert recorded_messages(spoken, "s") == before


def test_what_another_model_says_is_shown_beside_what_was_said(spoken: SessionLog, run: Run) -> None:
    words = ["--at", str(asked(spoken)), "--model", f"{MODELS}:another"]
    first, second = printed(run, *words)["turns"]
    assert "tool 'forecast' was never called with {'city': 'Porto'}" in first["differences"]
    assert any("was 'A light jacket.', is 'A heavy coat.'" in line for line in first["differences"])
    assert second["differences"] == []

    shown = " ".join(run("rerun", "s", *words, "--into", "t").stdout.split())
    assert "✗ t s from revision" in shown
    assert "- assistant A light jacket." in shown
    assert "+ assistant A heavy coat." in shown
    assert "= assistant You are welcome." in shown
    assert spoken.verify("t").ok


def test_tools_run_where_that_is_asked_for(spoken: SessionLog, run: Run) -> None:
    words = ["--at", str(asked(spoken)), "--model", f"{MODELS}:the_same", "--turns", "1"]
    (turn,) = printed(run, *words, "--agent", f"{MODELS}:make_agent", "--run-tools")["turns"]
    assert rerun_models.RAN == ["Lisbon"]
    assert turn["differences"] == []
    assert "--run-tools needs --agent" in run("rerun", "s", *words, "--run-tools", exit_code=2).stderr


def test_a_run_that_fails_is_told_as_far_as_it_came(spoken: SessionLog, run: Run) -> None:
    found = printed(run, "--at", str(asked(spoken)), "--model", f"{MODELS}:failing", exit_code=1)
    assert found["error"] == "RuntimeError: no tokens left"
    assert [len(turn["now"]) for turn in found["turns"]] == [3, 0]


def test_what_an_edited_fork_has_yet_to_answer_is_answered(spoken: SessionLog, run: Run) -> None:
    at = str(asked(spoken))
    run("fork", "s", "t", "--at", at, "--edit", at, "--text", "And in Porto?")
    found = rerun(spoken, "t", None, stand_in(spoken, "s", rerun_models.the_same()), into="u")
    (turn,) = found.turns
    assert turn.prompt == turn.was == ()
    assert [one["role"] for one in turn.now] == ["assistant", "user", "assistant"]
    assert not found.is_same


def test_what_a_rewind_has_undone_is_not_asked_again_unless_it_is_gone_on_from(log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=log)
    agent = Agent(ScriptedModel("One.", "Two."), session_manager=manager, callback_handler=None)
    agent("First?")
    answered = log.head("s")
    agent("Undone?")
    undone = next(one.id for one in log.read("s", answered, types="message.added"))
    log.rewind("s", answered)
    manager = ValkeySessionManager("s", log=log)
    Agent(ScriptedModel("Three."), session_manager=manager, callback_handler=None)("Third?")

    assert [one["content"][0]["text"] for one in recorded_messages(log, "s")] == ["First?", "One.", "Third?", "Three."]
    assert "Two." in str(recorded_messages(log, "s", at=undone.revision + 1))
    for at, said in ((answered, "Three."), (undone, "Two.")):
        (turn,) = rerun(log, "s", at, stand_in(log, "s", ScriptedModel("Again."))).turns
        assert [one["content"][0]["text"] for one in turn.was] == [said]


def test_what_was_undone_and_gone_back_to_stands_again(log: SessionLog) -> None:
    def say(prompt: str, *answers: str) -> int:
        manager = ValkeySessionManager("s", log=log)
        Agent(ScriptedModel(*answers), session_manager=manager, callback_handler=None)(prompt)
        return log.head("s").revision

    first, second = say("First?", "One."), say("Undone?", "Two.")
    log.rewind("s", first)
    other = say("Other?", "Three.")
    log.rewind("s", second)
    say("Last?", "Four.")

    said = [one["content"][0]["text"] for one in recorded_messages(log, "s")]
    assert said == ["First?", "One.", "Undone?", "Two.", "Last?", "Four."]
    assert "Two." not in str(recorded_messages(log, "s", at=other))
    turns = rerun(log, "s", first, stand_in(log, "s", ScriptedModel("Two.", "Four."))).turns
    assert [turn.was[0]["content"][0]["text"] for turn in turns] == ["Two.", "Four."]
    (turn,) = rerun(log, "s", other - 2, stand_in(log, "s", ScriptedModel("Again."))).turns
    assert turn.was[0]["content"][0]["text"] == "Three."


def test_a_tool_answers_what_it_answered_though_ids_of_calls_come_again(log: SessionLog) -> None:
    def call(city: str) -> list[Any]:
        return [{"toolUse": {"toolUseId": "1", "name": "forecast", "input": {"city": city}}}]

    script = [call("Lisbon"), "Warm.", call("Oslo"), "Cold."]
    agent = rerun_models.make_agent(ScriptedModel(*script), ValkeySessionManager("s", log=log))
    agent("In Lisbon?")
    agent("In Oslo?")
    found = rerun(log, "s", asked(log), stand_in(log, "s", ScriptedModel(*script)))
    assert found.is_same, found.turns
    assert "7 °C in Oslo" in str(found.turns[1].now)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", f"{MODELS}:the_same"], "nothing is left to be answered"),
        (["--model", "app"], "give MODULE:FACTORY"),
        (["--model", "no_such_module:make"], "cannot be imported: ModuleNotFoundError"),
        (["--model", "builtins:dict"], "makes no model of Strands, but {}"),
        (["--at", "4", "--model", f"{MODELS}:the_same", "--agent", "unittest.mock:Mock"], "it makes no agent"),
        (["--model", f"{MODELS}:nothing"], "has no nothing that can be called"),
        (["--at", "4", "--model", f"{MODELS}:the_same", "--of", "critic"], "there is no agent 'critic'"),
        (["--at", "4", "--model", f"{MODELS}:the_same", "--agent", f"{MODELS}:make_stranger"], "its agent is"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line_and_leaves_no_session(
    spoken: SessionLog, run: Run, words: list[str], told: str
) -> None:
    assert told in run("rerun", "s", *words, exit_code=2).stderr
    assert [one.session_id for one in spoken.sessions()] == ["s"]


def test_an_agent_that_cannot_be_made_leaves_no_session(spoken: SessionLog, run: Run) -> None:
    words = ["--at", "4", "--model", f"{MODELS}:the_same", "--agent", f"{MODELS}:make_nothing"]
    assert "raised NotImplementedError: later" in run("rerun", "s", *words, exit_code=1).stderr
    assert [one.session_id for one in spoken.sessions()] == ["s"]


def test_an_agent_that_keeps_another_session_is_refused(spoken: SessionLog) -> None:
    with pytest.raises(errors.InvalidSettingError, match="the session manager that it is given"):
        rerun(spoken, "s", asked(spoken), lambda _: Agent(rerun_models.the_same(), callback_handler=None))


def test_modules_are_found_where_the_command_was_called(
    spoken: SessionLog, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_models.py").write_text(
        "from strands_session_log.testing import ScriptedModel\ndef quiet():\n    return ScriptedModel('Hm.', 'Hm.')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = printed(run, "--at", str(asked(spoken)), "--model", "my_models:quiet")
    assert found["turns"][0]["now"][0]["content"] == [{"text": "Hm."}]
