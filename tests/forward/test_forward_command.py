"""`session-log forward` as a process: killed it has lost nothing, and it ends when it is told to."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from strands_session_log import SessionLog
from support.command_line import Run
from support.following import note, notes
from support.processes import HOST, free_port
from support.programs import COMMAND_LINE, Program
from support.receiving import WebhookReceiver
from support.waiting import wait_until

SECRET = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG4="


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


class Forwarding:
    """A process that forwards; a context manager, which ends it as an operator does."""

    def __init__(self, log: SessionLog, server_url: str, directory: Path, url: str, *options: str) -> None:
        secret, self._output = directory / "secret", directory / "output"
        secret.write_text(SECRET)
        where = ("--url", server_url, "--namespace", log.namespace, "--secret-file", str(secret))
        quick = ("--consumer", "f-1", "--backoff", "0.01", "--content", "--json")
        with self._output.open("ab") as output:
            self.process = Program(
                [*COMMAND_LINE, "forward", url, *where, *quick, *options], stdout=output, stderr=output
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def __enter__(self) -> Forwarding:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0, self.output
        assert "Traceback" not in self.output


def test_killed_while_the_receiver_takes_an_event_it_sends_it_again_under_the_same_id(
    session_log: SessionLog, server_url: str, tmp_path: Path, receiver: WebhookReceiver
) -> None:
    receiver.way = lambda handling, _: receiver.closing.wait(20) and handling.answer(204)
    session_log.append("s-1", note(1))
    first = Forwarding(session_log, server_url, tmp_path, receiver.url)
    wait_until(lambda: receiver.asked, "the event")
    first.process.kill()
    first.process.wait(20)
    receiver.way = None
    session_log.append("s-1", note(2))
    with Forwarding(session_log, server_url, tmp_path, receiver.url) as second:
        wait_until(lambda: {one.number for one in receiver.taken} == {1, 2}, "both events")
        wait_until(lambda: second.output.count("delivered") == 2, "both to be told of")
    again = next(one for one in receiver.taken if one.number == 1)
    assert again.id == receiver.asked[0].id
    told = [json.loads(line) for line in second.output.splitlines() if line.startswith("{")]
    assert {(one["session_id"], one["outcome"], one["type"]) for one in told} == {("s-1", "delivered", "custom.note")}


def test_told_to_end_while_the_receiver_is_away_it_ends_and_the_next_one_goes_on(
    session_log: SessionLog, server_url: str, tmp_path: Path
) -> None:
    port = free_port()
    session_log.append("s-1", notes(0, 3))
    with Forwarding(session_log, server_url, tmp_path, f"http://{HOST}:{port}/hook") as first:
        wait_until(lambda: "takes nothing for now" in first.output, "an attempt")
    with (
        WebhookReceiver(port=port) as receiver,
        Forwarding(session_log, server_url, tmp_path, f"http://{HOST}:{port}/hook"),
    ):
        wait_until(lambda: len(receiver.taken) == 3, "all events")
    assert not list(session_log.parked("forward"))


def test_one_that_wants_nothing_any_more_is_told_of_by_the_exit_code(
    log: SessionLog, run: Run, receiver: WebhookReceiver
) -> None:
    receiver.way = lambda handling, _: handling.answer(410)
    log.append("s-1", note(1))
    said = run("forward", f"{receiver.url}?key=secret", "--unsigned", exit_code=1).stderr
    assert "wants no more events (410 Gone)" in said
    assert "key=secret" not in said


def test_metrics_need_an_extra_only_where_they_are_wanted(
    log: SessionLog, run: Run, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("prometheus_client") or one.endswith("forward.counting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    receiver.way = lambda handling, _: handling.answer(410)
    log.append("s-1", note(1))
    run("forward", receiver.url, "--unsigned", exit_code=1)
    said = run("forward", receiver.url, "--unsigned", "--metrics-port", "0", exit_code=2).stderr
    assert "strands-session-log[metrics]" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["https://hooks.example.com"], "--secret-file"),
        (["ftp://hooks.example.com", "--unsigned"], "https://"),
        (["https://hooks.example.com", "--secret-file", "nowhere"], "cannot be read"),
    ],
    ids=["no secret", "no web address", "no file"],
)
def test_what_it_cannot_begin_with_ends_with_2(run: Run, arguments: list[str], told: str) -> None:
    assert told in run("forward", *arguments, exit_code=2).stderr


def test_a_secret_that_is_none_is_refused_and_not_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    said = run("forward", "https://hooks.example.com", "--secret-file", str(tmp_path / "secret"), exit_code=2).stderr
    assert "whsec_" in said
    assert "hunter2" not in said


def test_what_was_sent_and_refused_is_among_its_metrics(
    session_log: SessionLog, server_url: str, tmp_path: Path, receiver: WebhookReceiver
) -> None:
    receiver.way = lambda handling, received: handling.answer(400 if received.number == 1 else 204)
    session_log.append("s-1", notes(0, 3))
    options = ("--metrics-port", "0", "--max-attempts", "2")
    with Forwarding(session_log, server_url, tmp_path, receiver.url, *options) as running:
        address = wait_until_told(running)
        wait_until(lambda: 'forward_events_total{outcome="parked"} 1' in asked(address), "the event to be parked")
        shown = asked(address)
    assert 'strands_session_log_forward_events_total{outcome="delivered"} 2.0' in shown
    assert 'strands_session_log_forward_events_total{outcome="failed"} 1.0' in shown
    assert 'strands_session_log_forward_answers_total{verdict="refused"} 2.0' in shown
    assert "strands_session_log_forward_answer_seconds_count 4.0" in shown
    assert "strands_session_log_forward_receiver_away 0.0" in shown
    assert "process_resident_memory_bytes" in shown


def wait_until_told(running: Forwarding) -> str:
    """Where its metrics are."""
    wait_until(lambda: "/metrics\n" in running.output, "the metrics to be served")
    (address,) = re.findall(r"Serving (\S+)", running.output)
    return str(address)


def asked(address: str) -> str:
    with urllib.request.urlopen(address) as answer:
        return str(answer.read().decode())
