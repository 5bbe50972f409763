"""What 10,000 messages of 1 KB take on the server, all keys included, and what their snapshots cost to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import orjson

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.testing.model import ScriptedModel
from support.clients import client_of

from ..measuring import Run
from ..old_manager import old_manager
from ..rows import Cost, Row
from ..sessions import AGENT, WINDOW, added, agent, calm, converse, created, record, settle
from ..text import BYTES, message, said

_COST = Cost("keeping a message of 1 KB on the server, with all that is told of the conversation", "the message alone")
_OF_THE_OLD = 1_000
_SETTLE_EVERY = 50
_BATCH = 10


def rows(run: Run) -> Iterator[Row]:
    """Messages alone; a session of a live agent with a window; and the same session of one that keeps everything."""
    length = run.size(10_000)
    with SessionLog.connect("embedded:") as alone:
        _write_messages(run, alone, length)
        yield _row(alone, length, f"{length:,} messages and nothing else, window of {WINDOW}", 1.5)
    with SessionLog.connect("embedded:", compress="zstd") as compressed:
        _write_messages(run, compressed, length)
        yield _row(compressed, length, f'the same with `compress="zstd"`, {length:,} messages', None)
    with SessionLog.connect("embedded:") as log, SessionLog.connect("embedded:") as whole:
        _talk(run, log, length)
        yield _row(log, length, f"a session of {length:,} messages, window of {WINDOW}", 2.1)._replace(cost=_COST)
        yield _snapshots(log, length)
        yield _beside_the_old(run, log, length)
        _repeat_without_window(run, log, whole)
        yield _row(whole, length, f"a session of {length:,} messages, no window", None)


def _write_messages(run: Run, log: SessionLog, length: int) -> None:
    """Every message one event; what the agent's window dropped is written only now and then."""
    log.append("s", created("s"))
    for start in run.track(range(0, length, _BATCH), f"{length:,} messages alone"):
        log.append("s", [added(index) for index in range(start, min(start + _BATCH, length))])
        if start % 1000 == 990:
            log.append("s", record(max(0, start + _BATCH - WINDOW)))
            settle(log)
    calm(log)


def _talk(run: Run, log: SessionLog, length: int) -> None:
    """A real agent, asked and answering; everything is recorded that is by default."""
    answers = (said(index) for index in range(1, length, 2))
    living = agent(ValkeySessionManager("s", log=log), WINDOW, script=answers)
    for turn in run.track(range(length // 2), f"a conversation of {length:,} messages"):
        living(message(2 * turn)["content"][0]["text"])
        cast(ScriptedModel, living.model).calls.clear()
        if turn % _SETTLE_EVERY == 0:
            settle(log)
    calm(log)


def _repeat_without_window(run: Run, log: SessionLog, whole: SessionLog) -> None:
    """What an agent that keeps everything writes: the same without what says what it dropped."""
    whole.append("s", created("s", window=None))
    told = [one.event for one in log.read("s") if not isinstance(one.event, _OF_THE_WINDOW)]
    for start in run.track(range(0, len(told), _BATCH), "the same without a window"):
        whole.append("s", [_anew(event) for event in told[start : start + _BATCH]])
        if start % (_SETTLE_EVERY * _BATCH) == 0:
            settle(whole)
    ValkeySessionManager("s", log=whole)
    calm(whole)


_OF_THE_WINDOW = (events.SessionCreated, events.AgentCreated, events.AgentUpdated, events.WindowChanged)


def _row(log: SessionLog, length: int, what: str, target: float | None) -> Row:
    kinds = _bytes_by_kind(log)
    each = {kind: total / length for kind, total in kinds.most_common()}
    parts = ", ".join(f"{kind} {amount:,.0f}" for kind, amount in each.items() if amount >= 0.5)
    counted = Counter(one.event.type for one in log.read("s"))
    kinds_of_events = ", ".join(f"{count:,} {kind}" for kind, count in counted.most_common())
    note = f"Bytes a message: {parts}. Events: {kinds_of_events}."
    return Row(
        f"bytes on the server a 1 KB message, {what} ÷ 1 KB",
        [sum(each.values())],
        [BYTES],
        target,
        "less",
        "bytes",
        note,
    )


def _beside_the_old(run: Run, log: SessionLog, length: int) -> Row:
    with SessionLog.connect("embedded:") as other:
        messages = run.size(_OF_THE_OLD)
        converse(old_manager("s", other.client), messages)
        keys = client_of(other).scan_iter(match="session:*", count=1000)
        theirs = sum(other.client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys) / messages
    ours = sum(_bytes_by_kind(log).values()) / length
    name = "bytes on the server a 1 KB message, strands-valkey-session-manager ÷ ours with all that is told"
    note = "It keeps messages alone, each under a key of its own."
    return Row(name, [ours], [theirs], None, "more", "bytes", note, Cost(_COST.what, "strands-valkey-session-manager"))


def _bytes_by_kind(log: SessionLog) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for key in client_of(log).scan_iter(match=f"{log.namespace}:*", count=1000):
        kinds[key.decode().rpartition(":")[2]] += log.client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0)
    return kinds


def _snapshots(log: SessionLog, length: int) -> Row:
    name = f"bytes written for snapshots over {length:,} messages ÷ bytes of the messages"
    written = log._replay.saved_bytes
    messages = log.state("s").agents[AGENT].messages
    return Row(name, [written], [sum(len(orjson.dumps(one.message)) for one in messages)], 0.6, "less", "bytes")


def _anew(event: Any) -> Any:
    return type(event)({name: value for name, value in event.data.items() if name != "removed"}, event.agent)
