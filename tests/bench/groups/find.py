"""What happened last night: finding what failed among 20,000 sessions."""

from __future__ import annotations

from collections.abc import Iterator

from strands_session_log import SessionLog, events

from ..measuring import Run
from ..rows import Pair, Row

_ROUNDS = 12
_ONE_FAILED_OF = 1_000


def rows(run: Run) -> Iterator[Row]:
    """Sessions of one call each, few of which failed; fewer than are asked for, so that all are looked through."""
    with SessionLog.connect("embedded:") as log:
        names = [f"s-{number}" for number in range(run.size(20_000))]
        for number, name in enumerate(run.track(names, "sessions")):
            log.append(name, [events.InvocationStarted({"invocation": "i"}, "default"), _end(number)])
        yield from run.measure([_finding(log, names), _listing(log)], _ROUNDS, "finding sessions")


def _end(number: int) -> events.Event:
    if number % _ONE_FAILED_OF:
        return events.InvocationCompleted({"stop_reason": "end_turn"}, "default")
    return events.InvocationFailed({"error": "ValueError"}, "default")


def _finding(log: SessionLog, names: list[str]) -> Pair:
    keys = [log._events.keyspace.session(name).head for name in names]

    def found() -> int:
        return len(log.sessions(50, failed=True, since="-8h"))

    def least() -> int:
        pipeline = log.client.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("HMGET", key, "open")
        return sum(b"\tfailed\t" in (fields[0] or b"") for fields in pipeline.execute())

    assert found() == least()
    return Pair(
        f"`sessions(failed=True, since='-8h')` of {len(names):,} ÷ one field of each head, pipelined", found, least, 3
    )


def _listing(log: SessionLog) -> Pair:
    def page() -> int:
        return len(log.sessions(50, last_message=True))

    def plain() -> int:
        return len(log.sessions(50))

    return Pair("a page of 50 sessions with what was said last ÷ without", page, plain)
