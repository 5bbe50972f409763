"""The cached snapshot on a real server: it saves time and changes nothing else, whatever becomes of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strands_session_log import SessionLog, SnapshotSettings, errors, events
from strands_session_log.ids import EventId
from strands_session_log.replay import fold
from strands_session_log.server import text
from strands_session_log.snapshot import Authenticator, SnapshotPlace
from strands_session_log.snapshot.blobs import pack, unpack
from strands_session_log.snapshot.store import LoadedSnapshot, SnapshotWrite
from strands_session_log.state import SessionState
from support import FaultProxy
from support.clients import client_of
from support.processes import HOST
from support.servers import Server
from support.strands_agents import make_agent

SMALL = SnapshotSettings(threshold=16, segment=8, points=4, spacing=16)
SECRET = "4711-0815"


@pytest.fixture
def log(make_client: Callable[..., Any], namespace: str) -> Iterator[SessionLog]:
    with SessionLog(make_client(), namespace, snapshots=SMALL) as log:
        yield log
        log._replay.close()


def said(index: int, agent: str = "a", words: str = "hi") -> events.Event:
    message = {"role": "user", "content": [{"text": words}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, agent)


def talk(log: SessionLog, count: int, session: str = "s", start: int = 0) -> None:
    for index in range(start, start + count):
        log.append(session, said(index, words=f"{session} {index}"))
    log._replay.settle()


def key_of(log: SessionLog, session: str = "s") -> str:
    return log._events.keyspace.session(session).snapshot


def hash_of(log: SessionLog, session: str = "s") -> dict[str, bytes]:
    fields = client_of(log).hkeys(key_of(log, session))
    return {
        text(field): log.client.execute_command("HGET", key_of(log, session), field, NEVER_DECODE=True)
        for field in fields
    }


def newest(log: SessionLog, session: str = "s") -> EventId:
    return EventId.parse(text(client_of(log).hget(key_of(log, session), "points") or b"0-0").split()[-1])


def load(log: SessionLog, session: str = "s") -> LoadedSnapshot:
    loaded = log._events.snapshots.load(session, None)
    assert loaded is not None
    return loaded


NOWHERE = SnapshotPlace("", "", EventId(0, 0), "", "")


def opened(manifest: bytes) -> Any:
    return unpack(Authenticator().open(NOWHERE, manifest))


def sealed(data: Any) -> bytes:
    """As anybody can write it who can write to the server: its digest is right."""
    return Authenticator().seal(NOWHERE, pack(data))


class TestSaving:
    def test_a_writer_saves_in_passing_and_only_what_has_grown_enough(self, log: SessionLog) -> None:
        talk(log, SMALL.threshold)
        assert not hash_of(log)
        talk(log, SMALL.threshold, start=SMALL.threshold)
        assert newest(log).revision > SMALL.threshold

    def test_a_reader_that_folded_much_saves_and_the_next_folds_little(
        self, log: SessionLog, make_client: Callable[..., Any], namespace: str
    ) -> None:
        log.append("s", [said(index) for index in range(100)])
        with SessionLog(make_client(), namespace, snapshots=SMALL) as reader:
            reader.state("s")
            assert reader._replay.settle()
        assert newest(log).revision == 100
        assert len(load(log).entries) == 1

    def test_labels_come_from_the_snapshot_and_from_what_follows_it(self, log: SessionLog) -> None:
        log.append("s", [events.SessionAnnotated({"team": "billing", "ticket": 1}), *map(said, range(100))])
        log.state("s")
        assert log._replay.settle()
        assert opened(load(log).manifest)["labels"] == {"team": "billing", "ticket": 1}
        log.append("s", events.SessionAnnotated({"ticket": None, "rating": 5}))
        assert log.state("s").labels == {"team": "billing", "rating": 5}

    def test_what_is_stored_stays_bounded_as_the_session_grows(self, log: SessionLog) -> None:
        sliding = {"__name__": "SlidingWindowConversationManager"}
        for index in range(600):
            state = {"conversation_manager_state": {**sliding, "removed_message_count": max(0, index - 7)}}
            log.append("s", [said(index, words="x" * 100), events.AgentUpdated(state, "a")])
        log._replay.settle()
        fields = hash_of(log)
        assert len(fields["points"].split()) <= SMALL.points + 1
        assert sum(name.startswith("segment:") for name in fields) <= 3 * (SMALL.points + 1)
        assert log.state("s") == log._replay.from_log("s")

    def test_with_the_default_settings_points_share_what_they_need(
        self, make_client: Callable[..., Any], namespace: str
    ) -> None:
        with SessionLog(make_client(), namespace) as log:
            for start in range(0, 5000, 500):
                log.append("s", [said(index) for index in range(start, start + 500)])
            log._replay.settle()
            client_of(log).unlink(key_of(log))
            log.state("s")
            log._replay.settle()
            names = [name for name in hash_of(log) if name.startswith("segment:")]
            assert len(log._events.snapshots.load("s", None).points) > 3  # type: ignore[union-attr]
            assert len(names) <= 5000 // 512 + 10
            log._replay.close()

    def test_without_settings_nothing_is_saved_or_read(self, make_client: Callable[..., Any], namespace: str) -> None:
        log = SessionLog(make_client(), namespace, snapshots=None)
        log.append("s", [said(index) for index in range(100)])
        log.state("s")
        assert not hash_of(log)

    def test_two_readers_and_a_writer_never_move_it_backwards(
        self, log: SessionLog, make_client: Callable[..., Any], namespace: str
    ) -> None:
        stop, seen = threading.Event(), list[EventId]()

        def read() -> None:
            with SessionLog(make_client(), namespace, snapshots=SMALL) as reader:
                while not stop.is_set():
                    reader.state("s")
                    reader._replay.settle()

        log.append("s", said(0))
        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for index in range(1, 500):
            log.append("s", said(index))
            seen.append(newest(log))
        stop.set()
        for reader in readers:
            reader.join()
        assert seen == sorted(seen)
        assert seen[-1].revision > 200
        assert log.state("s") == log._replay.from_log("s")

    def test_a_saver_that_was_overtaken_writes_nothing(self, log: SessionLog) -> None:
        talk(log, 40)
        before, loaded = hash_of(log), load(log)
        for stale in (SnapshotWrite(b"1-1", loaded.listed, [], [], {}), SnapshotWrite(b"", b"1-1", [], [], {})):
            assert not log._events.snapshots.save("s", stale)
        assert hash_of(log) == before


class TestTrust:
    def spoiled(self, log: SessionLog) -> Iterator[tuple[str, Callable[[], object]]]:
        fields = hash_of(log)
        point, key = text(fields["points"]).split()[-1], key_of(log)
        manifest = fields[f"point:{point}"]
        foreign = hash_of(log, "other")
        data = opened(manifest)
        future, moved = b"4" + manifest[1:], sealed({**data, "position": "1-1"})
        another = sealed({**data, "link": "A" * 43})

        def put(name: str, value: bytes) -> Callable[[], object]:
            return lambda: client_of(log).hset(key, name, value)

        yield "truncated", put(f"point:{point}", manifest[:-3])
        yield "flipped", put(f"point:{point}", manifest[:30] + bytes([manifest[30] ^ 1]) + manifest[31:])
        yield "of the future", put(f"point:{point}", future)
        yield "of another place", put(f"point:{point}", moved)
        yield "of another history", put(f"point:{point}", another)
        yield "foreign", lambda: [put(name, value)() for name, value in foreign.items()]
        yield "without its manifest", lambda: client_of(log).hdel(key, f"point:{point}")
        yield "pointing nowhere", put("points", b"9999999999999-99999")
        yield "full of nonsense", put("points", b"nonsense \xff -- 1-")
        for name in [name for name in fields if name.startswith("segment:")]:
            yield f"{name} truncated", put(name, fields[name][:-1])
            yield f"{name} gone", lambda name=name: client_of(log).hdel(key, name)  # type: ignore[misc]

    def test_a_spoiled_snapshot_is_dropped_and_the_state_stays_right(self, log: SessionLog) -> None:
        talk(log, 60)
        talk(log, 60, "other")
        expected, whole = log._replay.from_log("s"), hash_of(log)
        count = 0
        for what, spoil in self.spoiled(log):
            client_of(log).delete(key_of(log))
            for name, value in whole.items():
                client_of(log).hset(key_of(log), name, value)
            spoil()
            assert log.state("s") == expected, what
            log._replay.settle()
            assert log.state("s") == expected, what
            count += 1
        assert count > 12

    def test_no_bit_of_its_list_of_points_can_make_a_reader_fail(self, log: SessionLog) -> None:
        talk(log, 60)
        expected, listed = log._replay.from_log("s"), hash_of(log)["points"]
        for bit in range(8 * len(listed)):
            flipped = bytearray(listed)
            flipped[bit // 8] ^= 1 << bit % 8
            client_of(log).hset(key_of(log), "points", bytes(flipped))
            assert log.state("s") == expected
            log._replay.settle()
            client_of(log).hset(key_of(log), "points", listed)

    def test_something_else_in_its_place_is_passed_over(self, log: SessionLog) -> None:
        talk(log, 20)
        client_of(log).set(key_of(log), "no hash")
        assert log.state("s") == log._replay.from_log("s")

    def test_a_snapshot_of_a_deleted_session_is_not_that_of_its_successor(self, log: SessionLog) -> None:
        talk(log, 60)
        stale = hash_of(log)
        log.delete("s")
        talk(log, 70)
        for name, value in stale.items():
            client_of(log).hset(key_of(log), name, value)
        assert log.state("s") == log._replay.from_log("s")

    def test_deleting_it_at_any_moment_changes_nothing_but_time(self, log: SessionLog) -> None:
        stop = threading.Event()

        def delete() -> None:
            while not stop.is_set():
                client_of(log).unlink(key_of(log))

        deleter = threading.Thread(target=delete)
        deleter.start()
        try:
            for index in range(200):
                log.append("s", said(index, words=str(index)))
                if index % 10 == 9:
                    messages = log.state("s").agents["a"].messages
                    assert [m.message["content"][0]["text"] for m in messages] == [str(n) for n in range(index + 1)]
        finally:
            stop.set()
            deleter.join()

    def test_what_was_left_out_is_found_after_the_snapshot_is_gone(self, log: SessionLog) -> None:
        talk(log, 60)
        log.append("s", events.WindowChanged({"items": [[58, 59]], "removed": 0, "next": 60}, "a"))
        talk(log, 40, start=60)
        state = log.state("s")
        client_of(log).unlink(key_of(log))
        assert list(state.agents["a"].messages) == list(log._replay.from_log("s").agents["a"].messages)

    def test_what_was_left_out_of_a_deleted_session_is_an_error_and_not_a_gap(self, log: SessionLog) -> None:
        talk(log, 60)
        log.append("s", events.WindowChanged({"items": [[58, 59]], "removed": 0, "next": 60}, "a"))
        talk(log, 40, start=60)
        state = log.state("s")
        log.delete("s")
        with pytest.raises(errors.LogForkedError):
            list(state.agents["a"].messages)

    def test_an_erasure_leaves_nothing_in_it_and_no_one_puts_it_back(self, log: SessionLog) -> None:
        log.append("s", said(0, words=SECRET))
        talk(log, 60, start=1)
        late = load(log)
        log.erase("s", 1, "why")
        assert not hash_of(log)
        assert SECRET not in str(log.state("s"))
        log._replay.settle()
        assert not log._events.snapshots.save("s", SnapshotWrite(late.erased, b"", [], [], {"1.0": SECRET.encode()}))
        assert SECRET not in str([_opened(blob) for blob in hash_of(log).values()])


def _opened(blob: bytes) -> Any:
    try:
        return unpack(blob) if blob[:4] == b"\x28\xb5\x2f\xfd" else opened(blob)
    except Exception:
        return blob


class TestResuming:
    @pytest.mark.parametrize("turns", [1, 40])
    def test_an_agent_resumes_in_one_round_trip_whatever_the_length(
        self, tcp_server: Server, namespace: str, turns: int
    ) -> None:
        with SessionLog.connect(tcp_server.url, namespace, snapshots=SMALL) as log:
            agent = make_agent(log, ["Hello."] * turns)
            for _ in range(turns):
                agent("Hi.")
            assert log._replay.settle()
            # Who resumes would save a snapshot, too, beside what is counted here, where that of a busy machine is old.
            never = SnapshotSettings(threshold=10**9)
            with (
                FaultProxy(HOST, tcp_server.port) as proxy,
                SessionLog.connect(proxy.url, namespace, snapshots=never) as near,
            ):
                make_agent(near)
                before = proxy.round_trips
                resumed = make_agent(near)
                assert proxy.round_trips - before == 1
            assert resumed.messages == agent.messages

    def test_a_client_that_decodes_resumes_as_well(self, make_client: Callable[..., Any], namespace: str) -> None:
        log = SessionLog(make_client(decode_responses=True), namespace, snapshots=SMALL)
        talk(log, 60)
        assert log.state("s") == log._replay.from_log("s")
        assert newest(log).revision > 0


class TestTravelling:
    def session(self, log: SessionLog, seed: int) -> None:
        rnd = random.Random(seed)
        counts = dict.fromkeys("abc", 0)
        for _ in range(150):
            agent, batch = rnd.choice("abc"), list[events.Event]()
            match rnd.randrange(8):
                case 0 if counts[agent]:
                    index = rnd.randrange(counts[agent])
                    batch = [events.MessageUpdated(dict(said(index, agent, "updated").data), agent)]
                case 1 if counts[agent]:
                    redaction = {"role": "user", "content": [{"text": "[redacted]"}]}
                    data = {
                        "message": redaction,
                        "redact_message": redaction,
                        "message_id": rnd.randrange(counts[agent]),
                    }
                    batch = [events.MessageRedacted(data, agent)]
                case 2:
                    removed = {"removed_message_count": rnd.randrange(counts[agent] + 1)}
                    batch = [
                        events.AgentUpdated(
                            {"state": {"n": rnd.random()}, "conversation_manager_state": removed}, agent
                        )
                    ]
                case 3 if counts[agent] > 3:
                    items = [
                        [0, 1],
                        {"message": {"role": "user", "content": []}},
                        [counts[agent] - 2, counts[agent] - 1],
                    ]
                    batch = [events.WindowChanged({"items": items, "removed": 0, "next": counts[agent]}, agent)]
                case 4:
                    batch = [events.MultiAgentUpdated({"n": rnd.random()}, "graph")]
                case _:
                    batch = [said(counts[agent], agent, f"{agent} {counts[agent]}")]
                    counts[agent] += 1
            if batch:
                log.append("s", batch)

    @pytest.mark.parametrize("seed", range(4))
    def test_the_state_at_every_event_is_the_fold_of_the_events_up_to_it(self, log: SessionLog, seed: int) -> None:
        self.session(log, seed)
        log.state("s")
        log._replay.settle()
        assert newest(log).revision
        state: SessionState | None = None
        for recorded in list(log.read("s")):
            state = fold([recorded], state)
            assert log.state("s", at=recorded.id) == state

    def test_a_point_in_the_past_does_not_cost_a_full_replay(self, log: SessionLog) -> None:
        talk(log, 400)
        for revision in (150, 250, 350):
            at = log.resolve("s", revision)
            loaded = log._events.snapshots.load("s", at)
            assert loaded is not None
            assert len(loaded.entries) <= 150
