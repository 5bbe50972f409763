"""A witness seals round by round, checks what it sealed before, and tells of a history that no longer holds."""

from __future__ import annotations

import json
import logging
import signal
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE
from threading import Event, Thread

import pytest

from strands_session_log import SessionLog, errors, events
from strands_session_log.seals import SealDirectory, SealedLog, SigningKey, make_key_file
from strands_session_log_consumers.witness.service import WitnessService
from strands_session_log_consumers.witness.settings import WitnessSettings
from strands_session_log_consumers.witness.watching import Watch
from support import FaultProxy
from support.command_line import Run
from support.programs import COMMAND_LINE, Program
from support.tampering import entries_of, forge_all
from support.waiting import wait_until

KEY = SigningKey.make("example.com/agents")


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "seals"


def watch(log: SessionLog, place: Path, check: int = 0) -> Watch:
    return Watch(log, SealDirectory(place), KEY, check=check)


def rewrite(log: SessionLog, session_id: str) -> None:
    entries = entries_of(log, session_id)
    forge_all(log, [(id_, {**fields, "body": b'{"number":99}'}) for id_, fields in entries], session_id)


def sample(service: WitnessService, name: str, **labels: str) -> float | None:
    return service.registry.get_sample_value(f"strands_session_log_witness_{name}", labels)


def test_every_round_seals_and_checks_a_bounded_part_in_turn(log: SessionLog, place: Path) -> None:
    for number in range(25):
        log.append(f"s-{number}", note())
    witness = watch(log, place, check=10)
    rounds = [witness.round() for _ in range(6)]
    assert [one.summary.sessions for one in rounds] == [25, 0, 0, 0, 0, 0]
    assert [one.checked for one in rounds] == [10, 10, 5, 10, 10, 5]
    assert [one.passes for one in rounds] == [0, 0, 1, 1, 1, 2]
    assert all(one.ok for one in rounds)


def test_a_history_that_no_longer_holds_is_told_of_once_and_shown_until_it_holds_again(
    log: SessionLog, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        log.append(f"s-{number}", note())
    service = WitnessService(watch(log, place, check=4), WitnessSettings())
    while sample(service, "passes") != 1:
        service.once()
    keys = log._events.keyspace.session("s-7")
    saved = log.client.execute_command("DUMP", keys.events)
    rewrite(log, "s-7")
    for _ in range(6):
        service.once()
    assert sample(service, "broken_sessions") == 1
    assert not service.ok
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].startswith("session=<s-7>, problem=<event ")
    log.client.execute_command("RESTORE", keys.events, 0, saved, "REPLACE")
    passes = sample(service, "passes") or 0
    while sample(service, "passes") != passes + 2:
        service.once()
    # What the forger's head said was sealed as well, and does not stand any more either.
    assert sample(service, "broken_sessions") == 1
    assert sample(service, "rounds_total", outcome="error") == 0


def test_a_server_that_has_lost_everything_does_not_fill_the_log(
    log: SessionLog, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(150):
        log.append(f"s-{number}", note())
    service = WitnessService(watch(log, place), WitnessSettings())
    service.once()
    keys = [key for number in range(150) for key in log._events.keyspace.session(f"s-{number}")[:2]]
    for key in keys:
        log.client.execute_command("DEL", key)
    service.once()
    service.once()
    assert sample(service, "broken_sessions") == 150
    assert len([one for one in caplog.records if "no longer holds" in one.getMessage()]) == 101


def test_a_session_that_was_never_touched_is_no_alarm_whatever_goes_on(log: SessionLog, place: Path) -> None:
    service = WitnessService(watch(log, place), WitnessSettings())
    for number in range(5):
        log.append("busy", note(number))
        log.append(f"s-{number}", note())
        if number:
            log.delete(f"s-{number - 1}")
        assert service.once().ok
    assert sample(service, "sealed_total", kind="deletion") == 4
    assert sample(service, "seals_damaged") == 0
    assert service.ok


@pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000.p/2", "checkpoints/2"])
def test_seals_that_were_changed_are_told_of(name: str, log: SessionLog, place: Path) -> None:
    log.append("s", note())
    service = WitnessService(watch(log, place), WitnessSettings())
    service.once()
    content = (place / name).read_bytes()
    (place / name).write_bytes(content.replace(b"s", b"t").replace(b"e", b"f"))
    log.append("s", note())
    for _ in range(3):
        try:
            service.once()
        except errors.SealDamagedError:
            assert service.damage
    assert not service.ok
    assert sample(service, "seals_damaged") == 1


def test_seals_that_were_set_back_are_not_gone_on_from(log: SessionLog, place: Path) -> None:
    """Else the key would sign two trees of one size, and each would be as good as the other."""
    log.append("s", note())
    service = WitnessService(watch(log, place), WitnessSettings())
    service.once()
    old = (place / "checkpoint").read_bytes()
    log.append("s", note())
    service.once()
    (place / "checkpoint").write_bytes(old)
    log.append("s", note())
    for witness in (service, WitnessService(watch(log, place), WitnessSettings())):
        with pytest.raises(errors.SealDamagedError, match=r"records were taken away|was set back"):
            witness.once()
        assert not witness.ok
    (place / "checkpoint").unlink()
    with pytest.raises(errors.SealDamagedError, match="was set back"):
        WitnessService(watch(log, place), WitnessSettings()).once()


def test_it_outlives_a_server_that_is_away(
    proxy: FaultProxy, tmp_path: Path, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SessionLog.connect(f"{proxy.url}?socket_timeout=0.5", namespace, retry_for=0) as log:
        log.append("s", note())
        service, stop = WitnessService(watch(log, tmp_path / "seals"), WitnessSettings(every=0.05)), Event()
        thread = Thread(target=service.run, args=[stop])
        thread.start()
        try:
            wait_until(lambda: sample(service, "records") == 2, "a seal")
            proxy.refuse()
            proxy.cut()
            wait_until(lambda: (sample(service, "rounds_total", outcome="error") or 0) > 2, "rounds that fail")
            proxy.accept()
            with SessionLog.connect(proxy.url, namespace) as other:
                other.append("s", note())
            wait_until(lambda: sample(service, "records") == 4, "another seal")
        finally:
            stop.set()
            thread.join()
    assert service.ok
    warned = [one for one in caplog.records if "the round ended" in one.getMessage()]
    assert 1 <= len(warned) < 3, "the same trouble is told once"


def test_the_command_runs_once_for_cron(
    log: SessionLog, run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is this process whose log it would write otherwise.
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    key = tmp_path / "k"
    make_key_file(key, "example.com/agents")
    log.append("s", note())
    options = ("witness", "--to", str(place), "--key", str(key), "--once")
    assert "sealed 1 sessions" in run(*options).stdout
    rewrite(log, "s")
    found = json.loads(run(*options, "--json", exit_code=1).stdout)
    assert not found["ok"]
    assert found["broken"][0]["session_id"] == "s"
    assert "has another link than was sealed" in found["broken"][0]["problems"][0]
    assert "--new-key" in run("witness", "--to", str(place), "--once", exit_code=2).stderr


def test_the_service_ends_after_what_it_is_about_and_serves_metrics_until_then(
    log: SessionLog, environment: Mapping[str, str], place: Path, tmp_path: Path
) -> None:
    key = tmp_path / "k"
    make_key_file(key, "example.com/agents")
    log.append("s", note())
    options = ("witness", "--to", str(place), "--key", str(key), "--every", "0.1", "--port", "0")
    program = Program([*COMMAND_LINE, *options], env=environment, stdout=PIPE, stderr=PIPE, text=True)
    assert program.stderr is not None
    program.stderr.readline()
    address = program.stderr.readline().removeprefix("Serving ").strip()

    def metrics() -> str:
        with urllib.request.urlopen(address) as reply:
            return str(reply.read().decode())

    wait_until(lambda: "strands_session_log_witness_records 2.0" in metrics(), "a seal")
    rewrite(log, "s")
    wait_until(lambda: "strands_session_log_witness_broken_sessions 1.0" in metrics(), "a check")
    program.send_signal(signal.SIGTERM)
    _, told = program.communicate()
    assert program.returncode == 1, told
    assert "history no longer holds" in told
    assert SealedLog(place).mark.namespace == log.namespace
