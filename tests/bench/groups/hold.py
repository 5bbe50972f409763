"""For how long one call of a script holds the server, by its own slow log: the longest of each kind of work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from typing import Any

from strands_session_log import SessionLog, Subscriber, ValkeySessionManager, events, scripts
from strands_session_log.feed import FeedRetention
from support.clients import client_of

from ..measuring import Run
from ..rows import Row
from ..sessions import added, created, fresh, settle

_LIMIT = 0.020
_LONG, _FEED, _PARKED = 100_000, 1_000_000, 64_000
_LARGE, _LARGE_BODY = 2_000, 65_000
_BATCH = 10_000
"""Larger than what is fetched or settled in one call."""
_FILLED_AT_ONCE = 1_000
_SLOWER_THAN = 100
"""Microseconds: what is quicker need not be looked at."""
_SCRIPTS = {one.sha.encode(): name for name, one in vars(scripts).items() if isinstance(one, scripts.Script)}


def rows(run: Run) -> Iterator[Row]:
    """Long sessions, sessions of large bodies, a long feed, many dead letters."""
    with SessionLog.connect("embedded:") as log:
        held = _Held(log)
        yield from _of_a_session(run, held, "long", run.size(_LONG), "hello ", f"{run.size(_LONG):,} small events")
        large = f"{run.size(_LARGE):,} events of 64 KB"
        yield from _of_a_session(run, held, "large", run.size(_LARGE), "x" * _LARGE_BODY, large)
    with SessionLog.connect("embedded:") as log:
        log._events.retention = FeedRetention(max_length=2 * _FEED)
        yield from _of_groups(run, _Held(log))


class _Held:
    """Asks the server how long the scripts took."""

    def __init__(self, log: SessionLog) -> None:
        self.log = log
        # What the disk does meanwhile is not what a script does.
        client_of(log).config_set("appendonly", "no")
        client_of(log).config_set("save", "")
        client_of(log).config_set("slowlog-log-slower-than", _SLOWER_THAN)
        client_of(log).config_set("slowlog-max-len", 1_000_000)

    def row(self, name: str, work: Callable[[], object]) -> Row:
        """The longest script call during some work."""
        self.log.client.execute_command("SLOWLOG", "RESET")
        work()
        settle(self.log)
        longest: dict[str, float] = {}
        for _, _, microseconds, command, *_ in self.log.client.execute_command("SLOWLOG", "GET", "-1"):
            if command[0].startswith(b"EVAL"):
                script = _SCRIPTS.get(command[1], "a script's first call")
                longest[script] = max(longest.get(script, 0.0), microseconds / 1e6)
        ranked = sorted(longest.items(), key=lambda one: -one[1])
        note = ", ".join(f"{script} {seconds * 1e3:.1f} ms" for script, seconds in ranked[:4])
        most = ranked[0][1] if ranked else _SLOWER_THAN / 1e6
        return Row(f"{name}: the longest script call ÷ 20 ms", [most], [_LIMIT], 1, note=note)


def _of_a_session(run: Run, held: _Held, session_id: str, length: int, text: str, what: str) -> Iterator[Row]:
    log = held.log

    def fill() -> None:
        log.append(session_id, created(session_id, None))
        at_once = max(1, min(500, 4_000_000 // len(text)))
        for start in run.track(range(0, length, at_once), what):
            log.append(session_id, [_said(number, text) for number in range(start, min(length, start + at_once))])

    def read() -> None:
        list(fresh(log).state(session_id).agents["default"].messages)
        ValkeySessionManager(session_id, log=fresh(log))
        _ = fresh(log).state(session_id, at=length // 2).agents["default"].window
        for _ in fresh(log).read(session_id):
            pass

    def once() -> None:
        log.append(session_id, [_note(number) for number in range(1_000)])
        log.append(session_id, [_note(number) for number in range(1_000)], once=True)

    yield held.row(f"appending {what}", fill)
    yield held.row(f"resuming, reading and looking back in {what}", read)
    yield held.row(f"appending 1,000 events at once, and 1,000 once, to {what}", once)
    yield held.row(f"verifying {what}", lambda: log.verify(session_id))
    yield held.row(f"forking {what}", lambda: log.fork(session_id, at=length, into=f"{session_id}-fork"))
    one = next(islice(log.read(session_id), length // 2, None)).id
    yield held.row(f"erasing one of {what}, also in a fork", lambda: log.erase(session_id, one, reason="bench"))
    yield held.row(f"rewinding {what}", lambda: log.rewind(session_id, to=length // 2))
    yield held.row(f"deleting {what}", lambda: log.delete(session_id))


def _of_groups(run: Run, held: _Held) -> Iterator[Row]:
    log, feed_length, parked = held.log, run.size(_FEED), run.size(_PARKED)
    session_id = next(name for name in map(str, count()) if log._events.keyspace.partition(name) == 0)
    for start in run.track(range(0, feed_length, _FILLED_AT_ONCE), f"a feed of {feed_length:,} envelopes"):
        log.append(session_id, [_note(number) for number in range(start, start + _FILLED_AT_ONCE)])
    what = f"{parked:,} of {feed_length:,} envelopes"

    def consume(group: str, how: str, most: int = parked, **settings: Any) -> None:
        asyncio.run(_consume(log, group, how, most, **{"batch": _BATCH, **settings}))

    yield held.row(f"handling {what}", lambda: consume("acks", "ack"))
    yield held.row(f"handling {what} in order", lambda: consume("ordered", "ack", ordered=True))
    unsettled: dict[str, Any] = {"in_flight": 2 * parked, "claim_after": 0.5}
    yield held.row(f"{what} in one consumer's hands, and given back", lambda: consume("held", "", **unsettled))
    yield held.row(f"taking over from it and failing {what}", lambda: consume("held", "fail", parked // 8, backoff=0.0))
    yield held.row(f"parking {what}", lambda: consume("parks", "park"))
    dead = log.parked("parks")
    yield held.row(f"how the groups stand, and a list of {parked:,} parked", lambda: (log.groups(), list(dead)))
    ids = [one.parked_id for one in dead]
    yield held.row(f"having {parked:,} parked tried again", lambda: dead.replay(ids))
    yield held.row("handling 2,000 of these", lambda: consume("parks", "ack", min(2_000, parked)))
    yield held.row(f"dropping {parked:,} parked", lambda: dead.drop(one.parked_id for one in dead))
    for group in ("acks", "ordered", "held", "parks"):
        yield held.row(f"deleting the group {group}", partial(log.delete_group, group))
    log._events.retention = FeedRetention(keep=0, max_age=1)
    yield held.row(f"trimming a feed of {feed_length:,} envelopes", lambda: log._events.trim_feed(0, exactly=True))


async def _consume(log: SessionLog, group: str, how: str, most: int, **settings: Any) -> None:
    async with Subscriber(log, group, **settings) as deliveries:
        async for delivery in deliveries:
            if how == "ack":
                await delivery.ack()
            elif how:
                await getattr(delivery, how)("bench")
            most -= 1
            if not most:
                return


def _said(number: int, text: str) -> events.Event:
    said = added(number)
    message = {"role": "user", "content": [{"text": text}]}
    return events.MessageAdded({**said.data, "message": message}, said.agent, time=said.time)


def _note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})
