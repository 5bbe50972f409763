"""What it costs to encrypt: appending a message, and reading a session, beside the same without encryption."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from strands_session_log import LocalKeys, SessionLog, ValkeySessionManager

from ..measuring import Run
from ..rows import Call, Cost, Pair, Row
from ..sessions import added, agent, created
from ..text import message

_ROUNDS, _EVENTS, _READS = 600, 1_000, 30
_MOST = 1.25


def rows(run: Run) -> Iterator[Row]:
    """Both logs on one server, so that they share its moods."""
    with tempfile.TemporaryDirectory() as directory, SessionLog.connect("embedded:") as plain:
        encrypted = SessionLog(plain.client, "encrypted", encryption=LocalKeys.new(Path(directory) / "keys"))
        yield from _appending(run, encrypted, plain)
        yield from _reading(run, encrypted, plain)
        encrypted.close()


def _appending(run: Run, encrypted: SessionLog, plain: SessionLog) -> Iterator[Row]:
    ours, theirs = map(_through_a_manager, (encrypted, plain))
    pair = Pair("Unix socket: append a message, encrypted ÷ not", ours, theirs, _MOST)
    for row in run.measure([pair], _ROUNDS, "appending, encrypted and not"):
        yield row._replace(cost=Cost("writing a message, encrypted", "the same without encryption"))


def _through_a_manager(log: SessionLog) -> Call:
    manager, said = ValkeySessionManager("through-the-manager", log=log), count()
    living = agent(manager)
    return lambda: manager.append_message(message(next(said)), living)


def _reading(run: Run, encrypted: SessionLog, plain: SessionLog) -> Iterator[Row]:
    events = run.size(_EVENTS)
    for log in (encrypted, plain):
        log.append("long", created("long"))
        for start in range(0, events, 100):
            log.append("long", [added(index) for index in range(start, start + 100)])

    def read(log: SessionLog) -> None:
        for _ in log.read("long"):
            pass

    pair = Pair(f"read a session of {events:,} messages, encrypted ÷ not", lambda: read(encrypted), lambda: read(plain))
    yield from run.measure([pair], _READS, "reading, encrypted and not")
