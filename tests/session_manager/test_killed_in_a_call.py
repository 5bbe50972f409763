"""A process that is killed in a call of its agent: what is in the log is how the call began, and is gone on from."""

from __future__ import annotations

from subprocess import PIPE

import pytest

from strands_session_log import SessionLog
from support import FaultProxy
from support.programs import Program
from support.servers import Server
from support.strands_agents import happened, make_agent

_PROGRAM = """
import sys, threading
from strands import Agent
from strands_session_log import ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel

def think(messages):
    if len(messages) > 1:
        print("asked", flush=True)
        threading.Event().wait()
    return "Hi."

manager = ValkeySessionManager("s", url=sys.argv[1], flush=sys.argv[2])
agent = Agent(model=ScriptedModel(think), session_manager=manager, callback_handler=None)
agent("Hello")
print("ready", flush=True)
sys.stdin.readline()
agent("Are you there?")
"""
_FIRST_CALL = [
    "session.created",
    "agent.created",
    "invocation.started",
    "message.added",
    "message.added",
    "invocation.completed",
]
_PROMPT = ["invocation.started", "message.added"]


def types(log: SessionLog) -> list[str]:
    return [event.type for event in happened(log)]


class Victim:
    """An agent in a process of its own, which has been called once, and waits to be called again."""

    def __init__(self, url: str, flush: str) -> None:
        self._program = Program(["-c", _PROGRAM, url, flush], stdin=PIPE, stdout=PIPE, text=True)
        self.heard("ready")

    def heard(self, line: str) -> None:
        assert self._program.stdout is not None
        assert self._program.stdout.readline().strip() == line

    def call(self) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write("\n")
        self._program.stdin.flush()

    def kill(self) -> None:
        with self._program:
            self._program.kill()


@pytest.mark.parametrize("trouble", ["none", "no reply", "no server"])
def test_a_process_killed_while_its_prompt_is_written_and_its_model_asked_leaves_a_log_to_go_on_from(
    tcp_server: Server, proxy: FaultProxy, trouble: str
) -> None:
    victim = Victim(proxy.url, "overlap")
    match trouble:
        case "no reply":
            proxy.hold_replies()
        case "no server":
            proxy.refuse()
            proxy.cut()
    victim.call()
    victim.heard("asked")
    if trouble == "no reply":
        proxy.wait_until_held()
    victim.kill()
    log = SessionLog.connect(tcp_server.url)
    told: dict[str, list[list[str]]] = {"no reply": [_PROMPT], "no server": [[]], "none": [[], _PROMPT]}
    assert types(log) in [_FIRST_CALL + rest for rest in told[trouble]]
    assert log.verify("s").ok
    resumed = make_agent(log, ["Yes."])
    held = [message["content"][0]["text"] for message in resumed.messages]
    assert held == ["Hello", "Hi.", "Are you there?"][: len(held)]
    resumed("Are you there?")
    assert [message["content"][0]["text"] for message in resumed.messages] == ["Hello", "Hi.", "Are you there?", "Yes."]
    assert log.state("s").agents["default"].window == resumed.messages
    assert log.verify("s").ok


def test_a_process_killed_while_its_model_is_asked_has_written_what_it_was_asked(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    victim = Victim(proxy.url, "before_model")
    victim.call()
    victim.heard("asked")
    victim.kill()
    log = SessionLog.connect(tcp_server.url)
    assert types(log) == _FIRST_CALL + _PROMPT
    assert log.verify("s").ok
