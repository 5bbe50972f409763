"""A chat behind FastAPI: any worker resumes any conversation. `uvicorn fastapi_chat:app --workers 4`."""

import os
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.errors import ConcurrentWriteError, SessionNotFoundError
from strands_session_log.testing import ScriptedModel

app = FastAPI()
log = SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions"))


class Prompt(BaseModel):
    """What a browser sends."""

    text: str


def make_model() -> Any:
    """Put yours here."""
    return ScriptedModel(lambda messages: f"That was message {len(messages)}.")


@app.post("/chats/{chat}")
async def say(chat: str, prompt: Prompt) -> dict[str, str]:
    """An agent for each request: it holds what the last one held, wherever that ran."""
    manager = ValkeySessionManager(chat, log=log)
    agent = Agent(model=make_model(), session_manager=manager, callback_handler=None)
    try:
        result = await agent.invoke_async(prompt.text)
    except ConcurrentWriteError as exc:
        # A second tab, or a repeated request: the other one is answered, and nothing is overwritten.
        raise HTTPException(409, "this chat is being answered already") from exc
    return {"answer": str(result).strip()}


@app.get("/chats/{chat}")
def history(chat: str) -> list[dict[str, Any]]:
    """What was said, for a page that was loaded anew."""
    try:
        state = log.state(chat)
    except SessionNotFoundError as exc:
        raise HTTPException(404, "there is no such chat") from exc
    return [dict(record.message) for record in state.agents["default"].messages]
