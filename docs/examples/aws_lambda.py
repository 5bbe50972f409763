"""A handler for AWS Lambda, behind an HTTP API: nothing is kept between two calls but the connection.

Give the function SESSION_LOG_URL (ElastiCache or MemoryDB, in its VPC), and a reserved concurrency that the
server's connections allow.
"""

import json
import os
from functools import cache
from typing import Any

from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.errors import ConcurrentWriteError, ServerUnavailableError
from strands_session_log.testing import ScriptedModel


@cache
def open_log() -> SessionLog:
    """Opened by the first call of a container, and used by those that follow."""
    return SessionLog.connect(os.environ["SESSION_LOG_URL"], retry_for=5)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one prompt. When it returns, the turn is in the log: the container may be frozen or ended."""
    session = event["pathParameters"]["session"]
    prompt = json.loads(event["body"])["text"]
    try:
        manager = ValkeySessionManager(session, log=open_log())
        model = ScriptedModel(lambda messages: f"That was message {len(messages)}.")
        agent = Agent(model=model, session_manager=manager, callback_handler=None)
        answer = str(agent(prompt)).strip()
    except ConcurrentWriteError:
        return {"statusCode": 409, "body": json.dumps({"error": "this session is being answered already"})}
    except ServerUnavailableError:
        return {"statusCode": 503, "body": json.dumps({"error": "try again"}), "headers": {"retry-after": "5"}}
    return {"statusCode": 200, "body": json.dumps({"answer": answer})}
