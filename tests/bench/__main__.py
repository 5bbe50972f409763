"""`make bench`: what the log costs beside the least it could cost, paired in one run on an embedded server.

Every row is timed A B A B …, and the medians and their ratio are printed. Machines are noisy: only ratios count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from rich.console import Console
from rich.table import Table
from strands import Agent
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.testing.model import ScriptedModel

TEXT = ("A kilobyte of natural text, as people and models write it, with words, commas, and full stops. " * 11)[:1024]


class Row(NamedTuple):
    """Two ways to do something, and how often to do each."""

    name: str
    ours: Callable[[], Any]
    least: Callable[[], Any]
    rounds: int


def main() -> None:
    """Measure every row and print the table."""
    table = Table("what", "ours", "the least", "ratio", "spread")
    with SessionLog.connect("embedded:") as log:
        for row in rows(log):
            ours, least = measure(row)
            ratio = statistics.median(ours) / statistics.median(least)
            quartiles = statistics.quantiles(ours, n=4)
            spread = (quartiles[2] - quartiles[0]) / statistics.median(ours)
            table.add_row(row.name, microseconds(ours), microseconds(least), f"{ratio:.2f}", f"{spread:.0%}")
    Console().print(table)


def rows(log: SessionLog) -> list[Row]:
    """What is measured."""
    client, indices = log.client, iter(range(10**6))
    manager = ValkeySessionManager("manager", log=log)
    agent = Agent(model=ScriptedModel([]), session_manager=manager, callback_handler=None)
    resumed, stored = prepare(log, 1000)
    return [
        Row(
            "append a 1 KB message ÷ XADD of the same bytes",
            lambda: log.append("log", events.MessageAdded(message(next(indices)), "a")),
            lambda: client.execute_command("XADD", "plain", "*", "body", TEXT),
            2000,
        ),
        Row(
            "the same through the session manager ÷ XADD",
            lambda: manager.append_message(said(), agent),
            lambda: client.execute_command("XADD", "plain", "*", "body", TEXT),
            2000,
        ),
        Row(
            "resume 1,000 messages ÷ GET, orjson.loads and building them",
            lambda: resume(log, resumed),
            lambda: [SessionMessage(**one) for one in orjson.loads(client.execute_command("GET", stored))],
            15,
        ),
        Row(
            "replay 1,000 events ÷ XRANGE and orjson.loads",
            lambda: log.state(resumed),
            lambda: [orjson.loads(fields[b"body"]) for _, fields in entries(log, resumed)],
            15,
        ),
    ]


def measure(row: Row) -> tuple[list[float], list[float]]:
    """The seconds of each round, one way and the other in turn."""
    ours: list[float] = []
    least: list[float] = []
    for _ in range(row.rounds):
        for times, call in ((ours, row.ours), (least, row.least)):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return ours, least


def prepare(log: SessionLog, count: int) -> tuple[str, str]:
    """A session of so many messages, and the same messages as one JSON text; their keys."""
    messages = [message(index) for index in range(count)]
    log.append("resumed", events.SessionCreated({"session_id": "resumed", "session_type": "AGENT"}))
    log.append("resumed", events.AgentCreated({"agent_id": "default", "state": {}, "conversation_manager_state": {}}))
    for start in range(0, count, 100):
        log.append("resumed", [events.MessageAdded(one, "default") for one in messages[start : start + 100]])
    log.client.execute_command("SET", "stored", orjson.dumps(messages))
    return "resumed", "stored"


def resume(log: SessionLog, session_id: str) -> Any:
    """A session manager and its messages."""
    return ValkeySessionManager(session_id, log=log).list_messages(session_id, "default")


def entries(log: SessionLog, session_id: str) -> Any:
    """The raw stream."""
    return log.client.execute_command("XRANGE", log.events.keyspace.session(session_id).events, "-", "+")


def message(index: int) -> dict[str, Any]:
    """A message as it is stored."""
    times = {"created_at": "2026-01-01T00:00:00+00:00", "updated_at": "2026-01-01T00:00:00+00:00"}
    return {"message": said(), "message_id": index, "redact_message": None, **times}


def said() -> Any:
    """A kilobyte, said by the user."""
    return {"role": "user", "content": [{"text": TEXT}]}


def microseconds(seconds: list[float]) -> str:
    """Their median, for people."""
    return f"{statistics.median(seconds) * 1e6:,.0f} µs"


if __name__ == "__main__":
    main()
