"""A graph at work on a page: each node as it begins, what it says word by word, and how it ends.

The page may be opened before the run begins, and comes back by itself where it was. `uvicorn graph_page:app`.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from strands import Agent
from strands.multiagent import GraphBuilder

from strands_session_log import START, Delta, LiveTokens, SessionLog, ValkeySessionManager, from_json
from strands_session_log.testing import ScriptedModel

log = SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions"))
running = set[asyncio.Task[Any]]()

PAGE = """<!doctype html><title>A graph</title><pre id=said></pre><script>
const source = new EventSource(location.pathname + "/events");
source.onmessage = told => {
  const {node, is, text} = JSON.parse(told.data);
  document.getElementById("said").append(is === "word" ? text : `\\n[${node}] ${is} ${text}\\n`);
};
</script>"""


def make_node(run: str, name: str, answer: str) -> Agent:
    """A node; the log knows it as that of its graph."""
    words = LiveTokens(log, run, agent_id=f"trip:{name}")
    return Agent(model=ScriptedModel(answer, chunk=8, pause=0.1), name=name, hooks=[words], callback_handler=None)


async def work(run: str, prompt: str) -> None:
    """Let the graph run, whoever watches."""
    builder = GraphBuilder()
    builder.add_node(make_node(run, "research", "Lisbon has showers on Friday, and 19 degrees."), "research")
    builder.add_node(make_node(run, "advice", "Pack a light rain jacket, and shoes that may get wet."), "advice")
    builder.add_edge("research", "advice")
    builder.set_entry_point("research")
    builder.set_graph_id("trip")
    builder.set_max_node_executions(5)
    builder.set_session_manager(ValkeySessionManager(run, log=log))
    await builder.build().invoke_async(prompt)


async def begin(request: Request) -> Response:
    """Begin a run, which goes on without this request."""
    task = asyncio.create_task(work(request.path_params["run"], (await request.json())["text"]))
    running.add(task)
    task.add_done_callback(running.discard)
    return JSONResponse({"begun": True}, 202)


async def told(run: str, after: str | None) -> AsyncIterator[str]:
    """What happens in a run, from its beginning or after what a browser has seen."""
    async with log.live(run, after or START, types=["node.*"]) as tail:
        yield ": following\n\n"
        async for one in tail:
            yield f"id: {tail.position}\ndata: {json.dumps(shown(one))}\n\n"


def shown(one: Any) -> dict[str, str]:
    """A piece of what is being said, a message, or that a node began or ended."""
    if isinstance(one, Delta):
        return {"node": one.line.agent, "is": "word", "text": one.line.text}
    event = one.event
    if event.type.startswith("node."):
        return {"node": f"{event.agent}:{event.data['node']}", "is": event.type.removeprefix("node."), "text": ""}
    message = event.data.get("message") or {}
    said = " ".join(str(from_json(block["text"])) for block in message.get("content", ()) if "text" in block)
    return {"node": event.agent, "is": str(message.get("role")), "text": said}


async def events(request: Request) -> Response:
    """Server-sent events: a browser that comes back says what it had last."""
    after = request.headers.get("last-event-id")
    return StreamingResponse(told(request.path_params["run"], after), media_type="text/event-stream")


async def page(request: Request) -> Response:
    """The page."""
    return HTMLResponse(PAGE)


app = Starlette(
    routes=[
        Route("/runs/{run}", page),
        Route("/runs/{run}", begin, methods=["POST"]),
        Route("/runs/{run}/events", events),
    ]
)
