"""Who may write a snapshot: what verifying finds of a forged one, and what a key is good for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, SnapshotSettings, errors, events
from strands_session_log.instrumentation import Resumed, SnapshotDropped, set_hooks
from strands_session_log.replay import Replay
from support.clients import client_of
from support.command_line import runner
from support.poison import Fields, fields_of, opened, put, repacked, sealed, snapshot_key_of
from support.strands_agents import make_agent

SMALL = SnapshotSettings(threshold=16, segment=8, points=4, spacing=16)
KEY, OTHER = b"k" * 32, b"o" * 32

Opener = Callable[..., SessionLog]


@pytest.fixture
def opener(make_client: Callable[..., Any], namespace: str) -> Iterator[Opener]:
    """Opens logs of one namespace, with these keys for snapshots or none."""
    logs: list[SessionLog] = []

    def open_log(*keys: bytes, **options: Any) -> SessionLog:
        logs.append(SessionLog(make_client(), namespace, **{"snapshots": SMALL, "snapshot_key": keys, **options}))
        return logs[-1]

    yield open_log
    for log in logs:
        log._replay.close()


@pytest.fixture
def details() -> Iterator[list[Any]]:
    told: list[Any] = []
    set_hooks([told.append])
    yield told
    set_hooks([])


def said(index: int, words: str = "true") -> events.Event:
    message = {"role": "user", "content": [{"text": words}]}
    return events.MessageAdded({"message": message, "message_id": index, "redact_message": None}, "a")


def talk(log: SessionLog, count: int = 40, session: str = "s", start: int = 0) -> None:
    log.append(session, events.AgentUpdated({"state": {"is_admin": False}}, "a"))
    for index in range(start, start + count):
        log.append(session, said(index))
    log.state(session)
    assert log._replay.settle()
    assert fields_of(log, session)


def texts(log: SessionLog, session: str = "s", **options: Any) -> set[str]:
    messages = log.state(session, **options).agents["a"].messages
    return {message.shown["content"][0]["text"] for message in messages}


def forged(fields: Fields) -> Fields:
    """Other words, and everything that is computed from them."""
    return repacked(fields, lambda segment: segment.replace(b'"true"', b'"lies"'))


def changed(fields: Fields, change: Callable[[dict[str, Any]], object], newest_only: bool = False) -> Fields:
    names = [name for name in fields if name.startswith("point:")]
    found = dict(fields)
    for name in sorted(names)[-1:] if newest_only else names:
        data = opened(fields[name])
        change(data)
        found[name] = sealed(data)
    return found


class TestVerifying:
    def test_a_snapshot_that_says_what_the_log_says_is_no_problem(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        log.append("s", events.WindowChanged({"items": [[3, 5]], "removed": 0, "next": 40}, "a"))
        talk(log, start=40)
        assert log.verify("s").ok

    def test_other_words_in_a_segment_are_a_problem_of_every_point_that_needs_it(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        put(log, forged(fields_of(log)))
        assert "lies" in texts(log)
        found = log.verify("s")
        assert not found.ok
        assert all("differs from the log: agent 'a'" in problem for problem in found.problems)
        assert len(found.problems) == len(fields_of(log)["points"].split())

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("agent 'a'", lambda data: data["agents"][0]["record"]["state"].update(is_admin=True)),
            ("agent 'a'", lambda data: data["agents"][0].update(held=[[], 0, 0])),
            ("agent 'a'", lambda data: data["agents"][0].update(moved="0-0")),
            ("agent 'a'", lambda data: data["agents"][0].update(unerased=[[1, "0-1"]])),
            ("agent 'a'", lambda data: data["agents"][0]["parts"].pop()),
            ("agent 'b'", lambda data: data["agents"].append({**data["agents"][0], "id": "b", "parts": []})),
            ("session record", lambda data: data.update(record={"session_id": "t"})),
            ("graphs", lambda data: data.update(multi_agents={"g": {"status": "done"}})),
        ],
    )
    def test_whatever_a_point_says_that_the_log_does_not_is_named(
        self, opener: Opener, what: str, change: Callable[[Any], object]
    ) -> None:
        log = opener()
        talk(log)
        put(log, changed(fields_of(log), change, newest_only=True))
        (problem,) = log.verify("s").problems
        assert problem.endswith(f"differs from the log: {what}")

    @pytest.mark.parametrize(
        ("said_in_it", "flags", "lie"),
        [
            ({"toolUse": {"toolUseId": "t", "name": "book", "input": {}}}, b"[false,true,", b"[false,false,"),
            ({"reasoningContent": {"redactedContent": b"bytes"}}, b"[true,false,", b"[false,false,"),
        ],
        ids=["of tools", "of wrapped values"],
    )
    def test_a_segment_that_is_silent_about_what_stands_in_it_is_a_problem(
        self, opener: Opener, said_in_it: dict[str, Any], flags: bytes, lie: bytes
    ) -> None:
        log = opener()
        message = {"role": "assistant", "content": [said_in_it]}
        log.append("s", [events.MessageAdded({"message": message, "message_id": n}, "a") for n in range(40)])
        log.state("s")
        assert log._replay.settle()
        assert log.verify("s").ok
        put(log, repacked(fields_of(log), lambda segment: segment.replace(flags, lie)))
        assert "differs from the log: agent 'a'" in log.verify("s").problems[0]

    def test_words_that_only_an_agent_is_given_since_no_record_is_made_of_them_are_a_problem(
        self, opener: Opener
    ) -> None:
        log = opener()
        talk(log)
        # The last revision is none: whoever makes records of it reads the log, and an agent is given what is there.
        put(log, repacked(forged(fields_of(log)), lambda text: text.removesuffix(b"]]") + b".0]]"))
        assert texts(log) == {"true"}
        assert "differs from the log: agent 'a'" in log.verify("s").problems[0]

    def test_other_messages_than_the_log_has_are_a_problem_where_they_are_not_stored(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        log.append("s", events.WindowChanged({"items": [[39, 39]], "removed": 0, "next": 40}, "a"))
        log.append("s", [said(index) for index in range(40, 60)])
        log.state("s")
        log._replay.settle()

        def lie(data: dict[str, Any]) -> None:
            (first, *_) = data["agents"][0]["parts"]
            assert not first[0]
            first[2] -= 1

        put(log, changed(fields_of(log), lie, newest_only=True))
        assert "differs from the log: agent 'a'" in log.verify("s").problems[0]
        with pytest.raises(errors.SnapshotMismatchError, match="it is dropped"):
            list(log.state("s").agents["a"].messages)
        assert texts(log) == {"true"}

    def test_a_point_the_log_does_not_have_is_a_problem(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        fields = fields_of(log)
        put(log, {**fields, "points": fields["points"] + b" 9999999999999-99999"})
        (problem,) = log.verify("s").problems
        assert problem == "the snapshot at event 9999999999999-99999 is not in the log"

    def test_one_of_another_version_is_taken_by_nobody_and_is_no_problem(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        older = {name: b"2" + blob[1:] if name.startswith("point:") else blob for name, blob in fields_of(log).items()}
        put(log, older)
        assert log.verify("s").ok
        assert texts(log) == {"true"}

    def test_the_command_line_tells_of_it_and_ends_with_1(
        self, opener: Opener, server_url: str, namespace: str
    ) -> None:
        log = opener()
        talk(log)
        put(log, forged(fields_of(log)))
        result = runner(server_url, namespace)("verify", "s", exit_code=1)
        assert "differs from the log" in result.output


class TestKeys:
    def test_without_a_key_a_forged_snapshot_is_what_an_agent_resumes_with(self, opener: Opener) -> None:
        """What the key is for; `verify` tells."""
        log = opener()
        talk(log)
        put(log, forged(fields_of(log)))
        assert "lies" in texts(log)

    @pytest.mark.parametrize("forge", [forged, lambda fields: changed(forged(fields), lambda data: None)])
    def test_with_a_key_it_is_dropped_counted_and_made_anew(
        self, opener: Opener, details: list[Any], forge: Callable[[Fields], Fields]
    ) -> None:
        log = opener(KEY)
        talk(log)
        put(log, forge(fields_of(log)))
        assert texts(log) == {"true"}
        assert [one.reason for one in details if isinstance(one, SnapshotDropped)] == ["unauthenticated"]
        assert log._replay.settle()
        assert texts(log) == {"true"}
        assert [one.snapshot for one in details if isinstance(one, Resumed)][-2:] == ["dropped", "hit"]
        assert log.verify("s").ok

    def test_one_that_nobody_signed_is_a_problem_for_whoever_has_a_key(self, opener: Opener) -> None:
        talk(opener())
        assert "is not taken: no snapshot key has signed it" in opener(KEY).verify("s").problems[0]

    def test_a_signed_one_counts_nowhere_else(self, opener: Opener, new_namespace: Callable[[], str]) -> None:
        """Nor of another session, nor at another event, nor in another namespace."""
        log, elsewhere = opener(KEY), opener(KEY, snapshots=SMALL)
        talk(log)
        fields = fields_of(log)
        talk(log, session="t")
        log.fork("s", None, "u")
        log.state("u")
        log._replay.settle()
        for session in ("t", "u"):
            expected = elsewhere._replay.from_log(session)
            other = fields_of(log, session)
            put(log, {name: fields.get(name, blob) for name, blob in other.items()}, session)
            put(log, {**fields_of(log, session), **_as_if_at(fields, other)}, session)
            assert log.state(session) == expected
        points = sorted(name for name in fields if name.startswith("point:"))
        swapped = {one: fields[other] for one, other in zip(points, reversed(points), strict=True)}
        put(log, {**fields, **swapped})
        assert log.state("s") == elsewhere._replay.from_log("s")

    def test_keys_are_rotated_by_putting_the_new_one_first(self, opener: Opener, details: list[Any]) -> None:
        talk(opener(KEY))
        opener(OTHER, KEY).state("s")
        assert [one.snapshot for one in details if isinstance(one, Resumed)][-1] == "hit"
        both = opener(OTHER, KEY)
        both.append("s", [said(index) for index in range(40, 60)])
        both.state("s")
        both._replay.settle()
        opener(OTHER).state("s")
        assert [one.snapshot for one in details if isinstance(one, Resumed)][-1] == "hit"
        opener(KEY).state("s")
        assert [one.snapshot for one in details if isinstance(one, Resumed)][-1] == "dropped"

    def test_who_has_no_key_reads_a_signed_one_and_neither_overwrites_nor_drops_it(self, opener: Opener) -> None:
        log, other = opener(KEY), opener()
        talk(log)
        before = fields_of(log)
        assert texts(other) == {"true"}
        other.append("s", [said(index) for index in range(40, 80)])
        other.state("s")
        other._replay.settle()
        assert fields_of(log) == before
        put(log, {name: b"4mjunk" if name.startswith("point:") else blob for name, blob in before.items()})
        assert texts(other) == {"true"}
        other._replay.settle()
        assert set(fields_of(log)) == set(before)
        assert texts(log) == {"true"}
        log._replay.settle()
        assert fields_of(log)["authenticated"] == b"hmac-sha-256"

    def test_one_from_before_an_erasure_is_not_put_back(self, opener: Opener, details: list[Any]) -> None:
        """Not even by who puts the head back as well: the record of the erasure stands in the chain."""
        log = opener(KEY)
        talk(log)
        before = fields_of(log)
        erased = log.resolve("s", 1)
        log.erase("s", erased, "why")
        head = log._events.keyspace.session("s").head
        for with_head in (False, True):
            put(log, before)
            if with_head:
                log.client.execute_command("HSET", head, "erased", "")
            assert log.state("s").agents["a"].record is None
            dropped = [one.reason for one in details if isinstance(one, SnapshotDropped)]
            assert dropped[-1] == ("outdated" if with_head else "unauthenticated")
            assert log._replay.settle()
            assert log.state("s").agents["a"].record is None

    def test_an_agent_does_not_go_on_from_forged_messages(self, opener: Opener) -> None:
        log = opener(KEY)
        agent = make_agent(log, ["true"] * 20)
        for _ in range(20):
            agent("true")
        log._replay.settle()
        put(log, forged(fields_of(log)))
        resumed = make_agent(log)
        assert resumed.messages == agent.messages


def _as_if_at(fields: Fields, other: Fields) -> Fields:
    """The newest point of one snapshot under the name of the newest of another."""
    names = [max(name for name in each if name.startswith("point:")) for each in (fields, other)]
    return {names[1]: fields[names[0]]}


class TestConfiguring:
    @pytest.mark.parametrize(
        ("key", "message"),
        [
            (b"short", "a key of 5 bytes can be found by trying; take at least 32 random ones"),
            ("k" * 32, "a key is bytes, not str"),
            (4711, "a key is bytes, not int"),
            ([KEY, b""], "a key of 0 bytes"),
        ],
    )
    def test_what_can_be_no_key_is_refused_and_never_shown(self, opener: Opener, key: Any, message: str) -> None:
        with pytest.raises(errors.SessionLogError, match=message) as raised:
            opener(snapshot_key=key)
        assert "kkkk" not in str(raised.value)

    def key_file(self, folder: Path, text: bytes = b"# rotated in May\n" + OTHER + b"\n\n" + KEY + b"\n") -> Path:
        file = folder / "key file"
        file.write_bytes(text)
        return file

    def test_a_file_with_keys_is_named_by_the_url(
        self, opener: Opener, server_url: str, namespace: str, tmp_path: Path
    ) -> None:
        talk(opener(KEY))
        query = f"{'&' if '?' in server_url else '?'}snapshot_key_file={self.key_file(tmp_path)}".replace(" ", "%20")
        with SessionLog.connect(server_url + query, namespace) as log:
            assert log.verify("s").ok
            put(log, forged(fields_of(log)))
            assert texts(log) == {"true"}

    def test_or_by_the_environment_for_the_command_line_too(
        self, opener: Opener, server_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = opener()
        talk(log)
        run = runner(server_url, namespace)
        run("verify", "s")
        monkeypatch.setenv("SESSION_LOG_SNAPSHOT_KEY_FILE", str(self.key_file(tmp_path)))
        assert "no snapshot key has signed it" in run("verify", "s", exit_code=1).output
        put(log, forged(fields_of(log)))
        assert "lies" not in run("show", "s").output
        talk(opener(KEY), session="t")
        monkeypatch.delenv("SESSION_LOG_SNAPSHOT_KEY_FILE")
        file = str(self.key_file(tmp_path)).replace(" ", "%20")
        query = f"{'&' if '?' in server_url else '?'}snapshot_key_file={file}"
        run("verify", "t", "--url", server_url + query)

    @pytest.mark.parametrize(
        ("content", "message"), [(None, "cannot be read"), (b"# no\n", "has no key"), (b"x\n", "1 b")]
    )
    def test_a_file_without_a_usable_key_is_refused_with_its_name(
        self, opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
    ) -> None:
        file = tmp_path / "none" if content is None else self.key_file(tmp_path, content)
        monkeypatch.setenv("SESSION_LOG_SNAPSHOT_KEY_FILE", os.fspath(file))
        with pytest.raises(errors.SessionLogError, match=message) as raised:
            opener(snapshot_key=None)
        assert os.fspath(file) in str(raised.value)

    def test_no_key_at_all_can_be_asked_for_where_the_environment_has_one(
        self, opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SESSION_LOG_SNAPSHOT_KEY_FILE", str(self.key_file(tmp_path)))
        log = opener()
        talk(log)
        assert "authenticated" not in fields_of(log)


class TestBounds:
    def test_a_blob_that_expands_to_gigabytes_is_dropped(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        fields = fields_of(log)
        bomb = repacked(fields, lambda segment: b"[" + b" " * 17 * 1024 * 1024 + segment[1:])
        put(log, bomb)
        assert texts(log) == {"true"}

    def test_a_segment_larger_than_any_that_is_stored_is_not_even_fetched(self, opener: Opener) -> None:
        log = opener()
        talk(log)
        fields = fields_of(log)
        names = [name for name in fields if name.startswith("segment:")]
        put(log, {**fields, names[0]: b"x" * 33 * 1024 * 1024})
        assert log._events.snapshots.segment("s", names[0].removeprefix("segment:")) is None
        assert texts(log) == {"true"}

    def test_a_message_too_large_for_a_segment_is_read_from_the_log(self, opener: Opener) -> None:
        log = opener(KEY)
        large = "x" * 17 * 1024 * 1024
        for index in range(40):
            log.append("s", said(index, large if index == 20 else "true"))
        log.state("s")
        assert log._replay.settle()
        assert fields_of(log)
        assert texts(log) == {"true", large}
        assert log.verify("s").ok

    def test_a_snapshot_in_another_place_of_a_log_is_not_saved_when_its_records_are_too_large(
        self, opener: Opener, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = opener()
        log.append("s", events.AgentUpdated({"state": {"blob": "x" * 17 * 1024 * 1024}}, "a"))
        for index in range(40):
            log.append("s", said(index))
        log.state("s")
        assert log._replay.settle()
        assert not client_of(log).exists(snapshot_key_of(log))
        assert "too large for a snapshot" in caplog.text


def test_replaying_without_an_authenticator_takes_what_anybody_has_written(opener: Opener) -> None:
    log = opener()
    talk(log)
    assert Replay(log._events, SMALL).state("s") == log.state("s")


@pytest.mark.parametrize("with_key", [False, True])
def test_doctor_tells_whether_snapshots_are_authenticated(
    server_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_key: bool
) -> None:
    if with_key:
        (tmp_path / "keys").write_bytes(KEY)
        monkeypatch.setenv("SESSION_LOG_SNAPSHOT_KEY_FILE", str(tmp_path / "keys"))
    output = runner(server_url, namespace)("doctor", exit_code=None).output
    assert ("only snapshots written with a key" in " ".join(output.split())) == with_key
    assert ("not authenticated" in output) != with_key
