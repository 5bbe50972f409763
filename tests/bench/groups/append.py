"""Appending one message, through the manager and through the log, beside XADD of the same body; in long sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from statistics import median, quantiles
from typing import Any

import orjson
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, ValkeySessionManager
from support.servers import ValkeyliteServer

from ..measuring import Run
from ..report import amount, number
from ..rows import Call, Cost, Pair, Row
from ..sessions import added, agent, calm, converse, created, resume
from ..text import message

_ROUNDS = 600
_SERVERS = 5
_LONG, _SHORT = 20_000, 100
_PARTS, _APPENDS = 6, 500
"""Of how many appends a 99th percentile is taken, and how often."""
_LIKELY = 98


def rows(run: Run) -> Iterator[Row]:
    """On a Unix socket, on TCP, and at the end of a long session."""
    yield from _on_servers(run, "Unix socket", lambda: SessionLog.connect("embedded:"))
    yield from _on_servers(run, "TCP", _on_tcp)
    with SessionLog.connect("embedded:") as log:
        yield _in_a_long_session(run, log)


def _on_servers(run: Run, transport: str, start: Callable[[], AbstractContextManager[SessionLog]]) -> Iterator[Row]:
    """Our appends and the least they could be, on one server after another.

    A round trip takes twice as long when the system runs the server on another core, and the ratio falls. That is
    nobody's choice, so it is tried several times, all of it counts, and the note tells how far the servers differ.
    """
    tried = []
    servers = 1 if run.quick else _SERVERS
    for which in range(1, servers + 1):
        with start() as log:
            tried.append(list(_on_one_server(run, log, transport, f"server {which} of {servers}")))
    for same in zip(*tried, strict=True):
        ours = [seconds for row in same for seconds in row.ours]
        peers = [seconds for row in same for seconds in row.peer]
        cost = Cost(f"writing a message, {transport}", "a bare XADD") if same[0].target else None
        yield same[0]._replace(ours=ours, peer=peers, note=_differences(same), cost=cost)


@contextmanager
def _on_tcp() -> Iterator[SessionLog]:
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        yield log


def _differences(rows: Sequence[Row]) -> str:
    ratios = ", ".join(number(row.ratio) for row in rows if row.ratio is not None)
    least = ", ".join(amount(median(row.peer), row.unit) for row in rows)
    more = ", ".join(amount(median(row.ours) - median(row.peer), row.unit) for row in rows)
    return f"Server by server the ratio was {ratios}; the other took {least}, and ours {more} more."


def _on_one_server(run: Run, log: SessionLog, transport: str, which: str) -> Iterator[Row]:
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

    name = f"{transport}: append a message through {{}} ÷ XADD of the same body"
    pairs = [
        Pair(name.format("the manager"), through_the_manager, xadd, 1.5),
        Pair(name.format("`SessionLog.append`"), through_the_log, xadd),
    ]
    yield from run.measure(pairs, _ROUNDS, f"appending, {transport}, {which}")


def _in_a_long_session(run: Run, log: SessionLog) -> Row:
    """What takes long now and then, at the end of a long session and of short ones, of which there are many."""
    length, appends = run.size(_LONG), run.size(_APPENDS)
    log.append("long", created("long", None))
    for start in run.track(range(0, length, _SHORT), f"a session of {length:,} messages"):
        log.append("long", [added(index) for index in range(start, start + _SHORT)])
    at_the_end = _appending(resume(log, "long"))
    calm(log)
    parts = [_slowest(run, log, at_the_end, f"{part}", appends) for part in range(_PARTS)]
    name = f"append a message, 99th percentile: after {length:,} messages ÷ after {_SHORT}"
    note = f"Each round is the 99th percentile of {appends} appends."
    return Row(name, [long for long, _ in parts], [short for _, short in parts], 1.5, note=note)


def _slowest(run: Run, log: SessionLog, at_the_end: Call, part: str, appends: int) -> list[float]:
    # One session more than is timed, for the warm-up.
    names = [f"{part}-{number}" for number in range(appends // _SHORT + 1)]
    beginnings = [converse(ValkeySessionManager(name, log=log), _SHORT) for name in names]
    calm(log)
    in_short = iter([_appending(living) for living in beginnings for _ in range(_SHORT)])
    times = run.in_turn([at_the_end, lambda: next(in_short)()], appends, "appending to a long session")
    return [quantiles(taken, n=100, method="inclusive")[_LIKELY] for taken in times.values()]


def _appending(living: Any) -> Call:
    def append() -> None:
        said = message(len(living.messages))
        living.messages.append(said)
        living._session_manager.append_message(said, living)

    return append


def body(index: int) -> bytes:
    """The JSON text that the event of a message has as its body."""
    return orjson.dumps(SessionMessage.from_message(message(index), index).to_dict())
