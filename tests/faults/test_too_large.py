"""What the server never takes is given up with an error, and what comes after it is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from strands import Agent, tool
from strands.session.session_manager import SessionManager
from strands.types.exceptions import EventLoopException, SessionException

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support.servers import Server

LIMIT = 1024 * 1024
TOO_LARGE = "x" * (2 * LIMIT)


@pytest.fixture
def log(tcp_server: Server) -> SessionLog:
    """A log on a server that takes nothing above a megabyte."""
    tcp_server.client().config_set("proto-max-bulk-len", LIMIT)
    return SessionLog(tcp_server.client(), "ns")


def make_agent(log: SessionLog, *script: Any, **options: Any) -> Agent:
    manager = ValkeySessionManager("s", log=log)
    return Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None, **options)


def synced(agent: Any) -> None:
    agent._session_manager.sync_agent(agent)


def texts(log: SessionLog, agent: str = "default") -> list[str]:
    return [record.shown["content"][0].get("text", "") for record in log.state("s").agents[agent].messages]


def until_it_goes(call: Callable[[], object]) -> None:
    """The server hangs up, too, and its answer may be lost with the connection: then an outcome is open at first."""
    for _ in range(20):
        with suppress(EventLoopException, SessionException):
            call()
            return
    call()


def refused(agent: Agent, prompt: str) -> None:
    with pytest.raises((EventLoopException, SessionException)):
        agent(prompt)


def test_a_message_that_is_too_large_does_not_keep_others_out(log: SessionLog) -> None:
    agent = make_agent(log, "One.", "Two.")
    agent("First.")
    refused(agent, TOO_LARGE)
    # What the agent goes on with is too large for a window, too, until it is taken out.
    agent.messages = [message for message in agent.messages if message["content"][0].get("text") != TOO_LARGE]
    until_it_goes(lambda: synced(agent))
    agent("Second.")
    assert texts(log) == ["First.", "One.", "Second.", "Two."]
    assert [one["content"] for one in make_agent(log).messages] == [one["content"] for one in agent.messages]
    assert log.verify("s").ok


def test_a_state_that_is_too_large_does_not_keep_others_out(log: SessionLog) -> None:
    agent = make_agent(log, "One.", "Two.", "Three.")
    agent("First.")
    agent.state.set("image", TOO_LARGE)
    refused(agent, "Second.")
    agent.state.delete("image")
    agent.state.set("kept", 1)
    until_it_goes(lambda: synced(agent))
    agent("Third.")
    assert "First." in texts(log)
    assert "Third." in texts(log)
    resumed = make_agent(log)
    assert resumed.state.get() == {"kept": 1}
    assert [one["content"] for one in resumed.messages] == [one["content"] for one in agent.messages]
    assert log.verify("s").ok


def test_a_recorder_loses_what_is_too_large_and_tells_of_it(log: SessionLog) -> None:
    recorder = SessionRecorder(log, "s")
    agent = Agent(model=ScriptedModel(["One.", "Two."]), hooks=[recorder], callback_handler=None)
    agent("First.")
    agent(TOO_LARGE)
    del agent.messages[2]
    agent("Third.")
    assert recorder.close()
    assert "Third." in texts(log)
    assert [one.event.data["lost"] > 0 for one in log.read("s", types="recording.gap")][:1] == [True]


@pytest.mark.skipif(
    not hasattr(SessionManager, "sync_multi_agent"), reason="this version of Strands keeps no orchestrator state"
)
@pytest.mark.filterwarnings("ignore:graph has no max_node_executions")
def test_what_a_node_says_that_is_too_large_does_not_keep_others_out(log: SessionLog) -> None:
    multiagent = pytest.importorskip("strands.multiagent", reason="no multi-agent persistence")

    @tool
    def load() -> str:
        """Load far too much."""
        return TOO_LARGE

    loading = {"toolUse": {"name": "load", "input": {}}}
    node = Agent(agent_id="one", model=ScriptedModel([[loading], "One.", "Two."]), tools=[load], callback_handler=None)
    builder = multiagent.GraphBuilder()
    builder.add_node(node, "a")
    builder.set_entry_point("a")
    builder.set_graph_id("g")
    builder.set_session_manager(ValkeySessionManager("s", log=log))
    running = builder.build()
    with pytest.raises((EventLoopException, SessionException)):
        running("First.")
    until_it_goes(lambda: running("Second."))
    assert texts(log, "g:a")[0] == "First."
    assert "Second." in texts(log, "g:a")
    assert log.verify("s").ok
