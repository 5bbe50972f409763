"""What the suites on moving in and out share: real agents, on real files and in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from strands import Agent
from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.moving import FileSessions, Imported, Source, import_sessions
from strands_session_log.testing.model import ScriptedModel


def agent_on(manager: Any, script: Any = ("Hello.",), **options: Any) -> Any:
    """An agent of a session manager."""
    return Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None, **options)


def file_agent(place: Path, script: Any = ("Hello.",), session: str = "s", **options: Any) -> Any:
    """An agent of Strands' file session manager."""
    return agent_on(FileSessionManager(session, storage_dir=str(place)), script, **options)


def write_messages(place: Path, number: int, session: str = "s") -> None:
    """Give a session of the file manager so many messages."""
    file_agent(place, session=session)
    messages = next((place / f"session_{session}").rglob("messages"))
    for index in range(number):
        said = {"role": "assistant" if index % 2 else "user", "content": [{"text": f"Message {index}."}]}
        record = {"message": said, "message_id": index, "redact_message": None, "created_at": "2025-01-01T00:00:00Z"}
        (messages / f"message_{index}.json").write_text(json.dumps(record | {"updated_at": "2025-01-02T00:00:00Z"}))


def log_agent(log: SessionLog, script: Any = ("Hello.",), session: str = "s", **options: Any) -> Any:
    """An agent of ours."""
    return agent_on(ValkeySessionManager(session, log=log), script, **options)


def move_in(source: Source | Path, log: SessionLog, **options: Any) -> list[Imported]:
    """Import everything there is."""
    return list(import_sessions(FileSessions(source) if isinstance(source, Path) else source, log, **options))


def moved(source: Source | Path, log: SessionLog) -> Imported:
    """Import the only session there is."""
    (imported,) = move_in(source, log)
    assert imported.outcome == "imported", imported.problem
    return imported


def assert_same(one: Any, other: Any) -> None:
    """Two agents hold the same and would go on the same way."""
    assert one.messages == other.messages
    assert one.state.get() == other.state.get()
    assert one.conversation_manager.get_state() == other.conversation_manager.get_state()
    interrupts = [getattr(agent, "_interrupt_state", None) for agent in (one, other)]
    assert interrupts[0] == interrupts[1]


def contents(place: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
