"""What an append makes the server compute: instructions counted by callgrind, which no noise disturbs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from strands_session_log import SessionLog, ValkeySessionManager

from ..instructions import CountedServer, can_count
from ..measuring import Run
from ..rows import Row
from ..sessions import agent
from ..text import message
from .append import body

_APPENDS = 100
_MOST = 240_000
_OURS = "instructions of the server to append a message through the manager, append-only file on"


def rows(run: Run) -> Iterator[Row]:
    """An append and an XADD of the same body, without what snapshots take.

    The limit is of the scale on which an XADD costs 20,000: with the append-only file on. Without, it costs 14,500, and
    an append a fifth less.
    """
    if not can_count():
        note = "valgrind is not installed."
        yield Row(f"{_OURS} ÷ 240,000", [], [], 1, unit="instructions", note=note)
        return
    appends = run.size(_APPENDS)
    with CountedServer(appendonly="yes", hz="1") as server:
        log = SessionLog(server.client(socket_timeout=60), snapshots=None)
        manager = ValkeySessionManager("s", log=log)
        living, said = agent(manager), count()
        bodies = map(body, count())

        def append() -> None:
            manager.append_message(message(next(said)), living)

        def xadd() -> None:
            log.client.execute_command("XADD", "plain", "*", "body", next(bodies))

        ours, plain = (server.instructions(call, appends) for call in (append, xadd))
    note = f"XADD took {plain:,.0f}; without the file both take less."
    yield Row(f"{_OURS} ÷ 240,000", [ours], [_MOST], 1, unit="instructions", note=note)
    yield Row(f"{_OURS} ÷ for XADD of the same body", [ours], [plain], unit="instructions")
