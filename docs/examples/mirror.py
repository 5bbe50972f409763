"""A mirror beside FileSessionManager, which stays in charge: the recorder never raises, and never delays the agent."""

import os

from strands import Agent
from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, SessionRecorder
from strands_session_log.testing import ScriptedModel


def main() -> None:
    """Talk once; both have it."""
    with SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions")) as log:
        recorder = SessionRecorder(log, "mirrored")
        files = FileSessionManager("mirrored", storage_dir="./files")
        agent = Agent(
            model=ScriptedModel("Hello, Ada."), session_manager=files, hooks=[recorder], callback_handler=None
        )
        agent("My name is Ada.")
        # Writes what still waits; False if something had to be given up, which stands in the log as recording.gap.
        print("complete:", recorder.close())
        print(len(log.state("mirrored").agents["default"].messages), "messages in the log")


if __name__ == "__main__":
    main()
