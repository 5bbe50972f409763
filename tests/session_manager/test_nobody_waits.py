"""Who is kept waiting while an agent writes: the agent, and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from strands import tool
from strands.hooks import BeforeToolCallEvent

from strands_session_log import SessionLog
from strands_session_log.lifecycle.compat import CAN_ORDER
from support import FaultProxy
from support.servers import Server
from support.strands_agents import call, make_agent


@pytest.mark.skipif(not CAN_ORDER, reason="this version of Strands has hooks in the order in which they are added")
def test_a_tool_goes_on_while_another_of_the_same_sync_call_waits_to_be_written(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    goes_on = asyncio.Event()

    @tool
    async def counts() -> str:
        """Count."""
        proxy.hold_replies()
        goes_on.set()
        # Were the loop kept waiting for the reply, nobody would come here to release it.
        await asyncio.to_thread(proxy.wait_until_held)
        proxy.release_replies()
        return "counted"

    @tool
    async def comes_later() -> str:
        """Come."""
        return "came"

    async def wait(hook: Any) -> None:
        if hook.tool_use["name"] == "comes_later":
            await goes_on.wait()

    agent = make_agent(
        SessionLog.connect(proxy.url, retry_for=1),
        [[call("counts"), call("comes_later")], "Done."],
        tools=[counts, comes_later],
    )
    agent.hooks.add_callback(BeforeToolCallEvent, wait, order=-1)
    agent("Go.")
    assert SessionLog.connect(tcp_server.url).state("s").agents["default"].window == agent.messages
