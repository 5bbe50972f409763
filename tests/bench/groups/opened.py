"""Sessions that were not written by the agent that opens them: imported, or kept without a window before."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from statistics import median

from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.moving import import_sessions, open_source
from support.clients import client_of

from ..measuring import Run, seconds_of
from ..rows import Pair, Row
from ..sessions import WINDOW, AsWritten, added, agent, calm, created, resume, settle
from ..turns import Turn, answer, answering, ask

_IMPORTS, _IMPORTED = 12, 400
_ROUNDS, _BATCH = 40, 500
_LONG, _SHORT = 10_000, 500


def rows(run: Run) -> Iterator[Row]:
    """The first turn after an import, and resuming once an agent with a window has gone on with a long session."""
    with SessionLog.connect("embedded:") as log:
        yield from _after_an_import(run, log)
    with SessionLog.connect("embedded:") as log:
        yield _with_a_window_since(run, log)


def _after_an_import(run: Run, log: SessionLog) -> Iterator[Row]:
    seconds, sizes = [], []
    for number in run.track(range(2 if run.quick else _IMPORTS), "turns after an import"):
        with tempfile.TemporaryDirectory() as directory:
            session_id = f"imported-{number}"
            # Its window drops what is too much with the first turn.
            Turn(answering(FileSessionManager(session_id, storage_dir=directory), WINDOW, length=_IMPORTED), ask)()
            with open_source(f"file-session:{directory}") as source:
                assert [one.outcome for one in import_sessions(source, log)] == ["imported"]
            turn = Turn(agent(ValkeySessionManager(session_id, log=log), WINDOW, answer), ask)
            calm(log)
            taken, grown = zip(*(_turn(log, session_id, turn) for _ in range(3)), strict=True)
            seconds.append(taken)
            sizes.append(grown)
    name = "{} first turn after an import of {:,} messages, window of {} ÷ {} third"
    what = _IMPORTED, WINDOW
    first, _, third = zip(*seconds, strict=True)
    yield Row(name.format("the", *what, "the"), first, third)
    first, _, third = zip(*sizes, strict=True)
    yield Row(name.format("bytes of the", *what, "of the"), [median(first)], [median(third)], unit="bytes")


def _turn(log: SessionLog, session_id: str, turn: Turn) -> tuple[float, float]:
    """How long it takes, and how many bytes the bodies of its events have."""
    before = log.head(session_id)
    taken = seconds_of(turn)
    settle(log)
    key = log._events.keyspace.session(session_id).events
    entries = client_of(log).xrange(key, f"({before}", "+")
    return taken, float(sum(len(fields[b"body"]) for _, fields in entries))


def _with_a_window_since(run: Run, log: SessionLog) -> Row:
    lengths = run.size(_LONG), run.size(_SHORT)
    resumed = [_gone_on_with(log, f"{number}", length) for number, length in enumerate(lengths)]
    name = (
        f"resume after one turn with a window of {WINDOW}: {lengths[0]:,} messages without a window before ÷ "
        f"{lengths[1]:,}"
    )
    long, short = (one.resumed() for one in resumed)
    (row,) = run.measure([Pair(name, long, short, 1.5)], _ROUNDS, "resuming after one turn")
    return row


def _gone_on_with(log: SessionLog, session_id: str, length: int) -> AsWritten:
    """A session whose agent kept everything, resumed like that, and then by an agent with a window, asked once."""
    log.append(session_id, created(session_id, None))
    for start in range(0, length, _BATCH):
        log.append(session_id, [added(index) for index in range(start, min(start + _BATCH, length))])
    resume(log, session_id)
    calm(log)
    with warnings.catch_warnings():
        # It has another conversation manager than before.
        warnings.simplefilter("ignore", UserWarning)
        Turn(agent(ValkeySessionManager(session_id, log=log), WINDOW, answer), ask)()
    calm(log)
    return AsWritten(log, session_id, WINDOW)
