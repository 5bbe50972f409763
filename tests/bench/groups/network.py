"""The same with a network in between: every request and every reply is a millisecond on its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

from strands_session_log import SessionLog, ValkeySessionManager
from support.proxy import FaultProxy
from support.servers import ValkeyliteServer

from ..measuring import Run
from ..old_manager import old_manager
from ..relay import relay
from ..rows import Call, Cost, Pair, Row
from ..sessions import WINDOW, Limit, agent, calm, converse, resume, transcript
from ..text import message
from ..turns import THOUGHT, Turn, answering, ask, more, think_and_answer
from .append import body
from .resume import COST as RESUME_COST
from .resume import OLD
from .turn import COST as TURN_COST

_APPENDS, _RESUMES, _OLD_ONES, _TURNS = 200, 20, 5, 60
_DELAY = 0.001
_BETWEEN = "1 ms each way"
_AWAY = "the server 1 ms away"


def rows(run: Run) -> Iterator[Row]:
    """Two servers far away: ours, and one that has nothing but the old manager's session."""
    length = run.size(1000)
    with ValkeyliteServer() as server, ValkeyliteServer() as other:
        _prepare(server.url, other.url, length)
        yield from _round_trips(server.port, other.port, length)
        with ExitStack() as opened:
            urls = [opened.enter_context(relay(one.port, _DELAY)) for one in (server, other)]
            log, old = (opened.enter_context(SessionLog.connect(url)) for url in urls)
            yield from run.measure(_appending(log), _APPENDS, "appending over a network")
            yield from run.measure(_resuming(log, length), _RESUMES, "resuming over a network")
            (row,) = run.measure([_of_the_old(log, old.client, length)], _OLD_ONES, "the old manager's turn")
            yield row._replace(cost=Cost(f"{RESUME_COST.format(length)}, {_AWAY}", OLD))
            yield _turns(run, log, old.client)
            yield _overlapping(run, log)


def _prepare(url: str, other_url: str, length: int) -> None:
    with SessionLog.connect(url) as log, SessionLog.connect(other_url) as other:
        converse(ValkeySessionManager("s", log=log), length)
        converse(old_manager("s", other.client), length)
        calm(log)
        Limit(log.client, transcript(log, "s"))


def _appending(log: SessionLog) -> list[Pair]:
    manager = ValkeySessionManager("appended", log=log)
    living, said, bodies = agent(manager), count(), iter([body(index) for index in range(2 * _APPENDS)])

    def append() -> None:
        manager.append_message(message(next(said)), living)

    def xadd() -> None:
        log.client.execute_command("XADD", "plain", "*", "body", next(bodies))

    return [Pair(f"{_BETWEEN}: append a message through the manager ÷ XADD of the same body", append, xadd)]


def _resuming(log: SessionLog, length: int) -> list[Pair]:
    limit = Limit(log.client)

    def resumed() -> Any:
        return resume(log, "s")

    name = f"{_BETWEEN}: resume {length:,} messages, manager and Agent ÷ GET, orjson, SessionMessage and a bare Agent"
    return [Pair(name, resumed, limit.load_with_agent)]


def _turns(run: Run, log: SessionLog, other: Any) -> Row:
    managers = (None, ValkeySessionManager("turns", log=log), old_manager("turns", other))
    none, ours, theirs = (Turn(answering(manager, WINDOW), ask) for manager in managers)
    times = run.in_turn([none, ours, theirs], _TURNS, "turns over a network", seconds=10)
    name = f"{_BETWEEN}: a turn, {WINDOW} messages held: what {OLD} takes more than none ÷ what ours does"
    cost = Cost(f"{TURN_COST.format('a turn', WINDOW)}, {_AWAY}", OLD)
    return Row(name, more(times, ours, none), more(times, theirs, none), None, "more", cost=cost)


def _overlapping(run: Run, log: SessionLog) -> Row:
    managers = (
        None,
        ValkeySessionManager("by-default", log=log),
        ValkeySessionManager("overlapping", log=log, flush="overlap"),
    )
    turns = [Turn(answering(manager, WINDOW, script=think_and_answer), ask) for manager in managers]
    times = run.in_turn(turns, _TURNS, "turns that overlap", seconds=10)
    none, by_default, overlapping = turns
    name = (
        f"{_BETWEEN}, the model answers after {THOUGHT * 1000:.0f} ms: what a turn takes more than without a session "
        'manager, `flush="overlap"` ÷ by default'
    )
    return Row(name, more(times, overlapping, none), more(times, by_default, none))


def _of_the_old(log: SessionLog, other: Any, length: int) -> Pair:
    def resumed() -> Any:
        return resume(log, "s")

    def resumed_by_the_old() -> Any:
        return agent(old_manager("s", other))

    name = f"{_BETWEEN}: strands-valkey-session-manager resumes {length:,} messages ÷ ours"
    return Pair(name, resumed, resumed_by_the_old, 200, "more")


def _round_trips(port: int, other_port: int, length: int) -> Iterator[Row]:
    with FaultProxy("127.0.0.1", port) as ours, FaultProxy("127.0.0.1", other_port) as theirs, ExitStack() as opened:
        log, other = (opened.enter_context(SessionLog.connect(proxy.url)) for proxy in (ours, theirs))
        yield _trips_to_append(ours, theirs, log, other.client)
        resumed = _trips(ours, lambda: resume(log, "s"))
        resumed_by_the_old = _trips(theirs, lambda: agent(old_manager("s", other.client)))
        name = f"round trips to resume {length:,} messages, strands-valkey-session-manager ÷ ours"
        yield Row(name, resumed, resumed_by_the_old, None, "more", "round trips")
        yield _trips_of_a_turn(ours, theirs, log, other.client)


def _trips_of_a_turn(ours: FaultProxy, theirs: FaultProxy, log: SessionLog, other: Any) -> Row:
    turns = [Turn(answering(one, WINDOW), ask) for one in (ValkeySessionManager("t", log=log), old_manager("t", other))]
    for turn in turns:
        # The first drops nothing yet.
        turn()
    calm(log)
    name = f"round trips of a turn, {WINDOW} messages held, {OLD} ÷ ours"
    return Row(name, _trips(ours, turns[0]), _trips(theirs, turns[1]), None, "more", "round trips")


def _trips_to_append(ours: FaultProxy, theirs: FaultProxy, log: SessionLog, other: Any) -> Row:
    manager, old = ValkeySessionManager("counted", log=log), old_manager("counted", other)
    living, living_with_the_old = agent(manager), agent(old)
    appended = _trips(ours, lambda: manager.append_message(message(0), living))
    by_the_old = _trips(theirs, lambda: old.append_message(message(0), living_with_the_old))
    name = "round trips to append a message, strands-valkey-session-manager ÷ ours"
    return Row(name, appended, by_the_old, None, "more", "round trips")


def _trips(proxy: FaultProxy, call: Call) -> list[float]:
    before = proxy.round_trips
    call()
    return [float(proxy.round_trips - before)]
