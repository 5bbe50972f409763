"""Snapshots with anything in any place, and digests that are right: a reader gives an answer or a typed error, soon.

With a key there is no difference to the log at all: nobody without it can make a reader look at junk.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import orjson
import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, SnapshotSettings, ValkeySessionManager, events
from strands_session_log.errors import SessionLogError
from strands_session_log.snapshot.blobs import compress, decompress, digest
from strands_session_log.testing.model import ScriptedModel
from support.command_line import Run
from support.junk import JUNK, TURN, TooSlowError, paths_in, with_junk, within
from support.poison import Fields, fields_of, opened, put, repacked, sealed

SECONDS = 30.0
SMALL = SnapshotSettings(threshold=8, segment=4, points=2, spacing=8)
KEY = b"k" * 32
ASIDE = {"role": "user", "content": [{"text": "A summary."}]}
RAW = {
    "missing": None,
    "empty": b"",
    "junk": b"\x00junk\xff" * 9,
    "long": b"1-1 " * 400_000,
    "one": b"1",
    "minus": b"-1",
}
IDLE = {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}
MANAGER = {"__name__": "SlidingWindowConversationManager", "removed_message_count": 0, "model_call_count": 0}
TIMES = {"created_at": "2026-01-01T00:00:00+00:00", "updated_at": "2026-01-01T00:00:00+00:00"}
AGENT = {"agent_id": "default", "state": {}, "conversation_manager_state": MANAGER, "_internal_state": IDLE, **TIMES}
WRITABLE = {name: junk for name, junk in JUNK.items() if name not in ("deeper", "very deep")}
"""What is nested deeper cannot even be forged."""
EVERY_WAY = "SESSION_LOG_TEST_EVERY_WAY" in os.environ


@pytest.fixture(params=[None, KEY], ids=["no key", "key"])
def log(make_client: Callable[..., Any], namespace: str, request: pytest.FixtureRequest) -> Iterator[SessionLog]:
    keys = [] if request.param is None else [request.param]
    with SessionLog(make_client(), namespace, snapshots=SMALL, snapshot_key=keys) as log:
        yield log
        log._replay.close()


def said(index: int) -> events.Event:
    message = {"role": "user", "content": [{"text": f"message {index}"}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None, **TIMES}, "default")


def talk(log: SessionLog) -> Fields:
    """A session whose snapshot has something everywhere; its fields."""
    log.append("s", [events.SessionCreated({"session_id": "s", "session_type": "AGENT", **TIMES})])
    log.append("s", [events.AgentCreated(AGENT, "default"), *map(said, range(12))])
    redacted = {"role": "user", "content": [{"text": "[redacted]"}]}
    data = {"message": redacted, "redact_message": redacted, "message_id": 3, **TIMES}
    log.append("s", events.MessageRedacted(data, "default"))
    window = {"items": [[2, 4], {"message": ASIDE}, [7, 9]], "removed": 0, "next": 12}
    log.append("s", events.WindowChanged(window, "default"))
    log.append("s", events.MultiAgentCreated({"type": "graph", "status": "pending"}, "g"))
    log.append("s", [said(index) for index in range(12, 18)])
    # What was saved in passing may be of any moment before.
    assert log._replay.settle()
    put(log, {})
    log.state("s")
    assert log._replay.settle()
    fields = fields_of(log)
    (newest, *_) = sorted((name for name in fields if name.startswith("point:")), reverse=True)
    data = opened(fields[newest])
    assert data["agents"][0]["unerased"]
    assert {bool(part[0]) for part in data["agents"][0]["parts"]} == {True, False}
    return fields


def spoiled(fields: Fields) -> Iterator[tuple[str, Fields]]:
    """Each field of the hash, each place in the newest manifest, and each column of its segments, with all junk."""
    yield from raw_junk(fields)
    yield from manifest_junk(fields)
    yield from segment_junk(fields)


def raw_junk(fields: Fields) -> Iterator[tuple[str, Fields]]:
    for name in fields:
        for what, blob in RAW.items():
            changed = {key: value for key, value in fields.items() if key != name}
            yield f"{name} {what}", changed if blob is None else {**changed, name: blob}


def manifest_junk(fields: Fields) -> Iterator[tuple[str, Fields]]:
    newest = max((name for name in fields if name.startswith("point:")), key=lambda name: int(name.rpartition("-")[2]))
    data = opened(fields[newest])
    for path in paths_in(data, 6):
        for what, junk in WRITABLE.items():
            yield f"{'.'.join(map(str, path))} {what}", {**fields, newest: sealed(with_junk(data, path, junk))}


def segment_junk(fields: Fields) -> Iterator[tuple[str, Fields]]:
    text = orjson.loads(decompress(next(blob for name, blob in fields.items() if name.startswith("segment:"))))
    for path in paths_in(text, 4):
        for what, junk in WRITABLE.items():
            yield f"segment {'.'.join(map(str, path))} {what}", repacked(fields, replacing(path, junk))


def replacing(path: tuple[Any, ...], junk: Any) -> Callable[[bytes], bytes]:
    def replace(text: bytes) -> bytes:
        try:
            return orjson.dumps(with_junk(orjson.loads(text), path, junk))
        except (LookupError, TypeError):
            return text

    return replace


def resume(log: SessionLog) -> None:
    Agent(
        model=ScriptedModel(["Hello."]),
        session_manager=ValkeySessionManager("s", log=log),
        agent_id="default",
        callback_handler=None,
    )


def readings(log: SessionLog, run: Run, number: int) -> Iterator[tuple[str, Callable[[], object]]]:
    def state() -> object:
        state = log.state("s")
        for agent in state.agents.values():
            assert len(agent.window) <= len(agent.messages) + 50_000
        return {name: list(agent.messages) for name, agent in state.agents.items()}

    others: list[tuple[str, Callable[[], object]]] = [
        ("show", lambda: run("show", "s", exit_code=None)),
        ("show --json", lambda: run("show", "s", "--json", exit_code=None)),
        ("diff", lambda: run("diff", "s", "4", exit_code=None)),
        ("fork", lambda: log.fork("s", None, f"fork-{number}")),
        ("verify", lambda: log.verify("s")),
    ]
    yield "state", state
    yield "resume", lambda: resume(log)
    yield others[number % len(others)]


def test_nothing_in_a_snapshot_keeps_a_session_from_being_read_or_refused_with_a_typed_error(
    log: SessionLog, run: Run, record_property: Callable[[str, object], None]
) -> None:
    fields, has_key = talk(log), log._replay.authenticator.has_key
    count, failures = 0, list[str]()
    step = 1 if EVERY_WAY else 22 if has_key else 10
    for number, (what, junk) in enumerate(islice(spoiled(fields), TURN % step, None, step)):
        for name, read in readings(log, run, number):
            put(log, junk)
            count += 1
            try:
                with within(SECONDS, f"{name} of {what}"):
                    read()
                    if has_key and name == "state":
                        assert log.state("s") == log._replay.from_log("s")
            except (SessionLogError, SessionException) as error:
                if has_key:
                    failures.append(f"{name} of {what}: {error!r:.300}")
            except (Exception, TooSlowError) as error:
                failures.append(f"{name} of {what}: {error!r:.300}")
    record_property("readings", count)
    assert not failures, "\n".join(failures)
    assert count > 150


def test_a_bomb_of_28_kilobytes_costs_no_gigabytes(make_client: Callable[..., Any], namespace: str) -> None:
    """Neither as a segment nor in the place of the manifest."""
    log = SessionLog(make_client(), namespace, snapshots=SMALL)
    fields, expected = talk(log), log._replay.from_log("s")
    bomb = compress(b"[" * 900_000_000)
    assert len(bomb) < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    points = {name: opened(blob) for name, blob in fields.items() if name.startswith("point:")}
    for data in points.values():
        for agent in data["agents"]:
            agent["parts"] = [[name, digest(bomb) if name else "", *place] for name, _, *place in agent["parts"]]
    segments = {name: bomb for name in fields if name.startswith("segment:")}
    put(log, {**fields, **segments, **{name: sealed(data) for name, data in points.items()}})
    with within(SECONDS, "a state"):
        assert log.state("s") == expected
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    log._replay.close()
