"""`session-log testcase`: a session becomes a test, which passes until the agent differs, and then says in what."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool
from strands.hooks import AfterToolCallEvent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel, play_again, recorded_messages
from strands_session_log.testing.pytest_file import pytest_file
from support.command_line import Run

CALL = {"toolUse": {"toolUseId": "t1", "name": "forecast", "input": {"city": "Lisbon"}}}
APP = '''
from strands import Agent, tool

@tool
def forecast({parameters}) -> str:
    """Tell the weather."""
    raise AssertionError("it is not run")

def make_agent(model):
    return Agent(model, tools=[forecast], callback_handler=None)
'''


@tool
def forecast(city: str) -> str:
    """Tell the weather."""
    return f"19 °C in {city}"


def making(*tools: Any) -> Callable[[ScriptedModel], Agent]:
    return lambda model: Agent(model, tools=[*tools], callback_handler=None)


@pytest.fixture
def spoken(log: SessionLog) -> SessionLog:
    """A session `s` of two questions, with a tool and bytes in it."""
    agent = Agent(
        ScriptedModel([CALL], "A light jacket.", "You are welcome."),
        tools=[forecast],
        session_manager=ValkeySessionManager("s", log=log),
        callback_handler=None,
    )
    picture: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    agent([{"text": "What should I pack? \u202e'\"\\"}, picture])
    agent("Thanks")
    return log


def test_the_test_passes_until_the_agent_differs_and_then_says_in_what(
    spoken: SessionLog, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spoken
    monkeypatch.syspath_prepend(tmp_path)

    def test(app: str, parameters: str) -> Callable[[], None]:
        (tmp_path / f"{app}.py").write_text(APP.format(parameters=parameters))
        printed = run("testcase", "s", "--agent", f"{app}:make_agent").stdout
        (tmp_path / f"test_{app}.py").write_text(printed, encoding="utf-8")
        made: Callable[[], None] = runpy.run_path(str(tmp_path / f"test_{app}.py"))[
            "test_the_agent_does_as_it_did_in_s"
        ]
        return made

    test("app_as_it_was", "city: str, days: int = 1")()
    differs = test("app_that_differs", "place: str")
    with pytest.raises(AssertionError) as told:
        differs()
    assert "turn 1: tool 'forecast' asks for 'place' now" in str(told.value)
    assert "turn 1: tool 'forecast' takes no 'city' any more" in str(told.value)


def test_a_tool_that_is_gone_a_hook_and_an_error_are_differences(spoken: SessionLog) -> None:
    recorded = recorded_messages(spoken, "s")
    assert play_again(making(forecast), recorded) == []
    assert play_again(making(forecast), recorded, run_tools=True) == []
    assert play_again(making(), recorded) == ["turn 1: the agent has no tool 'forecast' any more"]

    def shouting(model: ScriptedModel) -> Agent:
        agent = making(forecast)(model)
        agent.hooks.add_callback(AfterToolCallEvent, lambda event: event.result["content"][0].update(text="HOT"))
        return agent

    assert play_again(shouting, recorded) == [
        "turn 1: answer 2, content[0].toolResult.content[0].text: was '19 °C in Lisbon', is 'HOT'"
    ]

    def fail(event: AfterToolCallEvent[Any]) -> None:
        raise ZeroDivisionError(event.tool_use["name"])

    def failing(model: ScriptedModel) -> Agent:
        agent = making(forecast)(model)
        agent.hooks.add_callback(AfterToolCallEvent, fail)
        return agent

    assert any("ZeroDivisionError" in line for line in play_again(failing, recorded))


def test_what_broke_off_is_compared_as_far_as_it_went_and_no_tool_runs(spoken: SessionLog) -> None:
    ran: list[str] = []

    @tool(name="forecast")
    def watched(city: str) -> str:
        """Tell the weather."""
        ran.append(city)
        return city

    for length in (1, 2, 3):
        assert play_again(making(watched), recorded_messages(spoken, "s")[:length]) == []
    assert not ran


def test_what_json_has_no_kind_for_is_printed_as_it_is_stored(spoken: SessionLog, run: Run) -> None:
    assert spoken
    first, *_ = json.loads(run("testcase", "s", "--json").stdout)["messages"]
    assert "bytes" in first["content"][1]["image"]["source"]


def test_which_agent_and_until_when_is_said_or_asked_for(talk: SessionLog, run: Run) -> None:
    assert talk
    found = json.loads(run("testcase", "s-42", "--at", "5", "--json").stdout)
    assert [one["role"] for one in found["messages"]] == ["user", "assistant", "user"]
    assert "def test_the_agent_does_as_it_did_in_s_42(make_agent):" in run("testcase", "s-42").stdout
    assert "one of 'default'" in run("testcase", "s-42", "--of", "critic", exit_code=2).stderr
    assert "MODULE:FACTORY" in run("testcase", "s-42", "--agent", "app; import os", exit_code=2).stderr
    assert "no messages" in run("testcase", "s-42", "--at", "2", exit_code=2).stderr


def test_values_that_no_literal_stands_for_come_back_in_the_test(
    log: SessionLog, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool
    def price(limit: float) -> dict[str, Any]:
        """Look it up."""
        return {"status": "success", "content": [{"json": {"eur": Decimal("1.50")}}]}

    call = {"toolUse": {"toolUseId": "t1", "name": "price", "input": {"limit": float("inf")}}}
    manager = ValkeySessionManager("s", log=log)
    Agent(ScriptedModel([call], "1.50"), tools=[price], session_manager=manager, callback_handler=None)("How much?")
    recorded = recorded_messages(log, "s")
    recorded[1]["content"][0]["toolUse"]["input"] = {"limit": float("inf")}
    (file := tmp_path / "test_s.py").write_text(pytest_file("s", 1, recorded))
    assert runpy.run_path(str(file))["RECORDED"] == recorded
    (file := tmp_path / "test_t.py").write_bytes(run("testcase", "s").stdout.encode())
    assert runpy.run_path(str(file))["RECORDED"] == recorded_messages(log, "s")
