"""An agent asks before it pays, and its process may end; another process answers.

python approval.py ask            # the agent waits for a person
python approval.py inbox          # what is asked
python approval.py answer yes     # and it goes on
"""

import os
import sys
from typing import Any

from strands import Agent, tool
from strands.hooks import BeforeToolCallEvent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel

SESSION = "order-881"


@tool
def refund(order: str) -> str:
    """Refund an order."""
    return f"refunded {order}"


def ask_first(event: BeforeToolCallEvent) -> None:
    """Stop the agent until a person has answered."""
    if event.interrupt("approve-refund", reason={"call": event.tool_use["input"]}) != "yes":
        event.cancel_tool = "a person said no"


def make_agent(log: SessionLog, *answers: Any) -> Agent:
    """The same in both processes."""
    manager = ValkeySessionManager(SESSION, log=log)
    agent = Agent(model=ScriptedModel(*answers), tools=[refund], session_manager=manager, callback_handler=None)
    agent.hooks.add_callback(BeforeToolCallEvent, ask_first)
    return agent


def main(what: str, answer: str = "") -> None:
    """Ask, look, or answer."""
    with SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions")) as log:
        if what == "ask":
            agent = make_agent(log, [{"toolUse": {"name": "refund", "input": {"order": "881"}}}])
            print("stopped:", agent("Refund order 881.").stop_reason)
            return
        waiting = log.state(SESSION).interrupts
        if what == "inbox":
            for one in waiting:
                print(one.interrupt_id, one.name, one.reason)
            return
        # Of a double click, a retry and two processes, one runs the tool: the others get AlreadyAnsweredError.
        agent = make_agent(log, "It is done.")
        print(agent([{"interruptResponse": {"interruptId": one.interrupt_id, "response": answer}} for one in waiting]))


if __name__ == "__main__":
    main(*sys.argv[1:])
