"""A process that dies while its agent speaks."""

from __future__ import annotations

import pytest
from strands import Agent

from strands_session_log import Delta, LiveTokens, Recorded, SessionLog, ValkeySessionManager
from support.following import taken
from support.processes import HOST
from support.programs import Program
from support.servers import Server
from support.speaking import SpeakingModel, speaking

pytestmark = pytest.mark.faults

SPEAKER = """
import sys
from strands import Agent
from strands_session_log import LiveTokens, SessionLog, ValkeySessionManager
from support.speaking import SpeakingModel

log = SessionLog.connect(sys.argv[1])
model = SpeakingModel(["I will never say all of this."])
model.say(2)
agent = Agent(
    model=model, session_manager=ValkeySessionManager("s", log=log), hooks=[LiveTokens(log, "s")], callback_handler=None
)
agent("Hello?")
"""


def spoken(tail: object, text: str) -> Delta:
    """Take items until so much was said."""
    said, last = "", None
    while said != text:
        (item,) = taken(tail, 1)
        if isinstance(item, Delta):
            said, last = said + item.line.text, item
    assert last is not None
    return last


def test_what_a_killed_process_said_is_followed_by_what_its_successor_says(tcp_server: Server) -> None:
    url = f"valkey://{HOST}:{tcp_server.port}"
    log = SessionLog(tcp_server.client())
    with Program(["-c", SPEAKER, url]) as process, log.live("s") as live:
        before = spoken(live, "I will never")
        process.kill()
        process.wait()
        with log.live("s") as late:
            assert spoken(late, "I will never") == before
        model = SpeakingModel(["Here I am again."])
        agent = Agent(
            model=model,
            session_manager=ValkeySessionManager("s", log=log),
            hooks=[LiveTokens(log, "s")],
            callback_handler=None,
        )
        with speaking(agent, "Go on."):
            while not isinstance(end := taken(live, 1)[0], Delta):
                pass
            assert (end.line.kind, end.line.message) == ("discarded", before.line.message)
            model.say(1)
            after = spoken(live, "Here I")
            assert (after.line.agent, after.line.sequence) == (before.line.agent, 1)
            assert after.line.message != before.line.message
        found = taken(live, 1)[0]
        while not (isinstance(found, Recorded) and found.event.data["message"]["role"] == "assistant"):
            (found,) = taken(live, 1)
        assert found.event.data["message"]["content"] == [{"text": "Here I am again."}]
