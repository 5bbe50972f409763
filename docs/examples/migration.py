"""Moving in from FileSessionManager while it is still in use: import, catch up, then let the new manager take over."""

import os

from strands import Agent
from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.moving import import_sessions, open_source
from strands_session_log.testing import ScriptedModel


def talk(manager: object, answer: str, prompt: str) -> Agent:
    """One turn, kept by a manager."""
    agent = Agent(model=ScriptedModel(answer), session_manager=manager, callback_handler=None)
    agent(prompt)
    return agent


def bring_over(log: SessionLog) -> None:
    """As often as you like: what is there already is skipped."""
    with open_source("file-session:./files") as files:
        for imported in import_sessions(files, log):
            print(imported.session_id, imported.outcome)


def main() -> None:
    """The old one goes on until the last import; then only one line of the application changes."""
    with SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions")) as log:
        talk(FileSessionManager("s-42", storage_dir="./files"), "Hello, Ada.", "My name is Ada.")
        bring_over(log)
        talk(FileSessionManager("s-42", storage_dir="./files"), "You are Ada.", "Who am I?")
        bring_over(log)
        agent = talk(ValkeySessionManager("s-42", log=log), "Still Ada.", "And now?")
        print(len(agent.messages), "messages")


if __name__ == "__main__":
    main()
