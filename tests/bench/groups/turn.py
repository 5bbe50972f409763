"""What a turn of a real agent takes more with a session manager than without one."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from strands.session.file_session_manager import FileSessionManager
from strands.session.snapshot_session_manager import SnapshotSessionManager
from strands.storage import LocalFileStorage

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..old_manager import old_manager
from ..report import amount
from ..rows import Cost, Row
from ..sessions import WINDOW, calm
from ..turns import Turn, answering, ask, asker, more

COST = "{} of an agent that holds {:,} messages: more than without a session manager"
"""As the table of what the log costs says it."""

_ROUNDS = 150
_LONG = 2000
_NONE, _OURS, _OLD = "none", "ours", "strands-valkey-session-manager"
_FILES, _SNAPSHOTS = "FileSessionManager", "SnapshotSessionManager"
_A_MILLISECOND = 0.001
_GROWTH = 0.003


class _Kind(NamedTuple):
    """What is asked of an agent that holds how much."""

    name: str
    held: int
    ask: Callable[[Any, str], object] = ask
    with_tool: bool = False


def rows(run: Run) -> Iterator[Row]:
    """The same agent with each manager and without, asked in turn; each has a session of its own."""
    with ExitStack() as stack:
        log, other = (stack.enter_context(SessionLog.connect("embedded:")) for _ in range(2))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        managers = _managers(log, other.client, stack.enter_context(tempfile.TemporaryDirectory()))
        short, long = _Kind("a turn", WINDOW), _Kind("a turn", run.size(_LONG))
        kinds = [
            short,
            _Kind("a turn with a tool", WINDOW, with_tool=True),
            _Kind("a turn by `invoke_async`", WINDOW, asker(loop)),
            long,
        ]
        for kind in kinds:
            yield from _kind_rows(kind, _measured(run, kind, managers, log))
        yield _growth(run, short, long, log)


def _managers(log: SessionLog, other: Any, directory: str) -> Mapping[str, Callable[[str], Any]]:
    return {
        _NONE: lambda _: None,
        _OURS: partial(ValkeySessionManager, log=log),
        _OLD: lambda session_id: old_manager(session_id, other),
        _FILES: partial(FileSessionManager, storage_dir=f"{directory}/files"),
        _SNAPSHOTS: partial(SnapshotSessionManager, storage=LocalFileStorage(f"{directory}/snapshots")),
    }


def _measured(
    run: Run, kind: _Kind, managers: Mapping[str, Callable[[str], Any]], log: SessionLog
) -> dict[str, list[float]]:
    session_id = "".join(filter(str.isalnum, f"{kind.name}{kind.held}"))
    turns = {
        name: Turn(answering(manager(session_id), kind.held, kind.with_tool), kind.ask)
        for name, manager in managers.items()
    }
    calm(log)
    times = run.in_turn(turns.values(), _ROUNDS, f"{kind.name}, {kind.held:,} messages held", seconds=30)
    return {name: times[turn] for name, turn in turns.items()}


def _kind_rows(kind: _Kind, times: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    ours = more(times, _OURS, _NONE)
    what = f"{kind.name}, {kind.held:,} messages held"
    note = "A whole turn takes " + ", ".join(f"{amount(median(one), 's')} with {name}" for name, one in times.items())
    name = f"{what}: what ours takes more than none ÷ what {_OLD} does, and 1 ms"
    allowed = [one + _A_MILLISECOND for one in more(times, _OLD, _NONE)]
    yield Row(name, ours, allowed, 1 if kind.held == WINDOW and kind.name == "a turn" else None, note=f"{note}.")
    for other in (_OLD, _FILES, _SNAPSHOTS) if kind.name == "a turn" else (_OLD,):
        plain = COST.format(kind.name, kind.held)
        name = f"{what}: what {other} takes more than none ÷ what ours does"
        yield Row(name, ours, more(times, other, _NONE), None, "more", cost=Cost(plain, other))


def _growth(run: Run, short: _Kind, long: _Kind, log: SessionLog) -> Row:
    """Whole turns do not show it: Strands takes many times as long, and the longer the more is held."""
    turns = {kind: _TurnInHooks(_ManagerInHooks(f"hooks{kind.held}", log), kind) for kind in (short, long)}
    calm(log)
    times = run.in_turn(turns.values(), _ROUNDS, "our hooks in a turn", seconds=30)
    grown = more(times, turns[long], turns[short])
    name = f"a turn: processor time of our hooks more with {long.held:,} messages held than with {short.held:,} ÷ 3 ms"
    return Row(name, grown, [_GROWTH] * len(grown), 1)


class _ManagerInHooks(ValkeySessionManager):
    """Counts the processor time of its hooks: what of it waits for the server is the same, however much is held."""

    in_hooks = 0.0

    def __init__(self, session_id: str, log: SessionLog) -> None:
        super().__init__(session_id, log=log)

    def _take(self, name: str, hook: Any) -> Any:
        began = time.thread_time()
        try:
            return super()._take(name, hook)
        finally:
            self.in_hooks += time.thread_time() - began


class _TurnInHooks:
    """A turn, of which only what our hooks do is measured.

    Args:
        manager: Whose hooks.
        kind: What is asked.
    """

    def __init__(self, manager: _ManagerInHooks, kind: _Kind) -> None:
        self._manager, self._turn = manager, Turn(answering(manager, kind.held), kind.ask)

    def __call__(self) -> None:
        """Ask once."""
        self._turn()

    def seconds(self) -> float:
        """The same; how long the hooks took."""
        before = self._manager.in_hooks
        self._turn()
        return self._manager.in_hooks - before
