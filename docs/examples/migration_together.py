"""Moving in session by session, with both managers at work: each session is one's or the other's, never both's."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from strands import Agent
from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, SessionRuns, ValkeySessionManager, events
from strands_session_log.errors import SessionNotFoundError
from strands_session_log.moving import import_sessions, open_source
from strands_session_log.testing import ScriptedModel

FILES = Path("files")


def is_ours(log: SessionLog, session_id: str) -> bool:
    """Whether a session has moved, or begins now: those go to the log."""
    try:
        return "moved" in log.session(session_id).labels or not (FILES / f"session_{session_id}").exists()
    except SessionNotFoundError:
        return not (FILES / f"session_{session_id}").exists()


def talk(log: SessionLog, session_id: str, prompt: str) -> str:
    """One turn in any worker, kept by the manager whose session it is. Which one that was."""
    # Who moves the session waits for the turn, and the next turn for who moves it.
    with SessionRuns(log, session_id).acquire(uuid4().hex):
        ours = is_ours(log, session_id)
        manager = ValkeySessionManager(session_id, log=log) if ours else FileSessionManager(session_id, str(FILES))
        model = ScriptedModel(lambda messages: f"That was message {len(messages)}.")
        Agent(model=model, session_manager=manager, callback_handler=None)(prompt)
        return "the log" if ours else "files"


def move(log: SessionLog, session_id: str) -> str:
    """Bring a session over, and note in it that it is the log's from now on. What became of it."""
    with SessionRuns(log, session_id).acquire(uuid4().hex), open_source(f"file-session:{FILES}") as files:
        (imported,) = import_sessions(files, log, [session_id])
        if imported.outcome in ("imported", "completed"):
            log.append(session_id, events.SessionAnnotated({"moved": True}))
        return imported.outcome


def main() -> None:
    """Two sessions of the old manager move one after the other, while both are talked in."""
    with SessionLog.connect(os.environ.get("SESSION_LOG_URL", "embedded:///./sessions")) as log:
        for session_id in ("s-1", "s-2"):
            FileSessionManager(session_id, str(FILES))  # They are there already, from before.
            talk(log, session_id, "Hello")
        print("s-1", move(log, "s-1"))
        with ThreadPoolExecutor() as workers:
            both = {name: workers.submit(talk, log, name, "And now?") for name in ("s-1", "s-2", "s-3")}
        for name, kept in both.items():
            print(name, "is kept by", kept.result())
        print("s-2", move(log, "s-2"))
        print("s-2 is kept by", talk(log, "s-2", "Still there?"))
        # A worker that was forgotten writes to the files once more: that is told, and overwrites nothing.
        old = FileSessionManager("s-1", str(FILES))
        Agent(model=ScriptedModel("Hm."), session_manager=old, callback_handler=None)("From the past")
        print("s-1", move(log, "s-1"))


if __name__ == "__main__":
    main()
