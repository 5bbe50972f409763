"""Appending one message, through the manager and through the log, beside XADD of the same body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from statistics import median

import orjson
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..report import amount, number
from ..rows import Pair, Row
from ..sessions import added, agent, created
from ..text import message

_ROUNDS = 600
_SERVERS = 6


def rows(run: Run) -> Iterator[Row]:
    """Our appends and the least they could be, on one server after another.

    A round trip takes twice as long when the system runs the server on another core, and the ratio falls. That is
    nobody's choice, so it is tried several times, all of it counts, and the note tells how far the servers differ.
    """
    tried = [list(_on_one_server(run, which)) for which in range(1, _SERVERS + 1)]
    for same in zip(*tried, strict=True):
        ours = [seconds for row in same for seconds in row.ours]
        peers = [seconds for row in same for seconds in row.peer]
        yield same[0]._replace(ours=ours, peer=peers, note=_differences(same))


def _differences(rows: Sequence[Row]) -> str:
    ratios = ", ".join(number(row.ratio) for row in rows if row.ratio is not None)
    least = ", ".join(amount(median(row.peer), row.unit) for row in rows)
    more = ", ".join(amount(median(row.ours) - median(row.peer), row.unit) for row in rows)
    return f"Server by server the ratio was {ratios}; the other took {least}, and ours {more} more."


def _on_one_server(run: Run, which: int) -> Iterator[Row]:
    with SessionLog.connect("embedded:") as log:
        manager = ValkeySessionManager("through-the-manager", log=log)
        living = agent(manager)
        bodies = [body(index) for index in range(2 * _ROUNDS)]
        prepared = [added(index) for index in range(len(bodies))]
        log.append("through-the-log", created("through-the-log"))
        plain, logged, said = iter(bodies), iter(prepared), count()

        def xadd() -> None:
            log.client.execute_command("XADD", "plain", "*", "body", next(plain))

        def through_the_manager() -> None:
            manager.append_message(message(next(said)), living)

        def through_the_log() -> None:
            log.append("through-the-log", next(logged))

        pairs = [
            Pair("append a message through the manager ÷ XADD of the same body", through_the_manager, xadd, 1.4),
            Pair("append a message through `SessionLog.append` ÷ XADD of the same body", through_the_log, xadd),
        ]
        yield from run.measure(pairs, _ROUNDS, f"appending, server {which} of {_SERVERS}")


def body(index: int) -> bytes:
    """The JSON text that the event of a message has as its body."""
    return orjson.dumps(SessionMessage.from_message(message(index), index).to_dict())
