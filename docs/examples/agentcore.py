"""An entry point for the AgentCore runtime: its session id is that of the log. Needs `bedrock-agentcore`."""

import os
from typing import Any

from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel

log = SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions"))


def answer(payload: dict[str, Any], context: Any) -> dict[str, str]:
    """Answer one prompt in the session that the runtime names, whichever microVM runs it."""
    manager = ValkeySessionManager(context.session_id, log=log)
    model = ScriptedModel(lambda messages: f"That was message {len(messages)}.")
    agent = Agent(model=model, session_manager=manager, callback_handler=None)
    return {"result": str(agent(payload["prompt"])).strip()}


if __name__ == "__main__":
    from bedrock_agentcore.runtime import BedrockAgentCoreApp

    app = BedrockAgentCoreApp()
    app.entrypoint(answer)
    app.run()
