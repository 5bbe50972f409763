"""Moving sessions out, to files Strands' `FileSessionManager` resumes from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from strands.session.file_session_manager import FileSessionManager
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from ..codec import from_json
from ..lifecycle.records import check_ids, to_agent, to_message, to_session
from ..session_log import SessionLog
from ..state import AgentState, SessionState
from .errors import DirectoryExistsError, ExportError
from .nearest import Loss, Nearest
from .unrolled import unroll

# What Strands cannot do without, and an agent written by other hands may lack.
_BARE: Mapping[str, Any] = {"state": {}, "conversation_manager_state": {}}


@dataclass(frozen=True, slots=True)
class Exported:
    """A session that was written to files.

    Attributes:
        session_id: The session.
        path: Its directory.
        messages: How many messages it has there.
        losses: What does not come back from there as what it was.
    """

    session_id: str
    path: Path
    messages: int
    losses: tuple[Loss, ...]


class _Orchestrator(NamedTuple):
    """As much of a graph or swarm as its state is written with."""

    id: str
    state: dict[str, Any]

    def serialize_state(self) -> dict[str, Any]:
        return self.state


def export_session(log: SessionLog, session_id: str, directory: str | Path, *, force: bool = False) -> Exported:
    """Write a session to files Strands' `FileSessionManager` resumes from, all of it or nothing.

    Args:
        log: Where it is.
        session_id: The session.
        directory: The manager's `storage_dir`.
        force: Replace what is there of this session.

    Raises:
        SessionNotFoundError: When there is no such session.
        DirectoryExistsError: When there is a directory of this session, unless forced.
        ExportError: When the files cannot be written.
    """
    state, storage = log.state(session_id), Path(directory)
    losses: list[Loss] = []
    try:
        with _aside(storage) as place:
            messages = _write(place, session_id, _complete(log, session_id, state), losses)
            (written,) = place.iterdir()
            path = storage / written.name
            _put(written, path, session_id, force)
    except (OSError, TypeError, ValueError, SessionException) as error:
        raise ExportError(session_id, str(error)) from error
    return Exported(session_id, path, messages, tuple(losses))


@contextmanager
def _aside(storage: Path) -> Iterator[Path]:
    """A directory on the same file system that is gone afterwards."""
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=".session-log-", dir=storage))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _put(written: Path, path: Path, session_id: str, force: bool) -> None:
    exists = path.exists() or path.is_symlink()
    if exists and not force:
        raise DirectoryExistsError(session_id, path)
    replaced = written.with_name("replaced")
    try:
        if exists:
            path.rename(replaced)
        written.rename(path)
    except BaseException:
        # Interrupted, too: what is aside is about to be removed.
        if os.path.lexists(replaced) and not os.path.lexists(path):
            replaced.rename(path)
        raise


def _complete(log: SessionLog, session_id: str, state: SessionState) -> SessionState:
    """A session that was never created explicitly began with its first event."""
    if state.session is not None:
        return state
    first = next(log.read(session_id)).id.time.isoformat()
    last = state.position.time.isoformat()
    record = {
        "session_id": session_id,
        "session_type": SessionType.AGENT.value,
        "created_at": first,
        "updated_at": last,
    }
    return replace(state, session=record)


def _write(place: Path, session_id: str, state: SessionState, losses: list[Loss]) -> int:
    """Let Strands write the files itself; returns how many messages there are."""
    check_ids(session_id)
    files = FileSessionManager(session_id=session_id, storage_dir=str(place))
    # Its constructor has created the session, as of now.
    files.delete_session(session_id)
    files.create_session(_session(session_id, state.session or {}))
    messages = sum(_write_agent(files, session_id, agent, losses) for agent in state.agents.values())
    for name, data in state.multi_agents.items():
        _write_multi_agent(files, session_id, name, data, losses)
    return messages


def _session(session_id: str, record: Mapping[str, Any]) -> Session:
    return to_session({"session_type": SessionType.AGENT.value, **record, "session_id": session_id})


def _write_agent(files: FileSessionManager, session_id: str, agent: AgentState, losses: list[Loss]) -> int:
    path = f"agents.{agent.agent_id}"
    if agent.record is None:
        losses.append(Loss(path, "left out: it has messages but no record, as the nodes of graphs and swarms"))
        return 0
    check_ids(session_id, agent.agent_id)
    nearest, unrolled = Nearest(), unroll(agent, path)
    record = to_agent({**_BARE, **agent.record, "agent_id": agent.agent_id})
    record.conversation_manager_state = {**record.conversation_manager_state, **unrolled.manager}
    plain = {name: nearest(value, f"{path}.{name}") for name, value in vars(record).items()}
    files.create_agent(session_id, SessionAgent(**plain))
    for stored in unrolled.messages:
        where = f"{path}.messages[{stored.message_id}]"
        message = {name: nearest(value, f"{where}.{name}") for name, value in vars(to_message(stored)).items()}
        files.create_message(session_id, agent.agent_id, SessionMessage(**message))
    losses += [*unrolled.losses, *nearest.losses]
    return len(unrolled.messages)


def _write_multi_agent(
    files: FileSessionManager, session_id: str, name: str, data: Mapping[str, Any], losses: list[Loss]
) -> None:
    path, nearest = f"multi_agents.{name}", Nearest(decodes=False)
    if not hasattr(files, "create_multi_agent"):
        losses.append(Loss(path, "left out: the installed Strands keeps no state of graphs and swarms"))
        return
    check_ids(session_id, name)
    orchestrator: Any = _Orchestrator(name, nearest(from_json(dict(data)), path))
    files.create_multi_agent(session_id, orchestrator)
    losses += nearest.losses
