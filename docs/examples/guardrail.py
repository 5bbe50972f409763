"""A guardrail redacts a prompt: it is replaced wherever it stands, and the session still verifies."""

import os

from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel

# As Amazon Bedrock's guardrails tell it, in the middle of an answer.
BLOCKED = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


def main() -> None:
    """Say something that nobody should keep."""
    with SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions")) as log:
        # Until the model has answered, the prompt is held back: it never reaches the log.
        manager = ValkeySessionManager("guarded", log=log, hold_user_messages=True)
        agent = Agent(model=ScriptedModel(BLOCKED), session_manager=manager, callback_handler=None)
        agent("My card is 4711-0815.")
        for record in log.state("guarded").agents["default"].messages:
            print(record.message["role"], record.message["content"])
        print("intact:", log.verify("guarded").ok)


if __name__ == "__main__":
    main()
