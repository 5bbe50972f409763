"""Many writers at once: separate processes, one session."""

from __future__ import annotations

from subprocess import PIPE
from threading import Barrier, Thread

from strands_session_log import AgentAt, SessionLog, errors, events
from strands_session_log.ids import EventId
from support.programs import Program

WRITER = """
import sys
from strands_session_log import SessionLog, events
url, namespace, name, count = sys.argv[1:]
log = SessionLog.connect(url, namespace)
sys.stdin.readline()
for number in range(int(count)):
    log.append("shared", events.Custom("custom.note", {"writer": name, "number": number}))
"""


def test_eight_processes_append_200_notes_each_and_none_is_lost_doubled_or_out_of_order(
    server_url: str, session_log: SessionLog
) -> None:
    arguments = ["-c", WRITER, server_url, session_log.namespace]
    writers = [Program([*arguments, str(name), "200"], stdin=PIPE, text=True) for name in range(8)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [writer.wait(timeout=90) for writer in writers] == [0] * 8

    recorded = list(session_log.read("shared"))
    assert [one.id.revision for one in recorded] == list(range(1, 1601))
    for name in range(8):
        numbers = [one.event.data["number"] for one in recorded if one.event.data["writer"] == str(name)]
        assert numbers == list(range(200))
    assert session_log.verify("shared").ok
    assert feed_of(session_log, "shared") == [str(one.id) for one in recorded]


def feed_of(log: SessionLog, session_id: str) -> list[str]:
    keyspace = log._events.keyspace
    reply = log.client.execute_command("XRANGE", keyspace.feed(keyspace.partition(session_id)), "-", "+")
    assert [EventId.parse(entry_id).revision for entry_id, _ in reply] == list(range(1, len(reply) + 1))
    return [fields[b"id"].decode() for _, fields in reply]


def test_of_many_fenced_writers_exactly_one_lands_each_message(session_log: SessionLog) -> None:
    barrier, outcomes = Barrier(8), list[str]()

    def write(name: int) -> None:
        log = SessionLog(session_log.client, session_log.namespace)
        barrier.wait()
        message = events.MessageAdded({"message": {"writer": name}, "message_id": 0}, "default")
        try:
            log.append("s", message, expected=AgentAt("default", revision=0))
            outcomes.append("landed")
        except errors.ConcurrentWriteError:
            outcomes.append("refused")

    threads = [Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["landed"] + ["refused"] * 7
    assert len(list(session_log.read("s"))) == 1


def test_writers_that_never_pause_all_land_in_the_end(session_log: SessionLog) -> None:
    def write(name: int) -> None:
        log = SessionLog(session_log.client, session_log.namespace)
        for number in range(100):
            log.append("s", events.Custom("custom.note", {"writer": name, "number": number}))

    threads = [Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session_log.state("s").revision == 800


def test_one_log_serves_many_threads(session_log: SessionLog) -> None:
    def write(name: int) -> None:
        for number in range(50):
            session_log.append(f"s{number % 3}", events.Custom("custom.note", {"writer": name, "number": number}))

    threads = [Thread(target=write, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session_id in ("s0", "s1", "s2"):
        assert session_log.verify(session_id).ok
    assert sum(info.revision for info in session_log.sessions()) == 300
