"""A recorder where the process ends: it writes for as long as it gets on, and tells what it could not."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE
from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, SessionRecorder, events
from strands_session_log.recorder import ending
from strands_session_log.recorder.worker import Worker
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.programs import Program, run
from support.servers import Server
from support.strands_agents import happened

BEGINNING = """
import sys
from strands import Agent
from strands_session_log import SessionRecorder
from strands_session_log.recorder import ending
from strands_session_log.testing.model import ScriptedModel

url, turns = sys.argv[1], int(sys.argv[2])
recorder = SessionRecorder(url, "s")
agent = Agent(model=ScriptedModel(["Yes."] * (turns + 1)), hooks=[recorder], callback_handler=None)
agent("Are you there?")
recorder.flush()
"""
TALK = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(turns):
    agent(f"Question {number}?")
"""
PATIENT, IMPATIENT = BEGINNING + TALK, BEGINNING + "ending.PATIENCE = ending._LAST_WORD = 0.5\n" + TALK
FORGOTTEN = (
    BEGINNING
    + """
import gc
print("ready", flush=True)
sys.stdin.readline()
agent("Is anyone there?")
del agent, recorder
gc.collect()
"""
)
CHILD = (
    BEGINNING
    + """
import os
if pid := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
agent("And in a child?")
"""
)
OF_MULTIPROCESSING = (
    BEGINNING
    + """
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=agent, args=("And in a child?",))
child.start()
child.join()
sys.exit(child.exitcode)
"""
)
CLOSED = """
from strands import Agent
from strands_session_log import SessionRecorder
from strands_session_log.testing.model import ScriptedModel

recorder = SessionRecorder("valkey://127.0.0.1:1", "s")
Agent(model=ScriptedModel(["Yes."]), hooks=[recorder], callback_handler=None)("Are you there?")
assert not recorder.close(0.5)
"""
# Beside a thread that never rests, the last word may take longer than its two seconds on a busy machine.
TALKS_ON = (
    BEGINNING
    + """
import asyncio, threading
ending._LAST_WORD = 30.0
tireless = Agent(agent_id="tireless", model=ScriptedModel(lambda _: "Yes."), hooks=[recorder], callback_handler=None)
is_talking = threading.Event()
async def talk():
    while True:
        await tireless.invoke_async("And?")
        tireless.messages.clear()
        await asyncio.sleep(0.005)
        is_talking.set()
threading.Thread(target=asyncio.run, args=(talk(),), daemon=True).start()
is_talking.wait()
"""
)
WITHOUT_THREADS = (
    BEGINNING
    + """
import threading
def refuse(self):
    raise RuntimeError("can't start new thread")
agent = Agent(agent_id="late", model=ScriptedModel(["Yes."]), hooks=[recorder], callback_handler=None)
start, threading.Thread.start = threading.Thread.start, refuse
hook = type("Hook", (), {"agent": agent, "message": {"role": "user", "content": [{"text": "Hi"}]}})
recorder._of_agent("message_added", hook)
"""
)
LIVE = """
import sys
from strands_session_log import LiveTokens, SessionLog
from strands_session_log.live.delta_parser import DeltaParser
live = LiveTokens(SessionLog.connect(sys.argv[1]), "s", interval=0.3)
parser = DeltaParser("default", live._publisher.publish, live._publisher.forget)
parser.hear({"messageStart": {}})
parser.hear({"contentBlockDelta": {"delta": {"text": "Good "}}})
assert live.flush()
parser.hear({"contentBlockDelta": {"delta": {"text": "bye."}}})
parser.hear({"messageStop": {}})
"""


def started(code: str, proxy: FaultProxy, turns: int) -> Program:
    return Program(["-c", code, proxy.url, str(turns)], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)


def talk(program: Program) -> None:
    program.stdin.write("go\n")  # type: ignore[union-attr]
    program.stdin.flush()  # type: ignore[union-attr]


def unwritten(warning: str) -> int:
    (found,) = re.findall(r"RuntimeWarning: (\d+) steps of agents were not recorded", warning)
    return int(found)


def release_at_the_end(worker: Worker, proxy: FaultProxy) -> None:
    """Let the server answer once the worker has given up."""
    with worker._changed:
        assert worker._changed.wait_for(lambda: worker._leaving, 20)
    proxy.release_replies()


@contextmanager
def answered_too_late(proxy: FaultProxy) -> Iterator[SessionRecorder]:
    """A recorder that has seen much, and whose server answers only once it has given up."""
    recorder = SessionRecorder(SessionLog.connect(proxy.url), "s")
    agent: Any = Agent(model=ScriptedModel(["Yes."] * 80), hooks=[recorder], callback_handler=None)
    agent("Are you there?")
    assert recorder.flush()
    proxy.hold_replies()
    for number in range(60):
        agent(f"Question {number}?")
    (worker,) = recorder._workers
    releasing = threading.Thread(target=release_at_the_end, args=(worker, proxy))
    releasing.start()
    yield recorder
    releasing.join()


def said(server: Server, agent: str = "default") -> list[Any]:
    with SessionLog.connect(server.url) as log:
        return [record.message for record in log.state("s").agents[agent].messages]


def test_a_process_ends_once_all_is_written_however_far_the_server_is(tcp_server: Server, proxy: FaultProxy) -> None:
    with started(PATIENT, proxy, 90) as program:
        assert program.stdout
        program.stdout.readline()
        proxy.delay(requests=0.15, replies=0.15)
        talk(program)
        _, errors = program.communicate(60)
        assert (program.returncode, "not recorded" in errors) == (0, False)
    assert len(said(tcp_server)) == 182


def test_what_a_recorder_saw_that_nobody_has_any_more_is_written_before_the_process_ends(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    with started(FORGOTTEN, proxy, 1) as program:
        assert program.stdout
        program.stdout.readline()
        proxy.delay(requests=0.3, replies=0.3)
        talk(program)
        assert program.wait(30) == 0
    assert len(said(tcp_server)) == 4


def test_a_process_whose_server_stands_still_ends_and_says_what_is_missing(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    with started(IMPATIENT, proxy, 3) as program:
        assert program.stdout
        program.stdout.readline()
        proxy.hold_replies()
        talk(program)
        _, errors = program.communicate(20)
        assert program.returncode == 0
    assert unwritten(errors) > 6
    assert "not even a recording.gap could be written" in errors
    proxy.release_replies()


def test_a_process_whose_server_is_dead_ends_and_says_what_is_missing(tcp_server: Server, proxy: FaultProxy) -> None:
    with started(IMPATIENT, proxy, 3) as program:
        assert program.stdout
        program.stdout.readline()
        tcp_server.kill()
        proxy.cut()
        proxy.refuse()
        talk(program)
        _, errors = program.communicate(20)
        assert program.returncode == 0
    assert unwritten(errors) > 6
    tcp_server.restart()


def test_ctrl_c_at_the_end_gives_up_and_says_what_is_missing(tcp_server: Server, proxy: FaultProxy) -> None:
    with started(PATIENT, proxy, 3) as program:
        assert program.stdout
        assert program.stderr
        program.stdout.readline()
        proxy.hold_replies()
        talk(program)
        assert "the process ends once they are recorded" in program.stderr.readline()
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(20)
    assert unwritten(errors) > 6
    assert "it was interrupted" in errors
    proxy.release_replies()


def test_what_cannot_be_written_in_time_is_told_before_anything_else(
    tcp_server: Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "PATIENCE", 0.3)
    monkeypatch.setattr(ending, "_LAST_WORD", 20.0)
    told = r"steps of agents were not recorded.*gap tells of them"
    with answered_too_late(proxy) as recorder, pytest.warns(RuntimeWarning, match=told) as warned:
        ending.finish(recorder._workers)
    recorder.close()
    with SessionLog.connect(tcp_server.url) as log:
        last = happened(log)[-1]
        assert (last.type, last.data["error"]) == ("recording.gap", "the process ended before it was written")
    assert 0 < last.data["lost"] == int(str(warned[0].message).split()[0]) < 600


def test_what_is_seen_while_the_last_step_is_still_under_way_is_told_of(session_log: SessionLog) -> None:
    under_way, may_go_on = threading.Event(), threading.Event()

    def step(outbox: Any) -> None:
        under_way.set()
        assert may_go_on.wait(20)
        outbox.queue([events.Custom("custom.note", {})])

    recorder = SessionRecorder(session_log, "s")
    agent: Any = Agent(model=ScriptedModel(["Yes."] * 3), hooks=[recorder], callback_handler=None)
    agent("Are you there?")
    assert recorder.flush()
    (worker,) = recorder._workers
    worker.put(step)
    assert under_way.wait(20)
    worker.leave("the process ended")
    agent("And now?")
    may_go_on.set()
    assert recorder.flush()
    recorder.close()
    written, gap = happened(session_log)[-2:]
    assert (written.type, gap.type, gap.data["error"]) == ("custom.note", "recording.gap", "the process ended")


def test_a_recorder_that_is_closed_too_early_tells_what_is_missing(
    tcp_server: Server, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    with answered_too_late(proxy) as recorder:
        assert not recorder.close(timeout=5)
    assert "| closed" in caplog.text
    with SessionLog.connect(tcp_server.url) as log:
        last = happened(log)[-1]
        assert (last.type, last.data["error"]) == ("recording.gap", "the recorder was closed")
    assert last.data["lost"] == recorder.stats.lost > 0


@pytest.mark.parametrize("code", [CHILD, OF_MULTIPROCESSING], ids=["fork", "multiprocessing"])
def test_a_child_process_records_what_it_saw_and_nothing_twice(tcp_server: Server, code: str) -> None:
    ended = run(["-c", code, tcp_server.url, "1"])
    assert (ended.returncode, "not recorded" in ended.stderr) == (0, False), ended.stderr
    assert [message["content"][0]["text"] for message in said(tcp_server)] == [
        "Are you there?",
        "Yes.",
        "And in a child?",
        "Yes.",
    ]


def test_what_a_recorder_gave_up_when_it_was_closed_is_told_once_and_waited_for_no_more() -> None:
    ended = run(["-c", CLOSED])
    assert ended.returncode == 0, ended.stderr
    assert "| closed" in ended.stderr
    assert "not recorded" not in ended.stderr


def test_an_agent_that_never_stops_in_a_daemon_thread_does_not_keep_its_process_alive(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    proxy.delay(requests=0.1)
    ended = run(["-c", TALKS_ON, proxy.url, "1"])
    assert ended.returncode == 0, ended.stderr
    assert unwritten(ended.stderr) > 0
    assert "their agents went on; recording.gap tells of them" in ended.stderr
    with SessionLog.connect(tcp_server.url) as log:
        last = happened(log)[-1]
        assert (last.type, last.data["error"]) == ("recording.gap", "the process ended before it was written")
        assert log.verify("s").ok


def test_where_no_thread_can_be_started_the_end_of_the_process_writes_what_waits(tcp_server: Server) -> None:
    ended = run(["-c", WITHOUT_THREADS, tcp_server.url, "1"])
    assert ended.returncode == 0, ended.stderr
    assert said(tcp_server, "late")[-1]["content"] == [{"text": "Hi"}]


def test_the_last_words_are_published_before_the_process_ends(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        log.append("s", events.Custom("custom.note", {}))
        ended = run(["-c", LIVE, tcp_server.url])
        assert ended.returncode == 0, ended.stderr
        pieces = log.client.execute_command("XRANGE", log._events.keyspace.session("s").live, "-", "+")
    assert "bye." in str(pieces)
    assert b"end" in pieces[-1][1].values()
