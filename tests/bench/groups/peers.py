"""The session managers of Strands that write local files: `FileSessionManager` and `SnapshotSessionManager`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from typing import Any

from strands.session.file_session_manager import FileSessionManager
from strands.session.snapshot_session_manager import SnapshotSessionManager
from strands.storage import LocalFileStorage

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..rows import Cost, Pair, Row
from ..sessions import agent, calm, converse, resume
from ..text import message
from .resume import COST

_APPENDS, _SAVES, _RESUMES = 1000, 100, 20


def rows(run: Run) -> Iterator[Row]:
    """Each of them beside ours on a server."""
    with SessionLog.connect("embedded:") as log, tempfile.TemporaryDirectory() as directory:
        files, snapshots = f"{directory}/files", f"{directory}/snapshots"
        length = run.size(1000)
        converse(ValkeySessionManager("s", log=log), length)
        converse(_in_files("s", files), length)
        keeper = _in_snapshots("s", snapshots)
        keeper.sync_agent(converse(keeper, length))
        calm(log)
        for row in run.measure(_resuming(log, files, snapshots, length), _RESUMES, "resuming from files"):
            yield row._replace(cost=Cost(COST.format(length), f"{row.name.partition(' ')[0]}, local files"))
        yield from run.measure([_appending(log, files)], _APPENDS, "appending to files")
        yield from run.measure([_saving(log, snapshots, length)], _SAVES, "saving snapshots to files")


def _in_files(session_id: str, directory: str) -> FileSessionManager:
    return FileSessionManager(session_id, storage_dir=directory)


def _in_snapshots(session_id: str, directory: str) -> SnapshotSessionManager:
    return SnapshotSessionManager(session_id, storage=LocalFileStorage(directory))


def _resuming(log: SessionLog, files: str, snapshots: str, length: int) -> list[Pair]:
    def ours() -> Any:
        return resume(log, "s")

    def from_files() -> Any:
        return agent(_in_files("s", files))

    def from_a_snapshot() -> Any:
        return agent(_in_snapshots("s", snapshots))

    return [
        Pair(f"FileSessionManager resumes {length:,} messages ÷ ours", ours, from_files, None, "more"),
        Pair(f"SnapshotSessionManager resumes {length:,} messages ÷ ours", ours, from_a_snapshot, None, "more"),
    ]


def _appending(log: SessionLog, files: str) -> Pair:
    manager, other = ValkeySessionManager("appended", log=log), _in_files("appended", files)
    living, living_in_files = agent(manager), agent(other)
    said, written = count(), count()

    def ours() -> None:
        manager.append_message(message(next(said)), living)

    def to_files() -> None:
        other.append_message(message(next(written)), living_in_files)

    return Pair("FileSessionManager appends a message ÷ ours", ours, to_files, None, "more")


def _saving(log: SessionLog, snapshots: str, length: int) -> Pair:
    """Its `save_latest_on="message"`: all the agent holds is written again for every message."""
    manager, other = ValkeySessionManager("saved", log=log), _in_snapshots("s", snapshots)
    living, living_in_snapshots = agent(manager), agent(other)
    said = count()

    def ours() -> None:
        manager.append_message(message(next(said)), living)

    def to_a_snapshot() -> None:
        other.sync_agent(living_in_snapshots)

    name = f"SnapshotSessionManager saves an agent of {length:,} messages after one more ÷ ours appends it"
    return Pair(name, ours, to_a_snapshot, None, "more")
